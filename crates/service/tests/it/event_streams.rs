//! Streams of events: what they tell and when, resuming, and every way in which they end.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::routes::tree;
use crate::support::{Client, PASSWORD, REALM_A, REALM_B, on_both};

/// How long a stream may go on without its credential, and then some for a busy machine.
const BOUND: Duration = Duration::from_millis(1_000);

/// One stream as its reader has it.
pub(crate) struct Stream {
    body: BodyDataStream,
    text: String,
    /// The last id: what `Last-Event-ID` will say.
    pub(crate) last: String,
}

/// What a stream said.
#[derive(Debug, PartialEq)]
enum Said {
    Event(Value),
    End(Value),
    Over,
}

impl Stream {
    pub(crate) async fn open(client: &Client, query: &str) -> Self {
        let path = format!("/api/v1/events/stream?{query}");
        let response = client.open(Method::GET, &path, Body::empty()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut stream =
            Self { body: response.into_body().into_data_stream(), text: String::new(), last: String::new() };
        let first = stream.block().await.unwrap();
        assert!(first.starts_with("retry: 1000\nid: "), "{first}");
        stream.note_id(&first);
        stream
    }

    pub(crate) async fn resume(client: &Client, last: &str) -> Self {
        Self::open(&client.header("last-event-id", last), "").await
    }

    fn note_id(&mut self, block: &str) {
        if let Some(id) = block.lines().find_map(|line| line.strip_prefix("id: ")) {
            assert_eq!(id.len(), 46);
            id.clone_into(&mut self.last);
        }
    }

    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                return Some(std::mem::replace(&mut self.text, rest).trim_end().to_owned());
            }
            let bytes = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn next(&mut self) -> Said {
        tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let Some(block) = self.block().await else { return Said::Over };
                self.note_id(&block);
                let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) else { continue };
                let data = serde_json::from_str(data).unwrap();
                return if block.contains("event: end") { Said::End(data) } else { Said::Event(data) };
            }
        })
        .await
        .expect("the stream says something in ten seconds")
    }

    /// The alias in the next event's payload.
    pub(crate) async fn alias(&mut self) -> String {
        match self.next().await {
            Said::Event(event) => event["payload"]["alias"].as_str().unwrap_or_default().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// The paths of single projects in what is told of requests, until a project of this alias was made.
    async fn projects_until(&mut self, alias: &str) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let Said::Event(event) = self.next().await else { panic!("no event") };
            if event["payload"]["alias"] == alias {
                return told;
            }
            let path = event["payload"]["path"].as_str().unwrap_or_default();
            if path.starts_with("/api/v1/projects/") {
                told.push(path.to_owned());
            }
        }
    }

    /// Fails the test unless the stream ends with this code, in time.
    async fn ends(&mut self, code: &str, why: &str) {
        let began = Instant::now();
        match self.next().await {
            Said::End(end) => assert_eq!(end["code"], code, "{why}: {end}"),
            other => panic!("{why}: {other:?}"),
        }
        assert!(began.elapsed() < BOUND, "{why}: it took {:?}", began.elapsed());
        assert_eq!(self.next().await, Said::Over, "{why}");
    }
}

async fn make(owner: &Client, alias: &str, realms: &[&str]) {
    let made = owner.post("/api/v1/projects", json!({ "alias": alias, "realm_ids": realms })).await;
    made.expect(StatusCode::CREATED);
}

