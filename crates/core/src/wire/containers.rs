//! Containers, their snapshots, their environment and their terminal (`contract/containers.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Pagination, Secret, nullable};
use crate::id::{ContainerId, ProjectId, RealmId};
use crate::time::Timestamp;

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Its project.
    pub project_id: ProjectId,
    /// The project's name.
    #[serde(default)]
    pub project_alias: Option<String>,
    /// Its name, unique in the project.
    pub name: String,
    /// `#` and three or six upper-case hex digits.
    pub color: String,
    /// A note for people.
    #[serde(default)]
    pub comment: Option<String>,
    /// Always false.
    #[serde(default)]
    pub is_default: bool,
    /// Always null: there are no pools.
    #[serde(default)]
    pub pool_id: Option<String>,
    /// Always null: containers cannot be copied.
    #[serde(default)]
    pub source_container_id: Option<String>,
    /// The server that runs it.
    #[serde(default)]
    pub server_id: Option<String>,
    /// The server's name in URLs.
    #[serde(default)]
    pub server_name: Option<String>,
    /// The image it was made from.
    pub container_image: String,
    /// Stored and returned, without effect.
    pub ai: bool,
    /// Whether the terminal answers.
    pub hoody_kit: bool,
    /// Stored and returned, without effect.
    pub dev_kit: bool,
    /// Always false.
    #[serde(default)]
    pub kvm: bool,
    /// Whether hoody starts it again when it ends by itself.
    pub autostart: bool,
    /// Stored and returned, without effect.
    pub ramdisk: bool,
    /// `container` or `project`.
    pub ramdisk_scope: String,
    /// Always false.
    #[serde(default)]
    pub prespawn: bool,
    /// The environment of every command that runs in it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::HashMap<String, String>))]
    pub environment_vars: BTreeMap<String, Secret>,
    /// Always empty: nothing of the host is mounted.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub volumes: BTreeMap<String, Value>,
    /// Stored and returned, without effect.
    #[serde(default)]
    pub ssh_public_key: Option<String>,
    /// `creating`, `running`, `stopped`, `failed` or `deleting`.
    pub status: String,
    /// Why it failed.
    #[serde(default)]
    pub status_reason: Option<String>,
    /// How many snapshots it has.
    #[serde(default)]
    pub snapshot_count: u64,
    /// The snapshot it was restored from last.
    #[serde(default)]
    pub last_used_snapshot: Option<String>,
    /// What to know about this answer, e.g. `ENGINE_UNAVAILABLE`; only for a single container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// Realms it belongs to.
    #[serde(default)]
    pub realm_ids: Vec<RealmId>,
    /// Whether the container or its project has proxy permissions.
    #[serde(default)]
    pub has_proxy_permissions: bool,
    /// `none`, `container`, `project` or `both`.
    pub proxy_permissions_scope: String,
    /// Always false.
    #[serde(default)]
    pub has_proxy_domains: bool,
    /// Always 0.
    #[serde(default)]
    pub proxy_domains_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A page of containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContainerList {
    /// The containers of this page.
    pub containers: Vec<Container>,
    /// The position of the page.
    pub pagination: Pagination,
}

/// Asks for a new container. Unknown keys are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateContainer {
    /// The server to run it on.
    pub server_id: String,
    /// Its name; random when left out, or `rand`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 3, max_length = 100, pattern = "^[a-zA-Z0-9-_]+$"))]
    pub name: Option<String>,
    /// Three or six hex digits, with or without `#`; chosen at random when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$"))]
    pub color: Option<String>,
    /// An image that the operator named; the first of them when left out or `null`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub container_image: Option<Option<String>>,
    /// Stored and returned, without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai: Option<bool>,
    /// Whether the terminal answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hoody_kit: Option<bool>,
    /// Stored and returned, without effect; as `hoody_kit` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_kit: Option<bool>,
    /// Whether hoody starts it again when it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autostart: Option<bool>,
    /// Stored and returned, without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramdisk: Option<bool>,
    /// The environment of every command that runs in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<std::collections::HashMap<String, String>>))]
    pub environment_vars: Option<BTreeMap<String, Secret>>,
    /// Stored and returned, without effect; unique.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub ssh_public_key: Option<Option<String>>,
    /// A note for people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub comment: Option<Option<String>>,
    /// Realms it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm_ids: Option<Vec<RealmId>>,
}

/// Changes a container. Fields that are left out keep their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateContainer {
    /// Its new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100, pattern = "^[a-zA-Z0-9-_]+$"))]
    pub name: Option<String>,
    /// Three or six hex digits, with or without `#`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$"))]
    pub color: Option<String>,
    /// Stored and returned, without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai: Option<bool>,
    /// Whether hoody starts it again when it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autostart: Option<bool>,
    /// Stored and returned, without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramdisk: Option<bool>,
    /// `container` or `project`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramdisk_scope: Option<String>,
    /// The whole environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<std::collections::HashMap<String, String>>))]
    pub environment_vars: Option<BTreeMap<String, Secret>>,
    /// Stored and returned, without effect; unique.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub ssh_public_key: Option<Option<String>>,
    /// A note for people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nullable")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub comment: Option<Option<String>>,
    /// The whole list of realms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm_ids: Option<Vec<RealmId>>,
}

