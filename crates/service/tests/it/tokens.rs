//! Making tokens: every field in every form that the contract knows, and what each refuses.

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::support::{HERE, PASSWORD, REALM_A, REALM_B, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const KEY: &str = "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234";

/// The fields of `shown` that `expected` names.
#[track_caller]
fn assert_fields(shown: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name} of {shown}");
    }
}

fn is_uncached(headers: &HeaderMap) -> bool {
    headers.get("cache-control").is_some_and(|value| value == "no-store")
}

on_both! {
    async fn an_empty_body_gives_a_token_with_every_default(app: TestApp) {
        let user = app.user("ada").await;
        let reply = user.post(TOKENS, json!({})).await;
        reply.expect(StatusCode::CREATED);
        assert_eq!(reply.body["message"], "Auth token created successfully");
        assert!(is_uncached(&reply.headers), "nobody may keep the secret");
        let now = app.service.now().to_string();
        assert_fields(
            reply.data(),
            &json!({
                "prefix": "hdy_", "public_key": null, "public_storage": null, "ip_whitelist": ["*"],
                "realm_ids": [], "allow_no_realm": true, "expires_at": null, "is_enabled": true,
                "vault_access": false, "event_access": true, "created_by_token_id": null,
                "delegation_depth": 0, "last_used_at": null, "last_used_ip": null,
                "created_at": now, "updated_at": now,
            }),
        );
        let secret = reply.data()["token"].as_str().unwrap();
        assert!(secret.starts_with("hdy_") && secret.len() == 4 + 58 + 6);
        // It may do what full_access may, and make no tokens.
        let templates = user.get("/api/v1/auth/tokens/templates").await;
        assert_eq!(templates.data()[0]["name"], "full_access");
        assert_eq!(reply.data()["permissions"], templates.data()[0]["permissions"]);
        assert_eq!(reply.data()["permissions"]["resources"].get("create_tokens"), None);
        assert_eq!(reply.data()["permissions"].get("admin"), None);
        let token = app.with(secret);
        token.check("projects.members.change_roles").await.expect(StatusCode::NO_CONTENT);
        token.check("resources.create_tokens").await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn a_token_keeps_every_field_that_was_asked_for(app: TestApp) {
        let user = app.user("ada").await;
        let reply = user.post(TOKENS, json!({
            "alias": "Production API Key",
            "public_key": KEY.to_uppercase(),
            "public_storage": { "display_name": "Zürich \u{1F680}", "n": [1, null, { "x": "\u{0}" }] },
            "ip_whitelist": ["192.168.1.0/24", HERE],
            "permissions": { "projects": { "read": true, "create": false, "members": { "invite": true } } },
            "realm_ids": [REALM_B, REALM_A, REALM_B],
            "allow_no_realm": false,
            "vault_access": true,
            "event_access": false,
            "expires_at": "2027-04-12T00:00:00Z",
            "otp_code": "123456",
        })).await;
        reply.expect(StatusCode::CREATED);
        let expected = json!({
            "alias": "Production API Key",
            "public_key": KEY,
            "public_storage": { "display_name": "Zürich \u{1F680}", "n": [1, null, { "x": "\u{0}" }] },
            "ip_whitelist": ["192.168.1.0/24", HERE],
            "permissions": { "projects": { "read": true, "members": { "invite": true } } },
            "realm_ids": [REALM_B, REALM_A],
            "allow_no_realm": false,
            "vault_access": true,
            "event_access": false,
            "expires_at": "2027-04-12T00:00:00.000Z",
        });
        assert_fields(reply.data(), &expected);
        let got = user.get(&format!("{TOKENS}/{}", reply.data()["id"].as_str().unwrap())).await;
        assert_fields(got.data(), &expected);
    }

    async fn an_expiry_is_read_in_every_form_on_create_update_and_copy(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "alias": "first" })).await;
        let path = format!("{TOKENS}/{}", token.id);
        for (given, shown) in [
            (json!(1_807_488_000), json!("2027-04-12T00:00:00.000Z")),
            (json!(1_807_488_000_000_u64), json!("2027-04-12T00:00:00.000Z")),
            (json!("1807488000"), json!("2027-04-12T00:00:00.000Z")),
            (json!("1807488000000"), json!("2027-04-12T00:00:00.000Z")),
            (json!("2027-04-12T00:00:00Z"), json!("2027-04-12T00:00:00.000Z")),
            (json!("2027-04-12T02:00:00+02:00"), json!("2027-04-12T00:00:00.000Z")),
            (json!("2027-04-12T00:00:00.118Z"), json!("2027-04-12T00:00:00.118Z")),
            (json!("2027-04-12"), json!("2027-04-12T00:00:00.000Z")),
            (json!("today"), json!("2026-03-03T00:00:00.000Z")),
            (json!("tomorrow"), json!("2026-03-03T09:15:42.118Z")),
            (json!(null), json!(null)),
        ] {
            let body = json!({ "expires_at": given });
            for reply in [
                user.post(TOKENS, body.clone()).await,
                user.patch(&path, body.clone()).await,
                user.post(&format!("{path}/copy"), body.clone()).await,
            ] {
                assert!(reply.status.is_success(), "{body}: {}", reply.text);
                assert_eq!(reply.data()["expires_at"], shown, "{body}");
            }
        }
    }

    async fn an_expiry_that_is_past_or_unreadable_is_refused_everywhere(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "expires_at": "tomorrow" })).await;
        let path = format!("{TOKENS}/{}", token.id);
        for (given, status, code) in [
            // Both samples of the published guide lie in the past by now.
            (json!(1_767_225_599_000_u64), 400, "EXPIRATION_IN_PAST"),
            (json!(1_735_689_599), 400, "EXPIRATION_IN_PAST"),
            (json!(0), 400, "EXPIRATION_IN_PAST"),
            (json!("2026-03-02T09:15:42.118Z"), 400, "EXPIRATION_IN_PAST"),
            (json!("yesterday"), 400, "INVALID_EXPIRATION_FORMAT"),
            (json!("Tomorrow"), 400, "INVALID_EXPIRATION_FORMAT"),
            (json!(""), 400, "INVALID_EXPIRATION_FORMAT"),
            (json!("-1"), 400, "INVALID_EXPIRATION_FORMAT"),
            (json!(-1), 400, "INVALID_EXPIRATION_FORMAT"),
            (json!(1.5), 400, "INVALID_EXPIRATION_FORMAT"),
            (json!(u64::MAX), 400, "INVALID_EXPIRATION_FORMAT"),
            (json!("99999999999999999999999"), 400, "INVALID_EXPIRATION_FORMAT"),
            (json!(true), 422, "VALIDATION_ERROR"),
            (json!([]), 422, "VALIDATION_ERROR"),
        ] {
            let body = json!({ "expires_at": given });
            user.post(TOKENS, body.clone()).await.refused(status, code);
            user.put(&path, body.clone()).await.refused(status, code);
            user.post(&format!("{path}/copy"), body).await.refused(status, code);
        }
        let list = user.get(TOKENS).await;
        assert_eq!(list.data().as_array().unwrap().len(), 1, "nothing was made");
        assert_eq!(list.data()[0]["expires_at"], "2026-03-03T09:15:42.118Z", "nothing was changed");
    }

    async fn an_address_list_is_shown_in_its_canonical_form(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        for (given, shown) in [
            (json!("*"), json!(["*"])),
            (json!(["*"]), json!(["*"])),
            (json!(["10.0.0.1", "*"]), json!(["*"])),
            (json!("203.0.113.10,203.0.113.20"), json!(["203.0.113.10", "203.0.113.20"])),
            (json!(" 203.0.113.10 , 10.0.0.0/8 "), json!(["203.0.113.10", "10.0.0.0/8"])),
            (json!(["10.1.2.3/8", "10.0.0.0/8"]), json!(["10.0.0.0/8"])),
            (json!(["203.0.113.50/32"]), json!(["203.0.113.50"])),
            (json!(["2001:DB8:0:0::1", "2001:db8::1/128"]), json!(["2001:db8::1"])),
            (json!(["2001:db8:0:1:ffff::/64"]), json!(["2001:db8:0:1::/64"])),
            (json!(["::ffff:10.1.2.3"]), json!(["10.1.2.3"])),
            (json!(["::ffff:10.0.0.0/104"]), json!(["10.0.0.0/8"])),
            (json!(["140.82.112.0/20"]), json!(["140.82.112.0/20"])),
        ] {
            let body = json!({ "ip_whitelist": given });
            let made = user.post(TOKENS, body.clone()).await;
            made.expect(StatusCode::CREATED);
            assert_eq!(made.data()["ip_whitelist"], shown, "{body}");
            let changed = user.put(&format!("{TOKENS}/{}", token.id), body.clone()).await;
            changed.expect(StatusCode::OK);
            assert_eq!(changed.data()["ip_whitelist"], shown, "{body}");
        }
    }

    async fn an_address_list_that_can_be_read_in_two_ways_is_refused(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let many: Vec<String> = (0..1001).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
        for (given, code) in [
            (json!([]), "INVALID_IP_FORMAT"),
            (json!(""), "INVALID_IP_FORMAT"),
            (json!(["10.0.0.1", "nonsense"]), "INVALID_IP_FORMAT"),
            (json!(["010.0.0.1"]), "INVALID_IP_FORMAT"),
            (json!(["0x7f.1"]), "INVALID_IP_FORMAT"),
            (json!(["127.1"]), "INVALID_IP_FORMAT"),
            (json!(["10.0.0.0/33"]), "INVALID_IP_FORMAT"),
            (json!(["10.0.0.0/08"]), "INVALID_IP_FORMAT"),
            (json!(["fe80::1%eth0"]), "INVALID_IP_FORMAT"),
            (json!(["10.*"]), "INVALID_IP_FORMAT"),
            (json!(["10.0.0.1 "]), "INVALID_IP_FORMAT"),
            (json!("10.0.0.1,,10.0.0.2"), "INVALID_IP_FORMAT"),
            (json!(many), "IP_WHITELIST_TOO_LARGE"),
            (json!("1.2.3.4,".repeat(9_000)), "IP_WHITELIST_TOO_LARGE"),
        ] {
            let body = json!({ "ip_whitelist": given });
            user.post(TOKENS, body.clone()).await.refused(400, code);
            user.patch(&format!("{TOKENS}/{}", token.id), body).await.refused(400, code);
        }
        let largest = user.post(TOKENS, json!({ "ip_whitelist": many[..1000] })).await;
        largest.expect(StatusCode::CREATED);
        let too_large = user.post(TOKENS, json!({ "ip_whitelist": many })).await;
        assert_eq!(too_large.body["error"], "IP_WHITELIST_TOO_LARGE");
    }

    async fn a_token_works_from_its_addresses_and_from_no_other(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "ip_whitelist": "10.0.0.0/8, 2001:db8::/32, 203.0.113.50" })).await;
        for (address, allowed) in [
            ("10.255.0.1", true),
            ("::ffff:10.1.2.3", true),
            ("2001:db8:ffff::1", true),
            ("203.0.113.50", true),
            (HERE, false),
            ("11.0.0.1", false),
            ("2001:db9::1", false),
            ("::10.1.2.3", false),
            ("64:ff9b::a01:203", false),
        ] {
            let reply = token.client.from(address).check("").await;
            if allowed {
                reply.expect(StatusCode::NO_CONTENT);
            } else {
                reply.refused(403, "IP_NOT_WHITELISTED");
                assert!(!reply.text.contains(address), "the refusal repeats the address: {}", reply.text);
            }
        }
    }

    async fn every_template_is_listed_resolved_and_can_be_asked_for(app: TestApp) {
        let user = app.user("ada").await;
        let templates = user.get("/api/v1/auth/tokens/templates").await;
        templates.expect(StatusCode::OK);
        assert_eq!(templates.body["message"], "Permission templates retrieved successfully");
        let templates = templates.data().as_array().unwrap();
        let names: Vec<_> = templates.iter().map(|template| template["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["full_access", "external_customer", "dev_team", "finance_team", "read_only"]);
        for template in templates {
            assert!(!template["description"].as_str().unwrap().is_empty());
            let other = json!({ "resources": { "vault": true } });
            let body = json!({ "permission_template": template["name"], "permissions": other });
            let made = user.post(TOKENS, body).await;
            made.expect(StatusCode::CREATED);
            assert_eq!(made.data()["permissions"], template["permissions"], "the template wins");
        }
        for (template, may, may_not) in [
            ("external_customer", "containers.actions.start", "projects.create"),
            ("dev_team", "projects.update", "resources.vault"),
            ("finance_team", "financial.wallet.transfer", "containers.create"),
            ("read_only", "projects.read", "projects.update"),
        ] {
            let token = user.mint(json!({ "permission_template": template })).await;
            token.client.check(may).await.expect(StatusCode::NO_CONTENT);
            token.client.check(may_not).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        }
        let null = json!({ "permission_template": null, "permissions": { "projects": { "read": true } } });
        let made = user.post(TOKENS, null).await;
        assert_eq!(
            made.data()["permissions"],
            json!({ "projects": { "read": true } }),
            "null is as if absent"
        );
    }

    async fn permissions_that_are_given_grant_what_they_name_and_nothing_else(app: TestApp) {
        let user = app.user("ada").await;
        let some = user.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        some.client.check("projects.read").await.expect(StatusCode::NO_CONTENT);
        let refused = some.client.check("projects.update").await;
        refused.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert!(refused.body["message"].as_str().unwrap().contains("projects.update"), "{}", refused.text);
        let none = user.mint(json!({ "permissions": {} })).await;
        none.client.check("").await.expect(StatusCode::NO_CONTENT);
        none.client.check("projects.read").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        // What is for accounts alone can be carried, and grants nothing.
        let admin = user.mint(json!({ "permissions": { "admin": { "users": true } } })).await;
        admin.client.check("admin.users").await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn a_token_that_denies_reauthorization_is_bounded_and_has_no_vault(app: TestApp) {
        let user = app.user("ada").await;
        let tomorrow = "2026-03-03T09:15:42.118Z";
        for body in [
            json!({ "deny_reauthorization": true }),
            json!({ "deny_reauthorization": true, "expires_at": null }),
            json!({ "deny_reauthorization": true, "permission_template": "full_access" }),
        ] {
            let made = user.post(TOKENS, body.clone()).await;
            made.expect(StatusCode::CREATED);
            assert_fields(made.data(), &json!({ "expires_at": tomorrow, "vault_access": false }));
            let resources = &made.data()["permissions"]["resources"];
            assert_eq!((resources.get("vault"), resources.get("create_tokens")), (None, None), "{body}");
            assert_eq!(resources["events"], true, "{body}");
        }
        let bounded = json!({ "deny_reauthorization": true, "expires_at": 1_807_488_000 });
        assert_eq!(user.post(TOKENS, bounded).await.data()["expires_at"], "2027-04-12T00:00:00.000Z");
        for contradiction in [
            json!({ "vault_access": true }),
            json!({ "permissions": { "resources": { "vault": true } } }),
            json!({ "permissions": { "resources": { "create_tokens": true } } }),
        ] {
            let mut body = contradiction;
            body["deny_reauthorization"] = json!(true);
            user.post(TOKENS, body).await.refused(400, "VALIDATION_ERROR");
        }
    }

    async fn a_token_without_a_name_is_given_one(app: TestApp) {
        let user = app.user("ada").await;
        let mut seen = std::collections::HashSet::new();
        for _ in 0..12 {
            let alias = user.post(TOKENS, json!({})).await.data()["alias"].as_str().unwrap().to_owned();
            let mut words = alias.split('-');
            for word in [words.next(), words.next()] {
                assert!(word.is_some_and(|word| word.bytes().all(|b| b.is_ascii_lowercase())), "{alias}");
            }
            assert!(seen.insert(alias), "each has its own");
        }
    }

    async fn an_alias_is_plain_and_not_too_long(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "alias": "a" })).await;
        for alias in ["GitHub Actions CI", "_", "-", &"x".repeat(254)] {
            user.post(TOKENS, json!({ "alias": alias })).await.expect(StatusCode::CREATED);
        }
        for alias in ["", " ", "a/b", "a.b", "é", "a\n", "a\u{0}", "<b>", "%", &"x".repeat(255)] {
            let body = json!({ "alias": alias });
            user.post(TOKENS, body.clone()).await.refused(400, "INVALID_ALIAS_FORMAT");
            user.put(&format!("{TOKENS}/{}", token.id), body.clone())
                .await
                .refused(400, "INVALID_ALIAS_FORMAT");
            user.post(&format!("{TOKENS}/{}/copy", token.id), body)
                .await
                .refused(400, "INVALID_ALIAS_FORMAT");
        }
    }

    async fn an_alias_is_used_once_in_an_account(app: TestApp) {
        let user = app.user("ada").await;
        let ci = user.mint(json!({ "alias": "ci" })).await;
        let other = user.mint(json!({ "alias": "other" })).await;
        let taken = json!({ "alias": "ci" });
        let refused = user.post(TOKENS, taken.clone()).await;
        refused.refused(400, "DUPLICATE_ALIAS");
        assert_eq!(refused.body["error"], "DUPLICATE_ALIAS");
        assert_eq!(refused.body["message"], "Alias \"ci\" already exists for this user");
        let path = format!("{TOKENS}/{}", other.id);
        user.patch(&path, taken.clone()).await.refused(400, "DUPLICATE_ALIAS");
        user.post(&format!("{path}/copy"), taken.clone()).await.refused(400, "DUPLICATE_ALIAS");
        // Its own name is no duplicate, another account's neither, and a deleted one's is free.
        user.patch(&format!("{TOKENS}/{}", ci.id), taken.clone()).await.expect(StatusCode::OK);
        app.user("bob").await.post(TOKENS, taken.clone()).await.expect(StatusCode::CREATED);
        user.delete(&format!("{TOKENS}/{}", ci.id)).await.expect(StatusCode::OK);
        user.post(TOKENS, taken).await.expect(StatusCode::CREATED);
    }

    async fn of_many_who_ask_for_one_alias_at_once_one_gets_it(app: TestApp) {
        let user = app.user("ada").await;
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let user = user.clone();
            asking.spawn(async move { user.post(TOKENS, json!({ "alias": "ci" })).await });
        }
        let replies = asking.join_all().await;
        let made = replies.iter().filter(|reply| reply.status == StatusCode::CREATED).count();
        assert_eq!(made, 1, "{replies:?}");
        for reply in replies.iter().filter(|reply| reply.status != StatusCode::CREATED) {
            reply.refused(400, "DUPLICATE_ALIAS");
        }
    }

    async fn a_long_list_is_whole_and_says_what_it_leaves_out(app: TestApp) {
        let user = app.user("ada").await;
        let addresses: Vec<_> = (0..1_000).map(|n| format!("10.{}.{}.0/24", n / 250, n % 250)).collect();
        let mut expected = Vec::new();
        for n in 0..60 {
            app.service.advance(i64::from(n % 3 == 0));
            let body = json!({"alias": format!("t{n}"), "ip_whitelist": addresses, "realm_ids": [REALM_A]});
            let mut made = user.post(TOKENS, body).await.expect(StatusCode::CREATED).data().clone();
            made.as_object_mut().unwrap().remove("token");
            expected.push(made);
        }
        app.service.poll().await;
        expected.sort_by_key(|token| {
            let text = |name: &str| token[name].as_str().unwrap().to_owned();
            std::cmp::Reverse((text("created_at"), text("id")))
        });
        let before = app.service.large_works();
        let list = user.get(TOKENS).await;
        assert_eq!(list.expect(StatusCode::OK).data(), &json!(expected));
        assert_eq!(list.body["message"], "Auth tokens retrieved successfully");
        assert!(list.body.get("truncated").is_none());
        assert!(app.service.large_works() >= before + 2, "each page has another thread");
        assert_eq!(user.realm(REALM_B).get(TOKENS).await.data(), &json!([]));
        // A token that may less sees itself, and that there are others.
        let least = user.mint(json!({"permissions": {}})).await;
        let list = least.client.get(TOKENS).await;
        assert_eq!(list.expect(StatusCode::OK).data().as_array().unwrap().len(), 1);
        assert_eq!((&list.data()[0]["id"], &list.body["truncated"]), (&json!(least.id), &json!(true)));
    }

    async fn a_field_that_breaks_its_rule_is_refused_with_its_code(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({})).await;
        let storage =
            |bytes: usize| json!({ "public_storage": { "a": "x".repeat(bytes - r#"{"a":""}"#.len()) } });
        user.post(TOKENS, storage(65_536)).await.expect(StatusCode::CREATED);
        for (body, code) in [
            (json!({ "public_key": "xyz" }), "INVALID_PUBLIC_KEY_FORMAT"),
            (json!({ "public_key": "g".repeat(64) }), "INVALID_PUBLIC_KEY_FORMAT"),
            (storage(65_537), "PUBLIC_STORAGE_TOO_LARGE"),
            (json!({ "realm_ids": ["A".repeat(24)] }), "INVALID_REALM_ID_FORMAT"),
            (json!({ "realm_ids": [REALM_A, "short"] }), "INVALID_REALM_ID_FORMAT"),
            (json!({ "realm_ids": vec![REALM_A; 501] }), "VALIDATION_ERROR"),
        ] {
            user.post(TOKENS, body.clone()).await.refused(400, code);
            user.put(&format!("{TOKENS}/{}", token.id), body).await.refused(400, code);
        }
        let list = user.get(TOKENS).await;
        assert_eq!(list.data().as_array().unwrap().len(), 2, "nothing else was made");
    }

    async fn a_one_time_code_is_accepted_wherever_the_contract_has_one(app: TestApp) {
        let user = app.user("ada").await;
        let token = user.mint(json!({ "otp_code": "ABCDE12345" })).await;
        let path = format!("{TOKENS}/{}", token.id);
        user.put(&path, json!({ "alias": "b", "otp_code": "123456" })).await.expect(StatusCode::OK);
        user.post(&format!("{path}/copy"), json!({ "otp_code": "123456" })).await.expect(StatusCode::CREATED);
        for change in ["add-realm", "remove-realm"] {
            let body = json!({ "realm_id": REALM_A, "otp_code": "123456" });
            user.post(&format!("{path}/{change}"), body).await.expect(StatusCode::OK);
        }
        let long = json!({ "otp_code": "1234567890123" });
        let refused = user.post(TOKENS, long).await;
        refused.refused(422, "VALIDATION_ERROR");
        assert_eq!(refused.data()[0]["instancePath"], "/otp_code");
        assert!(!refused.text.contains("1234567890123"));
    }

    async fn the_seeds_post_a_login_and_a_token_without_a_content_type_of_json(app: TestApp) {
        app.service.create_user("your_username", None, PASSWORD).await;
        let curl = app.anon().header("content-type", "application/x-www-form-urlencoded");
        let login = curl
            .post("/api/v1/users/auth/login", json!({ "username": "your_username", "password": PASSWORD }))
            .await;
        login.expect(StatusCode::OK);
        let jwt = login.data()["token"].as_str().unwrap();
        let curl = app.with(jwt).header("content-type", "application/x-www-form-urlencoded");
        let made =
            curl.post(TOKENS, json!({ "alias": "My Token", "expires_at": "2027-04-12T00:00:00Z" })).await;
        made.expect(StatusCode::CREATED);
        assert_eq!(made.data()["alias"], "My Token");
    }
}
