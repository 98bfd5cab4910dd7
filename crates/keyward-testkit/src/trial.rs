//! One test's world: a database, a server on two free ports, a clock, randomness, and what a test may look at behind the wire.
//! The attributes call [`run`], which builds a [`Trial`], hands it to the test and takes everything down again.
//! Does not speak to the server itself; actors do.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use keyward_http::AppState;
use keyward_jsonnet::Jsonnet;
use keyward_model::{Clock, IdentityId, IdentitySnapshot, Random, Time};
use keyward_services::App;
use keyward_store::{AuditEvent, Faults, Store};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::actor::{Actor, PASSWORD};
use crate::admin::Admin;
use crate::config::{self, Place};
use crate::database::{Database, DatabaseKind};
use crate::manual::{ManualClock, SeededRandom};
use crate::openid_provider::OpenIdProvider;
use crate::sink::{Received, Sink};

/// How a client speaks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// A native app: JSON, a session token in a header, no cookies.
    Api,
    /// A browser that navigates and posts forms; its pages are rendered by somebody else's server.
    Browser,
    /// A script in a browser: JSON with cookies.
    Spa,
}

/// Which test is to run; the attributes fill it in.
#[derive(Debug)]
pub struct Case {
    /// The path of the test, seed of its randomness.
    pub name: &'static str,
    /// See [`Trial::client`].
    pub client: ClientKind,
    /// See [`Trial::database`].
    pub database: DatabaseKind,
    /// A JSON merge patch over the base configuration.
    pub config: Value,
}

/// A message of the outbox, as an operator of a development server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailed {
    /// `id`.
    pub id: String,
    /// `status`.
    pub status: String,
    /// `subject`; empty for text messages.
    pub subject: String,
    /// `body`, the plain text.
    pub body: String,
    /// `template_type`.
    pub template_type: String,
}

/// A test's world. Clones are the same world.
#[derive(Clone)]
pub struct Trial {
    /// What [`Trial::person`] is.
    pub client: ClientKind,
    /// Where the data is.
    pub database: DatabaseKind,
    pub(crate) world: Arc<World>,
}

pub(crate) struct World {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: reqwest::Client,
    dsn: String,
    random: Arc<SeededRandom>,
    store: Store,
    faults: Faults,
    state: AppState,
    config: Mutex<Value>,
}

/// How long a server may take to answer what is under way and stop.
const STOPPING: Duration = Duration::from_secs(10);

/// Runs one test: a fresh database, a server, the test itself, and the end of all of it, whether the test succeeds or not.
///
/// # Panics
/// When the test does, when the server cannot be started, and when it fails or does not stop.
pub fn run<F: Future<Output = ()>>(case: Case, test: impl FnOnce(Trial) -> F) {
    let database = Database::create(case.database);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starting a runtime");
    let outcome = runtime.block_on(async {
        let public = TcpListener::bind("127.0.0.1:0").await.expect("binding the public port");
        let admin = TcpListener::bind("127.0.0.1:0").await.expect("binding the admin port");
        let world = Arc::new(World::new(&case, database.dsn(), &public, &admin).await);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(keyward_http::serve(public, admin, Arc::clone(&world.state), async {
            let _ = stopped.await;
        }));
        let trial = Trial { client: case.client, database: case.database, world };

        // The test runs in this place and not in a task, so it may hold what is not `Send`.
        let test = test(trial);
        let outcome = CatchUnwind(Box::pin(test)).await;
        drop(stop);
        let served = tokio::time::timeout(STOPPING, serving).await;
        outcome.map(|()| match served {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => panic!("the server failed: {error}"),
            Ok(Err(error)) => panic!("the server panicked: {error}"),
            Err(_) => panic!("the server did not stop"),
        })
    });
    // Connections end with their runtime; then the database can go.
    runtime.shutdown_timeout(STOPPING);
    drop(database);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// A future whose panic becomes its output, so that what follows still runs.
struct CatchUnwind<F>(std::pin::Pin<Box<F>>);

impl<F: Future> Future for CatchUnwind<F> {
    type Output = std::thread::Result<F::Output>;
    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(output)) => std::task::Poll::Ready(Ok(output)),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    }
}

impl World {
    async fn new(case: &Case, dsn: String, public: &TcpListener, admin: &TcpListener) -> Self {
        let address = |listener: &TcpListener| listener.local_addr().expect("the address of a port");
        let (public, admin) = (address(public), address(admin));
        let clock = Arc::new(ManualClock::default());
        let random = Arc::new(SeededRandom::new(case.name));
        let store = Store::open(&dsn).await.expect("opening the database");
        let faults = Faults::new();
        let parts = Parts { public, admin, dsn: &dsn, store: store.with_faults(faults.clone()), clock: &clock, random: &random };
        let state: AppState = Arc::new(ArcSwap::from_pointee(build(parts, &case.config)));
        let config = Mutex::new(case.config.clone());
        Self { public, admin, clock, http: crate::call::client(), dsn, random, store, faults, state, config }
    }
}

