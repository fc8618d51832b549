//! Moving sealed values to the key in force, while the server serves.
//!
//! A batch is read, opened and sealed again without any lock; each value is put back only if what was read
//! is still there, so that whoever sets it meanwhile wins. Nothing is remembered but the values
//! themselves: after a crash the next pass finds what is left. Values move key only: their place, and with
//! it all that is authenticated but the key's name, stays.

use std::sync::Arc;
use std::time::Duration;

use hoody_core::keys::KeyId;
use hoody_core::seal::key_of;
use tokio::time::Instant;

use hoody_engine::db::{Arg, DbError, On, args};
use hoody_engine::feed::Step;
use hoody_engine::keys::Keys;
use hoody_engine::keys::sealed::{KeyColumn, Sealed, Value};

use super::Rotation;

/// The shortest rest between two batches.
const REST: Duration = Duration::from_millis(10);

/// How a batch went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Values that are under the key in force now.
    pub moved: u64,
    /// Values that somebody else set meanwhile.
    pub overtaken: u64,
    /// Values that do not open.
    pub broken: u64,
}

impl Moved {
    fn is_nothing(self) -> bool {
        self == Self::default()
    }

    fn add(&mut self, other: Self) {
        self.moved += other.moved;
        self.overtaken += other.overtaken;
        self.broken += other.broken;
    }
}

/// Moves every sealed value that this node can open to the key in force. Between two batches it rests for
/// as long as the last one took, so that it takes at most half of one connection.
///
/// # Errors
/// When the database fails; what was moved is moved.
pub async fn pass(rotation: &Rotation) -> Result<Moved, DbError> {
    let ids = rotation.keys.key_ids();
    let Some((in_force, others)) = ids.split_first() else { return Ok(Moved::default()) };
    let mut total = Moved::default();
    for key in others {
        for column in &rotation.sealed {
            // Those that do not open stay in front of the others: they are stepped over.
            let mut broken = 0;
            loop {
                let began = Instant::now();
                let moved = batch(rotation, column, *key, *in_force, broken).await?;
                if moved.is_nothing() {
                    break;
                }
                broken += moved.broken;
                total.add(moved);
                tokio::time::sleep(began.elapsed().max(REST)).await;
            }
        }
    }
    Ok(total)
}

/// How many sealed values are under another key than the one in force.
pub async fn count_left(rotation: &Rotation) -> Result<i64, DbError> {
    let ids = rotation.keys.key_ids();
    let mut left = 0;
    for key in ids.iter().skip(1) {
        for column in &rotation.sealed {
            left += column.count(&rotation.db, *key).await?;
        }
    }
    Ok(left)
}

async fn batch(
    rotation: &Rotation,
    column: &'static Sealed,
    from: KeyId,
    in_force: KeyId,
    skip: u64,
) -> Result<Moved, DbError> {
    let skip = i64::try_from(skip).unwrap_or(i64::MAX);
    let list = vec![column.key_arg(from), Arg::from(skip)];
    let rows = On::from(&rotation.db).list(column.list, list).await?;
    let values = rows.iter().map(column.read).collect::<Result<Vec<Value>, _>>()?;
    if values.is_empty() {
        return Ok(Moved::default());
    }
    let keys = Arc::clone(&rotation.keys);
    // A megabyte takes milliseconds: not where requests are answered.
    let sealing = tokio::task::spawn_blocking(move || {
        values.into_iter().map(|value| (again(&keys, column, &value), value)).collect::<Vec<_>>()
    });
    let Ok(sealed) = sealing.await else { return Err(DbError::Unreadable("sealed")) };
    rotation.feed.pause(Step::Resealed).await.map_err(|_| DbError::Unavailable(sqlx::Error::PoolClosed))?;
    let mut result = Moved::default();
    let mut tx = rotation.db.begin().await?;
    for (sealed, value) in sealed {
        let Some(sealed) = sealed.filter(|sealed| key_of(sealed) == Some(in_force)) else {
            result.broken += 1;
            continue;
        };
        let mut row = args![sealed];
        if let KeyColumn::Named(_) = column.key {
            row.push(Arg::from(in_force.to_string()));
        }
        row.extend(value.which);
        match tx.execute(column.replace, row).await? {
            0 => result.overtaken += 1,
            _ => result.moved += 1,
        }
    }
    tx.commit().await?;
    metrics::counter!("hoody_keys_resealed_total").increment(result.moved);
    Ok(result)
}

/// The value under the key in force; `None` when it does not open.
fn again(keys: &Keys, column: &Sealed, value: &Value) -> Option<Vec<u8>> {
    let place = column.place(value);
    match keys.open(&place, &value.sealed) {
        Ok(plain) => Some(keys.seal(&place, &plain)),
        Err(error) => {
            // Not its row's name: that may be what the value is about.
            tracing::error!(column = column.name(), account = %value.account, %error, "cannot be moved to the key in force");
            None
        }
    }
}