/// The result of an operation on a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContainerOperation {
    /// Always false.
    pub error: bool,
    /// `start`, `stop`, `force-stop` or `restart`.
    pub operation: String,
    /// The container.
    pub container_id: ContainerId,
    /// Its project.
    pub project_id: ProjectId,
    /// The result in a sentence.
    pub message: String,
    /// The container's status now. An operation that takes longer than ten seconds goes on.
    pub status: String,
    /// Names this operation, 24 hex digits.
    pub operation_id: String,
}

/// A saved state of a container's file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Snapshot {
    /// The generated name: the one that routes take.
    pub name: String,
    /// A name for people.
    #[serde(default)]
    pub alias: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a container was last restored from it.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
    /// When it is deleted.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Always false: processes and memory are not saved.
    pub stateful: bool,
    /// Its size in bytes, with the layers it shares; null while that is not known.
    #[serde(default)]
    pub size: Option<u64>,
}

/// The snapshots of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnapshotList {
    /// The container.
    pub container_id: ContainerId,
    /// Its project.
    pub project_id: ProjectId,
    /// How many snapshots it has.
    pub snapshot_count: u64,
    /// How many it may have.
    pub max_snapshots: Option<u64>,
    /// The snapshots, the newest first.
    pub snapshots: Vec<Snapshot>,
}

/// Asks for a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateSnapshot {
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub alias: Option<String>,
    /// After how many days it is deleted, 1 to 3650; never when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry: Option<u64>,
}

/// A new snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedSnapshot {
    /// The container.
    pub container_id: ContainerId,
    /// Its project.
    pub project_id: ProjectId,
    /// The snapshot.
    pub snapshot: Snapshot,
}

/// A container that was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoredSnapshot {
    /// Whether the container runs from the snapshot.
    pub success: bool,
    /// The result in a sentence.
    pub message: String,
    /// The snapshot.
    pub snapshot: Snapshot,
}

/// A snapshot that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedSnapshot {
    /// The container.
    pub container_id: ContainerId,
    /// Its project.
    pub project_id: ProjectId,
    /// The snapshot's generated name.
    pub snapshot_name: String,
}

/// Renames a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnapshotAlias {
    /// The new name for people, or `null`.
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub alias: Option<String>,
}

/// A container's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContainerEnvironment {
    /// Each variable with its value.
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::HashMap<String, String>))]
    pub environment_vars: BTreeMap<String, Secret>,
    /// After a change: whether the next command sees it. Always true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced: Option<bool>,
}

/// Variables to set; those that are not named keep their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct SetEnvironment(
    /// Each variable with its value.
    pub BTreeMap<String, Secret>,
);

/// The value of one variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetVariable {
    /// At most 32,768 bytes, without CR, LF and NUL.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub value: Secret,
}

/// Whether terminals answer without a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProxyDefault {
    /// `allow` opens the terminals to everyone who has their URLs; `deny` asks for a credential.
    #[serde(rename = "default")]
    pub access: String,
}

/// A command for a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Execute {
    /// The command, for `/bin/sh -c`.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 65_536))]
    pub command: String,
    /// After how many seconds it is killed, 1 to 600; 60 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// The directory to run it in; the image's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Executed {
    /// Names this run.
    pub command_id: String,
    /// The terminal's number, from the host name.
    pub terminal_id: String,
    /// `completed`, `timeout`, or `unknown` when the engine did not say how the command ended.
    pub status: String,
    /// The exit code; null unless completed.
    pub exit_code: Option<i64>,
    /// Its output, at most 1 MiB; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Its error output, at most 1 MiB.
    pub stderr: String,
    /// Whether output was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A container's use of its server. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContainerStats {
    /// The container.
    pub id: ContainerId,
    /// Its project.
    pub project_id: ProjectId,
    /// The project's name.
    pub project_name: String,
    /// The server's name.
    pub server_name: String,
    /// The container's status.
    pub status: String,
    /// How many processes it has.
    pub processes: u64,
    /// CPU time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// How long gathering this took, in milliseconds.
    pub processing_time: f64,
}

/// CPU time of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CpuStats {
    /// Used since the container started, in nanoseconds.
    pub usage: u64,
    /// Its limit, in nanoseconds a second.
    pub allocated_time: u64,
}

/// Memory of a container, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryStats {
    /// In use.
    pub usage: u64,
    /// Its limit.
    pub total: u64,
    /// In use, in percent of the limit.
    pub usage_percent: f64,
}
