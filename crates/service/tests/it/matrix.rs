//! The authorisation matrix: every operation of `openapi.json` × every kind of credential, and every way
//! of sending one. An operation that the table in `routes` does not have fails the test, and so does a
//! line of the table without an operation.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use crate::routes::{Needs, OPERATIONS, Operation, World, tree};
use crate::support::{Client, Minted, PASSWORD, REALM_A, REALM_B, Reply, TestApp, on_both};

#[test]
fn the_table_has_exactly_the_operations_of_the_document() {
    let document = serde_json::to_value(hoody_service::openapi()).unwrap();
    let mut documented = BTreeSet::new();
    let mut guarded = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            if operation["security"].as_array().is_some_and(|security| !security.is_empty()) {
                guarded.insert(name.clone());
            }
            documented.insert(name);
        }
    }
    let table: BTreeSet<_> = OPERATIONS.iter().map(Operation::name).collect();
    assert_eq!(table.len(), OPERATIONS.len(), "a line is there twice");
    assert_eq!(documented.difference(&table).collect::<Vec<_>>(), Vec::<&String>::new(), "not in the table");
    assert_eq!(
        table.difference(&documented).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "not in the document"
    );
    let needing = OPERATIONS.iter().filter(|operation| !operation.needs.is_nothing());
    assert_eq!(needing.map(Operation::name).collect::<BTreeSet<_>>(), guarded, "security of the document");
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Nobody,
    Session,
    FullAccess,
    WithoutTheLeaf,
    OnlyThatLeaf,
    WithoutTheFlag,
    InItsRealm,
    WrongRealm,
    BoundOnBase,
    AnyRealmOnBase,
    WrongAddress,
    BannedSession,
    BannedToken,
    ExpiredSession,
    ExpiredToken,
    DisabledToken,
    DeletedToken,
    RefreshToken,
    UnknownToken,
    Malformed,
}

