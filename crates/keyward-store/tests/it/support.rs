//! A fresh database per test, and people to put into it.
//! `on_each_database!` turns one test body into one test per engine, with the engine in its name.
//! Without `KEYWARD_TEST_POSTGRES` (a URL of a server where databases can be created) the PostgreSQL ones say so aloud.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use keyward_model::{
    Aal, AddressStatus, AuthMethod, Credential, CredentialType, Device, Identity, IdentityState, JsonList, RecoveryAddress,
    Session, Span, Time, VerifiableAddress, Via,
};
use keyward_store::{AuditEvent, Store};
use serde_json::json;
use uuid::Uuid;

/// The instant at which tests happen.
pub(crate) const NOW: Time = Time::from_unix(1_800_000_000);

pub(crate) struct Trial {
    pub(crate) store: Store,
    pub(crate) address: String,
    file: Option<PathBuf>,
}

macro_rules! on_each_database {
    ($($test:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(&crate::support::Trial::memory().await).await; })+
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(&crate::support::Trial::sqlite().await).await; })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(trial) = crate::support::Trial::postgres().await {
                    super::$test(&trial).await;
                    trial.discard().await;
                }
            })+
        }
    };
}
pub(crate) use on_each_database;

/// The server for tests, or a loud note that there is none. Written past the capture of the test harness on purpose.
#[expect(clippy::disallowed_methods, reason = "the test run names its server in the environment")]
pub(crate) fn postgres_server() -> Option<String> {
    static NOTE: Once = Once::new();
    let server = std::env::var("KEYWARD_TEST_POSTGRES").ok();
    if server.is_none() {
        NOTE.call_once(|| {
            let _ = writeln!(std::io::stderr(), "\nPostgreSQL not given: set KEYWARD_TEST_POSTGRES; no postgres:: test ran\n");
        });
    }
    server
}

/// Distinct numbers for names and ids.
fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// An id that no other call yields.
pub(crate) fn id<T: From<Uuid>>() -> T {
    T::from(Uuid::from_u64_pair(0x6b65_7977_6172_4d00, 0x8000_0000_0000_0000 | next()))
}

impl Trial {
    pub(crate) async fn memory() -> Self {
        let store = Store::open("memory").await.unwrap();
        Self { store, address: "memory".into(), file: None }
    }

    pub(crate) async fn sqlite() -> Self {
        let trial = Self::sqlite_unmigrated().await;
        trial.store.migrate().await.unwrap();
        trial
    }

    pub(crate) async fn sqlite_unmigrated() -> Self {
        let file = std::env::temp_dir().join(format!("keyward-store-{}-{}.sqlite", std::process::id(), next()));
        let address = format!("sqlite://{}?_fk=true", file.display());
        Self { store: Store::open(&address).await.unwrap(), address, file: Some(file) }
    }

    pub(crate) async fn postgres() -> Option<Self> {
        let trial = Self::postgres_unmigrated().await?;
        trial.store.migrate().await.unwrap();
        Some(trial)
    }

    pub(crate) async fn postgres_unmigrated() -> Option<Self> {
        let server = postgres_server()?;
        let name = format!("keyward_store_{}_{}", std::process::id(), next());
        administer(&server, &format!("CREATE DATABASE {name}")).await;
        let mut address = url::Url::parse(&server).unwrap();
        address.set_path(&name);
        let address = address.to_string();
        Some(Self { store: Store::open(&address).await.unwrap(), address, file: None })
    }

    /// The path of a SQLite file.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.file.as_deref().unwrap()
    }

    /// The same address with further options.
    pub(crate) fn address_with(&self, options: &str) -> String {
        format!("{}{}{options}", self.address, if self.address.contains('?') { '&' } else { '?' })
    }

    /// Removes a PostgreSQL database.
    pub(crate) async fn discard(self) {
        if let Some(server) = postgres_server() {
            let name = url::Url::parse(&self.address).unwrap().path().trim_start_matches('/').to_owned();
            administer(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
            }
        }
    }
}

/// Runs plain SQL on the server.
pub(crate) async fn administer(address: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
}

/// Somebody with a verified mail address and a telephone.
pub(crate) fn person(name: &str) -> Identity {
    let mail = format!("{name}@example.org");
    Identity {
        id: id(),
        external_id: Some(format!("crm-{name}")),
        schema_id: "default".into(),
        state: IdentityState::Active,
        state_changed_at: NOW,
        traits: json!({"email": mail, "name": {"first": name, "quote": "\"\u{0} ü"}}),
        verifiable_addresses: vec![
            VerifiableAddress {
                id: id(),
                value: mail.clone(),
                verified: true,
                via: Via::Email,
                status: AddressStatus::Completed,
                verified_at: Some(NOW),
                created_at: NOW,
                updated_at: NOW,
            },
            VerifiableAddress {
                id: id(),
                value: format!("+49-{name}"),
                verified: false,
                via: Via::Sms,
                status: AddressStatus::Pending,
                verified_at: None,
                created_at: NOW,
                updated_at: NOW,
            },
        ],
        recovery_addresses: vec![RecoveryAddress { id: id(), value: mail, via: Via::Email, created_at: NOW, updated_at: NOW }],
        metadata_public: Some(json!({"plan": "free"})),
        metadata_admin: None,
        organization_id: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// A credential with identifiers in an order that is not alphabetical.
pub(crate) fn credential(kind: CredentialType, identifiers: &[&str]) -> Credential {
    Credential {
        id: id(),
        kind,
        identifiers: identifiers.iter().map(|text| (*text).to_owned()).collect(),
        config: json!({"hashed_password": "$2a$04$abc", "n": 1.5}),
        version: 0,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// A live session.
pub(crate) fn session(identity: &Identity) -> Session {
    Session {
        id: id(),
        identity_id: identity.id,
        active: true,
        aal: Aal::Aal1,
        methods: JsonList::of(&[AuthMethod::password(NOW)]),
        authenticated_at: NOW,
        issued_at: NOW,
        expires_at: NOW + Span::hours(24),
        devices: JsonList::of(&[Device { id: id(), ip_address: Some("192.0.2.1".into()), user_agent: None, location: None }]),
        version: 1,
    }
}

/// The hash of a token that no other call yields.
pub(crate) fn token_hash() -> [u8; 32] {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&next().to_be_bytes());
    hash
}

/// An entry of the audit log, about nobody.
pub(crate) fn event() -> AuditEvent {
    AuditEvent {
        id: id(),
        at: NOW,
        kind: "settings".into(),
        result: "success".into(),
        identity_id: None,
        session_id_hash: None,
        flow_id: None,
        method: None,
        client_ip: None,
        user_agent: None,
        request_id: None,
        reason: None,
        details: "{}".into(),
    }
}
