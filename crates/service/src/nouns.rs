//! Every noun of the service on one screen: what each stands on, and what it brings.
//!
//! A noun that is not here does not exist. Its routes are in `openapi.json` and in the authorisation matrix; its
//! sealed columns, jobs and loops are handed to the engine here.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use hoody_core::address::AddressList;
use hoody_core::pkce::RedirectHosts;
use hoody_engine::clock::Clock;
use hoody_engine::engine::{self, Engine};
use hoody_engine::error::Error;
use hoody_engine::jobs;
use hoody_engine::keys;
use hoody_engine::keys::sealed::Sealed;
use hoody_engine::web::Access;
use hoody_engine::web::caller::note_who;
use hoody_engine::web::layers::{Branch, Edge, EdgeParts};
use http::request::Parts;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::account::{self, Account};
use crate::activity::{self, ActivityLog};
use crate::alerts::{self, Alerts};
use crate::audit::Audit;
use crate::document::finish;
use crate::events::socket::Sockets;
use crate::events::{self, Events};
use crate::gate::door::Door;
use crate::gate::hot::Hot;
use crate::gate::{self, Gate};
use crate::gates::{self, Gates};
use crate::history::{self, History};
use crate::mail::{self, Mail};
use crate::meta::{self, Meta};
use crate::oauth::{self, OAuth};
use crate::parameters::{self, Parameters};
use crate::permissions::{self, Permissions};
use crate::probes::{self, Probes};
use crate::projects::{self, Projects};
use crate::realms::{self, Realms};
use crate::rotation::Rotation;
use crate::sign_in::{self, SignIn};
use crate::signup::{self, SignUp};
use crate::tokens::{self, Tokens};
use crate::users::Users;
use crate::utilities::{self, Utilities};
use crate::vault::{self, Vault};
use crate::webhooks::{self, Webhooks};
use crate::wing::{Wing, Wings};

/// The nouns that have routes, each with the field of [`Nouns`] that is their state.
macro_rules! every_noun {
    ($with:ident $(, $nouns:expr)?) => {
        $with!(
            $($nouns,)?
            sign_in: sign_in, signup: signup, account: account, history: history,
            tokens: tokens, permissions: permissions, projects: projects, realms: realms, vault: vault,
            activity: activity_log, events: events, webhooks: webhooks, alerts: alerts,
            gates: gates, gate: gate, oauth: oauth, meta: meta, utilities: utilities, probes: probes,
        )
    };
}

macro_rules! routes_of {
    ($nouns:expr, $($noun:ident: $field:ident,)*) => {
        OpenApiRouter::with_openapi(Document::openapi())
            $(.merge($noun::routes().with_state(Arc::clone(&$nouns.$field))))*
    };
}

macro_rules! documents_of {
    ($($noun:ident: $field:ident,)*) => {{
        let mut document = Document::openapi();
        $(document.merge($noun::routes().into_openapi());)*
        document
    }};
}

/// What the service is made from.
#[derive(Debug, Clone)]
pub struct Settings {
    pub engine: engine::Settings,
    /// Where authorization codes may be sent.
    pub redirect_hosts: RedirectHosts,
    /// How emails leave.
    pub mail: mail::Transport,
    /// Who may make an account.
    pub sign_up: signup::Mode,
    /// Where webhooks may go besides the Internet.
    pub webhook_allow: Option<AddressList>,
    /// How deep tokens may make tokens.
    pub max_delegation_depth: u32,
    /// Where proxies reach the gate, scheme, host and port, if not at the public URL.
    pub gate_url: Option<String>,
    /// Crates beside this one that bring endpoints.
    pub wings: Wings,
}