const COLUMNS: [Column; 20] = [
    Column::Nobody,
    Column::Session,
    Column::FullAccess,
    Column::WithoutTheLeaf,
    Column::OnlyThatLeaf,
    Column::WithoutTheFlag,
    Column::InItsRealm,
    Column::WrongRealm,
    Column::BoundOnBase,
    Column::AnyRealmOnBase,
    Column::WrongAddress,
    Column::BannedSession,
    Column::BannedToken,
    Column::ExpiredSession,
    Column::ExpiredToken,
    Column::DisabledToken,
    Column::DeletedToken,
    Column::RefreshToken,
    Column::UnknownToken,
    Column::Malformed,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// 2xx.
    Success,
    /// Neither 401 nor 403: what it is about may not be there for this caller.
    LetIn,
    Refused(u16, &'static str),
}
use Expected::{LetIn, Refused, Success};

const LACKS: Expected = Refused(403, "INSUFFICIENT_PERMISSIONS");

/// What each cell of the matrix is.
fn expected(needs: Needs, column: Column) -> Expected {
    match needs {
        Needs::Public => return Success,
        Needs::OwnSecret(status, code) => return Refused(status, code),
        Needs::Intent if column == Column::Nobody => return Refused(401, "MISSING_TOKEN"),
        Needs::Intent => return Refused(401, "INVALID_TOKEN"),
        _ => {}
    }
    match column {
        Column::Nobody => Refused(401, "MISSING_TOKEN"),
        Column::DisabledToken
        | Column::DeletedToken
        | Column::RefreshToken
        | Column::UnknownToken
        | Column::Malformed => Refused(401, "INVALID_TOKEN"),
        Column::ExpiredSession | Column::ExpiredToken => Refused(401, "TOKEN_EXPIRED"),
        Column::BannedSession | Column::BannedToken if needs == Needs::ValidOrBanned => LetIn,
        Column::BannedSession | Column::BannedToken => Refused(403, "ACCOUNT_BANNED"),
        Column::WrongAddress => Refused(403, "IP_NOT_WHITELISTED"),
        Column::WrongRealm => Refused(403, "REALM_NOT_ALLOWED"),
        Column::BoundOnBase | Column::AnyRealmOnBase if needs == Needs::Itself => Success,
        Column::BoundOnBase | Column::AnyRealmOnBase => Refused(403, "REALM_SCOPE_REQUIRED"),
        Column::Session => match needs {
            Needs::Itself | Needs::OwnToken(_) => LACKS,
            Needs::SessionAndMore => LetIn,
            _ => Success,
        },
        Column::FullAccess
        | Column::OnlyThatLeaf
        | Column::WithoutTheLeaf
        | Column::WithoutTheFlag
        | Column::InItsRealm => match (needs, column) {
            (Needs::Session | Needs::SessionAndMore, _) => LACKS,
            (Needs::Minting, Column::WithoutTheLeaf) => Refused(401, "SESSION_REQUIRED"),
            // A copy's source is another's: 404 for a token.
            (Needs::Minting, _) => LetIn,
            (
                Needs::Leaf(_)
                | Needs::OwnToken(_)
                | Needs::Vault
                | Needs::Events
                | Needs::EventsDelete
                | Needs::Writer,
                Column::WithoutTheLeaf,
            )
            | (Needs::Vault | Needs::Events | Needs::EventsDelete, Column::WithoutTheFlag)
            | (Needs::EventsDelete, Column::OnlyThatLeaf) => LACKS,
            (_, Column::InItsRealm) => LetIn,
            _ => Success,
        },
    }
}

/// The credentials that are the same for each operation.
struct Cast {
    session: Client,
    expired_session: Client,
    expired_token: Minted,
    full: Minted,
    without_flag: Minted,
    without_events: Minted,
    bound: Minted,
    any_realm: Minted,
    elsewhere: Minted,
    banned_session: Client,
    banned_token: Minted,
    disabled: Minted,
    deleted: Minted,
}

impl Cast {
    async fn assemble(app: &TestApp) -> Self {
        app.user("bob").await;
        let old = app.login("ada").await;
        let everything = tree(|_| true);
        let ends = app.service.now().millis() + 3_600_000;
        let expired_token = old.mint(json!({ "permissions": everything, "expires_at": ends })).await;
        let expired_session = app.login("bob").await;
        app.service.advance(25 * 3_600_000);
        app.service.poll().await;

        let (session, banned_session) = (app.login("ada").await, app.login("bob").await);
        let mint = async |body: Value| {
            let mut body = body;
            body["permissions"] = everything.clone();
            body["vault_access"] = json!(body["vault_access"] != false);
            session.mint(body).await
        };
        let (disabled, deleted) = (mint(json!({})).await, mint(json!({})).await);
        let path = format!("/api/v1/auth/tokens/{}", disabled.id);
        session.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        session.delete(&format!("/api/v1/auth/tokens/{}", deleted.id)).await.expect(StatusCode::OK);
        let banned_token = banned_session.mint(json!({ "permissions": everything })).await;
        app.service.ban_elsewhere("bob", true).await;
        app.service.poll().await;
        Self {
            full: mint(json!({})).await,
            without_flag: mint(json!({ "vault_access": false })).await,
            without_events: mint(json!({ "event_access": false })).await,
            bound: mint(json!({ "realm_ids": [REALM_A] })).await,
            any_realm: mint(json!({ "allow_no_realm": false })).await,
            elsewhere: mint(json!({ "ip_whitelist": ["10.0.0.0/8"] })).await,
            session,
            expired_session,
            expired_token,
            banned_session,
            banned_token,
            disabled,
            deleted,
        }
    }

    async fn client(&self, world: &World<'_>, operation: &Operation, column: Column) -> Client {
        match column {
            Column::Nobody => world.app.anon(),
            Column::Session => self.session.clone(),
            Column::FullAccess => self.full.client.clone(),
            Column::WithoutTheFlag if operation.leaf() == "resources.events" => {
                self.without_events.client.clone()
            }
            Column::WithoutTheFlag => self.without_flag.client.clone(),
            Column::OnlyThatLeaf => {
                let only = tree(|leaf| leaf == operation.leaf());
                world.owner.mint(json!({ "permissions": only, "vault_access": true })).await.client
            }
            Column::WithoutTheLeaf => {
                // Where any leaf that changes something will do, it has none of them.
                let without = match operation.needs {
                    Needs::Leaf(_)
                    | Needs::OwnToken(_)
                    | Needs::Vault
                    | Needs::Minting
                    | Needs::Events
                    | Needs::EventsDelete => tree(|leaf| leaf != operation.leaf()),
                    _ => tree(|leaf| leaf.ends_with(".read")),
                };
                world.owner.mint(json!({ "permissions": without, "vault_access": true })).await.client
            }
            Column::InItsRealm => self.bound.client.realm(REALM_A),
            Column::WrongRealm => self.bound.client.realm(REALM_B),
            Column::BoundOnBase => self.bound.client.clone(),
            Column::AnyRealmOnBase => self.any_realm.client.clone(),
            Column::WrongAddress => self.elsewhere.client.clone(),
            Column::BannedSession => self.banned_session.clone(),
            Column::BannedToken => self.banned_token.client.clone(),
            Column::ExpiredSession => self.expired_session.clone(),
            Column::ExpiredToken => self.expired_token.client.clone(),
            Column::DisabledToken => self.disabled.client.clone(),
            Column::DeletedToken => self.deleted.client.clone(),
            Column::RefreshToken => world.app.with(&world.refresh_token),
            Column::UnknownToken => world.app.with(&world.app.service.unknown_token()),
            Column::Malformed => world.app.with(&self.full.secret[..60]),
        }
    }
}

/// What is wrong with a cell, if anything.
fn fault(operation: &Operation, column: Column, reply: &Reply) -> Option<String> {
    let wanted = expected(operation.needs, column);
    let status = reply.status.as_u16();
    let is_right = match wanted {
        Success => reply.status.is_success(),
        LetIn => status < 500 && !matches!(status, 401 | 403),
        Refused(wanted_status, code) => {
            let names_leaf = match operation.needs {
                Needs::Leaf(_) | Needs::OwnToken(_) | Needs::Vault | Needs::Events | Needs::EventsDelete
                    if column == Column::WithoutTheLeaf =>
                {
                    let message = reply.body["message"].as_str();
                    message.is_some_and(|message| message.contains(operation.leaf()))
                }
                _ => true,
            };
            status == wanted_status
                && reply.body["code"] == code
                && (reply.body["data"].is_null() || matches!(operation.needs, Needs::OwnSecret(..)))
                && names_leaf
        }
    };
    (!is_right)
        .then(|| format!("{} × {column:?}: wanted {wanted:?}, got {status} {}", operation.name(), reply.text))
}

on_both! {
    async fn every_route_answers_every_kind_of_credential_as_the_table_says(app: TestApp) {
        let mut world = World::new(&app).await;
        let cast = Cast::assemble(&app).await;
        // A day has passed.
        world.owner = app.login("ada").await;
        world.refresh_token = app.sign_in("ada").await.1;
        let mut faults = Vec::new();
        for operation in OPERATIONS {
            // Whoever may comes last: a refusal must have left what it was about as it was.
            let (refused, let_in): (Vec<Column>, Vec<Column>) = COLUMNS
                .into_iter()
                .partition(|column| matches!(expected(operation.needs, *column), Refused(..)));
            let mut asked = world.ask(operation).await;
            for column in refused {
                let reply = asked.by(&cast.client(&world, operation, column).await).await;
                faults.extend(fault(operation, column, &reply));
            }
            let mut clients = Vec::new();
            for column in let_in {
                clients.push((column, cast.client(&world, operation, column).await));
            }
            for (column, client) in clients {
                let reply = asked.by(&client).await;
                faults.extend(fault(operation, column, &reply));
                if operation.mutates && !operation.path.ends_with("logout") {
                    asked = world.ask(operation).await;
                }
            }
        }
        assert!(faults.is_empty(), "{} cells:\n{}", faults.len(), faults.join("\n"));
    }

    async fn threat_19_every_way_to_send_a_credential_gets_the_same_decision(app: TestApp) {
        let world = World::new(&app).await;
        let session = app.login("ada").await.credential.unwrap();
        let reader = world.owner.mint(json!({ "permissions": tree(|leaf| leaf == "projects.read") })).await;
        let full = world.owner.mint(json!({ "permissions": tree(|_| true) })).await;
        let send = async |operation: &Operation, header: &str| {
            let asked = world.ask(operation).await;
            asked.by(&app.anon().header("authorization", header)).await
        };
        for operation in OPERATIONS.iter().filter(|operation| !operation.path.ends_with("logout")) {
            let name = operation.name();
            for token in [&reader.secret, &full.secret] {
                let bare = send(operation, token).await;
                let bearer = send(operation, &format!("Bearer {token}")).await;
                assert_eq!(bare.status, bearer.status, "{name}: {} {}", bare.text, bearer.text);
                assert_eq!(bare.body["code"], bearer.body["code"], "{name}");
                let shouted = send(operation, &format!("BEARER {token}")).await;
                assert_eq!(shouted.body["code"], bearer.body["code"], "{name}");
            }
            if operation.needs.is_nothing() {
                continue;
            }
            let basic = "Basic YWRhOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=";
            for header in [
                basic.to_owned(),
                session.clone(),
                format!("bearer{}", full.secret),
                format!("Bearer  {}", full.secret),
                format!("Bearer\t{}", full.secret),
                format!("Bearer{}", full.secret),
                format!("Token {}", full.secret),
                format!("Bearer Bearer {}", full.secret),
                format!("Bearer {}, Bearer {}", full.secret, full.secret),
                "Bearer ".to_owned(),
                String::new(),
            ] {
                let reply = send(operation, &header).await;
                assert_eq!(reply.body["code"], "INVALID_TOKEN", "{name} {header}: {}", reply.text);
                reply.refused(401, "INVALID_TOKEN");
            }
        }
    }

    async fn threat_19_two_headers_the_query_and_other_headers_carry_no_credential(app: TestApp) {
        let world = World::new(&app).await;
        let full = world.owner.mint(json!({ "permissions": tree(|_| true) })).await;
        let bearer = format!("Bearer {}", full.secret);
        for operation in OPERATIONS.iter().filter(|operation| !operation.needs.is_nothing()) {
            let asked = world.ask(operation).await;
            for other in [bearer.as_str(), "Bearer x", ""] {
                for headers in [[bearer.as_str(), other], [other, bearer.as_str()]] {
                    let [first, second] = headers;
                    let twice = app.anon().header("authorization", first).header("authorization", second);
                    asked.by(&twice).await.refused(401, "INVALID_TOKEN");
                }
            }
            for name in ["access_token", "token", "authorization", "api_key"] {
                let mut in_query = asked.clone();
                in_query.path = format!("{}?{name}={}", asked.path, full.secret);
                in_query.by(&app.anon()).await.refused(401, "MISSING_TOKEN");
            }
            for name in
                ["x-api-key", "x-auth-token", "proxy-authorization", "cookie", "x-forwarded-authorization"]
            {
                asked.by(&app.anon().header(name, &bearer)).await.refused(401, "MISSING_TOKEN");
            }
            // It would have been good where it belongs.
            full.client.check("projects.read").await.expect(StatusCode::NO_CONTENT);
        }
    }

    async fn a_public_route_is_not_closed_by_a_bad_credential(app: TestApp) {
        let world = World::new(&app).await;
        for operation in OPERATIONS.iter().filter(|operation| operation.needs == Needs::Public) {
            for header in ["Basic YWRhOng=", "Bearer x", "bearer x", ""] {
                let asked = world.ask(operation).await;
                let reply = asked.by(&app.anon().header("authorization", header)).await;
                assert!(reply.status.is_success(), "{}: {}", operation.name(), reply.text);
            }
        }
        assert_eq!(app.with("hdy_no").get("/api/v1/ip").await.data()["is_logged"], false);
        assert_eq!(world.owner.get("/api/v1/ip").await.data()["is_logged"], true);
        let body = json!({ "username": "ada", "password": PASSWORD });
        app.with("hdy_no").post("/api/v1/users/auth/login", body).await.expect(StatusCode::OK);
    }
}
