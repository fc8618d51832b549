//! Following the master keys while the server runs: the file is read again and held against the database
//! every second, so that a key that was added, put in force or retired by a command, by another node or by
//! hand is so here too, without a restart or a signal.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::keys::{KeyId, Keyring, MasterKey};
use hoody_core::rotation::{Refusal, Ring, judge};

use hoody_engine::db::DbError;
use hoody_engine::error::in_full;
use hoody_engine::keys::load::{enter, explain, read};
use hoody_engine::keys::store;

use super::rotate::{Promotion, promote};
use super::{Rotation, reseal};

/// How often the file and the database are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// By which one node moves the sealed values.
const LEASE: &str = "keys";

/// Follows the keys for as long as the process lives, and moves sealed values to the one in force.
pub async fn run(rotation: Arc<Rotation>) -> Infallible {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last_said = String::new();
    loop {
        ticks.tick().await;
        let said = match refresh(&rotation).await {
            Ok(()) => String::new(),
            Err(error) => in_full(&error),
        };
        if said != last_said && !said.is_empty() {
            tracing::error!("{said}");
        }
        last_said = said;
        if rotation.keys.key_ids().len() > 1
            && let Err(error) = move_sealed(&rotation).await
        {
            tracing::warn!(%error, "sealed values could not be moved to the key in force");
        }
    }
}

async fn move_sealed(rotation: &Rotation) -> Result<(), DbError> {
    if rotation.nodes.hold(LEASE).await?.is_none() {
        return Ok(());
    }
    let set = |left: i64| {
        metrics::gauge!("hoody_keys_sealed_under_older_keys")
            .set(f64::from(u32::try_from(left).unwrap_or(u32::MAX)));
    };
    let left = reseal::count_left(rotation).await?;
    set(left);
    if left > 0 {
        let moved = reseal::pass(rotation).await?;
        set(reseal::count_left(rotation).await?);
        if moved.moved > 0 {
            tracing::info!(moved = moved.moved, "moved sealed values to the key in force");
        }
    }
    Ok(())
}

/// Reads the file and the database once and holds what they say.
///
/// # Errors
/// When they cannot be read, or this node lacks a key that the others seal and sign with: it says so in
/// `/readyz` until it has it.
pub async fn refresh(rotation: &Rotation) -> anyhow::Result<()> {
    let source = &rotation.key_source;
    // A file that is gone or broken takes nothing away from a server that runs.
    let file = read(source).and_then(|file| file.ok_or_else(|| anyhow::anyhow!("{source:?} is gone")));
    let mut given: Vec<KeyId> = file.iter().flat_map(Keyring::iter).map(MasterKey::id).collect();
    for id in rotation.keys.key_ids() {
        if !given.contains(&id) {
            given.push(id);
        }
    }
    // Before the keys are read: a key that is retired in between must not count as known to be.
    let retirements = store::count_retirements(&rotation.db).await?;
    let judged = match enter(&given, &rotation.db, rotation.clock.now()).await? {
        // A line in front that nobody knows: as if it were not there.
        Err(foreign @ Refusal::Foreign { .. }) => {
            enter(&rotation.keys.key_ids(), &rotation.db, rotation.clock.now())
                .await?
                .map_err(|_| foreign.clone())
                .and(Err(foreign))
        }
        judged => judged,
    };
    match judged {
        Ok(ring) => {
            hold(rotation, &ring, file.as_ref().ok(), retirements).await?;
            file.map(drop)
        }
        Err(refusal) => {
            let is_missing = matches!(refusal, Refusal::Missing(_));
            rotation.keys.set_whole(!is_missing);
            anyhow::bail!(explain(&refusal, source))
        }
    }
}

/// Holds this node's keys against the database once more, after it is listed among the nodes: whoever puts
/// a key in force asks all that are listed, and this waits for whoever is doing it.
///
/// # Errors
/// When a key that is in force is missing here.
pub async fn confirm(rotation: &Rotation) -> anyhow::Result<()> {
    let mut tx = rotation.db.begin().await?;
    store::lock(&mut tx).await?;
    let known = store::list_known(&mut tx).await?;
    drop(tx);
    let judged = judge(&rotation.keys.key_ids(), &known);
    judged.map_err(|refusal| anyhow::anyhow!(explain(&refusal, &rotation.key_source)))?;
    refresh(rotation).await
}

/// Holds the keys of `ring`, which were read after `retirements`.
async fn hold(
    rotation: &Rotation,
    ring: &Ring,
    file: Option<&Keyring>,
    retirements: i64,
) -> anyhow::Result<()> {
    let was_whole = rotation.keys.is_whole();
    rotation.keys.set_whole(true);
    if ring.held != rotation.keys.key_ids() {
        let before = rotation.keys.hold(&ring.held, file);
        rotation.keys.learn_tags(&rotation.db, file).await?;
        let has_turned = before.first() != ring.held.first();
        if has_turned || !was_whole {
            // Tokens in use are read again, and so move to the key in force.
            rotation.grants.read_all_again();
        }
        tracing::info!(
            in_force = %rotation.keys.in_force(),
            held = rotation.keys.ids().join(","),
            "the master keys have changed"
        );
        // At once: others may wait for this node to list a key.
        rotation.nodes.beat().await?;
    }
    rotation.keys.note_retirements(retirements);
    if let Some(wanted) = ring.wanted
        && let Promotion::Done = promote(rotation, wanted).await?
    {
        tracing::info!(key = %wanted, "the first line's master key is in force: every node has it");
    }
    Ok(())
}
