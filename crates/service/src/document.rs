//! What the OpenAPI document says beyond what the routes do by themselves.

use std::collections::BTreeSet;

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr};

/// The bodies in which null may be sent, and for what. Elsewhere a key is given or left out.
const NULLABLE: [(&str, &[&str]); 14] = [
    ("CopyToken", &["expires_at"]),
    ("CreateContainer", &["comment", "container_image", "ssh_public_key"]),
    ("CreateProject", &["max_containers"]),
    (
        "CreateToken",
        &[
            "description",
            "expires_at",
            "external_id",
            "meta",
            "permission_template",
            "public_key",
            "public_storage",
        ],
    ),
    ("SetVaultKey", &["metadata"]),
    ("SignUp", &["client", "invite_code", "region"]),
    ("UpdateAlertSetting", &["muted_until"]),
    ("UpdateProfile", &["public_key", "public_storage"]),
    ("SnapshotAlias", &["alias"]),
    ("UpdateContainer", &["comment", "ssh_public_key"]),
    ("UpdateProject", &["max_containers"]),
    ("UpdateToken", &["description", "expires_at", "external_id", "meta", "public_key", "public_storage"]),
    ("UpdateUser", &["metadata", "public_key"]),
    ("VerifyEmail", &["client", "code_challenge"]),
];

/// What is sent inside of a body, for which the same holds.
const PARTS: [&str; 2] = ["GateRoute", "VerifyItem"];

/// The document as it is handed out.
pub(crate) fn finish(mut document: OpenApi) -> OpenApi {
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A session's access token (JWT), or an `hdy_` token"))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let mut bodies: BTreeSet<String> = PARTS.map(str::to_owned).into();
    for item in document.paths.paths.values_mut() {
        // PUT and PATCH share a handler and with it a name; in the document each name stands once.
        if let (Some(put), Some(patch)) = (&item.put, &mut item.patch)
            && put.operation_id == patch.operation_id
        {
            patch.operation_id = put.operation_id.as_ref().map(|name| format!("{name}_by_patch"));
        }
        bodies.extend(operations(item).filter_map(body));
    }
    // An Option is a key that may be left out; that null is meant is not in its type.
    for (name, schema) in &mut components.schemas {
        if bodies.contains(name)
            && let RefOr::T(Schema::Object(object)) = schema
        {
            let nullable =
                NULLABLE.iter().find(|(body, _)| body == name).map_or(&[][..], |(_, fields)| fields);
            for (field, property) in &mut object.properties {
                if !nullable.contains(&field.as_str()) {
                    forbid_null(property);
                }
            }
        }
    }
    document
}

fn operations(item: &PathItem) -> impl Iterator<Item = &Operation> {
    [&item.get, &item.put, &item.post, &item.patch, &item.delete].into_iter().flatten()
}

/// The name of the schema of an operation's body.
fn body(operation: &Operation) -> Option<String> {
    let RefOr::T(body) = operation.request_body.as_ref()? else { return None };
    let RefOr::T(content) = body.content.get("application/json")? else { return None };
    match content.schema.as_ref()? {
        RefOr::Ref(schema) => schema.ref_location.rsplit('/').next().map(str::to_owned),
        RefOr::T(_) => None,
    }
}

fn forbid_null(property: &mut RefOr<Schema>) {
    let RefOr::T(schema) = property else { return };
    match schema {
        Schema::Object(object) => drop_null(&mut object.schema_type),
        Schema::Array(array) => drop_null(&mut array.schema_type),
        Schema::OneOf(one) => {
            let is_null = |item: &RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
            one.items.retain(|item| !is_null(item));
            if one.items.len() == 1 {
                *property = one.items.remove(0);
            }
        }
        _ => {}
    }
}

fn drop_null(kind: &mut SchemaType) {
    if let SchemaType::Array(types) = kind {
        types.retain(|kind| *kind != Type::Null);
        if let [one] = types.as_slice() {
            *kind = SchemaType::Type(one.clone());
        }
    }
}
