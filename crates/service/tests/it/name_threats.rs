//! Threats that lie in how a name is compared: what folds alike is one name to every counter and one
//! account, and a permission is a whole leaf wherever one is named.

use http::StatusCode;
use serde_json::{Value, json};

use crate::device::{cookie_of, start, with_cookie};
use crate::support::{Client, PASSWORD, Reply, TestApp, on_both};
use crate::two_factor::{code_at, protect, verify, wrong_code};

const LOGIN: &str = "/api/v1/users/auth/login";
const DEVICE_LOGIN: &str = "/api/v1/auth/device/login";
const SIGN_UP: &str = "/api/v1/auth/signup";
const FORGOT: &str = "/api/v1/auth/forgot-password";
const RESEND: &str = "/api/v1/auth/resend-verification";
const TOKENS: &str = "/api/v1/auth/tokens";
const CHECK: &str = "/api/v1/auth/check";
const WRONG: &str = "not the password";
const ACCOUNTS: &str = "SELECT COUNT(*) AS n FROM users";

/// The same address of mail, as it may be written: case, width, a ligature, the Kelvin sign.
const MAILS: [&str; 6] = [
    "kim.office@example.com",
    "KIM.Office@Example.COM",
    "ｋｉｍ.office@example.com",
    "kim.o\u{fb03}ce@example.com",
    "\u{212a}im.office@example.com",
    "kim.office@\u{ff45}xample.com",
];

/// The same username, as somebody may send it.
const NAMES: [&str; 6] = ["Bob", "bOB", " bob ", "ＢＯＢ", "b\u{ad}ob", "B\u{200b}ob"];

/// From an address of its own, so that nothing but the name is counted together.
fn from(app: &TestApp, n: usize) -> Client {
    app.anon().from(&format!("10.2.{}.{}", n / 250, n % 250))
}

/// What the counters of this limit stand at, without the one that counts addresses.
async fn hits(app: &TestApp, sql: &'static str) -> i64 {
    app.service.number(sql).await
}

/// A page that looked a new device up.
async fn device_page(app: &TestApp) -> (Client, String) {
    let codes = start(app).await;
    let seen = app.anon().post("/api/v1/auth/device/verify_code", json!({ "user_code": codes.user })).await;
    seen.expect(StatusCode::OK);
    let ticket = seen.data()["device_verify_ticket"].as_str().unwrap().to_owned();
    (with_cookie(app, &cookie_of(&seen.headers)), ticket)
}

fn limited(reply: &Reply) {
    reply.refused(429, "RATE_LIMIT_EXCEEDED");
    assert!(reply.headers.contains_key("retry-after"), "{:?}", reply.headers);
}

