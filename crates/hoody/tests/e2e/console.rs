//! The console in a real browser: its flows with and without script, and what holds for every page: nothing
//! that axe-core finds, nothing too wide, nothing too small to hit, in both colour schemes, wide and narrow.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, protect};
use crate::support::{Client, PASSWORD, PATIENCE, Place, Server, eventually, on_both};

/// What a browser calls an address of this machine: a safe place, so that cookies are kept.
fn home(server: &Server) -> String {
    format!("{}/console", server.base.replace("127.0.0.1", "localhost"))
}

async fn sign_in(browser: &Browser, server: &Server) {
    browser.go(&home(server)).await;
    assert_eq!(browser.text("h1").await, "Sign in");
    browser.fill("#name", "ada").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("button", "Overview").await;
}

/// Makes a token in the browser; its secret.
async fn make(browser: &Browser, server: &Server, alias: &str) -> String {
    let form = format!("{}/tokens/new?alias={alias}&permission=projects.read&ends=1d", home(server));
    browser.go(&form).await;
    browser.click("button.primary", &format!("Review {alias}")).await;
    assert!(browser.text("main").await.contains("It may use projects.read, which only reads."));
    browser.click("form[action='/console/tokens'] button", &format!("Copy the secret of {alias} now")).await;
    browser.value("#secret").await
}

async fn check(ada: &Client, secret: &str) -> u16 {
    ada.with(secret).get("/api/v1/auth/check?permission=projects.read").await.status.as_u16()
}

/// Signs in with the second factor, makes a token, uses it, stops it, starts it, signs out.
async fn whole_flow(place: &Place, has_script: bool) {
    let (server, ada) = place.serve_ada().await;
    let Some(browser) = Browser::start(place, has_script).await else { return };
    sign_in(&browser, &server).await;
    let secret = make(&browser, &server, "ci-runner").await;
    assert!(secret.starts_with("hdy_") && secret.len() == 68);
    assert_eq!(check(&ada, &secret).await, 204);
    if has_script {
        // It says so by itself.
        eventually("it tells of the first use", PATIENCE, async || {
            // In one step: the element is replaced.
            let said =
                browser.run("return document.querySelector('#first-use').textContent", json!([])).await;
            said.as_str()?.trim().starts_with("Used at").then_some(())
        })
        .await;
        browser.click_only("[data-copy]").await;
        eventually("it is copied", PATIENCE, async || {
            let said = browser.text("[data-copied]").await;
            (said.starts_with("Copied.") || said.starts_with("Selected.")).then_some(())
        })
        .await;
    }
    browser.click("[data-leave]", "ci-runner").await;
    browser.click("form[action$='/stop'] button", "ci-runner is stopped").await;
    let told = browser.text("main").await;
    assert!(told.contains("Refused on 1 of 1 node since "), "{told}");
    assert_eq!(check(&ada, &secret).await, 401);
    browser.click("form[action$='/start'] button", "ci-runner").await;
    assert_eq!(check(&ada, &secret).await, 204);
    browser.go(&format!("{}/account", home(&server))).await;
    assert!(browser.text("main").await.contains("Chrome on Linux"));
    browser.click("form[action='/console/sign-out'] button", "Sign in").await;
    browser.go(&format!("{}/tokens", home(&server))).await;
    assert_eq!(browser.text("h1").await, "Sign in");
    browser.has_nothing_to_say().await;
}

