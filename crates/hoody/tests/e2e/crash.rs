//! kill -9 in the middle of writes: nothing acknowledged is missing, nothing deleted is back.
//!
//! Writers create, disable, enable and delete tokens and refresh sessions, and keep a ledger of what the
//! server acknowledged and of what they asked for without hearing the answer. After each kill the server
//! is started again and held against the ledgers, and the feed against the tables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Client, PASSWORD, Place, Reply, Server, WHOLE_MACHINE, eventually, on_both};

const KILLS: u64 = 20;
const WRITERS: usize = 4;
const TOKENS: &str = "/api/v1/auth/tokens";
const REFRESH: &str = "/api/v1/users/auth/refresh";
/// Far more than a round takes.
const ROUND: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Enabled,
    Disabled,
    Deleted,
}

/// What a writer knows of a token.
#[derive(Debug)]
struct Known {
    secret: String,
    /// What was acknowledged last.
    state: State,
    /// What was asked for and not answered: it may be so or not.
    asked: Option<State>,
    /// Whether something was acknowledged since it was last checked.
    is_new: bool,
}

/// A session: the pair in force, and the refresh tokens before it.
#[derive(Debug)]
struct Session {
    access: String,
    refresh: String,
    older: Vec<String>,
}

/// One client and its ledger.
#[derive(Debug)]
struct Writer {
    username: String,
    session: Session,
    /// Sessions that the server said are over.
    ended: Vec<Session>,
    tokens: BTreeMap<String, Known>,
    /// Events of the feed that acknowledged mutations must have left: type, id of the thing, how often.
    told: HashMap<(&'static str, String), usize>,
    made: u64,
    acknowledged: Arc<AtomicU64>,
}

/// The connection ended before the answer.
struct Killed;

impl Writer {
    async fn new(place: &Place, server: &Server, number: usize, acknowledged: &Arc<AtomicU64>) -> Self {
        let username = format!("writer-{number}");
        place.run(&["admin", "users", "create", &username, "--password", PASSWORD]).await.ended(0);
        let session = Session::login(&server.client(), &username).await;
        Self {
            username,
            session,
            ended: Vec::new(),
            tokens: BTreeMap::new(),
            told: HashMap::new(),
            made: 0,
            acknowledged: Arc::clone(acknowledged),
        }
    }

    /// Writes until the server is gone.
    async fn write(mut self, client: Client) -> Self {
        for step in 0_u64.. {
            let done = match step % 8 {
                0 | 2 | 4 => self.create(&client).await,
                1 => self.change(&client, State::Enabled, State::Disabled).await,
                3 => self.delete(&client, State::Enabled).await,
                // Once in each life of the server: a session turns 30 times in half an hour at most.
                5 if step < 8 => self.refresh(&client).await,
                5 => self.create(&client).await,
                6 => self.change(&client, State::Disabled, State::Enabled).await,
                _ => self.delete(&client, State::Disabled).await,
            };
            if done.is_err() {
                break;
            }
        }
        self
    }