/// The running service. Only what puts things together holds it; a noun holds those that it stands on.
#[derive(Debug)]
pub struct Nouns {
    pub engine: Engine,
    pub history: Arc<History>,
    pub realms: Arc<Realms>,
    pub users: Arc<Users>,
    pub mail: Arc<Mail>,
    pub sign_in: Arc<SignIn>,
    pub tokens: Arc<Tokens>,
    pub permissions: Arc<Permissions>,
    pub projects: Arc<Projects>,
    pub vault: Arc<Vault>,
    pub signup: Arc<SignUp>,
    pub account: Arc<Account>,
    pub activity_log: Arc<ActivityLog>,
    pub gates: Arc<Gates>,
    pub gate: Arc<Gate>,
    pub oauth: Arc<OAuth>,
    pub meta: Arc<Meta>,
    pub events: Arc<Events>,
    pub webhooks: Arc<Webhooks>,
    pub alerts: Arc<Alerts>,
    pub audit: Arc<Audit>,
    pub rotation: Arc<Rotation>,
    pub probes: Arc<Probes>,
    pub utilities: Arc<Utilities>,
    pub wings: Vec<Arc<dyn Wing>>,
}

/// Every column of sealed values.
pub(crate) fn sealed() -> Vec<&'static Sealed> {
    let columns = keys::sealed::SEALED.iter().chain(&jobs::store::SEALED);
    columns.chain(&sign_in::SEALED).chain(&vault::SEALED).chain(&webhooks::SEALED).collect()
}

