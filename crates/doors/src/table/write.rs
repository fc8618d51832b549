//! A gate as it is given back: JSON that reads as the same gate.

use serde_json::{Map, Value, json};

use super::definition::{Accounts, Definition, Log, Needs, RealmRule, Route};

impl Definition {
    /// The gate as JSON (and TOML) has it. What is as it would be without saying is left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut gate = Map::new();
        gate.insert("name".into(), json!(self.name));
        gate.insert("hosts".into(), json!(self.hosts));
        match &self.realm {
            RealmRule::None => {}
            RealmRule::Fixed(realm) => drop(gate.insert("realm".into(), json!(realm))),
            RealmRule::Host(domain) => {
                drop(gate.insert("realm".into(), json!(format!("{{realm}}.{domain}"))));
            }
        }
        if !self.strip.is_empty() {
            gate.insert("strip".into(), json!(self.strip));
        }
        match &self.accounts {
            Accounts::Own => {}
            Accounts::Any => drop(gate.insert("accounts".into(), json!("any"))),
            Accounts::Listed(accounts) => drop(gate.insert("accounts".into(), json!(accounts))),
        }
        let words = [("preflight", self.preflight, "pass"), ("case", self.folds, "fold")];
        for (name, _, word) in words.into_iter().filter(|(_, is_set, _)| *is_set) {
            gate.insert(name.into(), json!(word));
        }
        let flags = [("sessions", self.sessions), ("sign", self.sign), ("oauth", self.oauth)];
        for (name, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
            gate.insert(name.into(), json!(true));
        }
        if let Some(log) = self.log {
            gate.insert("log".into(), json!(log.word()));
        }
        gate.insert("route".into(), self.routes.iter().map(Route::to_json).collect());
        Value::Object(gate)
    }
}

impl Log {
    /// The word that it is written as.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Path => "path",
        }
    }
}

impl Route {
    fn to_json(&self) -> Value {
        let mut row = Map::new();
        if !self.methods.is_empty() {
            row.insert("methods".into(), json!(self.methods));
        }
        row.insert("path".into(), json!(self.path));
        let (name, needs) = match &self.needs {
            Needs::Public => ("public", json!(true)),
            Needs::Any => ("any", json!(true)),
            Needs::Permission(path) => ("permission", json!(path)),
            Needs::AnyOf(paths) => ("any_of", json!(paths)),
            Needs::AllOf(paths) => ("all_of", json!(paths)),
        };
        row.insert(name.into(), needs);
        if self.opaque {
            row.insert("tail".into(), json!("opaque"));
        }
        if let Some(log) = self.log {
            row.insert("log".into(), json!(log.word()));
        }
        if self.cost != 1 {
            row.insert("cost".into(), json!(self.cost));
        }
        Value::Object(row)
    }
}
