//! Social sign-in: the block `selfservice.methods.oidc`, typed.
//! The services make one provider of each entry, stories ask what may be offered.
//! Knows which keys a kind of provider needs, not how one is talked to.

use std::fmt;

use keyward_model::Secret;
use serde_json::Value;
use url::Url;

use crate::report::Place;
use crate::tokenizer::Document;

mod read;

pub(crate) use read::resolve;

/// Social sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcMethod {
    /// The method is offered.
    pub enabled: bool,
    /// The base of the addresses that providers send browsers back to, when it is not the public one.
    pub base_redirect_uri: Option<Url>,
    /// The providers in the order in which they are shown. Their ids are unique.
    pub providers: Vec<OidcProvider>,
}

/// One provider.
#[derive(Clone, PartialEq, Eq)]
pub struct OidcProvider {
    /// Its id: part of addresses and of stored identifiers, made of `A-Z a-z 0-9 - . _ ~`.
    pub id: String,
    /// How it is talked to.
    pub kind: ProviderKind,
    /// What the button says instead of the id.
    pub label: Option<String>,
    /// `client_id` (RFC 6749, section 2.2).
    pub client_id: String,
    /// `client_secret`; empty for a public client and where there is an [`AppleKey`] instead.
    pub client_secret: Secret<String>,
    /// The issuer (OpenID Connect Discovery 1.0, section 3), as written: it is compared as text.
    pub issuer_url: Option<String>,
    /// The authorization endpoint, when it is not the one that was found.
    pub auth_url: Option<Url>,
    /// The token endpoint, when it is not the one that was found.
    pub token_url: Option<Url>,
    /// The Jsonnet that makes traits of claims.
    pub mapper: Document,
    /// Scopes to ask for, beside `openid`.
    pub scope: Vec<String>,
    /// Whether codes are bound to us by a proof key (RFC 7636).
    pub pkce: Pkce,
    /// Where claims come from.
    pub claims_source: ClaimsSource,
    /// The parameter `claims` (OpenID Connect Core 1.0, section 5.5).
    pub requested_claims: Option<Value>,
    /// Audiences that an id token from an app may have instead of the client id.
    pub additional_id_token_audiences: Vec<String>,
    /// Values of the claim `acr` that stand for two factors.
    pub aal2_acr_values: Vec<String>,
    /// Values of the claim `amr`, one of which stands for two factors.
    pub aal2_amr_values: Vec<String>,
    /// The organization whose people sign in here.
    pub organization_id: Option<String>,
    /// `microsoft_tenant`: a tenant's id or domain, or `common`, `organizations`, `consumers`.
    pub microsoft_tenant: Option<String>,
    /// What names a person at Microsoft.
    pub subject_source: ProviderSubject,
    /// What signs in the place of a client secret at Apple.
    pub apple: Option<AppleKey>,
    /// `update_identity_on_login: automatic`: traits are mapped anew at each sign-in.
    pub update_identity_on_login: bool,
}

impl fmt::Debug for OidcProvider {
    // `requested_claims` may name people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcProvider").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// How a provider is talked to; the words of the key `provider` that this version serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// Whoever speaks OpenID Connect and can be discovered.
    Generic,
    /// Amazon.
    Amazon,
    /// Apple.
    Apple,
    /// Auth0.
    Auth0,
    /// Discord.
    Discord,
    /// Facebook.
    Facebook,
    /// GitHub, by an OAuth app.
    Github,
    /// GitHub, by a GitHub app.
    GithubApp,
    /// GitLab, also on one's own server.
    Gitlab,
    /// Google.
    Google,
    /// LinkedIn, by OpenID Connect.
    LinkedinV2,
    /// Microsoft.
    Microsoft,
    /// netID.
    Netid,
    /// Patreon.
    Patreon,
    /// Salesforce.
    Salesforce,
    /// Spotify.
    Spotify,
    /// Yandex.
    Yandex,
}

impl ProviderKind {
    /// Every kind that is served.
    pub const ALL: &[Self] = &[
        Self::Generic,
        Self::Amazon,
        Self::Apple,
        Self::Auth0,
        Self::Discord,
        Self::Facebook,
        Self::Github,
        Self::GithubApp,
        Self::Gitlab,
        Self::Google,
        Self::LinkedinV2,
        Self::Microsoft,
        Self::Netid,
        Self::Patreon,
        Self::Salesforce,
        Self::Spotify,
        Self::Yandex,
    ];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Amazon => "amazon",
            Self::Apple => "apple",
            Self::Auth0 => "auth0",
            Self::Discord => "discord",
            Self::Facebook => "facebook",
            Self::Github => "github",
            Self::GithubApp => "github-app",
            Self::Gitlab => "gitlab",
            Self::Google => "google",
            Self::LinkedinV2 => "linkedin_v2",
            Self::Microsoft => "microsoft",
            Self::Netid => "netid",
            Self::Patreon => "patreon",
            Self::Salesforce => "salesforce",
            Self::Spotify => "spotify",
            Self::Yandex => "yandex",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }

    /// The keys that this kind cannot do without, beside those that all need.
    const fn needs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Generic | Self::Auth0 | Self::Salesforce => {
                &[("issuer_url", "the issuer, below which /.well-known/openid-configuration is found")]
            }
            Self::Microsoft => &[("microsoft_tenant", "the id or domain of a tenant, or common, organizations, consumers")],
            Self::Apple => &[
                ("apple_team_id", "the team whose key signs"),
                ("apple_private_key_id", "the id of the key that signs"),
                ("apple_private_key", "the key that signs, as PEM text"),
            ],
            _ => &[],
        }
    }
}

/// Whether codes are bound to us by a proof key (RFC 7636).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pkce {
    /// Where the provider is known to take one.
    Auto,
    /// Not.
    Never,
    /// Always; browsers then come back to one address for all providers.
    Force,
}

/// Where claims come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimsSource {
    /// The id token (OpenID Connect Core 1.0, section 2).
    IdToken,
    /// The userinfo endpoint (OpenID Connect Core 1.0, section 5.3).
    Userinfo,
}

/// What names a person at Microsoft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderSubject {
    /// The claim `sub`, which differs from client to client.
    Userinfo,
    /// The id of Microsoft Graph.
    Me,
    /// The claim `oid`.
    Oid,
}

/// What signs in the place of a client secret at Apple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppleKey {
    /// `apple_team_id`.
    pub team_id: String,
    /// `apple_private_key_id`.
    pub key_id: String,
    /// `apple_private_key`: a P-256 key as PEM text (RFC 7468, section 10).
    pub private_key: Secret<String>,
    /// The dotted key of the private key.
    pub key: String,
    /// Where the private key was written.
    pub at: Place,
}