on_both! {
    async fn a_stream_tells_what_happens_as_the_history_has_it(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        app.user("bob").await;
        assert!(app.service.poll().await && second.poll().await);
        let (mut here, mut there) = (Stream::open(&owner, "").await, Stream::open(&owner.at(&second), "").await);
        make(&app.login("bob").await, "not hers", &[]).await;
        make(&owner, "web", &[REALM_A]).await;
        let token = owner.mint(json!({ "alias": "ci" })).await;
        assert!(app.service.poll().await && second.poll().await);
        app.service.project().await;
        let history = owner.get("/api/v1/events?sort_order=asc&start_date=2026-03-02&limit=2&offset=2").await;
        for stream in [&mut here, &mut there] {
            for n in 0..2 {
                let Said::Event(event) = stream.next().await else { panic!("no event") };
                assert_eq!(event, history.data()["events"][n]);
                assert_eq!(event["cursor"], stream.last.as_str());
                assert!(!event.to_string().contains(&token.secret));
            }
        }
    }

    async fn a_stream_goes_on_from_its_last_id_without_gap_or_double(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.poll().await;
        let mut stream = Stream::open(&owner, "").await;
        let mut last = stream.last.clone();
        // Each is told by another road: the queue, the history, the feed that is not projected yet, and
        // a mixture of them.
        for n in 0..40 {
            make(&owner, &format!("p{n}"), &[]).await;
            app.service.poll().await;
            if n % 4 == 1 {
                app.service.project().await;
            }
            if n % 5 == 2 {
                drop(stream);
                stream = Stream::resume(&owner, &last).await;
            }
            if n % 5 == 4 {
                for told in n - 4..=n {
                    assert_eq!(stream.alias().await, format!("p{told}"));
                }
                last.clone_from(&stream.last);
            }
        }
        // The very last one again, when nothing has happened since.
        let mut stream = Stream::resume(&owner, &last).await;
        make(&owner, "one more", &[]).await;
        app.service.poll().await;
        assert_eq!(stream.alias().await, "one more");
    }

    async fn a_stream_that_reconnects_while_others_write_misses_nothing(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.start();
        let mut stream = Stream::open(&owner, "event_type=project.*").await;
        let mut last = stream.last.clone();
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let owner = owner.clone();
                tokio::spawn(async move {
                    for n in 0..20 {
                        make(&owner, &format!("{writer}-{n}"), &[]).await;
                    }
                })
            })
            .collect();
        let mut told = Vec::new();
        while told.len() < 60 {
            if told.len() % 7 == 3 {
                drop(stream);
                let again = owner.header("last-event-id", &last);
                stream = Stream::open(&again, "event_type=project.*").await;
            }
            told.push(stream.alias().await);
            last.clone_from(&stream.last);
        }
        for writer in writers {
            writer.await.unwrap();
        }
        for writer in 0..3 {
            let of_one: Vec<_> = told.iter().filter(|alias| alias.starts_with(&format!("{writer}-"))).collect();
            let expected: Vec<_> = (0..20).map(|n| format!("{writer}-{n}")).collect();
            assert_eq!(of_one, expected.iter().collect::<Vec<_>>());
        }
    }

    async fn a_stream_tells_only_what_is_asked_for_and_may_be_seen(app: TestApp) {
        let owner = app.user("ada").await;
        let body = json!({ "realm_ids": [REALM_A], "permissions": tree(|leaf| leaf == "resources.events") });
        let bound = owner.mint(body).await.client.realm(REALM_A);
        app.service.poll().await;
        let mut by_type = Stream::open(&owner, "event_type=auth.token.*,project.deleted").await;
        let mut by_kind = Stream::open(&owner, "resource_type=project").await;
        let mut by_realm = Stream::open(&owner, &format!("realm_id={REALM_B}")).await;
        let mut of_token = Stream::open(&bound, "").await;
        make(&owner, "none", &[]).await;
        make(&owner, "b", &[REALM_B]).await;
        make(&owner, "a", &[REALM_A, REALM_B]).await;
        owner.mint(json!({ "alias": "ci", "realm_ids": [REALM_A] })).await;
        app.service.poll().await;
        assert_eq!(by_type.alias().await, "ci");
        for (stream, expected) in
            [(&mut by_kind, &["none", "b", "a"][..]), (&mut by_realm, &["b", "a"]), (&mut of_token, &["a", "ci"])]
        {
            for alias in expected {
                assert_eq!(stream.alias().await, *alias);
            }
        }
        for (query, status, code) in [
            ("event_type=A", 400, "INVALID_PARAMETER_VALUE"),
            ("event_type=auth.*.created", 400, "INVALID_PARAMETER_VALUE"),
            ("resource_type=%25", 400, "INVALID_PARAMETER_VALUE"),
            ("realm_id=x", 400, "INVALID_REALM_ID_FORMAT"),
            ("after=x", 400, "EVENTS_CURSOR_INVALID"),
        ] {
            owner.get(&format!("/api/v1/events/stream?{query}")).await.refused(status, code);
        }
        owner.header("last-event-id", "x").get("/api/v1/events/stream").await
            .refused(400, "EVENTS_CURSOR_INVALID");
        bound.get(&format!("/api/v1/events/stream?realm_id={REALM_B}")).await
            .refused(403, "REALM_NOT_ALLOWED");
    }

    async fn a_stream_ends_when_its_token_is_stopped_wherever_that_happens(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        type Change = (&'static str, Option<Value>, &'static str);
        let changes: [Change; 8] = [
            ("deleted", None, "INVALID_TOKEN"),
            ("disabled", Some(json!({ "is_enabled": false })), "INVALID_TOKEN"),
            ("event_access", Some(json!({ "event_access": false })), "INSUFFICIENT_PERMISSIONS"),
            ("permissions", Some(json!({ "permissions": {} })), "INSUFFICIENT_PERMISSIONS"),
            ("address", Some(json!({ "ip_whitelist": "10.0.0.0/8" })), "IP_NOT_WHITELISTED"),
            ("realm", Some(json!({ "realm_ids": [REALM_B] })), "REALM_NOT_ALLOWED"),
            ("no realm", Some(json!({ "allow_no_realm": false })), "REALM_SCOPE_REQUIRED"),
            ("expiry", Some(json!({ "expires_at": app.service.now().millis() + 60_000 })), "TOKEN_EXPIRED"),
        ];
        for (why, change, code) in changes {
            let realms = if why == "realm" { vec![REALM_A, REALM_B] } else { vec![] };
            let token = owner.mint(json!({ "realm_ids": realms })).await;
            let client = if why == "realm" { token.client.realm(REALM_A) } else { token.client.clone() };
            let here = Stream::open(&client, "").await;
            let there = Stream::open(&client.at(&second), "").await;
            let path = format!("/api/v1/auth/tokens/{}", token.id);
            let is_expiry = why == "expiry";
            let reply = match change {
                Some(change) => owner.put(&path, change).await,
                None => owner.delete(&path).await,
            };
            reply.expect(StatusCode::OK);
            // What happens after it is told to nobody.
            make(&owner, &format!("after {why}"), &[REALM_A]).await;
            if is_expiry {
                second.advance(60_000);
                app.service.advance(60_000);
            }
            assert!(app.service.poll().await && second.poll().await);
            for (mut stream, place) in [(here, "here"), (there, "there")] {
                stream.ends(code, &format!("{why} {place}")).await;
            }
        }
    }

    async fn a_stream_ends_with_its_session_or_account(app: TestApp) {
        let second = app.another_node().await;
        let owner = app.user("ada").await;
        let account = owner.account().await;
        let streams = async |client: &Client| {
            [Stream::open(client, "").await, Stream::open(&client.at(&second), "").await]
        };
        let both_end = async |streams: [Stream; 2], code: &str, why: &str| {
            assert!(app.service.poll().await && second.poll().await);
            for mut stream in streams {
                stream.ends(code, why).await;
            }
        };
        // The one who logs out is at neither stream's node's cache alone.
        let open = streams(&owner).await;
        owner.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        both_end(open, "INVALID_TOKEN", "logout").await;

        let owner = app.login("ada").await;
        let open = streams(&owner).await;
        let body = json!({ "password": "another horse battery", "current_password": PASSWORD });
        owner.put(&format!("/api/v1/users/{account}"), body).await.expect(StatusCode::OK);
        both_end(open, "INVALID_TOKEN", "password").await;

        let body = json!({ "username": "ada", "password": "another horse battery" });
        let login = app.anon().post("/api/v1/users/auth/login", body.clone()).await;
        let owner = app.with(login.data()["token"].as_str().unwrap());
        let token = owner.mint(json!({})).await;
        let open = streams(&token.client).await;
        app.service.ban_elsewhere("ada", true).await;
        both_end(open, "ACCOUNT_BANNED", "ban").await;

        app.service.ban_elsewhere("ada", false).await;
        let login = app.anon().post("/api/v1/users/auth/login", body).await;
        let owner = app.with(login.data()["token"].as_str().unwrap());
        let open = streams(&owner).await;
        second.advance(25 * 3_600_000);
        app.service.advance(25 * 3_600_000);
        both_end(open, "TOKEN_EXPIRED", "a day").await;
    }

    async fn a_node_that_cannot_know_tells_nothing(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        let token = owner.mint(json!({})).await;
        // Stale, but the database answers: it is asked.
        second.poll().await;
        let mut stream = Stream::open(&token.client.at(&second), "").await;
        make(&owner, "seen", &[]).await;
        assert!(second.poll().await);
        second.advance(5_000);
        assert_eq!(stream.alias().await, "seen");
        owner.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.expect(StatusCode::OK);
        stream.ends("INVALID_TOKEN", "asked of the database").await;
        // Stale, and it does not.
        second.poll().await;
        let mut stream = Stream::open(&owner.at(&second), "").await;
        make(&owner, "waits", &[]).await;
        assert!(second.poll().await);
        second.cut_database().await;
        second.advance(5_000);
        match stream.next().await {
            Said::End(end) => assert_eq!(end["code"], "UNAVAILABLE"),
            other => panic!("{other:?}"),
        }
        // The place did not move: what was not told is told elsewhere.
        let mut stream = Stream::resume(&owner, &stream.last).await;
        app.service.poll().await;
        let mut told = Vec::new();
        while told.last().is_none_or(|alias| alias != "waits") {
            told.push(stream.alias().await);
        }
        assert!(told.len() <= 3, "{told:?}");
    }

    async fn a_slow_reader_learns_where_to_go_on(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.poll().await;
        let mut slow = Stream::open(&owner, "").await;
        for n in 0..300 {
            owner.put("/api/v1/vault/keys/k", json!({ "value": n.to_string() })).await;
        }
        app.service.poll().await;
        let mut told = 0;
        let end = loop {
            match slow.next().await {
                Said::Event(_) => told += 1,
                Said::End(end) => break end,
                Said::Over => panic!("it ended without a word"),
            }
        };
        assert_eq!(told, 256, "what was in the queue");
        assert_eq!(end["code"], "EVENTS_STREAM_LAGGED");
        assert_eq!(end["resume_after"], slow.last.as_str());
        app.service.project().await;
        let mut stream = Stream::resume(&owner, end["resume_after"].as_str().unwrap()).await;
        make(&owner, "the end", &[]).await;
        app.service.poll().await;
        let mut rest = 0;
        while stream.alias().await != "the end" {
            rest += 1;
        }
        assert_eq!(told + rest, 300);
    }

    async fn an_account_has_so_many_streams_and_no_more(app: TestApp) {
        let owner = app.user("ada").await;
        let mut streams = Vec::new();
        for _ in 0..100 {
            streams.push(Stream::open(&owner, "").await);
        }
        let refused = owner.get("/api/v1/events/stream").await;
        refused.refused(429, "RATE_LIMIT_EXCEEDED");
        assert!(refused.headers.contains_key("retry-after"));
        Stream::open(&app.user("bob").await, "").await;
        streams.pop();
        streams.push(Stream::open(&owner, "").await);
    }

    async fn a_stream_into_another_database_ends(app: TestApp) {
        let owner = app.user("ada").await;
        make(&owner, "web", &[]).await;
        app.service.poll().await;
        let mut stream = Stream::open(&owner, "").await;
        app.service.tamper("UPDATE feed_head SET pos = 1").await;
        app.service.poll().await;
        stream.ends("EVENTS_HISTORY_RESET", "restored").await;
    }

    /// A crash may take back what other nodes saw and nobody was told of; something else stands there then.
    async fn a_stream_into_another_history_of_the_same_length_ends(app: TestApp) {
        let owner = app.user("ada").await;
        make(&owner, "web", &[]).await;
        app.service.poll().await;
        let mut stream = Stream::open(&owner, "").await;
        app.service.tamper("UPDATE feed SET at = at + 1 WHERE pos = (SELECT pos FROM feed_head)").await;
        app.service.poll().await;
        stream.ends("EVENTS_HISTORY_RESET", "restored").await;
    }

    async fn handshakes_of_one_64_have_a_share_until_they_say_who_they_are(app: TestApp) {
        const OPEN: &str = "/api/v1/events?EIO=4&transport=polling";
        let owner = app.user("ada").await;
        let mut sids = Vec::new();
        for n in 0..64 {
            let opened = app.anon().from(&format!("2001:db8:1:1::{n:x}")).get(OPEN).await;
            let said: Value = serde_json::from_str(&opened.expect(StatusCode::OK).text[1..]).unwrap();
            sids.push(said["sid"].as_str().unwrap().to_owned());
        }
        let another = app.anon().from("2001:db8:1:1:ffff::1");
        another.get(OPEN).await.refused(429, "RATE_LIMIT_EXCEEDED");
        app.anon().from("2001:db8:1:2::1").get(OPEN).await.expect(StatusCode::OK);
        // One that says who it is makes room.
        let path = format!("{OPEN}&sid={}", sids[0]);
        let connect = format!("40{}", json!({"token": owner.credential}));
        another.send(Method::POST, &path, connect.into_bytes()).await.expect(StatusCode::OK);
        let mut told = String::new();
        while !told.contains("40{") {
            // A ping may come first.
            let polled = another.get(&path).await;
            told.push_str(&polled.expect(StatusCode::OK).text);
        }
        another.get(OPEN).await.expect(StatusCode::OK);
        another.get(OPEN).await.refused(429, "RATE_LIMIT_EXCEEDED");
    }

    async fn requests_are_told_live_to_those_who_ask_for_them_alone(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        app.service.start();
        let mut all = Stream::open(&owner, "event_type=*").await;
        let mut asked = Stream::open(&owner, "event_type=activity.logged,project.created").await;
        token.client.header("referer", "canary").get("/api/v1/projects?limit=77").await.expect(StatusCode::OK);
        token.client.post("/api/v1/auth/tokens", json!({})).await;
        make(&owner, "web", &[]).await;
        assert!(app.service.flush_activity().await);
        let mut told = Vec::new();
        let mut projects = 0;
        while projects == 0 || !told.contains(&"/api/v1/projects 200".to_owned()) {
            let Said::Event(event) = asked.next().await else { panic!("no event") };
            if event["event_type"] == "project.created" {
                projects += 1;
                continue;
            }
            assert_eq!((&event["event_type"], &event["ephemeral"]), (&json!("activity.logged"), &json!(true)));
            assert_eq!(event["resource_type"], "activity_log");
            assert!(event.get("cursor").is_none() && !event.to_string().contains("canary"), "{event}");
            assert!(!event.to_string().contains("limit"), "{event}");
            if event["payload"]["token_id"] == token.id.as_str() {
                let payload = &event["payload"];
                told.push(format!("{} {}", payload["path"].as_str().unwrap(), payload["status_code"]));
            }
        }
        loop {
            let Said::Event(event) = all.next().await else { panic!("no event") };
            assert_ne!(event["event_type"], "activity.logged");
            if event["event_type"] == "project.created" {
                break;
            }
        }
        // Kept nowhere but in the request log.
        let kept = "SELECT COUNT(*) AS n FROM events WHERE event_type = 'activity.logged'";
        assert_eq!(app.service.number(kept).await, 0);
    }

    async fn requests_of_every_node_are_told_once_each(app: TestApp) {
        let second = app.another_node().await;
        let owner = app.user("ada").await;
        let there = owner.at(&second);
        assert!(!app.service.tell_activity().await, "nobody asks");
        let mut asked = Stream::open(&owner, "event_type=activity.logged,project.created").await;
        let mut expected = Vec::new();
        for round in 0..6 {
            for (node, client) in [&owner, &there].into_iter().enumerate() {
                let path = format!("/api/v1/projects/{round:012x}{node:012x}");
                client.get(&path).await.expect(StatusCode::NOT_FOUND);
                expected.push(path);
            }
            // What is not stored is not told, and what is stored late is told then.
            assert!(round == 0 || second.flush_activity().await);
            assert!(round == 1 || app.service.flush_activity().await);
            assert!(app.service.tell_activity().await);
            if round == 0 {
                make(&owner, "unstored", &[]).await;
                app.service.poll().await;
                assert_eq!(asked.projects_until("unstored").await, [expected[0].clone()]);
            }
        }
        make(&owner, "end", &[]).await;
        app.service.poll().await;
        let mut told = asked.projects_until("end").await;
        told.sort();
        expected.remove(0);
        expected.sort();
        assert_eq!(told, expected);
        drop(asked);
        assert!(!app.service.tell_activity().await, "nobody asks any more");
        there.get("/api/v1/projects/000000000000000000000009").await.expect(StatusCode::NOT_FOUND);
        assert!(second.flush_activity().await && app.service.flush_activity().await);
        let mut again = Stream::open(&owner, "event_type=activity.logged,project.created").await;
        make(&owner, "again", &[]).await;
        app.service.poll().await;
        assert!(app.service.tell_activity().await);
        assert_eq!(again.projects_until("again").await, [""; 0], "what was before is not told");
    }

    async fn requests_that_are_not_read_in_time_cost_no_stream_its_place(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.poll().await;
        let mut asked = Stream::open(&owner, "event_type=activity.logged,project.created").await;
        for n in 0..300 {
            owner.get(&format!("/api/v1/projects/{n:024x}")).await.expect(StatusCode::NOT_FOUND);
        }
        assert!(app.service.flush_activity().await && app.service.tell_activity().await);
        make(&owner, "end", &[]).await;
        app.service.poll().await;
        let told = asked.projects_until("end").await;
        assert!((1..300).contains(&told.len()), "{} were told", told.len());
    }

    async fn streams_end_when_the_node_stops(app: TestApp) {
        let owner = app.user("ada").await;
        let mut stream = Stream::open(&owner, "").await;
        app.service.stop_streams();
        stream.ends("UNAVAILABLE", "stop").await;
    }

    async fn a_stream_that_begins_in_the_past_is_told_of_what_goes_before_it_is_read(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.project().await;
        let last = Stream::open(&owner, "").await.last;
        make(&owner, "web", &[]).await;
        app.service.project().await;
        let mut stream = Stream::resume(&owner, &last).await;
        owner.send(Method::DELETE, "/api/v1/events", b"{}".to_vec()).await.expect(StatusCode::OK);
        stream.ends("EVENTS_HISTORY_RESET", "the history was deleted").await;
    }
}