    /// Sends a mutation; what comes back is written down by the caller before anything else is sent.
    async fn send(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Reply, Killed> {
        let client = client.with(&self.session.access);
        let reply = client.try_send(method, path, body).await.map_err(|_| Killed)?;
        assert!(reply.status.is_success(), "{path}: {}", reply.text);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        Ok(reply)
    }

    fn tell(&mut self, event: &'static str, id: &str) {
        *self.told.entry((event, id.to_owned())).or_default() += 1;
    }

    async fn create(&mut self, client: &Client) -> Result<(), Killed> {
        self.made += 1;
        let body = json!({ "alias": format!("token {}", self.made) });
        let reply = self.send(client, Method::POST, TOKENS, Some(body)).await?;
        let (id, secret) = (reply.text_at("/data/id").to_owned(), reply.text_at("/data/token").to_owned());
        self.tell("auth.token.created", &id);
        self.tokens.insert(id, Known { secret, state: State::Enabled, asked: None, is_new: true });
        Ok(())
    }

    /// A token in this state whose standing is certain.
    fn pick(&mut self, state: State) -> Option<(String, &mut Known)> {
        let found = self.tokens.iter_mut().rev().find(|(_, known)| known.state == state);
        found.map(|(id, known)| (id.clone(), known))
    }

    async fn change(&mut self, client: &Client, from: State, to: State) -> Result<(), Killed> {
        let Some((id, known)) = self.pick(from) else { return Ok(()) };
        known.asked = Some(to);
        let body = json!({ "is_enabled": to == State::Enabled });
        self.send(client, Method::PUT, &format!("{TOKENS}/{id}"), Some(body)).await?;
        self.settle(&id, to);
        let event = if to == State::Enabled { "auth.token.enabled" } else { "auth.token.disabled" };
        self.tell(event, &id);
        Ok(())
    }

    async fn delete(&mut self, client: &Client, from: State) -> Result<(), Killed> {
        let Some((id, known)) = self.pick(from) else { return Ok(()) };
        // In use when it goes.
        let expected = if from == State::Enabled { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED };
        let user = client.with(&known.secret);
        known.asked = Some(State::Deleted);
        let used = user.try_get("/api/v1/auth/check").await.map_err(|_| Killed)?;
        used.expect(expected);
        self.send(client, Method::DELETE, &format!("{TOKENS}/{id}"), None).await?;
        self.settle(&id, State::Deleted);
        self.tell("auth.token.deleted", &id);
        Ok(())
    }

    fn settle(&mut self, id: &str, state: State) {
        let known = self.tokens.get_mut(id).expect("a known token");
        (known.state, known.asked, known.is_new) = (state, None, true);
    }

    async fn refresh(&mut self, client: &Client) -> Result<(), Killed> {
        let body = json!({ "refreshToken": self.session.refresh });
        let reply = self.send(client, Method::POST, REFRESH, Some(body)).await?;
        self.session.turn(&reply);
        Ok(())
    }

    /// Holds the server against the ledger.
    async fn check(&mut self, client: &Client, is_all: bool) {
        self.check_session(client).await;
        let listed = client.with(&self.session.access).get(TOKENS).await;
        listed.expect(StatusCode::OK);
        let listed: HashMap<_, _> =
            listed.body["data"].as_array().unwrap().iter().map(listed_state).collect();
        let session = client.with(&self.session.access);
        for (id, known) in &mut self.tokens {
            let state = listed.get(id).copied().unwrap_or(State::Deleted);
            let is_right = state == known.state || Some(state) == known.asked;
            assert!(is_right, "{id} is {state:?}, but {known:?} was acknowledged");
            known.state = state;
            let is_worth_a_look = known.is_new || known.asked.is_some() || is_all;
            (known.asked, known.is_new) = (None, false);
            if is_worth_a_look {
                check_token(&session, id, known).await;
            }
        }
    }

    async fn check_session(&mut self, client: &Client) {
        for ended in &self.ended {
            client.with(&ended.access).check().await.refused(401, "INVALID_TOKEN");
            let body = json!({ "refreshToken": ended.refresh });
            client.post(REFRESH, body).await.refused(401, "INVALID_TOKEN");
        }
        client.with(&self.session.access).check().await.expect(StatusCode::NO_CONTENT);
        // Whether or not the last refresh was heard of: the pair in hand gets the next one.
        let next = client.post(REFRESH, json!({ "refreshToken": self.session.refresh })).await;
        self.session.turn(next.expect(StatusCode::OK));
        // Now and then somebody brings a refresh token of before: refused, and the session is over. At the latest
        // before it turned 30 times, which is refused as well.
        let is_due = self.made.is_multiple_of(3) || self.session.older.len() > 20;
        let Some(older) = self.session.older.iter().rev().nth(2).filter(|_| is_due) else { return };
        client.post(REFRESH, json!({ "refreshToken": older })).await.refused(401, "INVALID_TOKEN");
        client.with(&self.session.access).check().await.refused(401, "INVALID_TOKEN");
        let next = Session::login(client, &self.username).await;
        self.ended.push(std::mem::replace(&mut self.session, next));
    }
}

impl Session {
    async fn login(client: &Client, username: &str) -> Self {
        let reply = client.try_login(username, PASSWORD).await;
        reply.expect(StatusCode::OK);
        let (access, refresh) = (reply.text_at("/data/token"), reply.text_at("/data/refreshToken"));
        Self { access: access.to_owned(), refresh: refresh.to_owned(), older: Vec::new() }
    }

