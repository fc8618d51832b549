//! What the document says of containers.

use std::collections::BTreeSet;

use serde_json::Value;

#[test]
fn every_operation_is_described_once() {
    let document = serde_json::to_value(hoody_containers::openapi()).unwrap();
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let here = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap();
            // PUT and PATCH share theirs until the document is put together.
            assert!(ids.insert(format!("{id} {method}")), "{here}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{here}");
            assert!(operation["security"].as_array().is_some_and(|needs| !needs.is_empty()), "{here}");
            let described: Vec<&str> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let named: Vec<&str> =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(described, named, "{here}");
        }
    }
    assert!(ids.len() >= 38, "{}", ids.len());
}

#[test]
fn secrets_of_the_environment_are_plain_text_in_the_document() {
    let document = serde_json::to_value(hoody_containers::openapi()).unwrap();
    let environment = &document["components"]["schemas"]["Container"]["properties"]["environment_vars"];
    assert_eq!(environment["additionalProperties"]["type"], Value::from("string"), "{environment}");
}
