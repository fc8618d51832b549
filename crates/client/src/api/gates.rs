//! Gates: what a proxy asks before it lets a request through to another service.

use hoody_core::wire::{Gate, GateSummary, GateTest, TestGate};
use serde_json::Value;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/gates`, for sessions and tokens with `resources.gates`: [`Client::gates`].
#[derive(Debug, Clone, Copy)]
pub struct Gates<'a>(&'a Client);

impl Client {
    /// The routes below `/gates`.
    #[must_use]
    pub fn gates(&self) -> Gates<'_> {
        Gates(self)
    }
}

impl Gates<'_> {
    /// `GET /gates`: the account's gates, by name.
    ///
    /// # Errors
    /// 403 with a token that lacks `resources.gates`, here and below.
    pub async fn list(&self) -> Result<Vec<GateSummary>, Error> {
        Call::get("gates").send(self.0).await
    }

    /// `GET /gates/{name}`: with its definition.
    ///
    /// # Errors
    /// `GATE_NOT_FOUND`, here and below.
    pub async fn get(&self, name: &str) -> Result<Gate, Error> {
        Call::get("gates").at(name).send(self.0).await
    }

    /// `PUT /gates/{name}`: sets the gate, whole. The definition has the fields of
    /// [`GateDefinition`](hoody_core::wire::GateDefinition).
    ///
    /// # Errors
    /// 422 with each fault of the definition, `LIMIT_REACHED`.
    pub async fn set(&self, name: &str, definition: &Value) -> Result<Gate, Error> {
        Call::put("gates").at(name).json(definition).send(self.0).await
    }

    /// `DELETE /gates/{name}`: proxies that name it let nobody in.
    ///
    /// # Errors
    /// As [`Gates::get`].
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        Call::delete("gates").at(name).done(self.0).await
    }

    /// `POST /gates/{name}/test`: what the gate would answer to a request, and why.
    ///
    /// # Errors
    /// As [`Gates::get`].
    pub async fn test(&self, name: &str, request: &TestGate) -> Result<GateTest, Error> {
        Call::post("gates").at(name).at("test").json(request).send(self.0).await
    }
}
