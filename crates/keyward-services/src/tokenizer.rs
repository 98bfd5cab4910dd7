//! Sessions as tokens for other systems: `whoami?tokenize_as=…` (contract: login 13.8).
//! A configuration that is put into force loads the templates here, whoami asks for tokens.
//! Knows no HTTP; a mapper of the operator may add and change every claim but `sub`.

use std::sync::Arc;

use keyward_config::{Document, Place, SubjectSource, TokenizerTemplate};
use keyward_jsonnet::{Job, JsonnetError};
use keyward_model::{Problem, Span, Time};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use url::Url;
use uuid::Uuid;

use crate::App;
use crate::outbound::{Outbound, OutboundError, OutboundRequest, OutboundRules};
use crate::schema::{SchemaError, load_document};
use crate::session::ActiveSession;
use crate::signing_key::{KeySetError, SigningKey};

/// How long a document of the network is used before it is asked for again.
const KEPT: Span = Span::minutes(60);
/// How long nobody asks again after a failure.
const PAUSE: Span = Span::seconds(10);
/// How long a person waits for a document of the network.
const PATIENCE: Span = Span::seconds(5);

/// The templates of one configuration.
#[derive(Debug)]
pub struct Tokenizers {
    templates: Vec<Template>,
    outbound: Outbound,
}

#[derive(Debug)]
struct Template {
    name: String,
    ttl: Span,
    subject_source: SubjectSource,
    key: Origin<SigningKey>,
    mapper: Option<Origin<String>>,
}

/// A document that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {key}: {why}")]
pub struct BadDocument {
    /// Where its key was written.
    pub at: Place,
    /// The dotted key.
    pub key: String,
    /// Why.
    pub why: DocumentError,
}

/// Why a document cannot be used. Never carries its address, which may be the document itself.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(SchemaError),
    /// Its address is none.
    #[error("this is not an address")]
    NoAddress,
    /// It cannot be fetched.
    #[error("{0}")]
    Unreachable(OutboundError),
    /// The server that has it says no.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// It is not text.
    #[error("the document is not UTF-8")]
    NotText,
    /// It holds no key that signs.
    #[error("{0}")]
    Keys(KeySetError),
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    /// No template has this name.
    #[error("There is no tokenizer template with this name.")]
    UnknownTemplate,
    /// The template wants the external id as subject and the identity has none.
    #[error("The identity has no external id, which this template needs for the claim sub.")]
    NoExternalId,
    /// The mapper could not be evaluated.
    #[error("The claims mapper of this template failed: {0}.")]
    Mapper(JsonnetError),
    /// The mapper gave something else.
    #[error("The claims mapper of this template must give an object with an object claims in it.")]
    NoClaims,
    /// A document of the network is out of reach.
    #[error("A document of this template could not be fetched.")]
    Document(DocumentError),
    /// Signing failed.
    #[error("The token could not be signed.")]
    Signing(jsonwebtoken::errors::Error),
}

impl From<TokenizeError> for Problem {
    fn from(error: TokenizeError) -> Self {
        let reason = match &error {
            // What exactly it says about itself is for the operator, in the log.
            TokenizeError::Mapper(JsonnetError::Raised(_) | JsonnetError::Invalid(_)) => {
                "The claims mapper of this template cannot be evaluated; the log of the server says why.".to_owned()
            }
            error => error.to_string(),
        };
        match error {
            TokenizeError::Mapper(JsonnetError::Busy) => Self::Busy { retry_after: 1 },
            TokenizeError::Mapper(JsonnetError::NoWorker(_)) | TokenizeError::Signing(_) => Self::Internal,
            TokenizeError::Document(_) => Self::Upstream { reason },
            _ => Self::BadRequest { reason },
        }
    }
}

impl Tokenizers {
    /// Loads every document that needs no network; the others are fetched when the first token is asked for. Blocks on files.
    ///
    /// # Errors
    /// Every document that cannot be used.
    pub fn load(templates: &[TokenizerTemplate], rules: OutboundRules) -> Result<Self, Vec<BadDocument>> {
        let mut errors = Vec::new();
        let mut loaded = Vec::with_capacity(templates.len());
        for template in templates {
            let key = keep(Origin::load(&template.jwks, signing_key), &mut errors);
            let mapper = template.claims_mapper.as_ref().map(|mapper| keep(Origin::load(mapper, snippet), &mut errors));
            if let (Some(key), None | Some(Some(_))) = (key, &mapper) {
                loaded.push(Template {
                    name: template.name.clone(),
                    ttl: template.ttl,
                    subject_source: template.subject_source,
                    key,
                    mapper: mapper.flatten(),
                });
            }
        }
        let outbound = Outbound::new(rules);
        if errors.is_empty() { Ok(Self { templates: loaded, outbound }) } else { Err(errors) }
    }
}

fn keep<T>(outcome: Result<T, BadDocument>, errors: &mut Vec<BadDocument>) -> Option<T> {
    outcome.map_err(|error| errors.push(error)).ok()
}

fn signing_key(document: String) -> Result<SigningKey, DocumentError> {
    SigningKey::first_of(&document).map_err(DocumentError::Keys)
}

#[expect(clippy::unnecessary_wraps, reason = "every kind of document has such a reader")]
pub(crate) const fn snippet(document: String) -> Result<String, DocumentError> {
    Ok(document)
}

/// A token for a session by the template of this name. `session` is the session as whoami shows it.
///
/// # Errors
/// See [`TokenizeError`]; what only operators can mend is logged here.
pub async fn tokenize(app: &App, name: &str, active: &ActiveSession, session: &str, now: Time) -> Result<String, TokenizeError> {
    let template =
        app.tokenizers.templates.iter().find(|template| template.name == name).ok_or(TokenizeError::UnknownTemplate)?;
    token(app, template, active, session, now).await.inspect_err(|error| {
        if !matches!(error, TokenizeError::NoExternalId) {
            tracing::warn!(template = name, %error, "A session could not be tokenized");
        }
    })
}