on_both! {
    async fn tokens_are_made_stopped_and_started_without_script(place: Place) {
        whole_flow(&place, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_made_stopped_and_started_with_script() {
    whole_flow(&Place::sqlite(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_with_a_second_factor_signs_in_by_keyboard() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let backup_codes = protect(&ada).await;
    let Some(browser) = Browser::start(&place, true).await else { return };
    browser.go(&home(&server)).await;
    // The first field has the focus; tab, and enter sends.
    browser.press(&format!("ada\u{e004}{PASSWORD}\u{e007}")).await;
    browser.shows("Second factor").await;
    browser.press(&format!("{}\u{e007}", backup_codes[0])).await;
    browser.shows("Overview").await;
    // Whatever can be pressed is reached by tab, the link past the sections first.
    browser.press("\u{e004}").await;
    assert_eq!(browser.run("return document.activeElement.className", json!([])).await, "skip");
    browser.go(&format!("{}/tokens/new?alias=ci", home(&server))).await;
    let reached = browser.reached_by_tab().await;
    let there = browser
        .run(
            "return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]\
             .filter(e => e.tabIndex >= 0 && e.checkVisibility() && !e.closest('details:not([open]) > :not(summary)')).length",
            json!([]),
        )
        .await;
    // Radio buttons are one stop of all of theirs.
    let radios = browser.run("return document.querySelectorAll('input[type=radio]').length", json!([])).await;
    let stops = there.as_u64().unwrap() - radios.as_u64().unwrap() + 1;
    assert!(reached >= stops, "{reached} of {stops} stops");
}

/// Makes a webhook and sends it a test, sets a value and looks at it; `look` is told the name of each page on the way.
async fn webhook_and_vault(browser: &Browser, home: &str, look: impl AsyncFn(&'static str)) {
    let wide = async || browser.look(1280, "light").await;
    browser.go(&format!("{home}/webhooks/new")).await;
    browser.fill("#url", "https://hooks.example.com/a-rather-long-path/that-has-no-space/0123456789").await;
    browser.fill("#description", "Tells the build server").await;
    browser.fill("#types", "auth.token.*").await;
    browser.click("main button.primary", "Copy the secret of Tells the build server now").await;
    assert!(browser.value("#secret").await.starts_with("whsec_"));
    look("webhook-once").await;
    wide().await;
    browser.click("[data-leave]", "Tells the build server").await;
    browser.click("form[action$='/test'] button", "Tells the build server").await;
    assert!(browser.text("main").await.contains("webhook.test"));
    look("webhook").await;
    wide().await;
    browser.click("form[action$='/off'] button", "Tells the build server").await;
    assert!(browser.text("main").await.contains("It is off."));
    browser.go(&format!("{home}/webhooks")).await;
    look("webhooks").await;
    wide().await;
    browser.go(&format!("{home}/vault/set")).await;
    browser.fill("#key", "db.password").await;
    browser.fill("#value", "correct\nhorse").await;
    browser.click("main button.primary", "Vault").await;
    assert!(browser.text("main").await.contains("The value is set."));
    look("vault").await;
    wide().await;
    browser.click("form[action$='/db.password/show'] button", "db.password").await;
    assert_eq!(browser.value("#shown").await, "correct\nhorse");
    look("vault-value").await;
    wide().await;
    browser.go(&format!("{home}/vault/keys/db.password/delete")).await;
    browser.click("button.danger", "Vault").await;
    assert!(browser.text("main").await.contains("The key is deleted."));
}

on_both! {
    async fn a_webhook_and_a_value_need_no_script(place: Place) {
        let (server, _ada) = place.serve_ada().await;
        let Some(browser) = Browser::start(&place, false).await else { return };
        sign_in(&browser, &server).await;
        webhook_and_vault(&browser, &home(&server), async |_| {}).await;
        browser.has_nothing_to_say().await;
    }
}

/// A group that grows holds its boxes while it is ticked, and gives them back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_permissions_is_ticked_as_one() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    add_permissions(&place, &ada).await;
    let Some(browser) = Browser::start(&place, true).await else { return };
    sign_in(&browser, &server).await;
    browser.go(&format!("{}/tokens/new?alias=shop", home(&server))).await;
    let states = "return [...document.querySelectorAll('input[value^=\"orders.\"]:not([data-grows])')].map(b => b.checked + ' ' + b.disabled)";
    browser.click_only("input[value='orders.**']").await;
    assert_eq!(browser.run(states, json!([])).await, json!(["true true", "true true", "true true"]));
    assert!(browser.text("[data-total]").await.starts_with("3 permissions, 2 of them write"));
    browser.click("main button.primary", "Review shop").await;
    let review = browser.text("main").await;
    assert!(review.contains("It also gets whatever is added to orders later."), "{review}");
    browser.click("button[value=edit]", "New token").await;
    browser.click_only("input[value='orders.**']").await;
    assert_eq!(browser.run(states, json!([])).await, json!(["true false", "true false", "true false"]));
    browser.click("main button.primary", "Review shop").await;
    assert!(!browser.text("main").await.contains("later"));
    browser.has_nothing_to_say().await;
}

/// Axe-core, as npm put it beside the tests.
fn axe() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/node/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}: use ./test", path.display()))
}

impl Browser {
    async fn value(&self, selector: &str) -> String {
        let element = self.find(selector).await;
        let value = self.send(Method::GET, &format!("/element/{element}/property/value"), None).await;
        value.as_str().unwrap().to_owned()
    }

    async fn click_only(&self, selector: &str) {
        let element = self.find(selector).await;
        self.send(Method::POST, &format!("/element/{element}/click"), Some(json!({}))).await;
    }

    async fn shows(&self, heading: &str) {
        eventually(heading, PATIENCE, async || {
            (self.heading().await.as_deref() == Some(heading)).then_some(())
        })
        .await;
    }

    /// How many elements tab reaches before it is at the first again.
    async fn reached_by_tab(&self) -> u64 {
        self.run("window.seen = new Set(); window.last = null", json!([])).await;
        // A field of a date is one element of several stops.
        let is_again = "const e = document.activeElement, is = window.seen.has(e) && e !== window.last; \
            window.seen.add(e); window.last = e; return is";
        for _ in 0..150 {
            self.press("\u{e004}").await;
            if self.run(is_again, json!([])).await == true {
                break;
            }
        }
        self.run("return window.seen.size", json!([])).await.as_u64().unwrap()
    }

    async fn look(&self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Fails the test when something is wrong with the page that is open, however it is looked at.
    async fn is_in_order(&self, name: &str, axe: &str) {
        self.run(axe, json!([])).await;
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (320, "dark")] {
            self.look(width, scheme).await;
            let violations = self.wait_for(AXE).await;
            assert_eq!(violations, json!([]), "{name} at {width}, {scheme}: {violations:#}");
            let wide = self.run(TOO_WIDE, json!([])).await;
            assert_eq!(wide, json!([]), "{name} at {width}: wider than the page");
            let small = self.run(TOO_SMALL, json!([])).await;
            assert_eq!(small, json!([]), "{name} at {width}: too small to hit");
            self.keep_picture(&format!("{name}-{width}-{scheme}.png")).await;
        }
    }

    /// Puts a picture of the page into target/pages, for people to look at.
    async fn keep_picture(&self, name: &str) {
        let size = self
            .run(
                "return [document.documentElement.clientWidth, document.documentElement.scrollHeight]",
                json!([]),
            )
            .await;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let taken = self
            .devtools(
                "Page.captureScreenshot",
                json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }),
            )
            .await;
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("pages");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(name), base64(taken["data"].as_str().unwrap())).unwrap();
    }
}

