//! The grant cache: what it forgets and when, what it never answers, and who waits for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hoody_core::keys::MasterKey;
use hoody_core::secret::{TokenKeys, TokenSecret};
use hoody_service::testing::Service;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::{Client, PASSWORD, REALM_A, REALM_B, Reply, TestApp, on_both};

/// Holds cold reads between the database and the cache, and counts them.
#[derive(Clone)]
pub(crate) struct Hold {
    reached: Arc<Semaphore>,
    released: Arc<Semaphore>,
    count: Arc<AtomicUsize>,
}

impl Hold {
    /// Holds the first `held` reads of the node from now on; later ones pass.
    pub(crate) fn of(service: &Service, held: usize) -> Self {
        let hold = Self {
            reached: Arc::new(Semaphore::new(0)),
            released: Arc::new(Semaphore::new(0)),
            count: Arc::new(AtomicUsize::new(0)),
        };
        let hook = hold.clone();
        service.hold_cold_reads(move || {
            let hook = hook.clone();
            async move {
                let place = hook.count.fetch_add(1, Ordering::SeqCst);
                hook.reached.add_permits(1);
                if place < held {
                    hook.released.acquire().await.unwrap().forget();
                }
            }
        });
        hold
    }

    /// Waits until `n` more reads have come to the hook.
    pub(crate) async fn reached(&self, n: u32) {
        self.reached.acquire_many(n).await.unwrap().forget();
    }

    pub(crate) fn release(&self, n: usize) {
        self.released.add_permits(n);
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// What takes something from a credential.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Delete,
    Update(Value),
    /// Updated to expire, and the time comes.
    Expire,
    AddRealm(&'static str),
    RemoveRealm(&'static str),
    Logout,
    NewPassword,
    /// By the operator, in another process.
    Ban,
}

/// A change, and what a credential that was good before gets after it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The token that it is about; a session when `None`.
    token: Option<Value>,
    /// The realm of the host that it is used on.
    realm: Option<&'static str>,
    pub(crate) act: Act,
    then: (u16, &'static str),
}

impl Case {
    /// How far below what is changed the credential is.
    fn depths(&self) -> &'static [usize] {
        if self.token.is_some() { &[0, 1, 3] } else { &[0] }
    }

    #[track_caller]
    pub(crate) fn is_in_force(&self, reply: &Reply) {
        let got = (reply.status.as_u16(), reply.body["code"].as_str());
        assert_eq!(got, (self.then.0, Some(self.then.1)), "{self:?}: {}", reply.text);
    }
}

/// Every way to take something from a credential.
fn cases() -> Vec<Case> {
    let token = |act, status, code| Case { token: Some(json!({})), realm: None, act, then: (status, code) };
    let bound = |realm, act| Case {
        token: Some(json!({ "realm_ids": [REALM_A, REALM_B] })),
        realm: Some(realm),
        act,
        then: (403, "REALM_NOT_ALLOWED"),
    };
    let session = |act, status, code| Case { token: None, realm: None, act, then: (status, code) };
    let update = |body, status, code| token(Act::Update(body), status, code);
    vec![
        token(Act::Delete, 401, "INVALID_TOKEN"),
        token(Act::Expire, 401, "TOKEN_EXPIRED"),
        token(Act::AddRealm(REALM_A), 403, "REALM_SCOPE_REQUIRED"),
        token(Act::Ban, 403, "ACCOUNT_BANNED"),
        update(json!({ "is_enabled": false }), 401, "INVALID_TOKEN"),
        update(json!({ "ip_whitelist": ["10.0.0.0/8"] }), 403, "IP_NOT_WHITELISTED"),
        update(json!({ "permissions": {} }), 403, "INSUFFICIENT_PERMISSIONS"),
        update(json!({ "realm_ids": [REALM_A] }), 403, "REALM_SCOPE_REQUIRED"),
        update(json!({ "allow_no_realm": false }), 403, "REALM_SCOPE_REQUIRED"),
        bound(REALM_B, Act::RemoveRealm(REALM_B)),
        bound(REALM_A, Act::Update(json!({ "realm_ids": [REALM_B] }))),
        session(Act::Ban, 403, "ACCOUNT_BANNED"),
        session(Act::Logout, 401, "INVALID_TOKEN"),
        session(Act::NewPassword, 401, "INVALID_TOKEN"),
    ]
}

/// Each case with each depth.
pub(crate) fn with_depths() -> impl Iterator<Item = (Case, usize)> {
    cases().into_iter().flat_map(|case| case.depths().iter().map(move |depth| (case.clone(), *depth)))
}

/// What a change acts on and acts with.
pub(crate) struct Stage<'a> {
    app: &'a TestApp,
    /// Another session of the account.
    pub(crate) owner: Client,
    /// The path of the target, when it is a token.
    path: String,
}

impl Stage<'_> {
    pub(crate) async fn make(&self, act: &Act) {
        let Self { app, owner, path } = self;
        let reply = match act {
            Act::Delete => owner.delete(path).await,
            Act::Update(body) => owner.put(path, body.clone()).await,
            Act::Expire => {
                let soon = app.service.now().millis() + 5;
                let reply = owner.put(path, json!({ "expires_at": soon })).await;
                app.service.advance(5);
                reply
            }
            Act::AddRealm(realm) => {
                owner.post(&format!("{path}/add-realm"), json!({ "realm_id": realm })).await
            }
            Act::RemoveRealm(realm) => {
                owner.post(&format!("{path}/remove-realm"), json!({ "realm_id": realm })).await
            }
            Act::Logout => owner.post("/api/v1/users/auth/logout", json!({})).await,
            Act::NewPassword => {
                let body = json!({ "password": "another horse battery", "current_password": PASSWORD });
                owner.put(&format!("/api/v1/users/{}", owner.account().await), body).await
            }
            Act::Ban => {
                app.service.ban_elsewhere("ada", true).await;
                assert!(app.service.poll().await);
                return;
            }
        };
        reply.expect(StatusCode::OK);
    }
}

