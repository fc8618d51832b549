//! Containers and snapshots as their rows have them.

use std::collections::BTreeMap;
use std::str::FromStr;

use hoody_core::container::Status;
use hoody_core::id::{ContainerId, Id, ProjectId, RealmId, SnapshotId, UserId};
use hoody_core::seal::Place;
use hoody_core::time::Timestamp;
use hoody_core::wire::{self, Secret};
use hoody_engine::error::Error;
use hoody_engine::feed::Change;
use hoody_engine::keys::Keys;
use serde_json::json;

/// Where the images of snapshots are named.
const REPOSITORIES: &str = "localhost/hoody-snap/";

/// The variables of a container.
pub type Environment = BTreeMap<String, Secret>;

/// Names one task of a container.
pub type OperationId = Id<Task>;

/// Something that the container's server has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Create,
    Start,
    Stop,
    ForceStop,
    Restart,
    /// From the snapshot that the row names.
    Restore,
    Delete,
}

impl Task {
    const ALL: [Self; 7] =
        [Self::Create, Self::Start, Self::Stop, Self::ForceStop, Self::Restart, Self::Restore, Self::Delete];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::ForceStop => "force-stop",
            Self::Restart => "restart",
            Self::Restore => "restore",
            Self::Delete => "delete",
        }
    }
}

impl FromStr for Task {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|task| task.as_str() == text).ok_or(())
    }
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: ContainerId,
    pub project: ProjectId,
    pub project_alias: String,
    /// The project's owner.
    pub owner: UserId,
    /// The name of the server that runs it.
    pub server: String,
    pub name: String,
    pub color: String,
    pub comment: Option<String>,
    pub image: String,
    pub ssh_public_key: Option<String>,
    pub ai: bool,
    pub hoody_kit: bool,
    pub dev_kit: bool,
    pub autostart: bool,
    pub ramdisk: bool,
    pub ramdisk_scope: String,
    /// Sealed JSON.
    pub environment: Vec<u8>,
    pub status: Status,
    pub status_reason: Option<String>,
    pub task: Option<Task>,
    /// Of the last task.
    pub operation: OperationId,
    pub task_since: Timestamp,
    pub task_snapshot: Option<String>,
    pub last_used_snapshot: Option<String>,
    /// Whether its terminals answer without a credential; `None` leaves it to the project.
    pub proxy: Option<bool>,
    /// The same of the project.
    pub project_proxy: Option<bool>,
    pub snapshots: i64,
    pub realm_ids: Vec<RealmId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A saved state of a container's file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub container: ContainerId,
    /// The generated name.
    pub name: String,
    pub alias: Option<String>,
    /// The engine's id of the image; `None` until it is written.
    pub image: Option<String>,
    pub size: Option<i64>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
}

impl Container {
    /// Its name in the engine.
    #[must_use]
    pub fn engine_name(&self) -> String {
        engine_name(self.id)
    }

    /// Whether a request on this realm's host reaches it; on the base host every one does.
    #[must_use]
    pub fn is_in(&self, realm: Option<RealmId>) -> bool {
        realm.is_none_or(|realm| self.realm_ids.contains(&realm))
    }

    /// Its environment.
    pub fn open_environment(&self, keys: &Keys) -> Result<Environment, Error> {
        let opened = keys.open(&place(self.owner, &self.id), &self.environment).map_err(Error::internal)?;
        serde_json::from_slice(&opened).map_err(Error::internal)
    }

    /// Seals an environment for it.
    pub fn seal_environment(&mut self, keys: &Keys, environment: &Environment) -> Result<(), Error> {
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(environment).map_err(Error::internal)?);
        self.environment = keys.seal(&place(self.owner, &self.id), &plain);
        Ok(())
    }

    /// A change of it, for the feed.
    #[must_use]
    pub fn told(&self, event: &'static str) -> Change {
        let change = Change::new(event, self.owner, "container", self.id).in_realms(&self.realm_ids);
        change.with(json!({
            "container": { "id": self.id, "name": self.name, "status": self.status.as_str(), "project_id": self.project },
            "container_id": self.id,
            "project_id": self.project,
        }))
    }

    /// The container on the wire.
    pub fn shown(self, keys: &Keys, warnings: Option<Vec<String>>) -> Result<wire::Container, Error> {
        let environment_vars = self.open_environment(keys)?;
        let scope = match (self.proxy.is_some(), self.project_proxy.is_some()) {
            (false, false) => "none",
            (true, false) => "container",
            (false, true) => "project",
            (true, true) => "both",
        };
        Ok(wire::Container {
            id: self.id,
            project_id: self.project,
            project_alias: Some(self.project_alias),
            name: self.name,
            color: self.color,
            comment: self.comment,
            is_default: false,
            pool_id: None,
            source_container_id: None,
            server_id: Some(self.server.clone()),
            server_name: Some(self.server),
            container_image: self.image,
            ai: self.ai,
            hoody_kit: self.hoody_kit,
            dev_kit: self.dev_kit,
            kvm: false,
            autostart: self.autostart,
            ramdisk: self.ramdisk,
            ramdisk_scope: self.ramdisk_scope,
            prespawn: false,
            environment_vars,
            volumes: BTreeMap::new(),
            ssh_public_key: self.ssh_public_key,
            status: self.status.to_string(),
            status_reason: self.status_reason,
            snapshot_count: self.snapshots.unsigned_abs(),
            last_used_snapshot: self.last_used_snapshot,
            warnings,
            realm_ids: self.realm_ids,
            has_proxy_permissions: scope != "none",
            proxy_permissions_scope: scope.to_owned(),
            has_proxy_domains: false,
            proxy_domains_count: 0,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

impl Snapshot {
    /// The repository of the images of a container's snapshots; the tag is the snapshot's name.
    #[must_use]
    pub fn repository(container: ContainerId) -> String {
        format!("{REPOSITORIES}{container}")
    }

    /// The container of such an image, from its reference.
    #[must_use]
    pub fn container_of(reference: &str) -> Option<ContainerId> {
        reference.strip_prefix(REPOSITORIES)?.split(':').next()?.parse().ok()
    }

    /// The image's reference in the engine.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}:{}", Self::repository(self.container), self.name)
    }

    /// The snapshot on the wire.
    #[must_use]
    pub fn shown(&self) -> wire::Snapshot {
        wire::Snapshot {
            name: self.name.clone(),
            alias: self.alias.clone(),
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            expires_at: self.expires_at,
            stateful: false,
            size: self.size.map(i64::unsigned_abs),
        }
    }
}

/// A container's name in the engine.
#[must_use]
pub fn engine_name(id: ContainerId) -> String {
    format!("hoody-{id}")
}

/// Where an environment is sealed for: it opens in its own row alone.
#[must_use]
pub fn place(owner: UserId, id: &ContainerId) -> Place<'_> {
    Place { table: "containers", column: "environment", account: owner, realm: None, row: id.bytes() }
}
