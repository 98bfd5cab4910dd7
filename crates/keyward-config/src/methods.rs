//! The settings of the methods, with every default filled in.
//! Part of [`crate::Config`]; each method of the self-service floor reads its own struct.
//! Knows no flows: which hooks follow a method stands with the flow.

use keyward_model::Span;
use url::Url;

use crate::oidc::OidcMethod;

/// The methods.
#[derive(Debug, Clone)]
pub struct Methods {
    /// `profile` is offered in settings.
    pub profile_enabled: bool,
    /// Passwords.
    pub password: PasswordMethod,
    /// Mailed and texted codes.
    pub code: CodeMethod,
    /// Mailed links.
    pub link: LinkMethod,
    /// Authenticator apps.
    pub totp: TotpMethod,
    /// Backup codes are offered.
    pub lookup_secret_enabled: bool,
    /// Security keys.
    pub webauthn: WebauthnMethod,
    /// Passkeys.
    pub passkey: PasskeyMethod,
    /// Social sign-in.
    pub oidc: OidcMethod,
}

/// Passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordMethod {
    /// The method is offered.
    pub enabled: bool,
    /// New passwords are looked up in the list of leaked ones.
    pub haveibeenpwned_enabled: bool,
    /// The host that answers for leaked passwords.
    pub haveibeenpwned_host: String,
    /// More leaks than this refuse a password.
    pub max_breaches: u32,
    /// A lookup that fails accepts the password.
    pub ignore_network_errors: bool,
    /// The least length in bytes, 6 or more.
    pub min_password_length: usize,
    /// Passwords that resemble an identifier are refused.
    pub identifier_similarity_check_enabled: bool,
}

/// Codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeMethod {
    /// The method is offered (recovery and verification).
    pub enabled: bool,
    /// Codes sign people in.
    pub passwordless_enabled: bool,
    /// Codes are a second factor.
    pub mfa_enabled: bool,
    /// How long a code is valid.
    pub lifespan: Span,
    /// Wrong attempts per code.
    pub max_submissions: u32,
    /// Accounts that never had a code may use one.
    pub missing_credential_fallback_enabled: bool,
}

/// Links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkMethod {
    /// The method is offered.
    pub enabled: bool,
    /// How long a link is valid.
    pub lifespan: Span,
    /// The base of the links, when it is not the public one.
    pub base_url: Option<Url>,
    /// `selfservice.methods.link.config.confirm` (ours, default true): the link shows a page whose button acts.
    pub confirm: bool,
}

/// Authenticator apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpMethod {
    /// The method is offered.
    pub enabled: bool,
    /// The issuer that the app shows; the public host when not configured.
    pub issuer: String,
    /// `selfservice.methods.totp.config.issue_lookup_secrets` (ours, default true): enrolling hands out backup codes.
    pub issue_lookup_secrets: bool,
}

/// A relying party of WebAuthn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelyingParty {
    /// Its id, a host name; the public host when not configured.
    pub id: String,
    /// Its name for people.
    pub display_name: String,
    /// Origins that may use it. Those of the web stand as browsers write them, those of apps (`android:apk-key-hash:…`) as
    /// they were configured; they are compared as text.
    pub origins: Vec<String>,
}

/// Whether an authenticator has to know the person, not only to be touched (WebAuthn Level 3, section 5.8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserVerification {
    /// It has to.
    Required,
    /// It should.
    Preferred,
    /// It need not.
    Discouraged,
}

impl UserVerification {
    /// The word of the standard.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Preferred => "preferred",
            Self::Discouraged => "discouraged",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Required, Self::Preferred, Self::Discouraged].into_iter().find(|one| one.as_str() == text)
    }
}

/// Security keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebauthnMethod {
    /// The method is offered.
    pub enabled: bool,
    /// Keys sign in without a password instead of being a second factor.
    pub passwordless: bool,
    /// `selfservice.methods.webauthn.config.api_flows` (ours, default true): API flows may use it too.
    pub api_flows: bool,
    /// The relying party.
    pub relying_party: RelyingParty,
}

/// Passkeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyMethod {
    /// The method is offered.
    pub enabled: bool,
    /// The relying party.
    pub relying_party: RelyingParty,
    /// `authenticator_selection.attachment`: `platform` or `cross-platform`, or any.
    pub attachment: Option<String>,
    /// `authenticator_selection.resident_key`: a word of the standard.
    pub resident_key: String,
    /// `authenticator_selection.user_verification`.
    pub user_verification: UserVerification,
    /// `attestation.preference`: a word of the standard.
    pub attestation: String,
    /// How long browsers wait for a new key.
    pub registration_timeout: Span,
    /// How long browsers wait at sign-in.
    pub login_timeout: Span,
}

impl PasskeyMethod {
    /// Whether keys have to bring an attestation: whoever asks for one gets none from authenticators that cannot give one, and
    /// did not want those. Its issuer is not checked.
    pub fn wants_attestation(&self) -> bool {
        matches!(self.attestation.as_str(), "direct" | "enterprise")
    }
}