    fn turn(&mut self, reply: &Reply) {
        reply.text_at("/data/token").clone_into(&mut self.access);
        let next = reply.text_at("/data/refreshToken").to_owned();
        self.older.push(std::mem::replace(&mut self.refresh, next));
    }
}

fn listed_state(token: &Value) -> (String, State) {
    let state = if token["is_enabled"].as_bool().unwrap() { State::Enabled } else { State::Disabled };
    (token["id"].as_str().unwrap().to_owned(), state)
}

async fn check_token(session: &Client, id: &str, known: &Known) {
    let (found, used) =
        (session.get(&format!("{TOKENS}/{id}")).await, session.with(&known.secret).check().await);
    match known.state {
        State::Enabled => {
            assert_eq!(found.body["data"]["is_enabled"], true);
            used.expect(StatusCode::NO_CONTENT);
        }
        State::Disabled => {
            assert_eq!(found.body["data"]["is_enabled"], false);
            used.refused(401, "INVALID_TOKEN");
        }
        State::Deleted => {
            found.refused(404, "TOKEN_NOT_FOUND");
            used.refused(401, "INVALID_TOKEN");
        }
    }
}

/// A row of the feed: position, place in it, event, the thing's id.
type FeedRow = (i64, i64, String, Vec<u8>);

/// The feed has no gap, tells of everything that was acknowledged, and says what the tables say.
async fn check_feed(place: &Place, writers: &[Writer]) {
    let head: Vec<(i64,)> = place.rows("SELECT pos FROM feed_head").await;
    let rows: Vec<FeedRow> =
        place.rows("SELECT pos, seq, event_type, resource_id FROM feed ORDER BY pos, seq").await;
    let mut positions: Vec<_> = rows.iter().map(|row| row.0).collect();
    positions.dedup();
    assert_eq!(positions, (1..=head[0].0).collect::<Vec<_>>());
    let mut told: HashMap<(&str, String), usize> = HashMap::new();
    let mut tokens = HashSet::new();
    for (_, seq, event, id) in &rows {
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        // The evaluator raises several alerts at a time.
        assert!(*seq == 0 || event == "alert.raised", "these mutations tell of one thing each");
        match event.as_str() {
            "auth.token.created" => assert!(tokens.insert(id.clone()), "{id} was made twice"),
            "auth.token.enabled" | "auth.token.disabled" => {
                assert!(tokens.contains(&id), "{id} was changed when it was not there");
            }
            "auth.token.deleted" => assert!(tokens.remove(&id), "{id} was deleted when it was not there"),
            _ => {}
        }
        *told.entry((event, id)).or_default() += 1;
    }
    for writer in writers {
        for ((event, id), times) in &writer.told {
            let found = told.get(&(*event, id.clone())).copied().unwrap_or_default();
            // An unanswered change may have been made as well.
            assert!(found >= *times, "{event} of {id}: acknowledged {times} times, told {found} times");
        }
    }
    let stored: Vec<(Vec<u8>,)> = place.rows("SELECT id FROM tokens").await;
    let stored: HashSet<String> =
        stored.iter().map(|(id,)| id.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
    assert_eq!(stored, tokens, "the tokens that are there are those that the feed tells of");
}

on_both! {
    async fn twenty_kills_in_the_middle_of_writes_lose_nothing(place: Place) {
        let _whole = WHOLE_MACHINE.lock().await;
        let began = Instant::now();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let mut server = place.serve().await;
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            writers.push(Writer::new(&place, &server, number, &acknowledged).await);
        }
        for kill in 0..KILLS {
            let wanted = acknowledged.load(Ordering::Relaxed) + 40 + kill * 13 % 100;
            let tasks: Vec<_> =
                writers.into_iter().map(|writer| tokio::spawn(writer.write(server.client()))).collect();
            eventually("writes are acknowledged", ROUND, async || {
                // A writer that ends before the server found something wrong.
                let is_over = tasks.iter().any(tokio::task::JoinHandle::is_finished);
                (is_over || acknowledged.load(Ordering::Relaxed) >= wanted).then_some(())
            })
            .await;
            server.kill().await;
            writers = Vec::new();
            for task in tasks {
                writers.push(task.await.unwrap());
            }
            server = place.serve().await;
            check_feed(&place, &writers).await;
            for writer in &mut writers {
                writer.check(&server.client(), kill + 1 == KILLS).await;
            }
        }
        check_feed(&place, &writers).await;
        server.stop().await;
        let ended: usize = writers.iter().map(|writer| writer.ended.len()).sum();
        assert!(ended > 0, "no old refresh token was tried");
        let acknowledged = acknowledged.load(Ordering::Relaxed);
        eprintln!("{KILLS} kills, {acknowledged} writes acknowledged, {ended} sessions ended: {:?}", began.elapsed());
    }

    async fn a_kill_at_any_instant_of_the_first_start_leaves_a_place_that_starts(place: Place) {
        for delay in 1..16 {
            let server = Server::spawn(place.hoody(&["serve", "--listen", "127.0.0.1:0"]));
            let end = Instant::now() + Duration::from_millis(delay * 8);
            tokio::time::sleep_until(end).await;
            server.kill().await;
        }
        let server = place.serve().await;
        let content = std::fs::read_to_string(place.data_dir().join("first-password")).unwrap();
        server.client().login("admin", content.trim_end()).await;
        let accounts: Vec<(i64,)> = place.rows("SELECT COUNT(*) FROM users").await;
        assert_eq!(accounts[0].0, 1);
    }
}