impl Nouns {
    /// Opens the database and puts everything together. Starts nothing.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn open(settings: Settings, clock: Clock) -> anyhow::Result<Arc<Self>> {
        let engine = Engine::open(settings.engine.clone(), clock).await?;
        let history = History::new(&engine);
        let users = Users::new(&engine, &history);
        let mail = Mail::new(&engine, &settings.mail)?;
        let sign_in = SignIn::new(&engine, settings.redirect_hosts, &history, &users, &mail);
        let tokens = Tokens::new(&engine, &sign_in, settings.max_delegation_depth);
        let events = Events::new(&engine);
        let audit = Audit::new(&engine);
        let gates = Gates::new(&engine, settings.gate_url);
        let gate = Gate::new(&engine, &gates);
        let wings = settings.wings.make(&engine)?;
        let columns = sealed().into_iter().chain(wings.iter().flat_map(|wing| wing.sealed())).collect();
        let nouns = Self {
            realms: Realms::new(&engine),
            permissions: Permissions::new(&engine),
            projects: Projects::new(&engine),
            vault: Vault::new(&engine),
            signup: SignUp::new(&engine, &history, &users, &mail, &sign_in, settings.sign_up),
            account: Account::new(&engine, &history, &users, &mail, &tokens),
            activity_log: ActivityLog::new(&engine, &tokens),
            oauth: OAuth::new(&engine, &gate, &tokens),
            gate,
            meta: Meta::new(&engine),
            webhooks: Webhooks::new(&engine, &events, settings.webhook_allow)?,
            alerts: Alerts::new(&engine, &mail, &tokens),
            rotation: Rotation::new(&engine, columns),
            probes: Probes::new(&engine, &audit),
            utilities: Utilities::new(&engine),
            history,
            users,
            mail,
            sign_in,
            tokens,
            events,
            gates,
            audit,
            wings,
            engine,
        };
        nouns.alerts.begin().await?;
        Ok(Arc::new(nouns))
    }

    /// Starts what runs beside the requests.
    pub fn start(&self) {
        let tasks = &self.engine.tasks;
        self.engine.start();
        self.rotation.start(tasks);
        self.audit.start(tasks);
        self.sign_in.start(tasks);
        self.engine.jobs.start(tasks, self.jobs());
        self.history.start(tasks);
        self.events.start(tasks);
        self.webhooks.start(tasks);
        self.alerts.start(tasks);
        self.wings.iter().for_each(|wing| Arc::clone(wing).start(tasks));
    }

    /// Every kind of job.
    #[must_use]
    pub fn jobs(&self) -> Vec<jobs::Kind> {
        vec![self.mail.job(), self.signup.job()]
    }

    /// Pages for people: no part of the API.
    fn pages(&self) -> Router {
        Router::new()
            .merge(sign_in::pages().with_state(Arc::clone(&self.sign_in)))
            .merge(signup::pages().with_state(Arc::clone(&self.signup)))
    }

    /// What connections are given to; with the gate, unless that has a listener of its own.
    #[must_use]
    pub fn edge(&self, has_gate: bool) -> Edge {
        let plain = "text/plain; charset=utf-8";
        let welcome = move || async move { ([(http::header::CONTENT_TYPE, plain)], WELCOME) };
        self.edge_with(has_gate, Router::new().route("/", get(welcome)))
    }

    /// The same with the routes of a wing, which has `/` among them.
    #[must_use]
    pub fn edge_with(&self, has_gate: bool, wing: Router) -> Edge {
        // A wing's hosts come first: on them nothing is for the API.
        let wings = self.wings.iter().flat_map(|wing| Arc::clone(wing).branches());
        let mut branches: Vec<Box<dyn Branch>> = wings.collect();
        branches.push(Box::new(Sockets::new(&self.events)));
        if has_gate {
            branches.push(Box::new(Door::new(&self.gate)));
        }
        self.edge_of(self.router(wing), Hot::new(&self.gate, true, has_gate), branches)
    }

    /// What connections are given to on the listener that only proxies ask.
    #[must_use]
    pub fn gate_edge(&self) -> Edge {
        let router = Router::new().fallback(async || {
            let message = "There is no such route; this listener answers /gate/auth only";
            Error::NotFound { code: "RESOURCE_NOT_FOUND", message }
        });
        let branches: Vec<Box<dyn Branch>> = vec![Box::new(Door::new(&self.gate))];
        self.edge_of(router, Hot::new(&self.gate, false, true), branches)
    }

    fn edge_of(&self, router: Router, fast_path: Hot, branches: Vec<Box<dyn Branch>>) -> Edge {
        Edge::new(EdgeParts {
            router,
            access: Arc::clone(&self.engine.access),
            activity: self.engine.activity.clone(),
            nodes: self.engine.nodes.clone(),
            fast_path: Box::new(fast_path),
            branches,
        })
    }

    fn router(&self, wing: Router) -> Router {
        let access = &self.engine.access;
        let nouns = every_noun!(routes_of, self);
        let all = self.wings.iter().fold(nouns, |all, wing| all.merge(Arc::clone(wing).routes()));
        let (router, document) = all.split_for_parts();
        let state = (Arc::clone(access), Parameters::of(&document));
        let router = router.route_layer(from_fn_with_state(state, parameters::check));
        // One copy, however many wait for it.
        let document = axum::body::Bytes::from(finish(document).to_json().unwrap_or_default());
        let (on_no_route, on_no_method) = (Arc::clone(access), Arc::clone(access));
        router
            .route(
                "/openapi.json",
                get(move || {
                    let document = document.clone();
                    async move { ([(http::header::CONTENT_TYPE, "application/json")], document) }
                }),
            )
            .merge(wing)
            .merge(self.pages())
            .fallback(move |parts: Parts| async move { no_route(&on_no_route, &parts).await })
            .method_not_allowed_fallback(
                move |parts: Parts| async move { no_method(&on_no_method, &parts).await },
            )
    }

    /// Closes every connection to the database.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "hoody",
    description = "Authentication for scripts, CI and AI agents. Errors come as \
        `{statusCode, error, message, code, data?}`; clients branch on `code`."
))]
struct Document;

/// What a program reads that asks for `/`.
pub const WELCOME: &str = "This is hoody, an authentication service for people, scripts and agents.\n\n\
    The API begins at /api/v1; /openapi.json describes it.\n\
    On the command line: hoody --base-url <this address> login\n\
    Is it well? /livez, /readyz\n";

async fn no_route(access: &Access, parts: &Parts) -> Error {
    note_who(parts, access).await;
    Error::NotFound { code: "RESOURCE_NOT_FOUND", message: "There is no such route" }
}

async fn no_method(access: &Access, parts: &Parts) -> Error {
    note_who(parts, access).await;
    Error::MethodNotAllowed
}

/// The OpenAPI document of the nouns alone.
#[must_use]
pub fn openapi() -> OpenApi {
    openapi_with([])
}

/// The OpenAPI document of the nouns and of these wings, as it is committed.
pub fn openapi_with(wings: impl IntoIterator<Item = OpenApi>) -> OpenApi {
    let mut document = every_noun!(documents_of);
    wings.into_iter().for_each(|wing| document.merge(wing));
    finish(document)
}
