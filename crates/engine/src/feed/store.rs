//! The feed's statements. The head's row is locked until COMMIT: positions follow the order of commits
//! and leave no gap, so nothing slow may come after `append`.

use hoody_core::id::{GateId, SessionId, TokenId, UserId};
use hoody_core::time::Timestamp;

use super::{Actor, Change};
use crate::db::{Db, DbError, On, Row, Tx, args};
use crate::grants::Forget;

const ADVANCE: &str = "UPDATE feed_head SET pos = pos + 1 WHERE id = 1 RETURNING pos, retirements";
const INSERT: &str = "INSERT INTO feed (pos, seq, at, event_type, account_id, actor_kind, actor_id, \
     resource_type, resource_id, realm_ids, payload, forget_kind, forget_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const FORGETS: &str = "SELECT pos, seq, at, forget_kind, forget_id FROM feed \
     WHERE (pos > $1 OR (pos = $1 AND seq > $2)) AND pos <= $3 AND forget_kind IS NOT NULL \
     ORDER BY pos, seq LIMIT 1000";

const MARK: &str = "SELECT at, resource_id FROM feed WHERE pos = $1 AND seq = 0";

/// What tells a position from the same position of another history: when it was written, and of what.
pub(super) type Mark = Option<(i64, Vec<u8>)>;

/// The mark of a position; `None` where nothing was written there.
pub(super) async fn mark(db: &Db, pos: i64) -> Result<Mark, DbError> {
    let row = On::from(db).find(MARK, args![pos]).await?;
    row.map(|row| Ok((row.get("at")?, row.get("resource_id")?))).transpose()
}

/// Appends the rows of one mutation at the next position; gives it, and how many master keys were retired
/// before.
pub(super) async fn append(
    tx: &mut Tx,
    now: Timestamp,
    actor: Actor,
    changes: &[Change],
) -> Result<(i64, i64), DbError> {
    let head = On::from(&mut *tx).one(ADVANCE, args![]).await?;
    let (pos, retirements): (i64, i64) = (head.get("pos")?, head.get("retirements")?);
    let (actor_kind, actor_id) = match actor {
        Actor::Session(id) => ("session", Some(id.bytes().to_vec())),
        Actor::Token(id) => ("token", Some(id.bytes().to_vec())),
        Actor::Operator => ("operator", None),
        Actor::Nobody => ("nobody", None),
    };
    for (seq, change) in (0_i64..).zip(changes) {
        let (forget_kind, forget_id) = change.forget.map(forget_columns).unzip();
        let realms: Vec<_> = change.realm_ids.iter().map(ToString::to_string).collect();
        let row = args![
            pos,
            seq,
            now,
            change.event,
            change.account,
            actor_kind,
            crate::db::Arg::Bytes(actor_id.clone()),
            change.resource.0,
            &change.resource.1[..],
            realms.join(","),
            change.payload.to_string(),
            forget_kind,
            crate::db::Arg::Bytes(forget_id),
        ];
        tx.execute(INSERT, row).await?;
    }
    Ok((pos, retirements))
}

fn forget_columns(forget: Forget) -> (&'static str, Vec<u8>) {
    match forget {
        Forget::Account(id) => ("account", id.bytes().to_vec()),
        Forget::Token(id) => ("token", id.bytes().to_vec()),
        Forget::Session(id) => ("session", id.bytes().to_vec()),
        // The column takes the bytes of an id; an older node reads every grant again.
        Forget::Catalogue => ("catalogue", vec![0; 12]),
        Forget::Gate(id) => ("gate", id.bytes().to_vec()),
    }
}

/// A row that makes a node forget something.
pub(super) struct ToForget {
    /// Its position, and its number among the rows there.
    pub(super) place: (i64, i64),
    /// When the change was made.
    pub(super) at: Timestamp,
    /// `None`: of a kind that only a newer version knows.
    pub(super) forget: Option<Forget>,
}

/// What the rows after (`pos`, `seq`) up to the position `head` make a node forget, at most a thousand of
/// them.
pub(super) async fn forgets_after(
    db: &Db,
    (pos, seq): (i64, i64),
    head: i64,
) -> Result<Vec<ToForget>, DbError> {
    let rows = On::from(db).list(FORGETS, args![pos, seq, head]).await?;
    let read = |row: &Row| {
        let place = (row.get("pos")?, row.get("seq")?);
        Ok(ToForget { place, at: row.get("at")?, forget: read_forget(row)? })
    };
    rows.iter().map(read).collect()
}

fn read_forget(row: &Row) -> Result<Option<Forget>, DbError> {
    let id: Option<Vec<u8>> = row.get("forget_id")?;
    let Some(id) = id.and_then(|bytes| <[u8; 12]>::try_from(bytes).ok()) else { return Ok(None) };
    Ok(match row.get::<String>("forget_kind")?.as_str() {
        "account" => Some(Forget::Account(UserId::from_bytes(id))),
        "token" => Some(Forget::Token(TokenId::from_bytes(id))),
        "session" => Some(Forget::Session(SessionId::from_bytes(id))),
        "catalogue" => Some(Forget::Catalogue),
        "gate" => Some(Forget::Gate(GateId::from_bytes(id))),
        _ => None,
    })
}
