//! Containers, their snapshots and commands in them (`contract/containers.md`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hoody_core::id::{ContainerId, ProjectId, RealmId};
use hoody_core::wire::{
    Container, ContainerEnvironment, ContainerList, ContainerOperation, ContainerStats, CreateContainer,
    CreateSnapshot, CreatedSnapshot, DeletedSnapshot, Execute, ProxyDefault, RestoredSnapshot,
    SetEnvironment, SnapshotAlias, SnapshotList, UpdateContainer,
};
use serde::Deserialize;

use super::SortOrder;
use crate::call::{Call, Incoming};
use crate::client::Client;
use crate::error::Error;

/// The longest silence of a command: it is killed after ten minutes at the latest.
const SILENCE: Duration = Duration::from_secs(620);
/// The largest event of a command's output.
const LARGEST: usize = 16 * 1024 * 1024;

/// The routes below `/containers`: [`Client::containers`].
#[derive(Debug, Clone, Copy)]
pub struct Containers<'a>(&'a Client);

/// The routes below `/containers/{id}/snapshots`: [`Containers::snapshots`].
#[derive(Debug, Clone, Copy)]
pub struct Snapshots<'a> {
    client: &'a Client,
    container: ContainerId,
}

/// Which page of the containers. The server chooses the fields that are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerQuery {
    /// From 1.
    pub page: Option<u32>,
    /// How many a page holds, at most 100.
    pub limit: Option<u32>,
    /// `id`, `name`, `status`, `created_at` or `updated_at`.
    pub sort_by: Option<String>,
    /// Which end first.
    pub sort_order: Option<SortOrder>,
    /// Only those in this realm.
    pub realm_id: Option<RealmId>,
    /// Only those of this project.
    pub project: Option<ProjectId>,
}

/// What a command that runs gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandOutput {
    /// Bytes of its standard output.
    Out(Vec<u8>),
    /// Bytes of its standard error.
    Err(Vec<u8>),
    /// Its end: `completed` with an exit code, `timeout`, or `unknown`.
    End {
        /// How it ended.
        status: String,
        /// The exit code, if it completed.
        exit_code: Option<i64>,
    },
}

/// The output of a command that runs.
#[derive(Debug)]
pub struct CommandStream {
    incoming: Incoming,
    text: Vec<u8>,
}

#[derive(Deserialize)]
struct End {
    status: String,
    exit_code: Option<i64>,
}

impl Client {
    /// The routes below `/containers`.
    #[must_use]
    pub fn containers(&self) -> Containers<'_> {
        Containers(self)
    }
}

impl<'a> Containers<'a> {
    /// `GET /containers/` or `GET /projects/{id}/containers`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, query: &ContainerQuery) -> Result<ContainerList, Error> {
        let call = match query.project {
            Some(project) => Call::get("projects").at(project).at("containers"),
            None => Call::get("containers").query("realm_id", query.realm_id),
        };
        call.query("page", query.page)
            .query("limit", query.limit)
            .query("sort_by", query.sort_by.as_ref())
            .query("sort_order", query.sort_order)
            .send(self.0)
            .await
    }

    /// `POST /projects/{id}/containers`: a container that is `creating`.
    ///
    /// # Errors
    /// `CONTAINER_NAME_IN_USE`, `PROJECT_CONTAINER_LIMIT`, `RUNTIME_UNAVAILABLE` and others.
    pub async fn create(&self, project: ProjectId, container: &CreateContainer) -> Result<Container, Error> {
        Call::post("projects").at(project).at("containers").json(container).send(self.0).await
    }

    /// `GET /containers/{id}`.
    ///
    /// # Errors
    /// `CONTAINER_NOT_FOUND`.
    pub async fn get(&self, id: ContainerId) -> Result<Container, Error> {
        Call::get("containers").at(id).send(self.0).await
    }

    /// `PUT /containers/{id}`.
    ///
    /// # Errors
    /// `CONTAINER_NOT_FOUND`, `CONTAINER_NAME_IN_USE`, `INSUFFICIENT_PERMISSIONS`.
    pub async fn update(&self, id: ContainerId, change: &UpdateContainer) -> Result<Container, Error> {
        Call::put("containers").at(id).json(change).send(self.0).await
    }

    /// `DELETE /containers/{id}`, with its snapshots.
    ///
    /// # Errors
    /// `CONTAINER_NOT_FOUND`, `INSUFFICIENT_PERMISSIONS`.
    pub async fn delete(&self, id: ContainerId) -> Result<(), Error> {
        Call::delete("containers").at(id).done(self.0).await
    }

    /// `POST /containers/{id}/{operation}`: `start`, `stop`, `force-stop` or `restart`.
    ///
    /// # Errors
    /// `OPERATION_STATE_CONFLICT`, `RUNTIME_UNAVAILABLE`.
    pub async fn operate(&self, id: ContainerId, operation: &str) -> Result<ContainerOperation, Error> {
        Call::post("containers").at(id).at(operation).send(self.0).await
    }

    /// `GET /containers/{id}/stats`.
    ///
    /// # Errors
    /// `CONTAINER_NOT_FOUND`, `RUNTIME_UNAVAILABLE`.
    pub async fn stats(&self, id: ContainerId) -> Result<ContainerStats, Error> {
        Call::get("containers").at(id).at("stats").send(self.0).await
    }

    /// `GET /containers/{id}/env`.
    ///
    /// # Errors
    /// `CONTAINER_NOT_FOUND`.
    pub async fn environment(&self, id: ContainerId) -> Result<ContainerEnvironment, Error> {
        Call::get("containers").at(id).at("env").send(self.0).await
    }

    /// `PATCH /containers/{id}/env`: sets variables; the others keep their values.
    ///
    /// # Errors
    /// `VALIDATION_ERROR`, `CONTAINER_NOT_FOUND`.
    pub async fn set_environment(
        &self,
        id: ContainerId,
        variables: &SetEnvironment,
    ) -> Result<ContainerEnvironment, Error> {
        Call::put("containers").at(id).at("env").json(variables).send(self.0).await
    }

    /// `DELETE /containers/{id}/env/{key}`.
    ///
    /// # Errors
    /// `CONTAINER_NOT_FOUND`.
    pub async fn unset_variable(&self, id: ContainerId, key: &str) -> Result<ContainerEnvironment, Error> {
        Call::delete("containers").at(id).at("env").at(key).send(self.0).await
    }

    /// `PUT /projects/{id}/proxy/permissions/default`: opens or closes the terminals of a project.
    ///
    /// # Errors
    /// `PROJECT_NOT_FOUND`, `INSUFFICIENT_PERMISSIONS`.
    pub async fn set_project_access(&self, id: ProjectId, access: &str) -> Result<ProxyDefault, Error> {
        let body = ProxyDefault { access: access.to_owned() };
        let call = Call::put("projects").at(id).at("proxy").at("permissions").at("default");
        call.json(&body).send(self.0).await
    }

    /// `POST /containers/{id}/execute`: runs a command; its output comes as it is written.
    ///
    /// # Errors
    /// `OPERATION_STATE_CONFLICT`, `RUNTIME_UNAVAILABLE`, `INSUFFICIENT_PERMISSIONS`.
    pub async fn execute(&self, id: ContainerId, command: &Execute) -> Result<CommandStream, Error> {
        let incoming = Call::post("containers").at(id).at("execute").json(command).open(self.0).await?;
        Ok(CommandStream { incoming, text: Vec::new() })
    }

    /// The snapshots of this container.
    #[must_use]
    pub fn snapshots(&self, container: ContainerId) -> Snapshots<'a> {
        Snapshots { client: self.0, container }
    }
}