async fn token(
    app: &App,
    template: &Template,
    active: &ActiveSession,
    session: &str,
    now: Time,
) -> Result<String, TokenizeError> {
    let key = template.key.get(&app.tokenizers.outbound, now).await.map_err(TokenizeError::Document)?;
    let subject = subject(template.subject_source, active)?;
    let mut claims = Map::new();
    for (name, value) in [
        ("jti", json!(app.random().id::<Uuid>())),
        ("iss", json!(app.config.public.base_url.as_str())),
        ("exp", json!((now + template.ttl).unix())),
        ("sid", json!(active.session.id)),
        ("nbf", json!(now.unix())),
        ("iat", json!(now.unix())),
        ("sub", json!(subject)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    if let Some(mapper) = &template.mapper {
        let snippet = mapper.get(&app.tokenizers.outbound, now).await.map_err(TokenizeError::Document)?;
        claims.extend(mapped(app, &snippet, session, &claims).await?);
    }
    // Whose token it is, is not for a mapper to say.
    claims.insert("sub".to_owned(), json!(subject));
    key.sign(&claims).map_err(TokenizeError::Signing)
}

fn subject(source: SubjectSource, active: &ActiveSession) -> Result<String, TokenizeError> {
    match source {
        SubjectSource::Id => Ok(active.session.identity_id.to_string()),
        SubjectSource::ExternalId => {
            let identity: Value = serde_json::from_str(&active.wire_json).unwrap_or_default();
            let external_id = identity["external_id"].as_str().filter(|id| !id.is_empty());
            external_id.map(str::to_owned).ok_or(TokenizeError::NoExternalId)
        }
    }
}

/// What the mapper says about the claims.
async fn mapped(
    app: &App,
    snippet: &str,
    session: &str,
    claims: &Map<String, Value>,
) -> Result<Map<String, Value>, TokenizeError> {
    let claims = serde_json::to_string(claims).unwrap_or_default();
    let job = Job {
        snippet: snippet.to_owned(),
        variables: vec![("session".to_owned(), session.to_owned()), ("claims".to_owned(), claims)],
        arguments: Vec::new(),
    };
    let json = app.jsonnet.evaluate(&job).await.map_err(TokenizeError::Mapper)?;
    match serde_json::from_str(&json) {
        Ok(Value::Object(mut value)) => match value.remove("claims") {
            Some(Value::Object(claims)) => Ok(claims),
            _ => Err(TokenizeError::NoClaims),
        },
        _ => Err(TokenizeError::NoClaims),
    }
}

/// What is made of the text of a document.
pub(crate) type Reading<T> = fn(String) -> Result<T, DocumentError>;

/// Where a document is.
#[derive(Debug)]
pub(crate) enum Origin<T> {
    Here(Arc<T>),
    Remote(Remote<T>),
}

/// A document of the network, as it was when it was fetched last.
pub(crate) struct Remote<T> {
    url: Url,
    read: Reading<T>,
    /// One request fetches, the others wait for it.
    kept: Mutex<Kept<T>>,
}

impl<T> std::fmt::Debug for Remote<T> {
    // The address may hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

struct Kept<T> {
    value: Option<Arc<T>>,
    /// When it is asked for again.
    again: Option<Time>,
}

impl<T> Origin<T> {
    pub(crate) fn load(document: &Document, read: Reading<T>) -> Result<Self, BadDocument> {
        let url = document.url.reveal();
        let loaded = if url.starts_with("http://") || url.starts_with("https://") {
            Url::parse(url).map_err(|_| DocumentError::NoAddress).map(|url| {
                let kept = Mutex::new(Kept { value: None, again: None });
                Self::Remote(Remote { url, read, kept })
            })
        } else {
            load_document(url).map_err(DocumentError::Unreadable).and_then(read).map(|value| Self::Here(Arc::new(value)))
        };
        loaded.map_err(|why| BadDocument { at: document.at.clone(), key: document.key.clone(), why })
    }

    pub(crate) async fn get(&self, outbound: &Outbound, now: Time) -> Result<Arc<T>, DocumentError> {
        match self {
            Self::Here(value) => Ok(Arc::clone(value)),
            Self::Remote(remote) => remote.get(outbound, now).await,
        }
    }
}

impl<T> Remote<T> {
    /// The document; an old one is better than none when its server is away.
    async fn get(&self, outbound: &Outbound, now: Time) -> Result<Arc<T>, DocumentError> {
        let mut kept = self.kept.lock().await;
        if kept.again.is_none_or(|again| again <= now) {
            match self.fetch(outbound).await {
                Ok(value) => *kept = Kept { value: Some(Arc::new(value)), again: Some(now + KEPT) },
                Err(error) => {
                    kept.again = Some(now + PAUSE);
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "A document of the configuration could not be fetched"
                    );
                    if kept.value.is_none() {
                        return Err(error);
                    }
                }
            }
        }
        kept.value.clone().ok_or(DocumentError::Unreachable(OutboundError::Timeout))
    }

    async fn fetch(&self, outbound: &Outbound) -> Result<T, DocumentError> {
        let request = OutboundRequest { budget: PATIENCE, ..OutboundRequest::get(self.url.clone()) };
        let answer = outbound.send(request).await.map_err(DocumentError::Unreachable)?;
        if answer.status != 200 {
            return Err(DocumentError::Status(answer.status));
        }
        String::from_utf8(answer.body).map_err(|_| DocumentError::NotText).and_then(self.read)
    }
}
