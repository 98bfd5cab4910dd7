//! What is known about each kind of provider: where it is, what it speaks, and in which points it goes its own way.
//! The other files of this folder ask here instead of asking for kinds.
//! A kind is listed only while its addresses and fields are documented by whoever runs it.

use std::sync::Arc;

use keyward_config::{OidcProvider, ProviderKind};
use keyward_model::Time;
use serde_json::{Map, Value};
use url::{Origin, Url};

use super::OidcError;
use super::discovery::{Discovery, Metadata};
use super::key_set::Keys;
use super::profile;
use crate::outbound::Outbound;

/// How a provider is talked to.
#[derive(Debug)]
pub(super) enum Client {
    /// With id tokens.
    OpenId(OpenId),
    /// With an access token and an endpoint that tells whose it is.
    Plain(Plain),
}

/// A provider that speaks OpenID Connect.
#[derive(Debug)]
pub(super) struct OpenId {
    pub(super) facts: OpenIdFacts,
    pub(super) discovery: Discovery,
    pub(super) keys: Keys,
}

/// In which points a provider that speaks OpenID Connect goes its own way.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenIdFacts {
    /// Its issuer, unless the operator says which.
    issuer: &'static str,
    /// The configured issuer and the one that is found may differ in a slash at the end.
    pub(super) loose_slash: bool,
    /// It leaves the nonce out of tokens that are fetched with a code, which nobody but we could have asked for.
    pub(super) may_forget_nonce: bool,
    /// Its libraries for apps leave the nonce out of tokens.
    pub(super) apps_may_lack_nonce: bool,
    /// It speaks only at the userinfo endpoint.
    pub(super) tells_at_userinfo: bool,
    /// It hears clients only in the body of a request, and takes a proof key only from apps that have no secret.
    pub(super) only_secrets_in_body: bool,
}

const STANDARD: OpenIdFacts = OpenIdFacts {
    issuer: "",
    loose_slash: false,
    may_forget_nonce: false,
    apps_may_lack_nonce: false,
    tells_at_userinfo: false,
    only_secrets_in_body: false,
};

/// A provider that speaks plain OAuth 2.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) facts: &'static PlainFacts,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) userinfo_endpoint: String,
    /// Where mail addresses are told.
    pub(super) emails_endpoint: Option<String>,
}

/// What is known about a provider that speaks plain OAuth 2.
#[derive(Debug)]
pub(super) struct PlainFacts {
    authorize: &'static str,
    token: &'static str,
    userinfo: &'static str,
    emails: Option<&'static str>,
    /// What the claim `iss` says for mappers.
    pub(super) issuer: &'static str,
    /// The word before the access token (RFC 6750, section 2.1).
    pub(super) scheme: &'static str,
    /// Whether the client shows itself in the header (RFC 6749, section 2.3.1).
    pub(super) basic: bool,
    /// Whether proof keys are documented.
    pub(super) takes_proof_keys: bool,
    /// The parameter that makes people show again who they are.
    again: (&'static str, &'static str),
    /// Reads what the endpoint tells; `None` when it names nobody.
    pub(super) read: fn(&Value) -> Option<Map<String, Value>>,
}

const PLAIN: PlainFacts = PlainFacts {
    authorize: "",
    token: "",
    userinfo: "",
    emails: None,
    issuer: "",
    scheme: "Bearer",
    basic: false,
    takes_proof_keys: false,
    again: ("prompt", "login"),
    read: |_| None,
};

static GITHUB: PlainFacts = PlainFacts {
    authorize: "https://github.com/login/oauth/authorize",
    token: "https://github.com/login/oauth/access_token",
    userinfo: "https://api.github.com/user",
    emails: Some("https://api.github.com/user/emails"),
    issuer: "https://github.com/login/oauth/access_token",
    takes_proof_keys: true,
    read: profile::github,
    ..PLAIN
};
static DISCORD: PlainFacts = PlainFacts {
    authorize: "https://discord.com/api/oauth2/authorize",
    token: "https://discord.com/api/oauth2/token",
    userinfo: "https://discord.com/api/v10/users/@me",
    issuer: "https://discord.com/api/v6/oauth2/",
    again: ("prompt", "consent"),
    read: profile::discord,
    ..PLAIN
};
static FACEBOOK: PlainFacts = PlainFacts {
    authorize: "https://www.facebook.com/dialog/oauth",
    token: "https://graph.facebook.com/oauth/access_token",
    userinfo: "https://graph.facebook.com/me?fields=id,name,first_name,last_name,middle_name,email,picture,birthday,gender",
    issuer: "https://graph.facebook.com",
    again: ("auth_type", "reauthenticate"),
    read: profile::facebook,
    ..PLAIN
};
static SPOTIFY: PlainFacts = PlainFacts {
    authorize: "https://accounts.spotify.com/authorize",
    token: "https://accounts.spotify.com/api/token",
    userinfo: "https://api.spotify.com/v1/me",
    issuer: "https://accounts.spotify.com/api/token",
    basic: true,
    takes_proof_keys: true,
    again: ("show_dialog", "true"),
    read: profile::spotify,
    ..PLAIN
};
static YANDEX: PlainFacts = PlainFacts {
    authorize: "https://oauth.yandex.com/authorize",
    token: "https://oauth.yandex.com/token",
    userinfo: "https://login.yandex.ru/info?format=json",
    issuer: "https://login.yandex.ru/info",
    scheme: "OAuth",
    again: ("force_confirm", "yes"),
    read: profile::yandex,
    ..PLAIN
};
static PATREON: PlainFacts = PlainFacts {
    authorize: "https://www.patreon.com/oauth2/authorize",
    token: "https://www.patreon.com/api/oauth2/token",
    userinfo: "https://www.patreon.com/api/oauth2/v2/identity?fields%5Buser%5D=first_name,last_name,url,full_name,email,image_url,is_email_verified",
    issuer: "https://www.patreon.com/",
    read: profile::patreon,
    ..PLAIN
};
static AMAZON: PlainFacts = PlainFacts {
    authorize: "https://www.amazon.com/ap/oa",
    token: "https://api.amazon.com/auth/o2/token",
    userinfo: "https://api.amazon.com/user/profile",
    issuer: "https://www.amazon.com",
    read: profile::amazon,
    ..PLAIN
};