const AXE: &str = "const done = arguments[arguments.length - 1]; \
    axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }) \
    .then(found => done(found.violations.map(v => [v.id, v.help, v.nodes.slice(0, 5).map(n => n.html + ' ' + (n.any[0] || n.all[0] || n.none[0] || {}).message)])), \
    error => done([String(error)]))";
const TOO_WIDE: &str = "const room = document.documentElement.clientWidth; \
    if (document.documentElement.scrollWidth <= room) return []; \
    return [...document.querySelectorAll('main *, header *')].filter(e => e.getBoundingClientRect().right > room + 1) \
    .slice(0, 5).map(e => e.outerHTML.slice(0, 120))";
/// WCAG 2.5.8; links within text are excepted, and boxes whose label is the target.
const TOO_SMALL: &str = "return [...document.querySelectorAll('button, .button, input:not([type=hidden], [type=checkbox], [type=radio]), select, nav a, label.pick, summary')] \
    .filter(e => e.checkVisibility() && !e.classList.contains('hidden') && !e.classList.contains('link')) \
    .filter(e => { const box = e.getBoundingClientRect(); return box.width > 0 && (box.height < 24 || box.width < 24); }) \
    .slice(0, 5).map(e => e.outerHTML.slice(0, 120))";

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut length, mut bytes) = (0_u32, 0, Vec::new());
    for c in text.bytes() {
        let Some(value) = DIGITS.iter().position(|digit| *digit == c) else { continue };
        bits = bits << 6 | u32::try_from(value).unwrap();
        length += 6;
        if length >= 8 {
            length -= 8;
            bytes.push(u8::try_from(bits >> length & 0xff).unwrap());
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_in_order() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let Some(browser) = Browser::start(&place, true).await else { return };
    let (axe, home) = (axe(), home(&server));
    browser.go(&home).await;
    browser.is_in_order("sign-in", &axe).await;
    browser.look(1280, "light").await;
    sign_in(&browser, &server).await;
    for (name, path) in
        [("overview-empty", ""), ("tokens-empty", "/tokens"), ("new", "/tokens/new"), ("none", "/none")]
    {
        browser.go(&format!("{home}{path}")).await;
        browser.is_in_order(name, &axe).await;
    }
    add_permissions(&place, &ada).await;
    let id = seed(&ada).await;
    let shop = make_token(
        &ada,
        json!({ "alias": "shop", "permissions": { "orders": { "**": true }, "projects": { "read": true } } }),
    )
    .await
    .0;
    for (name, path) in [
        ("new-own", "/tokens/new".to_owned()),
        ("permissions", "/permissions".to_owned()),
        ("events", "/events".to_owned()),
        ("webhooks-empty", "/webhooks".to_owned()),
        ("webhook-new", "/webhooks/new".to_owned()),
        ("vault-empty", "/vault".to_owned()),
        ("vault-set", "/vault/set".to_owned()),
        ("change-own", format!("/tokens/{shop}/change")),
        ("limits-own", format!("/tokens/{shop}?view=limits")),
        ("overview", String::new()),
        ("tokens", "/tokens".to_owned()),
        ("tokens-none", "/tokens?q=nothing-like-it".to_owned()),
        ("token", format!("/tokens/{id}")),
        ("token-limits", format!("/tokens/{id}?view=limits")),
        ("token-made", format!("/tokens/{id}?view=made")),
        ("change", format!("/tokens/{id}/change")),
        ("delete", format!("/tokens/{id}/delete")),
        ("stop", "/stop".to_owned()),
        ("stop-all", "/stop/all".to_owned()),
        ("account", "/account".to_owned()),
        ("password", "/account/password".to_owned()),
        ("second-factor", "/account/second-factor".to_owned()),
        ("log", "/log".to_owned()),
        ("alerts", "/alerts?show=all".to_owned()),
        ("log-refused", "/log?show=refused".to_owned()),
    ] {
        browser.go(&format!("{home}{path}")).await;
        browser.is_in_order(name, &axe).await;
    }
    browser.look(1280, "light").await;
    browser.look(1280, "light").await;
    webhook_and_vault(&browser, &home, async |name| browser.is_in_order(name, &axe).await).await;
    browser.look(1280, "light").await;
    browser.go(&format!("{home}/tokens/new?alias=a%2Fb&permission=read_only")).await;
    browser.click("button.primary", "New token").await;
    browser.is_in_order("new-wrong", &axe).await;
    browser.look(1280, "light").await;
    browser.go(&format!("{home}/tokens/new?alias=one-more&permission=full_access&ends=never")).await;
    browser.click("button.primary", "Review one-more").await;
    browser.is_in_order("review", &axe).await;
    browser.look(1280, "light").await;
    browser.click("form[action='/console/tokens'] button", "Copy the secret of one-more now").await;
    browser.is_in_order("once", &axe).await;
    browser.look(1280, "light").await;
    browser.click("[data-leave]", "one-more").await;
    browser.click("form[action$='/stop'] button", "one-more is stopped").await;
    browser.is_in_order("stopped", &axe).await;
    browser.go(&format!("{}/device", server.base)).await;
    browser.is_in_order("device", &axe).await;
    browser.has_nothing_to_say().await;
}

/// Permissions of the operator's, known to the server.
async fn add_permissions(place: &Place, ada: &Client) {
    let file = place.path("permissions.toml");
    std::fs::write(&file, OWN).unwrap();
    place.run(&["admin", "permissions", "apply", &file.display().to_string()]).await.ended(0);
    eventually("the permissions are known", PATIENCE, async || {
        let checked = ada.get("/api/v1/auth/check?permission=orders.read").await;
        (checked.status == 204).then_some(())
    })
    .await;
}

const OWN: &str = r#"
[permissions]
"orders.read" = { description = "Read orders" }
"orders.create" = { description = "Create orders", writes = true }
"orders.items.refund" = { description = "Pay back a part of an order, up to what was paid for it", writes = true }
"warehouse.stock.read" = { description = "See how much of each article there is" }

[templates.support]
description = "Answers customers"
permissions = ["orders.read", "projects.read"]
"#;

/// The id and the secret of a token that was made.
async fn make_token(ada: &Client, body: Value) -> (String, String) {
    let made = ada.post("/api/v1/auth/tokens", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    (made.text_at("/data/id").to_owned(), made.text_at("/data/token").to_owned())
}

/// Tokens of every kind, one of which was used and refused; that one's id.
async fn seed(ada: &Client) -> String {
    let make = async |body: Value| make_token(ada, body).await;
    make(json!({ "alias": "everything for ever", "permission_template": "full_access" })).await;
    make(json!({ "alias": "a-name-that-is-rather-long-and-has-no-space-in-it-at-all-0123456789", "permission_template": "dev_team", "expires_at": "tomorrow",
        "ip_whitelist": ["2001:db8:1234:5678::/64", "10.0.0.0/8"] }))
    .await;
    let stopped = make(json!({ "alias": "stopped", "permissions": { "projects": { "read": true } } })).await;
    let path = format!("/api/v1/auth/tokens/{}", stopped.0);
    assert_eq!(ada.send(Method::PATCH, &path, Some(json!({ "is_enabled": false }))).await.status, 200);
    let (id, secret) =
        make(json!({ "alias": "nightly", "permissions": { "projects": { "read": true, "update": true } } }))
            .await;
    let client = ada.with(&secret);
    for permission in ["projects.read", "projects.read", "projects.delete"] {
        client.get(&format!("/api/v1/auth/check?permission={permission}")).await;
    }
    eventually("the log is written", PATIENCE, async || {
        let usage = ada.get(&format!("/api/v1/auth/tokens/{id}/usage")).await;
        (usage.body["data"]["total"] == 3).then_some(())
    })
    .await;
    id
}