impl Snapshots<'_> {
    /// `GET /containers/{id}/snapshots`.
    ///
    /// # Errors
    /// `CONTAINER_NOT_FOUND`.
    pub async fn list(&self) -> Result<SnapshotList, Error> {
        self.route(Call::get("containers")).send(self.client).await
    }

    /// `POST /containers/{id}/snapshots`.
    ///
    /// # Errors
    /// `OPERATION_STATE_CONFLICT`, `RUNTIME_UNAVAILABLE`.
    pub async fn create(&self, snapshot: &CreateSnapshot) -> Result<CreatedSnapshot, Error> {
        self.route(Call::post("containers")).json(snapshot).send(self.client).await
    }

    /// `PUT /containers/{id}/snapshots/{name}`: restores the container.
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_FOUND`, `OPERATION_STATE_CONFLICT`, `RUNTIME_UNAVAILABLE`.
    pub async fn restore(&self, name: &str) -> Result<RestoredSnapshot, Error> {
        self.route(Call::put("containers")).at(name).once().send(self.client).await
    }

    /// `PUT /containers/{id}/snapshots/{name}/alias`.
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_FOUND`.
    pub async fn rename(&self, name: &str, alias: Option<String>) -> Result<CreatedSnapshot, Error> {
        let call = self.route(Call::put("containers")).at(name).at("alias");
        call.json(&SnapshotAlias { alias }).send(self.client).await
    }

    /// `DELETE /containers/{id}/snapshots/{name}`.
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_FOUND`.
    pub async fn delete(&self, name: &str) -> Result<DeletedSnapshot, Error> {
        self.route(Call::delete("containers")).at(name).send(self.client).await
    }

    fn route(&self, call: Call) -> Call {
        call.at(self.container).at("snapshots")
    }
}

impl CommandStream {
    /// What comes next; `None` when the connection was closed before the end.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn next(&mut self) -> Result<Option<CommandOutput>, Error> {
        loop {
            if let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(output) = self.read(&block)? {
                    return Ok(Some(output));
                }
                continue;
            }
            match self.incoming.next(SILENCE, LARGEST - self.text.len().min(LARGEST)).await? {
                Some(bytes) => self.text.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    fn read(&self, block: &[u8]) -> Result<Option<CommandOutput>, Error> {
        let block = String::from_utf8_lossy(block);
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let Some(data) = field("data: ") else { return Ok(None) };
        let unreadable = |error: &serde_json::Error| self.incoming.unreadable(error);
        let bytes = || {
            let text: String = serde_json::from_str(data).map_err(|error| unreadable(&error))?;
            let decoded = STANDARD.decode(text);
            decoded.map_err(|error| unreadable(&serde::de::Error::custom(error)))
        };
        Ok(match field("event: ") {
            Some("stdout") => Some(CommandOutput::Out(bytes()?)),
            Some("stderr") => Some(CommandOutput::Err(bytes()?)),
            Some("end") => {
                let End { status, exit_code } =
                    serde_json::from_str(data).map_err(|error| unreadable(&error))?;
                Some(CommandOutput::End { status, exit_code })
            }
            // A server may tell more one day.
            _ => None,
        })
    }
}