enum Facts {
    OpenId(OpenIdFacts),
    Plain(&'static PlainFacts),
}

const fn facts(kind: ProviderKind) -> Facts {
    let open_id = match kind {
        ProviderKind::Github | ProviderKind::GithubApp => return Facts::Plain(&GITHUB),
        ProviderKind::Discord => return Facts::Plain(&DISCORD),
        ProviderKind::Facebook => return Facts::Plain(&FACEBOOK),
        ProviderKind::Spotify => return Facts::Plain(&SPOTIFY),
        ProviderKind::Yandex => return Facts::Plain(&YANDEX),
        ProviderKind::Patreon => return Facts::Plain(&PATREON),
        ProviderKind::Amazon => return Facts::Plain(&AMAZON),
        ProviderKind::Generic | ProviderKind::Salesforce | ProviderKind::Microsoft => STANDARD,
        ProviderKind::Google => OpenIdFacts { issuer: "https://accounts.google.com", apps_may_lack_nonce: true, ..STANDARD },
        ProviderKind::Apple => OpenIdFacts { issuer: "https://appleid.apple.com", ..STANDARD },
        ProviderKind::Auth0 => OpenIdFacts { loose_slash: true, ..STANDARD },
        ProviderKind::Gitlab => OpenIdFacts { issuer: "https://gitlab.com", loose_slash: true, ..STANDARD },
        ProviderKind::LinkedinV2 => OpenIdFacts {
            issuer: "https://www.linkedin.com/oauth",
            may_forget_nonce: true,
            tells_at_userinfo: true,
            only_secrets_in_body: true,
            ..STANDARD
        },
        ProviderKind::Netid => {
            OpenIdFacts { issuer: "https://broker.netid.de", loose_slash: true, tells_at_userinfo: true, ..STANDARD }
        }
    };
    Facts::OpenId(open_id)
}

impl Client {
    pub(super) fn new(settings: &OidcProvider) -> Self {
        match facts(settings.kind) {
            Facts::OpenId(facts) => {
                let issuer = match (settings.kind, &settings.microsoft_tenant) {
                    (ProviderKind::Microsoft, Some(tenant)) => format!("https://login.microsoftonline.com/{tenant}/v2.0"),
                    _ => settings.issuer_url.clone().unwrap_or_else(|| facts.issuer.to_owned()),
                };
                let microsoft = settings.kind == ProviderKind::Microsoft;
                let discovery = Discovery::new(issuer, facts.loose_slash, microsoft);
                Self::OpenId(OpenId { facts, discovery, keys: Keys::default() })
            }
            Facts::Plain(facts) => Self::Plain(Plain {
                facts,
                authorization_endpoint: facts.authorize.to_owned(),
                token_endpoint: settings.token_url.as_ref().map_or(facts.token, Url::as_str).to_owned(),
                userinfo_endpoint: facts.userinfo.to_owned(),
                emails_endpoint: facts.emails.map(str::to_owned),
            }),
        }
    }

    /// Where its pages are, as far as that is known without asking it.
    pub(super) fn origin(&self) -> Option<Origin> {
        let address = match self {
            Self::OpenId(open_id) => open_id.discovery.issuer(),
            Self::Plain(plain) => &plain.authorization_endpoint,
        };
        Url::parse(address).ok().map(|url| url.origin())
    }

    /// The parameter that makes people show again who they are.
    pub(super) const fn login_again(&self) -> (&'static str, &'static str) {
        match self {
            Self::OpenId(_) => ("prompt", "login"),
            Self::Plain(plain) => plain.facts.again,
        }
    }
}

impl OpenId {
    /// The provider's metadata, as they were found not long ago.
    pub(super) async fn metadata(&self, outbound: &Outbound, now: Time) -> Result<Arc<Metadata>, OidcError> {
        self.discovery.get(outbound, now).await
    }
}

/// An address of the tables above.
pub(super) fn address(text: &str) -> Result<Url, OidcError> {
    Url::parse(text).map_err(|_| OidcError::Unusable("its address is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_addresses_that_are_some() {
        for kind in ProviderKind::ALL {
            match facts(*kind) {
                Facts::OpenId(facts) => assert!(facts.issuer.is_empty() || address(facts.issuer).is_ok(), "{kind:?}"),
                Facts::Plain(facts) => {
                    for text in [facts.authorize, facts.token, facts.userinfo].into_iter().chain(facts.emails) {
                        assert!(address(text).is_ok_and(|url| url.scheme() == "https"), "{kind:?} {text}");
                    }
                }
            }
        }
    }
}