on_both! {
    async fn threat_13_however_a_name_is_written_its_failures_count_together_at_every_login(app: TestApp) {
        const BY_NAME: &str = "SELECT CAST(MAX(hits) AS BIGINT) AS n FROM rate_limits WHERE limit_name = 'login_by_name'";
        const COUNTERS: &str = "SELECT COUNT(*) AS n FROM rate_limits WHERE limit_name = 'login_by_name'";
        const FULL: &str = "UPDATE rate_limits SET hits = 100 WHERE limit_name = 'login_by_name'";
        app.service.create_user("Bob", None, PASSWORD).await;
        app.service.create_user("kim", Some(MAILS[0]), PASSWORD).await;
        let (page, ticket) = device_page(&app).await;
        for (counters, (field, names)) in [("username", NAMES), ("email", MAILS)].into_iter().enumerate() {
            for (n, name) in names.into_iter().enumerate() {
                let body = json!({ field: name, "password": WRONG });
                from(&app, n).post(LOGIN, body).await.refused(401, "INVALID_CREDENTIALS");
                let body = json!({ "ticket": ticket, field: name, "password": WRONG });
                let tried = page.from(&format!("10.3.0.{n}")).post(DEVICE_LOGIN, body).await;
                tried.refused(401, "INVALID_CREDENTIALS");
            }
            let tries = 2 * names.len() as i64;
            assert_eq!((hits(&app, BY_NAME).await, hits(&app, COUNTERS).await), (tries, counters as i64 + 1), "{field}");
        }
        assert_eq!(app.service.tamper(FULL).await, 2);
        for (field, names) in [("username", NAMES), ("email", MAILS)] {
            for (n, name) in names.into_iter().enumerate() {
                limited(&from(&app, n).post(LOGIN, json!({ field: name, "password": PASSWORD })).await);
                let body = json!({ "ticket": ticket, field: name, "password": PASSWORD });
                limited(&page.from(&format!("10.3.0.{n}")).post(DEVICE_LOGIN, body).await);
            }
        }
        // What folds otherwise is another name.
        for other in ["Bobb", "B0b", "Bo"] {
            let body = json!({ "username": other, "password": WRONG });
            from(&app, 40).post(LOGIN, body).await.refused(401, "INVALID_CREDENTIALS");
        }
    }

    async fn a_text_is_one_however_its_characters_are_composed(app: TestApp) {
        let owner = app.user("ada").await;
        let (composed, decomposed) = ("Z\u{fc}rich", "Zu\u{308}rich");
        let made = owner.post("/api/v1/projects", json!({ "alias": decomposed })).await;
        assert_eq!(made.data()["alias"], composed);
        let again = owner.post("/api/v1/projects", json!({ "alias": composed })).await;
        again.refused(409, "DUPLICATE_ALIAS");
        let path = format!("/api/v1/users/{}", owner.account().await);
        let changed = owner.put(&path, json!({ "alias": decomposed })).await;
        assert_eq!(changed.data()["alias"], composed);
        let body = json!({ "email": "jo\u{308}rg@example.com", "password": PASSWORD });
        from(&app, 1).post(SIGN_UP, body).await.expect(StatusCode::OK);
        let stored = app.service.texts("SELECT email AS t FROM users WHERE username <> 'ada'").await;
        assert_eq!(stored, ["j\u{f6}rg@example.com"]);
    }

    async fn threat_13_however_an_address_is_written_it_is_one_mailbox_and_one_account(app: TestApp) {
        app.service.create_user("kim", Some(MAILS[0]), PASSWORD).await;
        // Three mails an hour, of both kinds together; `nobody` has no account and counts alike.
        for (base, whose) in [(0, "kim"), (100, "nobody")] {
            for (n, mail) in MAILS.into_iter().enumerate() {
                let mail = if whose == "kim" { mail.to_owned() } else { format!("x{mail}") };
                let reply = from(&app, base + n).post([FORGOT, RESEND][n % 2], json!({ "email": mail })).await;
                if n < 3 { reply.expect(StatusCode::OK); } else { limited(&reply); }
            }
        }
        for mail in app.mails().await {
            assert_eq!(mail.to, MAILS[0]);
        }
        // Five sign-ups an hour, and one account however it is written.
        for (n, mail) in MAILS.into_iter().enumerate() {
            let body = json!({ "email": format!("new{mail}"), "password": PASSWORD });
            let reply = from(&app, 200 + n).post(SIGN_UP, body).await;
            if n < 5 { reply.expect(StatusCode::OK); } else { limited(&reply); }
        }
        assert_eq!(hits(&app, ACCOUNTS).await, 2);
        for mail in MAILS {
            assert!(app.service.try_create_user("other", Some(mail), PASSWORD).await.is_none(), "{mail}");
        }
        for name in ["KIM", "kim ", "ｋｉｍ", "\u{212a}im", "k\u{200d}im"] {
            assert!(app.service.try_create_user(name, None, PASSWORD).await.is_none(), "{name}");
        }
    }

    async fn threat_13_wrong_codes_count_together_whatever_name_the_login_had(app: TestApp) {
        app.service.create_user("kim", Some(MAILS[0]), PASSWORD).await;
        let kim = protect(&app, &app.login("kim").await).await;
        let wrong = wrong_code(&app, &kim.secret);
        let written = [format!(" {wrong}"), format!("{} {}", &wrong[..3], &wrong[3..]), wrong.clone(),
            format!("{wrong} "), format!("{}-{}", &wrong[..3], &wrong[3..])];
        for (n, (mail, code)) in MAILS.into_iter().zip(&written).enumerate() {
            let login = app.anon().post(LOGIN, json!({ "email": mail, "password": PASSWORD })).await;
            let temp = login.expect(StatusCode::OK).data()["temp_token"].as_str().unwrap().to_owned();
            let reply = verify(&app, &temp, code).await;
            let left = reply.data()["attempts_remaining"].as_i64();
            assert_eq!(left, Some(4 - n as i64), "{code:?} {}", reply.text);
        }
        let login = app.anon().post(LOGIN, json!({ "email": MAILS[5], "password": PASSWORD })).await;
        let temp = login.data()["temp_token"].as_str().unwrap().to_owned();
        verify(&app, &temp, &code_at(&app, &kim.secret, 0)).await.refused(429, "TWOFACTOR_RATE_LIMIT");
    }

    async fn threat_17_a_token_may_do_what_its_leaf_says_and_nothing_beside_it(app: TestApp) {
        let user = app.user("ada").await;
        let leaves = leaves(&user).await;
        assert!(leaves.len() > 30, "{leaves:?}");
        for leaf in &leaves {
            let token = user.mint(json!({ "permissions": tree(leaf) })).await.client;
            for other in &leaves {
                // Twice: from the database, and from the cache before the router.
                for _ in 0..2 {
                    let reply = token.check(other).await;
                    if other == leaf && !leaf.starts_with("admin.") {
                        reply.expect(StatusCode::NO_CONTENT);
                    } else {
                        reply.refused(403, "INSUFFICIENT_PERMISSIONS");
                    }
                }
            }
        }
    }

    async fn threat_17_what_is_no_whole_leaf_is_no_question(app: TestApp) {
        let user = app.user("ada").await;
        let clients = [
            user.clone(),
            user.mint(json!({})).await.client,
            user.mint(json!({ "permissions": tree("projects.read") })).await.client,
        ];
        for client in &clients {
            for _ in 0..2 {
                client.check("projects.read").await.expect(StatusCode::NO_CONTENT);
                // The same text, written as a query may write it.
                client.check("projects%2Eread").await.expect(StatusCode::NO_CONTENT);
            }
            for path in NO_LEAVES {
                let query = format!("{CHECK}?permission={}", encoded(path));
                client.get(&query).await.refused(400, "INVALID_PARAMETER_VALUE");
            }
            for query in [
                "permission=projects%2fread", "permission=projects.read%00", "permission=projects.read/..",
                "permission=projects.read%2e", "permission=projects.read&permission=projects.read",
                "permission=projects.read&permission=vault.none", "permission=", "permission",
            ] {
                client.get(&format!("{CHECK}?{query}")).await.refused(400, "INVALID_PARAMETER_VALUE");
            }
            // Misspelt, the question would be another, and its answer yes.
            for query in [
                "permissions=projects.delete", "Permission=projects.delete", "permission%20=projects.delete",
                "perm=projects.delete", "permission[]=projects.delete", "permission.=projects.delete",
                "permission=projects.read&permissions=projects.delete",
            ] {
                client.get(&format!("{CHECK}?{query}")).await.refused(400, "INVALID_PARAMETER_VALUE");
            }
        }
    }

    async fn threat_17_a_token_is_made_of_whole_leaves_or_not_at_all(app: TestApp) {
        let user = app.user("ada").await;
        let parent = user.mint(json!({ "permissions": {
            "projects": { "read": true }, "resources": { "create_tokens": true },
        } })).await;
        let target = user.mint(json!({ "permissions": tree("projects.read") })).await;
        let made = async || user.get(TOKENS).await.data().as_array().unwrap().len();
        let before = (made().await, user.get(&format!("{TOKENS}/{}", target.id)).await.text);
        let mut trees = vec![
            json!({ "projects": true }), json!({ "projects": { "": true } }), json!({ "": true }),
            json!({ "projects": { "members": true } }), json!({ "projects": { "read": { "": true } } }),
            json!({ "projects": ["read"] }), json!("projects.read"), json!(["projects.read"]),
        ];
        for path in NO_LEAVES.into_iter().filter(|path| !path.is_empty()) {
            // As one key, as a path, and below the branch that it begins with.
            trees.extend([json!({ path: true }), tree(path), json!({ "projects": { path: true } })]);
        }
        for permissions in trees {
            let body = json!({ "permissions": permissions });
            for client in [&user, &parent.client] {
                let reply = client.post(TOKENS, body.clone()).await;
                reply.refused(422, "VALIDATION_ERROR");
                assert!(reply.text.contains("/permissions"), "{}", reply.text);
            }
            user.patch(&format!("{TOKENS}/{}", target.id), body).await.refused(422, "VALIDATION_ERROR");
        }
        assert_eq!((made().await, user.get(&format!("{TOKENS}/{}", target.id)).await.text), before);
        target.client.check("projects.read").await.expect(StatusCode::NO_CONTENT);
    }

    async fn threat_17_a_path_that_is_written_otherwise_is_no_other_route(app: TestApp) {
        let user = app.user("ada").await;
        let project = user.post("/api/v1/projects", json!({ "alias": "web" })).await;
        let id = project.data()["id"].as_str().unwrap().to_owned();
        let token = user.mint(json!({ "permissions": tree("projects.read") })).await.client;
        let path = format!("/api/v1/projects/{id}");
        token.get(&path).await.expect(StatusCode::OK);
        for odd in [
            format!("{path}."), format!("{path}%2f"), format!("{path}%2F.."), format!("{path}/../{id}"),
            format!("{path}%20"), format!("/api/v1/projects%2f{id}"), "/api/v1/projects/%2e%2e/vault/keys".to_owned(),
            "/api/v1/projects/..%2fvault%2fkeys".to_owned(), format!("/api/v1/projects//{id}"),
            format!("/api/v1/Projects/{id}"), format!("/api/v1/projectss/{id}"), format!("/api/v1/project/{id}"),
            format!("/api/v1/projects/{}", &id[..23]), format!("/api/v1/projects/{id}0"),
        ] {
            for method in [http::Method::GET, http::Method::DELETE, http::Method::PUT] {
                let reply = token.send(method, &odd, b"{}".to_vec()).await;
                assert!(reply.status.is_client_error(), "{odd}: {}", reply.text);
            }
        }
        token.delete(&path).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        user.get(&path).await.expect(StatusCode::OK);
    }
}