struct Parts<'a> {
    public: SocketAddr,
    admin: SocketAddr,
    dsn: &'a str,
    store: Store,
    clock: &'a Arc<ManualClock>,
    random: &'a Arc<SeededRandom>,
}

fn build(parts: Parts<'_>, patch: &Value) -> App {
    let place = Place { dsn: parts.dsn, public_port: parts.public.port(), admin_port: parts.admin.port() };
    let config = config::configure(&place, patch);
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(parts.clock);
    let random: Arc<dyn Random> = Arc::<SeededRandom>::clone(parts.random);
    let app = App::build(config, parts.store, clock, random, NonZeroUsize::MIN);
    let mut app = app.unwrap_or_else(|error| panic!("this configuration cannot be served: {error}"));
    // A test is not the program, but the program lies beside the folder of the tests.
    let test = std::env::current_exe().expect("the path of this test");
    let program = test.ancestors().nth(2).expect("a folder above").join("keyward");
    app.jsonnet = Arc::new(Jsonnet::of_program(program, NonZeroUsize::MIN));
    app
}

impl Trial {
    /// Somebody who is not known yet, with an empty cookie jar; speaks as [`Trial::client`].
    pub fn person(&self) -> Actor {
        self.person_as(self.client)
    }

    /// Somebody who is not known yet and speaks in a certain way.
    pub fn person_as(&self, client: ClientKind) -> Actor {
        Actor::new(self.clone(), client)
    }

    /// Somebody who just signed up with this address and [`PASSWORD`], and is signed in.
    pub async fn signed_up(&self, email: &str) -> Actor {
        let person = self.person();
        person.sign_up(email, PASSWORD).await;
        person
    }

    /// Another device of somebody who has [`PASSWORD`], signed in.
    pub async fn signed_in(&self, email: &str) -> Actor {
        let person = self.person();
        person.sign_in(email, PASSWORD).await.done();
        person
    }

    /// An operator at the admin port.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// The messages for an address, newest first, delivered or not.
    pub async fn mails_to(&self, address: &str) -> Vec<Mailed> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("page_size", "500")
            .append_pair("recipient", address)
            .finish();
        let messages = self.admin().call("GET", &format!("/admin/courier/messages?{query}")).await.expect(200).json();
        let text = |message: &Value, name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let mailed = |message: &Value| Mailed {
            id: text(message, "id"),
            status: text(message, "status"),
            subject: text(message, "subject"),
            body: text(message, "body"),
            template_type: text(message, "template_type"),
        };
        messages.as_array().expect("a list of messages").iter().map(mailed).collect()
    }

    /// The server's and the cookie jars' clock.
    pub fn clock(&self) -> &ManualClock {
        &self.world.clock
    }

    /// What the clock says.
    pub fn now(&self) -> Time {
        self.world.clock.now()
    }

    /// The services as configured now, for tests that open what is sealed or ask what a level is.
    pub fn app(&self) -> Arc<App> {
        self.world.state.load_full()
    }

    /// The database, without the planned failures.
    pub fn store(&self) -> &Store {
        &self.world.store
    }

    /// Plans a failure of the next batch that the server writes.
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// `serve.public.base_url` without a trailing slash.
    pub fn public(&self) -> String {
        format!("http://{}", self.world.public)
    }

    /// `serve.admin.base_url` without a trailing slash.
    pub fn admin_base(&self) -> String {
        format!("http://{}", self.world.admin)
    }

    /// The address of the database, for programs that share it.
    pub fn dsn(&self) -> &str {
        &self.world.dsn
    }

    /// Serves another configuration from now on, as a reload does: the base with everything patched so far and this.
    pub fn reconfigure(&self, patch: &Value) {
        let world = &self.world;
        let mut config = world.config.lock().unwrap_or_else(PoisonError::into_inner);
        config::merge(&mut config, patch);
        let parts = Parts {
            public: world.public,
            admin: world.admin,
            dsn: &world.dsn,
            store: world.store.with_faults(world.faults.clone()),
            clock: &world.clock,
            random: &world.random,
        };
        world.state.store(Arc::new(build(parts, &config)));
    }

    /// Somebody else's server, which answers each request with a status and a body. Name its address with
    /// [`Trial::reconfigure`].
    pub async fn sink(&self, answer: impl Fn(&Received) -> (u16, String) + Send + Sync + 'static) -> Sink {
        Sink::start(answer).await
    }

    /// An OpenID provider with the clock of this trial, which nobody is signed in at yet. Lay [`OpenIdProvider::methods`] over
    /// the configuration with [`Trial::reconfigure`].
    pub async fn openid_provider(&self) -> Arc<OpenIdProvider> {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.world.clock);
        OpenIdProvider::start(clock, &self.public()).await
    }

    /// An identity with credentials and version, as stored.
    pub async fn snapshot(&self, id: IdentityId) -> IdentitySnapshot {
        self.store().find_identity(id).await.expect("reading an identity").expect("there is no such identity")
    }

    /// The audit log, newest first.
    pub async fn audit(&self) -> Vec<AuditEvent> {
        self.store().list_audit_events(None, None, 1_000).await.expect("reading the audit log")
    }
}
