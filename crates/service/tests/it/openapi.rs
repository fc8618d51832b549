//! `openapi.json` in the repository's root is what the routes say. `UPDATE_OPENAPI=1` writes it anew.

use std::collections::HashSet;
use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};

use crate::support::TestApp;

fn document() -> Value {
    serde_json::to_value(hoody_service::openapi()).unwrap()
}

fn file() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "openapi.json"].iter().collect()
}

/// Every operation of the service: method, path with its parameters in braces, and what is said of it.
fn described() -> Vec<(Method, String, Value)> {
    let document = document();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            // Beside its methods a path may hold what they share.
            if let Ok(method @ (Method::GET | Method::PUT | Method::POST | Method::PATCH | Method::DELETE)) =
                method.to_uppercase().parse()
            {
                operations.push((method, path.clone(), operation.clone()));
            }
        }
    }
    operations
}

/// Every operation of the service: method and path, with its parameters in braces.
pub(crate) fn operations() -> Vec<(Method, String)> {
    described().into_iter().map(|(method, path, _)| (method, path)).collect()
}

/// The path with `value` in place of each parameter.
pub(crate) fn filled(path: &str, value: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { value } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn the_committed_document_is_what_the_routes_say() {
    let document = hoody_service::nouns::openapi_with([hoody_containers::openapi()]);
    let mut text = serde_json::to_string_pretty(&document).unwrap();
    text.push('\n');
    if std::env::var("UPDATE_OPENAPI").is_ok_and(|value| value == "1") {
        std::fs::write(file(), &text).unwrap();
    }
    let committed = std::fs::read_to_string(file()).unwrap_or_default();
    let drift = committed.lines().zip(text.lines()).enumerate().find(|(_, (old, new))| old != new);
    assert!(
        committed == text,
        "openapi.json is not what the routes say; UPDATE_OPENAPI=1 cargo test -p hoody-service --test it openapi \
         writes it. First difference: {drift:?}"
    );
}

#[test]
fn every_operation_is_described() {
    let operations = described();
    assert!(operations.len() >= 20, "{} operations", operations.len());
    let mut ids = HashSet::new();
    for (method, path, operation) in &operations {
        let here = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(!id.is_empty(), "{here} has no operationId");
        assert!(ids.insert(id.to_owned()), "{here}: the operationId {id} is used twice");
        let tags = operation["tags"].as_array();
        assert!(tags.is_some_and(|tags| !tags.is_empty()), "{here} has no tag");
        assert!(
            operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()),
            "{here} has no summary"
        );
        let responses = operation["responses"].as_object();
        assert!(responses.is_some_and(|responses| !responses.is_empty()), "{here} has no response");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(array) => array.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} is nowhere");
    }
}

/// Fails the test unless the schema, or what it refers to, has these properties.
#[track_caller]
fn assert_has(document: &Value, schema: &Value, keys: &[&str], here: &str) {
    let pointer = schema["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
    let schema = pointer.map_or(schema, |pointer| document.pointer(pointer).unwrap());
    for key in keys {
        assert!(schema["properties"].get(key).is_some(), "{here}: no {key} in {schema}");
    }
}

#[test]
fn every_body_is_described_in_its_envelope() {
    let document = document();
    for (method, path, operation) in described().into_iter().filter(|(_, path, _)| path.starts_with("/api/"))
    {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let schema = &response["content"]["application/json"]["schema"];
            let here = format!("{method} {path} {status}");
            if response["content"].get("text/event-stream").is_some() {
                continue;
            }
            match status.as_str() {
                "204" => assert!(schema.is_null(), "{here} has a body"),
                "200" | "201" => assert_has(&document, schema, &["statusCode", "message", "data"], &here),
                _ => assert_has(&document, schema, &["statusCode", "error", "message", "code"], &here),
            }
        }
    }
}

#[test]
fn every_parameter_of_a_path_is_described() {
    for (method, path, operation) in described() {
        let described: HashSet<_> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| {
                (parameter["in"].as_str().unwrap_or_default(), parameter["name"].as_str().unwrap_or_default())
            })
            .collect();
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            assert!(described.contains(&("path", name)), "{method} {path}: {name} is not described");
        }
    }
}

/// Whether the schema of a property admits null.
fn admits_null(schema: &Value) -> bool {
    let is_null = |kind: &Value| kind == "null";
    is_null(&schema["type"])
        || schema["type"].as_array().is_some_and(|types| types.iter().any(is_null))
        || schema["oneOf"].as_array().is_some_and(|schemas| schemas.iter().any(admits_null))
}

/// Clients that are made from the document send null where it says so, and nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_may_be_sent_where_the_document_says_so() {
    let app = TestApp::sqlite().await;
    let owner = app.user("ada").await;
    let account = owner.account().await;
    let document = document();
    let mut wrong = Vec::new();
    for (method, path, operation) in described() {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let Some(pointer) = schema["$ref"].as_str() else { continue };
        let schema = document.pointer(pointer.trim_start_matches('#')).unwrap();
        let value = match path.as_str() {
            "/api/v1/users/{id}" => account.as_str(),
            "/api/v1/alerts/settings/{kind}" => "dead_token_used",
            // Asks for another credential first.
            "/api/v1/auth/authorize" => continue,
            _ => "000000000000000000000000",
        };
        for (name, property) in schema["properties"].as_object().unwrap() {
            let body = json!({ name: null }).to_string().into_bytes();
            let reply = owner.send(method.clone(), &filled(&path, value), body).await;
            let pointer = format!("/{name}");
            let is_refused = reply.body["data"].as_array().into_iter().flatten().any(|violation| {
                violation["instancePath"] == *pointer
                    && violation["message"].as_str().is_some_and(|message| message.starts_with("must be"))
            });
            if is_refused == admits_null(property) {
                wrong.push(format!("{method} {path} {name}: {property}: {}", reply.body));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