/// Near to `projects.read`, and not it.
const NO_LEAVES: [&str; 30] = [
    "",
    ".",
    "p",
    "project",
    "projects",
    "projects.",
    "projects.r",
    "projects.rea",
    "projects.reads",
    "projects.read.",
    "projects.read..",
    ".projects.read",
    "projects..read",
    "projects.read.all",
    "projects.read ",
    " projects.read",
    "projects. read",
    "Projects.read",
    "projects.READ",
    "projects/read",
    "projects%2fread",
    "projects%2Eread",
    "projects.*",
    "projects.rea?",
    "projects.members",
    "projects.members.",
    "ｐrojects.read",
    "projects\u{2024}read",
    "projects.read\u{200b}",
    "projects.re\u{e0}d",
];

/// The paths of all leaves, from the tree that the server publishes.
async fn leaves(client: &Client) -> Vec<String> {
    let templates = client.get(&format!("{TOKENS}/templates")).await;
    let mut all = templates.data().as_array().unwrap().iter();
    let full = all.find(|template| template["name"] == "full_access").unwrap();
    let mut paths = vec!["resources.create_tokens".to_owned(), "admin.users".to_owned()];
    walk("", &full["permissions"], &mut paths);
    paths
}

fn walk(at: &str, tree: &Value, paths: &mut Vec<String>) {
    for (name, below) in tree.as_object().unwrap() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        if below.is_boolean() { paths.push(path) } else { walk(&path, below, paths) }
    }
}

/// The tree with this leaf alone.
fn tree(path: &str) -> Value {
    path.rsplit('.').fold(json!(true), |below, name| json!({ name: below }))
}

/// Every byte that is not plain, as a query has it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    let encode = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}
