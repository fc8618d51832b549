//! Tokens: list, new, review, shown once, one, stop, start, delete, change.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{MINUTE, on_both};

const DAY: i64 = 24 * 60 * MINUTE;

on_both! {
    async fn a_token_is_reviewed_made_shown_once_used_stopped_and_started(app: App) {
        let browser = app.signed_in("ada").await;
        let empty = browser.get("/console/tokens").await;
        empty.is(StatusCode::OK, "Tokens");
        empty.says("Try it.").says("For CI.").says("In a terminal.");

        let review = browser.review("ci-runner", &["projects.read"]).await;
        review.says("It may use projects.read, which only reads.");
        review.says("It works from any address.").says("in 24 hours").says("It cannot open the vault or make tokens.");
        review.says("hoody --base-url https://auth.example.com auth create --alias 'ci-runner'");
        let made = browser.submit(&review.form("/console/tokens"), &[]).await;
        made.is(StatusCode::OK, "Copy the secret of ci-runner now");
        let (id, secret) = (made.token_id(), made.secret());
        assert!(made.headers["cache-control"] == "no-store" && secret.len() == 68, "{secret}");
        let listed = &app.tokens("ada").await[0];
        assert_eq!((listed["alias"].as_str(), listed["id"].as_str()), (Some("ci-runner"), Some(id.as_str())));
        assert_eq!(listed["permissions"], json!({ "projects": { "read": true } }));

        let used = || app.api(Method::GET, "/api/v1/auth/check?permission=projects.read", Some(&secret), Value::Null);
        assert_eq!(used().await.0, StatusCode::NO_CONTENT);
        let home = format!("/console/tokens/{id}");
        let page = browser.get(&home).await;
        page.is(StatusCode::OK, "ci-runner");

        let stopped = browser.submit(&page.form(&format!("{home}/stop")), &[]).await;
        stopped.is(StatusCode::OK, "ci-runner is stopped");
        stopped.says("Refused on 1 of 1 node since 09:15:42.118 UTC.");
        assert_eq!(used().await.0, StatusCode::UNAUTHORIZED);
        // Sent again it says the same.
        browser.submit(&page.form(&format!("{home}/stop")), &[]).await.is(StatusCode::OK, "ci-runner is stopped");
        let started = browser.submit(&stopped.form(&format!("{home}/start")), &[]).await;
        started.is(StatusCode::OK, "ci-runner");
        started.says("It works again.");
        assert_eq!(used().await.0, StatusCode::NO_CONTENT);

        let ask = browser.get(&format!("{home}/delete")).await;
        ask.is(StatusCode::OK, "Delete ci-runner?");
        let gone = browser.submit(&ask.form(&format!("{home}/delete")), &[]).await;
        gone.is(StatusCode::OK, "Tokens");
        gone.says("The token is deleted.");
        assert_eq!(used().await.0, StatusCode::UNAUTHORIZED);
        browser.get(&home).await.is(StatusCode::NOT_FOUND, "There is no such thing here");
    }

    async fn a_form_that_is_sent_twice_makes_one_token(app: App) {
        let browser = app.signed_in("ada").await;
        let review = browser.review("ci", &["projects.read"]).await;
        let form = review.form("/console/tokens");
        let (first, second) = tokio::join!(browser.submit(&form, &[]), browser.submit(&form, &[]));
        let headings = [first.heading(), second.heading()];
        assert!(headings.contains(&"Copy the secret of ci now".to_owned()) && headings.contains(&"Already made".to_owned()), "{headings:?}");
        // Another name does not help, nor does a form that is sent after the token is gone.
        browser.submit(&form, &[("alias", "other")]).await.is(StatusCode::OK, "Already made");
        assert_eq!(app.tokens("ada").await.len(), 1);
        let id = app.tokens("ada").await[0]["id"].as_str().unwrap().to_owned();
        let ask = browser.get(&format!("/console/tokens/{id}/delete")).await;
        browser.submit(&ask.form(&format!("/console/tokens/{id}/delete")), &[]).await;
        browser.submit(&form, &[]).await.is(StatusCode::OK, "Already made");
        assert!(app.tokens("ada").await.is_empty());
    }

    async fn an_id_that_no_review_gave_makes_nothing(app: App) {
        let browser = app.signed_in("ada").await;
        let review = browser.review("ci", &["projects.read"]).await;
        let form = review.form("/console/tokens");
        let given = form.fields.iter().find(|(name, _)| name == "id").unwrap().1.clone();
        let (id, rest) = given.split_at(24);
        let flipped = if id.ends_with('0') { format!("{}1{rest}", &id[..23]) } else { format!("{}0{rest}", &id[..23]) };
        for wrong in ["", "x", "65a1b2c3d4e5f60718293a4b", flipped.as_str()] {
            let shown = browser.submit(&form, &[("id", wrong)]).await;
            shown.is(StatusCode::CONFLICT, "Review ci");
        }
        // Of another session of the same account.
        let other = app.browser();
        other.sign_in("ada").await;
        let own = other.review("ci", &["projects.read"]).await;
        other.submit(&own.form("/console/tokens"), &[("id", &given)]).await.is(StatusCode::CONFLICT, "Review ci");
        // And one that is too old: it is reviewed again.
        for _ in 0..4 {
            app.later(50 * MINUTE).await;
            browser.get("/console").await;
        }
        let again = browser.submit(&form, &[]).await;
        again.is(StatusCode::CONFLICT, "Review ci");
        assert!(app.tokens("ada").await.is_empty());
    }

    async fn what_is_wrong_is_told_at_its_field_and_the_rest_is_kept(app: App) {
        let browser = app.signed_in("ada").await;
        let form = browser.get("/console/tokens/new").await.form("/console/tokens/review");
        for (field, value, words) in [
            ("alias", "a/b", "Use 1 to 254 letters, digits, spaces, hyphens or underscores."),
            ("from", "10.0.0.300", "IP"),
            ("realms", "nowhere", "Invalid realm ID format"),
            ("ends", "date", "expires_at"),
        ] {
            let filled = [("alias", "ci"), ("p", "projects.read"), ("do", ""), (field, value)];
            let filled: Vec<_> = filled.into_iter().filter(|(name, given)| *name != field || *given == value).collect();
            let shown = browser.submit(&form, &filled).await;
            shown.is(StatusCode::UNPROCESSABLE_ENTITY, "New token");
            shown.says(words).says("Nothing was made.");
            assert!(shown.text.contains("value=\"projects.read\" checked"), "{}", shown.text);
        }
        // A name that is taken is known when it is made.
        browser.make("ci", &["projects.read"]).await;
        let review = browser.review("ci", &["projects.read"]).await;
        let taken = browser.submit(&review.form("/console/tokens"), &[]).await;
        taken.is(StatusCode::UNPROCESSABLE_ENTITY, "New token");
        taken.says("Another of your tokens has this name.");
        // A form without a box asks for nothing, never for everything.
        let none = browser.submit(&form, &[("alias", "nothing"), ("do", "")]).await;
        none.says("It has no permission: it proves who it is, and nothing more.");
    }

    async fn a_template_fills_the_boxes_in(app: App) {
        let browser = app.signed_in("ada").await;
        let form = browser.get("/console/tokens/new").await.form("/console/tokens/review");
        let filled = browser.submit(&form, &[("alias", "ci"), ("preset", "read_only"), ("do", "preset")]).await;
        filled.is(StatusCode::OK, "New token");
        filled.says("6 permissions, none of them writes.");
        assert_eq!(filled.text.matches(" checked").count(), 6 + 2, "six boxes, when it ends, and events");
        let by_address = browser.get("/console/tokens/new?alias=ci&permission=read_only&here=1&ends=1d").await;
        by_address.says("6 permissions, none of them writes.");
        assert!(app.tokens("ada").await.is_empty(), "nothing is made by opening an address");
        let review = browser.submit(&filled.form("/console/tokens/review"), &[("do", "")]).await;
        review.says("It may do what read only allows: 6 permissions, none of them writes.");
        let back = browser.submit(&review.form("/console/tokens/review"), &[("do", "edit")]).await;
        back.is(StatusCode::OK, "New token");
        assert!(back.text.contains("value=\"ci\""), "{}", back.text);
    }

    async fn the_list_goes_on_from_page_to_page(app: App) {
        let browser = app.signed_in("ada").await;
        let session = app.api_session("ada").await;
        for n in 0..120 {
            let body = json!({ "alias": format!("token {n:03}"), "permissions": {}, "expires_at": null });
            let (status, reply) = app.api(Method::POST, "/api/v1/auth/tokens", Some(&session), body).await;
            assert_eq!(status, StatusCode::CREATED, "{reply}");
            app.service.advance(1_000);
        }
        let names = |shown: &crate::support::Shown| -> Vec<String> {
            let rows = shown.text.split("<td class=\"name\">").skip(1);
            rows.map(|row| row.split("</a>").next().unwrap().rsplit('>').next().unwrap().to_owned()).collect()
        };
        let link = |shown: &crate::support::Shown, label: &str| -> Option<String> {
            let (before, _) = shown.text.split_once(&format!(">{label}</a>"))?;
            let (_, address) = before.rsplit_once("href=\"")?;
            Some(address.split('"').next()?.replace("&amp;", "&"))
        };
        let (mut seen, mut page) = (Vec::new(), browser.get("/console/tokens").await);
        page.says("120 tokens, 120 working");
        loop {
            seen.extend(names(&page));
            match link(&page, "Older") {
                Some(older) => page = browser.get(&older).await,
                None => break,
            }
        }
        let all: Vec<_> = (0..120).rev().map(|n| format!("token {n:03}")).collect();
        assert_eq!(seen, all);
        let newer = browser.get(&link(&page, "Newer").unwrap()).await;
        assert_eq!(names(&newer), all[50..100]);
        let found = browser.get("/console/tokens?q=TOKEN%2001").await;
        assert_eq!(names(&found).len(), 10);
        let none = browser.get("/console/tokens?q=%25_%3Cscript%3E").await;
        none.says("No token matches the name %_<script>.").says("Show all 120");
        browser.get("/console/tokens?after=nonsense&state=nonsense").await.says("120 tokens");
    }

    async fn a_state_is_found_by_its_name(app: App) {
        let browser = app.signed_in("ada").await;
        let (old, _) = browser.make("old", &["projects.read"]).await;
        let (stopped, _) = browser.make("halted", &["projects.read"]).await;
        let page = browser.get(&format!("/console/tokens/{stopped}")).await;
        browser.submit(&page.form(&format!("/console/tokens/{stopped}/stop")), &[]).await;
        for (state, has_old, has_stopped) in [
            ("any", true, true), ("working", true, false), ("stopped", false, true), ("expired", false, false),
            ("ending", true, false), ("unused", false, false), ("any-address", true, false),
        ] {
            let shown = browser.get(&format!("/console/tokens?state={state}")).await;
            let has = |id: &str| shown.text.contains(&format!("href=\"/console/tokens/{id}\""));
            assert_eq!((has(&old), has(&stopped)), (has_old, has_stopped), "{state}");
        }
        app.later(2 * DAY).await;
        browser.sign_in("ada").await;
        let expired = browser.get("/console/tokens?state=expired").await;
        assert!(expired.text.contains(&old) && expired.says("expired").text.contains(&stopped));
    }

    async fn a_change_is_made_and_what_is_not_named_stays(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, _) = browser.make("ci", &["projects.read", "projects.update"]).await;
        let path = format!("/console/tokens/{id}/change");
        let form = browser.get(&path).await.form(&path);
        let boxes: Vec<_> = form.fields.iter().filter(|(name, _)| name == "p").map(|(_, value)| value.as_str()).collect();
        assert_eq!(boxes, ["projects.read", "projects.update"]);
        let before = app.tokens("ada").await[0].clone();
        browser.submit(&form, &[("from", "10.1.2.3/8\r\n203.0.113.7"), ("p", "projects.read")]).await.says("The change is in force");
        let after = app.tokens("ada").await[0].clone();
        assert_eq!(after["ip_whitelist"], json!(["10.0.0.0/8", "203.0.113.7"]));
        assert_eq!(after["permissions"], json!({ "projects": { "read": true } }));
        assert_eq!((&after["expires_at"], &after["alias"]), (&before["expires_at"], &before["alias"]));
        let form = browser.get(&path).await.form(&path);
        let wrong = browser.submit(&form, &[("from", "10.0.0.300")]).await;
        wrong.is(StatusCode::UNPROCESSABLE_ENTITY, "Change ci");
        wrong.says("Nothing was changed.");
        assert_eq!(app.tokens("ada").await[0], after);
    }

    async fn what_it_used_narrows_it(app: App) {
        let browser = app.signed_in("ada").await;
        let (id, secret) = browser.make("ci", &["projects.read", "projects.update"]).await;
        for _ in 0..3 {
            app.api(Method::GET, "/api/v1/projects", Some(&secret), Value::Null).await;
        }
        assert!(app.service.flush_activity().await, "the log is written");
        app.service.flush_usage().await;
        let page = browser.get(&format!("/console/tokens/{id}")).await;
        page.says("1 permission not used in 30 days").says("Allow only these");
        assert!(page.text.contains("3 requests in the last 48 hours, 0 refused"), "{}", page.text);
        let narrowed = browser.get(&format!("/console/tokens/{id}/change?narrow=1")).await;
        narrowed.says("of 3 requests, this would have refused none");
        let form = narrowed.form(&format!("/console/tokens/{id}/change"));
        browser.submit(&form, &[("from", "203.0.113.7")]).await.says("The change is in force");
        let token = app.tokens("ada").await[0].clone();
        assert_eq!((token["permissions"].clone(), token["ip_whitelist"].clone()), (json!({ "projects": { "read": true } }), json!(["203.0.113.7"])));
        let list = browser.get("/console/tokens").await;
        list.says("1 used in the last 24 hours");
        let overview = browser.get("/console").await;
        overview.says("3requests by tokens");
        // Whoever waits for its first use is told.
        browser.get(&format!("/console/tokens/{id}/first-use?part=1")).await.says("Used at 09:15:42.118 UTC from 203.0.113.7");
    }

    async fn the_operators_permissions_come_first_and_stay_as_they_are_held(app: App) {
        let file = json!({
            "permissions": {
                "orders.read": { "description": "Read orders" },
                "orders.create": { "description": "Create orders", "writes": true },
                "bills.read": { "description": "Read bills <b>" },
            },
            "templates": { "support": { "description": "Answers customers", "permissions": ["orders.read", "projects.read"] } },
        });
        app.service.apply_permissions(&file, true, false).await.unwrap();
        let browser = app.signed_in("ada").await;
        let page = browser.get("/console/tokens/new").await;
        page.says("Read bills <b> bills.read").says("Create orders orders.create writes").says("support: 2 permissions");
        let at = |path: &str| page.text.find(&format!("value=\"{path}\"")).unwrap();
        assert!(at("bills.read") < at("orders.**") && at("orders.**") < at("orders.read") && at("orders.create") < at("projects.create"));
        let (_, last) = page.text.split_once("Checked by other services only").unwrap();
        assert!(last.contains("value=\"financial.wallet.read\"") && !last.contains("value=\"projects.read\""));

        let review = browser.review("shop", &["orders.**", "bills.read"]).await;
        review.says("It also gets whatever is added to orders later.").says("--permission 'orders.**'");
        let made = browser.submit(&review.form("/console/tokens"), &[]).await;
        let (id, secret) = (made.token_id(), made.secret());
        let held = json!({ "orders": { "**": true }, "bills": { "read": true } });
        assert_eq!(app.tokens("ada").await[0]["permissions"], held);
        // A change of something else leaves them, and nothing of them asks for a proof.
        let path = format!("/console/tokens/{id}/change");
        let form = browser.get(&path).await.form(&path);
        let boxes: Vec<_> = form.fields.iter().filter(|(name, _)| name == "p").map(|(_, value)| value.as_str()).collect();
        assert_eq!(boxes, ["bills.read", "orders.**", "orders.create", "orders.read"]);
        app.later(11 * MINUTE).await;
        browser.submit(&form, &[("alias", "the-shop")]).await.is(StatusCode::OK, "the-shop");
        assert_eq!(app.tokens("ada").await[0]["permissions"], held);
        browser.get(&format!("/console/tokens/{id}?view=limits")).await.says("orders.create").says("bills.read");

        // Another like it is filled in, and made by nothing but its form.
        let like = browser.get(&format!("/console/tokens/new?like={id}")).await;
        like.is(StatusCode::OK, "New token");
        assert!(like.text.contains("value=\"the-shop copy\"") && like.text.contains("value=\"orders.**\" checked"), "{}", like.text);
        assert_eq!(app.tokens("ada").await.len(), 1);
        let listed = browser.get("/console/permissions").await;
        listed.is(StatusCode::OK, "Permissions");
        listed.says("Create orders").says("Read bills <b>").says("Answers customers").says("List projects and read them");

        // Without the box of the group it keeps what there is now; back again, it is more and asks for a proof.
        let form = browser.get(&path).await.form(&path);
        browser.submit(&form, &[("p", "orders.read"), ("p", "orders.create")]).await.is(StatusCode::OK, "the-shop");
        let fixed = json!({ "orders": { "read": true, "create": true } });
        assert_eq!(app.tokens("ada").await[0]["permissions"], fixed);
        for wider in ["orders.**", "bills.read", "projects.read"] {
            let asked = browser.submit(&form, &[("p", "orders.read"), ("p", wider)]).await;
            asked.is(StatusCode::OK, "Confirm that it is you");
            assert_eq!(app.tokens("ada").await[0]["permissions"], fixed);
        }
        let (status, _) = app.api(Method::GET, "/api/v1/auth/check?permission=orders.create", Some(&secret), Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT);

        // What it used narrows these too.
        assert!(app.service.flush_activity().await, "the log is written");
        let narrowed = browser.get(&format!("/console/tokens/{id}/change?narrow=1")).await;
        browser.submit(&narrowed.form(&path), &[]).await.is(StatusCode::OK, "the-shop");
        assert_eq!(app.tokens("ada").await[0]["permissions"], json!({ "orders": { "create": true } }));
        browser.get("/console/tokens").await.says("orders.create");
    }

    async fn what_happened_is_in_the_events(app: App) {
        let browser = app.signed_in("ada").await;
        browser.get("/console/events").await.says("No events yet.");
        let (id, _) = browser.make("ci", &["projects.read"]).await;
        let page = browser.get(&format!("/console/tokens/{id}")).await;
        browser.submit(&page.form(&format!("/console/tokens/{id}/stop")), &[]).await;
        assert_eq!(app.service.project().await, None);
        let shown = browser.get("/console/events").await;
        shown.is(StatusCode::OK, "Events");
        shown.says("auth.token.created").says("auth.token.disabled").says("the account");
        assert!(shown.text.contains(&format!("href=\"/console/tokens/{id}\"")), "{}", shown.text);
        let some = browser.get("/console/events?type=auth.token.created").await;
        some.says("1 event").says("Show all");
        assert!(!some.text.contains("auth.token.disabled"));
        let bob = app.signed_in("bob").await;
        assert!(!bob.get("/console/events").await.text.contains("auth.token"));
    }

    async fn a_retired_permission_is_kept_where_it_is_held_and_offered_nowhere(app: App) {
        let with = |extra: Value| {
            let mut pay = json!({ "description": "Pay orders", "writes": true });
            pay.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            json!({ "permissions": { "orders.read": { "description": "Read orders" }, "orders.pay": pay } })
        };
        app.service.apply_permissions(&with(json!({})), true, false).await.unwrap();
        let browser = app.signed_in("ada").await;
        let (id, _) = browser.make("shop", &["orders.read", "orders.pay"]).await;
        app.service.apply_permissions(&with(json!({ "retired": true })), true, false).await.unwrap();
        let path = format!("/console/tokens/{id}/change");
        let page = browser.get(&path).await;
        page.says("Pay orders orders.pay writes retired");
        browser.submit(&page.form(&path), &[("alias", "other")]).await.is(StatusCode::OK, "other");
        assert_eq!(app.tokens("ada").await[0]["permissions"], json!({ "orders": { "read": true, "pay": true } }));
        assert!(!browser.get("/console/tokens/new").await.text.contains("orders.pay"));
    }

    async fn everything_is_stopped_by_whoever_types_the_name_of_the_account(app: App) {
        let browser = app.signed_in("ada").await;
        let (_, first) = browser.make("first", &["projects.read"]).await;
        let (_, second) = browser.make("second", &["projects.read"]).await;
        let bob = app.signed_in("bob").await;
        let (_, his) = bob.make("his", &["projects.read"]).await;
        let check = async |secret: &str| app.api(Method::GET, "/api/v1/auth/check", Some(secret), Value::Null).await.0;
        let ask = browser.get("/console/stop/all").await;
        ask.is(StatusCode::OK, "Stop every token?");
        ask.says("2 working tokens will be refused");
        let form = ask.form("/console/stop/all");
        let wrong = browser.submit(&form, &[("account", "Ada")]).await;
        wrong.is(StatusCode::UNPROCESSABLE_ENTITY, "Stop every token?");
        assert_eq!(check(&first).await, StatusCode::NO_CONTENT);
        app.later(11 * MINUTE).await;
        let prove = browser.submit(&form, &[("account", "ada")]).await;
        prove.is(StatusCode::OK, "Confirm that it is you");
        assert_eq!(check(&first).await, StatusCode::NO_CONTENT);
        let done = browser.submit(&prove.form("/console/stop/all"), &[("proof_password", crate::support::PASSWORD)]).await;
        done.is(StatusCode::OK, "2 tokens are stopped");
        done.says("Refused on 1 of 1 node since");
        for (secret, status) in [(&first, StatusCode::UNAUTHORIZED), (&second, StatusCode::UNAUTHORIZED), (&his, StatusCode::NO_CONTENT)] {
            assert_eq!(check(secret).await, status);
        }
        browser.get("/console/tokens?state=stopped").await.says("2 tokens match");
    }

    async fn nobody_reaches_the_tokens_of_others(app: App) {
        let ada = app.signed_in("ada").await;
        let (id, secret) = ada.make("hers", &["projects.read"]).await;
        let bob = app.signed_in("bob").await;
        for path in ["", "/delete", "/change", "/first-use"] {
            let shown = bob.get(&format!("/console/tokens/{id}{path}")).await;
            shown.is(StatusCode::NOT_FOUND, "There is no such thing here");
        }
        // Even with a form of his own whose address is changed, which its mark does not fit.
        let (own, _) = bob.make("his", &["projects.read"]).await;
        let page = bob.get(&format!("/console/tokens/{own}")).await;
        for act in ["stop", "start", "delete", "change"] {
            let mut form = page.forms()[0].clone();
            form.action = format!("/console/tokens/{id}/{act}");
            bob.submit(&form, &[]).await.is(StatusCode::FORBIDDEN, "This form is too old");
            let resent = bob.submit(&form, &[]).await.form(&form.action);
            let shown = bob.submit(&resent, &[]).await;
            assert_eq!(shown.status, StatusCode::NOT_FOUND, "{act}: {}", shown.text);
        }
        let (status, _) = app.api(Method::GET, "/api/v1/auth/check", Some(&secret), Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        bob.get("/console/tokens/nonsense").await.is(StatusCode::BAD_REQUEST, "That did not work");
    }
}
