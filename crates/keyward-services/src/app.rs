//! Everything a request needs, as one value with plain fields.
//! The binary builds it from a configuration; each request keeps the one it started with, so that a reload never mixes two.
//! Does nothing by itself.

use std::num::NonZeroUsize;
use std::sync::Arc;

use keyward_config::{Config, HashAlgorithm};
use keyward_jsonnet::Jsonnet;
use keyward_model::{Clock, CodeUse, Factors, Random, SettingsRules, Time};
use keyward_store::Store;

use crate::breach::{BadBreachHost, BreachLookup, BreachRules};
use crate::courier::{Counts, Gateways};
use crate::hashing::{Argon2Parameters, HashCapacity, HashParameters, Hasher, HasherError};
use crate::keys::{KeyError, KeyMaterial, Keyring};
use crate::networks::Networks;
use crate::oidc::Providers;
use crate::outbound::{Outbound, OutboundRules};
use crate::schema::{SchemaError, SchemaSource, Schemas};
use crate::sign_ins::SignIns;
use crate::tokenizer::{BadDocument, Tokenizers};

/// The services behind one configuration.
pub struct App {
    /// What the operator asked for.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws ids, tokens and nonces.
    pub chance: Arc<dyn Random>,
    /// Derived keys.
    pub keys: Keyring,
    /// The bounded password hash queue.
    pub hasher: Arc<Hasher>,
    /// The identity schemas.
    pub schemas: Schemas,
    /// The breach lookup, unless it is switched off.
    pub breach: Option<Arc<BreachLookup>>,
    /// How sign-ins ended so far.
    pub sign_ins: Arc<SignIns>,
    /// Guesses by client network.
    pub networks: Arc<Networks>,
    /// Evaluates the operator's snippets.
    pub jsonnet: Arc<Jsonnet>,
    /// Makes tokens of sessions.
    pub tokenizers: Tokenizers,
    /// HTTP gateways for messages.
    pub gateways: Gateways,
    /// Social sign-in.
    pub oidc: Providers,
    /// What became of messages so far.
    pub messages: Arc<Counts>,
}

