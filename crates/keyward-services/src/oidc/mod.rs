//! The client side of OpenID Connect and OAuth 2 (RFC 6749, RFC 7636, RFC 9700): the way to a provider and back with a subject.
//! Login, registration and settings stories send browsers away with [`Provider::authorize`] and redeem what comes back; native
//! apps bring id tokens of their own. Knows neither flows nor accounts: who a subject belongs to is decided elsewhere.

mod apple;
mod cached;
mod discovery;
mod error;
mod exchange;
mod id_token;
mod key_set;
mod kinds;
mod links;
mod mapper;
mod profile;
mod state;
mod subject;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::HashMap;

use keyward_config::{Config, OidcProvider, Pkce, ProviderKind};
use keyward_model::{Credential, Time};
use url::Url;

pub use error::{IdTokenError, OidcError};
pub use links::{Link, Links, identifier, shown};
pub use mapper::Mapped;
pub use state::{FlowKind, State};
pub use subject::{Subject, Tokens};
pub use transaction::{AuthorizationRequest, CodeAnswer, Transaction, UpstreamParameters};

use crate::App;
use crate::app::outbound_rules;
use crate::outbound::Outbound;
use crate::tokenizer::{BadDocument, Origin, snippet};
use apple::ClientKey;
use kinds::{Client, OpenId};

/// The providers of one configuration, and the client that calls them.
#[derive(Debug)]
pub struct Providers {
    list: Vec<Provider>,
    by_id: HashMap<String, usize>,
    outbound: Outbound,
}

impl Providers {
    /// Loads every mapper that needs no network; the others are fetched with the first sign-in. Blocks on files.
    ///
    /// # Errors
    /// Every mapper and every key that cannot be used.
    pub fn load(config: &Config) -> Result<Self, Vec<BadDocument>> {
        let method = &config.selfservice.methods.oidc;
        let mut errors = Vec::new();
        let mut list = Vec::with_capacity(method.providers.len());
        // What is switched off may be broken.
        for settings in method.providers.iter().filter(|_| method.enabled) {
            let base = method.base_redirect_uri.as_ref().map_or(config.public.base_url.as_str(), Url::as_str);
            match Provider::load(settings, base.trim_end_matches('/')) {
                Ok(provider) => list.push(provider),
                Err(error) => errors.push(error),
            }
        }
        let by_id = list.iter().enumerate().map(|(index, provider)| (provider.settings.id.clone(), index)).collect();
        let outbound = Outbound::new(outbound_rules(config));
        if errors.is_empty() { Ok(Self { list, by_id, outbound }) } else { Err(errors) }
    }

    /// The provider of this id, while the method is switched on.
    pub fn get(&self, id: &str) -> Option<&Provider> {
        self.by_id.get(id).and_then(|index| self.list.get(*index))
    }

    /// All providers in the order of the configuration; none while the method is switched off.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.list.iter()
    }

    /// The ids of the providers at which an account is connected, in the order of the configuration.
    pub fn connected(&self, credential: Option<&Credential>) -> Vec<String> {
        let links = Links::of(credential);
        self.iter().map(Provider::id).filter(|id| links.find(id).is_some()).map(str::to_owned).collect()
    }
}

/// One provider.
#[derive(Debug)]
pub struct Provider {
    settings: OidcProvider,
    redirect_uri: String,
    client: Client,
    mapper: Origin<String>,
    key: Option<ClientKey>,
}

impl Provider {
    /// `base`: the base of the address that browsers come back to, without a trailing slash.
    fn load(settings: &OidcProvider, base: &str) -> Result<Self, BadDocument> {
        let mapper = Origin::load(&settings.mapper, snippet)?;
        let key = settings.apple.as_ref().filter(|_| settings.kind == ProviderKind::Apple).map(ClientKey::load).transpose()?;
        let redirect_uri = redirect_uri(settings, base);
        Ok(Self { settings: settings.clone(), redirect_uri, client: Client::new(settings), mapper, key })
    }

    /// What the operator wrote.
    pub const fn settings(&self) -> &OidcProvider {
        &self.settings
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.settings.id
    }

    /// What people call it: the configured label, or the id.
    pub fn label(&self) -> &str {
        self.settings.label.as_deref().unwrap_or(&self.settings.id)
    }

    /// Whether it is for everybody, and not for the people of one organization.
    pub const fn is_for_everybody(&self) -> bool {
        self.settings.organization_id.is_none()
    }

    /// Where its pages are, as far as that is known without asking it: pages that send a browser there have to name it.
    pub fn origin(&self) -> Option<url::Origin> {
        self.client.origin()
    }

    /// Where the provider sends browsers back to (contract: settings 3.7.4).
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The address that a browser is sent to (RFC 6749, section 4.1.1).
    ///
    /// # Errors
    /// When the provider's metadata cannot be had.
    pub async fn authorize(&self, app: &App, request: &AuthorizationRequest<'_>, now: Time) -> Result<Url, OidcError> {
        transaction::authorize(self, &app.oidc.outbound, request, now).await
    }

    /// What a code stands for: tokens are fetched, the id token is verified, claims are read (RFC 6749, section 4.1.3).
    ///
    /// # Errors
    /// See [`OidcError`]; the code is used up in any case.
    pub async fn redeem(&self, app: &App, answer: &CodeAnswer<'_>, now: Time) -> Result<Subject, OidcError> {
        exchange::redeem(self, &app.oidc.outbound, answer, now).await
    }

    /// Whom an id token speaks of that an app brings along (contract: login 7.8). `nonce`: what the app says it asked for.
    ///
    /// # Errors
    /// See [`IdTokenError`].
    pub async fn verify_id_token(
        &self,
        app: &App,
        id_token: &str,
        nonce: Option<&str>,
        now: Time,
    ) -> Result<Subject, IdTokenError> {
        exchange::native(self, &app.oidc.outbound, id_token, nonce, now).await
    }

    /// What the operator's mapper makes of the claims.
    ///
    /// # Errors
    /// When the mapper cannot be had or evaluated, or gives something else; what only operators can mend is logged here.
    pub async fn map(&self, app: &App, subject: &Subject, now: Time) -> Result<Mapped, OidcError> {
        let snippet = self.mapper.get(&app.oidc.outbound, now).await.map_err(|error| {
            tracing::warn!(provider = self.id(), %error, "The data mapper of a provider could not be fetched");
            OidcError::Mapper
        })?;
        mapper::map(self.id(), &app.jsonnet, &snippet, subject).await
    }

    const fn open_id(&self) -> Option<&OpenId> {
        match &self.client {
            Client::OpenId(open_id) => Some(open_id),
            Client::Plain(_) => None,
        }
    }
}

/// An organization's people come back to an address of their own, and one that all providers share goes with a proof key only.
fn redirect_uri(settings: &OidcProvider, base: &str) -> String {
    let id = &settings.id;
    match (&settings.organization_id, settings.pkce) {
        (Some(organization), _) => format!("{base}/self-service/methods/oidc/organization/{organization}/callback/{id}"),
        (None, Pkce::Force) => format!("{base}/self-service/methods/oidc/callback"),
        (None, _) => format!("{base}/self-service/methods/oidc/callback/{id}"),
    }
}