/// A credential for `case` that nobody has used yet, and what acts on it: on a token itself, or on what it
/// descends from, so many steps above it.
pub(crate) async fn stage<'a>(app: &'a TestApp, case: &Case, depth: usize) -> (Client, Stage<'a>) {
    let owner = app.login("ada").await;
    owner.check("").await.expect(StatusCode::NO_CONTENT);
    let (client, id) = match &case.token {
        Some(body) => {
            let mut body = body.clone();
            if depth > 0 {
                body["permissions"] =
                    json!({ "projects": { "read": true }, "resources": { "create_tokens": true } });
            }
            let root = owner.mint(body.clone()).await;
            let mut client = root.client;
            for _ in 0..depth {
                let maker = case.realm.map_or(client.clone(), |realm| client.realm(realm));
                client = maker.mint(body.clone()).await.client;
            }
            (client, root.id)
        }
        None => (app.login("ada").await, String::new()),
    };
    let client = case.realm.map_or(client.clone(), |realm| client.realm(realm));
    (client, Stage { app, owner, path: format!("/api/v1/auth/tokens/{id}") })
}

/// Brings the account back to where the next case begins.
pub(crate) async fn reset(app: &TestApp) {
    app.service.ban_elsewhere("ada", false).await;
    let hash = "UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE username = 'keeper') \
                WHERE username = 'ada'";
    app.service.tamper(hash).await;
    app.service.poll().await;
}

async fn good(client: &Client) -> Reply {
    client.check("projects.read").await
}