/// Why a configuration cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The secrets cannot be used.
    #[error("the secrets cannot be used")]
    Keys(#[from] KeyError),
    /// Identity schemas cannot be used; each with its id.
    #[error("identity.schemas: {}", list(.0))]
    Schemas(Vec<(String, SchemaError)>),
    /// The hash parameters cannot be used.
    #[error("hashers: {0}")]
    Hasher(#[from] HasherError),
    /// The breach service cannot be used.
    #[error("selfservice.methods.password.config.haveibeenpwned_host: {0}")]
    Breach(#[from] BadBreachHost),
    /// Documents of the session tokenizer cannot be used; each with its key and where that was written.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Tokenizer(Vec<BadDocument>),
    /// Snippets of the courier cannot be used; each with its key and where that was written.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Courier(Vec<BadDocument>),
    /// Mappers or keys of providers cannot be used; each with its key and where that was written.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Oidc(Vec<BadDocument>),
}

fn list(errors: &[(String, SchemaError)]) -> String {
    errors.iter().map(|(id, error)| format!("{id}: {error}")).collect::<Vec<_>>().join("; ")
}

/// Passwords that may wait in each lane of the hash queue; beyond, callers are told to come back.
const WAITING: usize = 64;

impl App {
    /// Builds the services: derives keys, compiles schemas, starts the hash threads.
    ///
    /// # Errors
    /// When a part of the configuration cannot be used; the text says which.
    pub fn build(
        config: Config,
        store: Store,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Random>,
        cores: NonZeroUsize,
    ) -> Result<Self, BuildError> {
        Self::assemble(config, store, clock, chance, cores, None)
    }

    /// `running`: hash threads that are there already, and kept where they fit.
    fn assemble(
        config: Config,
        store: Store,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Random>,
        cores: NonZeroUsize,
        running: Option<&Arc<Hasher>>,
    ) -> Result<Self, BuildError> {
        let secrets = &config.secrets;
        let keys = Keyring::new(&KeyMaterial {
            default: secrets.default.clone(),
            cookie: secrets.cookie.clone(),
            cipher: secrets.cipher.clone(),
        })?;
        let identity = &config.identity;
        let sources = identity.schemas.iter().map(|source| SchemaSource {
            id: &source.id,
            url: &source.url,
            selfservice_selectable: source.selfservice_selectable,
        });
        let schemas = Schemas::load(&identity.default_schema_id, sources).map_err(BuildError::Schemas)?;
        let parameters = hash_parameters(&config);
        let memory_kib = match parameters {
            // As many hashes at once as there are threads, whatever one of them needs.
            HashParameters::Argon2id(argon2) => argon2.memory_kib.saturating_mul(u32::try_from(cores.get()).unwrap_or(u32::MAX)),
            HashParameters::Bcrypt { .. } => 0,
        };
        // Imported hashes may need more than new ones; they share at least this much.
        let capacity = HashCapacity { threads: cores, queue: WAITING, reserved: WAITING, memory_kib: memory_kib.max(256 * 1024) };
        let hasher = match running.filter(|hasher| hasher.parameters() == parameters) {
            Some(hasher) => Arc::clone(hasher),
            None => Arc::new(Hasher::new(parameters, capacity, Arc::clone(&chance))?),
        };
        let method = &config.selfservice.methods.password;
        let breach = if method.enabled && method.haveibeenpwned_enabled {
            let rules = BreachRules {
                host: method.haveibeenpwned_host.clone(),
                max_breaches: u64::from(method.max_breaches),
                ignore_network_errors: method.ignore_network_errors,
            };
            let outbound = Arc::new(Outbound::new(outbound_rules(&config)));
            Some(Arc::new(BreachLookup::new(rules, outbound, Arc::clone(&clock))?))
        } else {
            None
        };
        let tokenizers = Tokenizers::load(&config.session.tokenizers, outbound_rules(&config)).map_err(BuildError::Tokenizer)?;
        let gateways = Gateways::load(&config).map_err(BuildError::Courier)?;
        let oidc = Providers::load(&config).map_err(BuildError::Oidc)?;
        Ok(Self {
            config,
            store,
            clock,
            chance,
            keys,
            hasher,
            schemas,
            breach,
            sign_ins: Arc::default(),
            networks: Arc::default(),
            jsonnet: Arc::new(Jsonnet::of_this_program(cores)),
            tokenizers,
            gateways,
            oidc,
            messages: Arc::default(),
        })
    }

    /// The services for another configuration of the same running server: database, clock, generator, counts and workers are
    /// shared, and the hash threads as well unless their parameters changed.
    ///
    /// # Errors
    /// As [`App::build`]; this one then goes on as it was.
    pub fn rebuild(&self, config: Config, cores: NonZeroUsize) -> Result<Self, BuildError> {
        let (clock, chance) = (Arc::clone(&self.clock), Arc::clone(&self.chance));
        let mut next = Self::assemble(config, self.store.clone(), clock, chance, cores, Some(&self.hasher))?;
        next.sign_ins = Arc::clone(&self.sign_ins);
        next.networks = Arc::clone(&self.networks);
        next.messages = Arc::clone(&self.messages);
        next.jsonnet = Arc::clone(&self.jsonnet);
        Ok(next)
    }

    /// The present instant.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The generator.
    pub fn random(&self) -> &dyn Random {
        self.chance.as_ref()
    }

    /// `serve.public.base_url` without a trailing slash.
    pub fn public_base(&self) -> &str {
        self.config.public.base_url.as_str().trim_end_matches('/')
    }

    /// How addresses for codes count in the configuration in force.
    pub const fn code_use(&self) -> CodeUse {
        let code = &self.config.selfservice.methods.code;
        CodeUse { passwordless: code.passwordless_enabled, mfa: code.mfa_enabled }
    }

    /// What of an identity's factors counts in the configuration in force: nobody is asked for a second factor whose method is
    /// switched off, because nobody could show it.
    pub fn usable(&self, factors: Factors) -> Factors {
        let methods = &self.config.selfservice.methods;
        let counted = |on: bool, count: u32| if on { count } else { 0 };
        Factors {
            totp: counted(methods.totp.enabled, factors.totp),
            lookup_secret: counted(methods.lookup_secret_enabled, factors.lookup_secret),
            companion_codes: counted(methods.lookup_secret_enabled, factors.companion_codes),
            webauthn: counted(methods.webauthn.enabled, factors.webauthn),
            ..factors
        }
    }

    /// In how many ways an identity can sign in under the configuration in force: the last one is not taken away. Keys that need a
    /// name first count only where a name is asked for, since not all of them are found without.
    pub fn ways_in(&self, factors: &Factors) -> u32 {
        let methods = &self.config.selfservice.methods;
        let counted = |on: bool, count: u32| if on { count } else { 0 };
        counted(methods.password.enabled, factors.password)
            + counted(methods.passkey.enabled, factors.passkey)
            + counted(methods.webauthn.enabled && methods.webauthn.passwordless, factors.webauthn_passwordless)
            + counted(methods.oidc.enabled, factors.oidc)
            + counted(methods.code.passwordless_enabled, factors.code.min(1))
    }

    /// The rules of settings submits in the configuration in force.
    pub const fn settings_rules(&self) -> SettingsRules {
        SettingsRules {
            required_aal: self.config.selfservice.flows.settings.required_aal,
            factor_changes_require_aal2: self.config.factor_changes_require_aal2,
        }
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

/// Addresses in the configuration are the operator's own word, so they may be private unless the operator says otherwise.
pub(crate) fn outbound_rules(config: &Config) -> OutboundRules {
    let clients = &config.clients;
    OutboundRules { allow_private: !clients.http_public_only, private_exceptions: clients.http_exceptions.clone() }
}

const fn hash_parameters(config: &Config) -> HashParameters {
    let hashers = &config.hashers;
    match hashers.algorithm {
        HashAlgorithm::Bcrypt => HashParameters::Bcrypt { cost: hashers.bcrypt_cost },
        HashAlgorithm::Argon2 => HashParameters::Argon2id(Argon2Parameters {
            memory_kib: hashers.argon2.memory_kib,
            iterations: hashers.argon2.iterations,
            parallelism: hashers.argon2.parallelism,
            salt_length: hashers.argon2.salt_length as u32,
            key_length: hashers.argon2.key_length as u32,
        }),
    }
}