on_both! {
    /// Threat 11 too: each field takes effect on a token that is hot.
    async fn threat_10_a_hot_grant_is_gone_when_the_change_is_acknowledged(app: TestApp) {
        app.service.create_user("ada", None, PASSWORD).await;
        app.service.create_user("keeper", None, PASSWORD).await;
        for (case, depth) in with_depths() {
            let (client, stage) = stage(&app, &case, depth).await;
            for _ in 0..2 {
                good(&client).await.expect(StatusCode::NO_CONTENT);
            }
            assert!(app.service.cached() >= 1, "{case:?}");
            stage.make(&case.act).await;
            for _ in 0..2 {
                case.is_in_force(&good(&client).await);
            }
            reset(&app).await;
        }
    }

    async fn threat_10_a_read_held_while_the_change_is_made_does_not_fill_the_cache(app: TestApp) {
        app.service.create_user("ada", None, PASSWORD).await;
        app.service.create_user("keeper", None, PASSWORD).await;
        for (case, depth) in with_depths() {
            let (client, stage) = stage(&app, &case, depth).await;
            // What the change itself reads is hot; the next cold read is the client's.
            stage.owner.account().await;
            let hold = Hold::of(&app.service, 1);
            let held = tokio::spawn({
                let client = client.clone();
                async move { good(&client).await }
            });
            hold.reached(1).await;
            stage.make(&case.act).await;
            case.is_in_force(&good(&client).await);
            hold.release(1);
            // The held request itself began before the change, and is decided after it.
            case.is_in_force(&held.await.unwrap());
            for _ in 0..2 {
                case.is_in_force(&good(&client).await);
            }
            reset(&app).await;
        }
    }

    async fn threat_11_what_is_given_back_works_again_at_once(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        for (narrow, widen) in [
            (json!({ "is_enabled": false }), json!({ "is_enabled": true })),
            (json!({ "ip_whitelist": "10.0.0.1" }), json!({ "ip_whitelist": "*" })),
            (json!({ "permissions": {} }), json!({ "permissions": { "projects": { "read": true } } })),
            (json!({ "realm_ids": [REALM_A] }), json!({ "realm_ids": [] })),
        ] {
            good(&token.client).await.expect(StatusCode::NO_CONTENT);
            owner.put(&path, narrow.clone()).await.expect(StatusCode::OK);
            assert!(!good(&token.client).await.status.is_success(), "{narrow}");
            owner.patch(&path, widen).await.expect(StatusCode::OK);
        }
        good(&token.client).await.expect(StatusCode::NO_CONTENT);
    }

    async fn expiry_is_judged_at_every_use_of_a_cached_grant(app: TestApp) {
        let owner = app.user("ada").await;
        let ends = app.service.now().millis() + 500;
        let token = owner.mint(json!({ "expires_at": ends })).await;
        let hold = Hold::of(&app.service, 0);
        good(&token.client).await.expect(StatusCode::NO_CONTENT);
        app.service.advance(499);
        good(&token.client).await.expect(StatusCode::NO_CONTENT);
        app.service.advance(1);
        good(&token.client).await.refused(401, "TOKEN_EXPIRED");
        assert_eq!(hold.count(), 1, "all of it from the cache");
    }

    async fn several_misses_of_one_credential_share_one_read(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let other = app.login("ada").await;
        let hold = Hold::of(&app.service, usize::MAX);
        let mut all = JoinSet::new();
        for _ in 0..20 {
            let client = token.client.clone();
            all.spawn(async move { good(&client).await });
        }
        hold.reached(1).await;
        let other = tokio::spawn(async move { other.check("").await });
        hold.reached(1).await;
        assert_eq!(hold.count(), 2, "one for the token, one for the session");
        hold.release(2);
        other.await.unwrap().expect(StatusCode::NO_CONTENT);
        for reply in all.join_all().await {
            reply.expect(StatusCode::NO_CONTENT);
        }
        assert_eq!(hold.count(), 2);
    }

    async fn a_read_that_began_before_a_revocation_serves_nobody_who_asks_after_it(app: TestApp) {
        let owner = app.user("ada").await;
        owner.check("").await.expect(StatusCode::NO_CONTENT);
        let token = owner.mint(json!({})).await;
        let hold = Hold::of(&app.service, 1);
        let first = tokio::spawn({
            let client = token.client.clone();
            async move { good(&client).await }
        });
        hold.reached(1).await;
        owner.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.expect(StatusCode::OK);
        // The first read is still held: this one does not join it.
        good(&token.client).await.refused(401, "INVALID_TOKEN");
        hold.release(1);
        first.await.unwrap().refused(401, "INVALID_TOKEN");
    }

    async fn a_client_that_leaves_does_not_take_the_shared_read_with_it(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        let hold = Hold::of(&app.service, 1);
        let ask = || {
            let client = token.client.clone();
            tokio::spawn(async move { good(&client).await })
        };
        let first = ask();
        hold.reached(1).await;
        let second = ask();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        hold.release(1);
        second.await.unwrap().expect(StatusCode::NO_CONTENT);
        assert_eq!(hold.count(), 1);
    }

    async fn garbage_is_refused_without_a_lookup(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await.secret;
        let hold = Hold::of(&app.service, 0);
        let (foreign, _) = foreign_token();
        let jwt = owner.credential.clone().unwrap();
        for garbage in [
            foreign,
            token[..67].to_owned(),
            format!("{token}0"),
            token.to_uppercase(),
            token.to_lowercase(),
            token.replacen("hdy_", "hdy-", 1),
            format!("hdy_{}", "0".repeat(64)),
            "hdy_".to_owned(),
            "x".repeat(60_000),
            "a.b.c".to_owned(),
            format!("{}x", &jwt[..jwt.len() - 1]),
            jwt.replacen('.', "..", 1),
            "\u{7f}".to_owned().replace('\u{7f}', "~"),
        ] {
            app.with(&garbage).check("").await.refused(401, "INVALID_TOKEN");
        }
        assert_eq!(hold.count(), 0);
        // Not even when there is no database to look it up in.
        app.service.cut_database().await;
        app.with(&foreign_token().0).check("").await.refused(401, "INVALID_TOKEN");
    }

    async fn an_unknown_token_is_looked_up_once(app: TestApp) {
        app.user("ada").await;
        let hold = Hold::of(&app.service, 0);
        let unknown = app.with(&app.service.unknown_token());
        for _ in 0..5 {
            unknown.check("").await.refused(401, "INVALID_TOKEN");
        }
        assert_eq!(hold.count(), 1);
    }

    async fn threat_33_a_flood_of_unknown_tokens_does_not_hold_up_good_ones(app: TestApp) {
        const FLOOD: usize = 200;
        const INSIDE: usize = 8;
        const SHARE: usize = 24;
        let owner = app.user("ada").await;
        let (hot, cold, known) =
            (owner.mint(json!({})).await, owner.mint(json!({})).await, owner.mint(json!({})).await);
        let flooder = "198.51.100.66";
        good(&hot.client).await.expect(StatusCode::NO_CONTENT);
        // Good before, and forgotten since.
        good(&known.client.from(flooder)).await.expect(StatusCode::NO_CONTENT);
        owner
            .put(&format!("/api/v1/auth/tokens/{}", known.id), json!({ "alias": "known" }))
            .await
            .expect(StatusCode::OK);
        // The first unknown one makes the address a suspect.
        app.with(&app.service.unknown_token()).from(flooder).check("").await.refused(401, "INVALID_TOKEN");

        let hold = Hold::of(&app.service, INSIDE);
        let mut flood = JoinSet::new();
        for _ in 0..FLOOD {
            let client = app.with(&app.service.unknown_token()).from(flooder);
            flood.spawn(async move { client.check("").await });
        }
        hold.reached(u32::try_from(INSIDE).unwrap()).await;
        good(&hot.client).await.expect(StatusCode::NO_CONTENT);
        good(&hot.client.from(flooder)).await.expect(StatusCode::NO_CONTENT);
        good(&cold.client).await.expect(StatusCode::NO_CONTENT);
        good(&known.client.from(flooder)).await.expect(StatusCode::NO_CONTENT);
        hold.release(INSIDE);
        let mut refused = 0;
        for reply in flood.join_all().await {
            if reply.status == StatusCode::SERVICE_UNAVAILABLE {
                reply.refused(503, "UNAVAILABLE");
                assert_eq!(reply.headers["retry-after"], "1");
            } else {
                reply.refused(401, "INVALID_TOKEN");
                refused += 1;
            }
        }
        assert!((SHARE..FLOOD).contains(&refused), "{refused} were looked up");
        assert!(hold.count() < FLOOD / 2, "{} reads", hold.count());
    }

    async fn threat_33_a_flood_of_one_unknown_token_takes_one_place(app: TestApp) {
        let owner = app.user("ada").await;
        let cold = owner.mint(json!({})).await;
        let flooder = "198.51.100.66";
        app.with(&app.service.unknown_token()).from(flooder).check("").await.refused(401, "INVALID_TOKEN");
        let hold = Hold::of(&app.service, 1);
        // A job with a deleted token, on many machines behind the address where good tokens are too.
        let deleted = app.with(&app.service.unknown_token()).from(flooder);
        let mut flood = JoinSet::new();
        for _ in 0..200 {
            let client = deleted.clone();
            flood.spawn(async move { client.check("").await });
        }
        hold.reached(1).await;
        good(&cold.client.from(flooder)).await.expect(StatusCode::NO_CONTENT);
        hold.release(1);
        for reply in flood.join_all().await {
            reply.refused(401, "INVALID_TOKEN");
        }
        assert_eq!(hold.count(), 2);
    }

    async fn threat_33_who_hangs_up_makes_no_room_while_the_read_goes_on(app: TestApp) {
        const SHARE: usize = 24;
        app.user("ada").await;
        let flooder = "198.51.100.66";
        app.with(&app.service.unknown_token()).from(flooder).check("").await.refused(401, "INVALID_TOKEN");
        let hold = Hold::of(&app.service, 8);
        for round in 0..2 {
            let mut flood = JoinSet::new();
            for _ in 0..SHARE {
                let client = app.with(&app.service.unknown_token()).from(flooder);
                flood.spawn(async move { client.check("").await });
            }
            if round == 0 {
                hold.reached(8).await;
                // All of them leave; their reads are under way.
                flood.shutdown().await;
                continue;
            }
            for reply in flood.join_all().await {
                reply.refused(503, "UNAVAILABLE");
            }
        }
        assert_eq!(hold.count(), 8);
        hold.release(8);
    }

    async fn a_flood_from_many_addresses_is_bounded_too(app: TestApp) {
        let owner = app.user("ada").await;
        let cold = owner.mint(json!({})).await;
        let address = |n: usize| format!("198.51.100.{n}");
        for n in 0..20 {
            app.with(&app.service.unknown_token())
                .from(&address(n))
                .check("")
                .await
                .refused(401, "INVALID_TOKEN");
        }
        let hold = Hold::of(&app.service, 8);
        let mut flood = JoinSet::new();
        for n in 0..400 {
            let client = app.with(&app.service.unknown_token()).from(&address(n % 20));
            flood.spawn(async move { client.check("").await });
        }
        hold.reached(8).await;
        good(&cold.client).await.expect(StatusCode::NO_CONTENT);
        hold.release(8);
        let replies = flood.join_all().await;
        let looked_up = replies.iter().filter(|reply| reply.status == StatusCode::UNAUTHORIZED).count();
        let busy = replies.iter().filter(|reply| reply.body["code"] == "UNAVAILABLE").count();
        assert_eq!(looked_up + busy, 400);
        assert!(busy > 0 && looked_up >= 72, "8 inside and 64 waiting: {looked_up}");
    }
}

/// A token of the right form and checksum that another server made, and its maker's keys.
fn foreign_token() -> (String, TokenKeys) {
    let keys = TokenKeys::derive(&MasterKey::from_bytes([9; 32]), b"another database");
    (TokenSecret::mint([7; 35], &keys).expose().to_owned(), keys)
}
