//! Assurance: which proofs exist, which were given, and what level they add up to.
//! The store writes [`Factors`] beside each identity, sessions carry [`AuthMethod`]s, and every gate asks here.
//! Pure functions of what exists; nothing derived from configuration is ever stored.

use serde::{Deserialize, Serialize};

use crate::{Time, Via};

/// Authenticator assurance level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Aal {
    /// Nothing proven.
    #[default]
    Aal0,
    /// One factor.
    Aal1,
    /// Two factors of different kinds.
    Aal2,
}

impl Aal {
    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aal0 => "aal0",
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
        }
    }

    /// Reads the wire's word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Aal0, Self::Aal1, Self::Aal2].into_iter().find(|aal| aal.as_str() == text)
    }
}

/// The kinds of credential that an identity can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    /// A password hash.
    Password,
    /// An authenticator app.
    Totp,
    /// One-time backup codes.
    LookupSecret,
    /// Security keys and passwordless WebAuthn keys.
    Webauthn,
    /// Discoverable WebAuthn keys.
    Passkey,
    /// Links to OpenID Connect providers.
    Oidc,
    /// Links to SAML providers.
    Saml,
    /// Addresses that receive one-time codes.
    Code,
}

impl CredentialType {
    /// Every type, in the order of the wire.
    pub const ALL: [Self; 8] =
        [Self::Password, Self::Totp, Self::LookupSecret, Self::Webauthn, Self::Passkey, Self::Oidc, Self::Saml, Self::Code];

    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Totp => "totp",
            Self::LookupSecret => "lookup_secret",
            Self::Webauthn => "webauthn",
            Self::Passkey => "passkey",
            Self::Oidc => "oidc",
            Self::Saml => "saml",
            Self::Code => "code",
        }
    }

    /// Reads the wire's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Counts of what an identity can prove itself with; most are zero and left out. They are stored beside it for operators'
/// queries. Gates count the credentials themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Factors {
    /// 1 when a usable password hash with an identifier exists.
    #[serde(skip_serializing_if = "is_zero")]
    pub password: u32,
    /// 1 when an authenticator app is enrolled.
    #[serde(skip_serializing_if = "is_zero")]
    pub totp: u32,
    /// Unused backup codes that the person asked for.
    #[serde(skip_serializing_if = "is_zero")]
    pub lookup_secret: u32,
    /// Unused backup codes handed out together with an authenticator app; alone they are no second factor.
    #[serde(skip_serializing_if = "is_zero")]
    pub companion_codes: u32,
    /// Security keys (second factor).
    #[serde(skip_serializing_if = "is_zero")]
    pub webauthn: u32,
    /// Passwordless WebAuthn keys (first factor).
    #[serde(skip_serializing_if = "is_zero")]
    pub webauthn_passwordless: u32,
    /// Passkeys (first factor).
    #[serde(skip_serializing_if = "is_zero")]
    pub passkey: u32,
    /// Provider links without an organization.
    #[serde(skip_serializing_if = "is_zero")]
    pub oidc: u32,
    /// Addresses that can receive sign-in codes.
    #[serde(skip_serializing_if = "is_zero")]
    pub code: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The two configuration switches that change how addresses for codes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeUse {
    /// `selfservice.methods.code.passwordless_enabled`.
    pub passwordless: bool,
    /// `selfservice.methods.code.mfa_enabled`.
    pub mfa: bool,
}

impl Factors {
    /// Second factors of the identity's own, without any help from the configuration: what rule R1 protects.
    pub const fn second(&self) -> u32 {
        self.totp + self.webauthn + if self.lookup_secret > 0 { 1 } else { 0 }
    }

    /// First factors that can sign the identity in.
    pub const fn first(&self, code: CodeUse) -> u32 {
        self.password + self.webauthn_passwordless + self.passkey + self.oidc + if code.passwordless { 1 } else { 0 }
    }

    /// The highest level that the identity can reach (contract: `available_aal`).
    pub const fn available(&self, code: CodeUse) -> Aal {
        if self.second() > 0 || (code.mfa && self.code > 0) {
            Aal::Aal2
        } else if self.first(code) > 0 {
            Aal::Aal1
        } else {
            Aal::Aal0
        }
    }
}

/// One completed proof inside a session (`authentication_methods[]` on the wire).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthMethod {
    /// The wire's method word, such as `password` or `code_recovery`.
    pub method: Proof,
    /// The level that this proof counts for.
    pub aal: Aal,
    /// When it was given.
    pub completed_at: Time,
    /// The social provider, for `oidc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The organization that the provider belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The address that the code or link went to, after its channel (`email:…`); `operator` for none. Never on the wire: it is kept because a mailbox
    /// that was the first factor of a session is not its second one (decisions 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// The authentication context class that the provider named in a token that was verified (OpenID Connect Core 2, `acr`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_acr: Option<String>,
    /// How the person signed in at the provider, as a token that was verified says (`amr`, RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream_amr: Vec<String>,
}

/// How a proof was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are the wire's words")]
pub enum Proof {
    Password,
    Totp,
    LookupSecret,
    Webauthn,
    Passkey,
    Oidc,
    Saml,
    Code,
    LinkRecovery,
    CodeRecovery,
}

impl AuthMethod {
    /// A password was shown.
    pub const fn password(completed_at: Time) -> Self {
        Self::new(Proof::Password, Aal::Aal1, completed_at)
    }

    /// A proof without further circumstances.
    pub const fn new(method: Proof, aal: Aal, completed_at: Time) -> Self {
        Self {
            method,
            aal,
            completed_at,
            provider: None,
            organization: None,
            mailbox: None,
            upstream_acr: None,
            upstream_amr: Vec::new(),
        }
    }

    /// A code or link that was sent to this address came back.
    pub fn mailed(method: Proof, aal: Aal, completed_at: Time, via: Via, address: &str) -> Self {
        Self { mailbox: Some(mailbox(via, address)), ..Self::new(method, aal, completed_at) }
    }

    /// A code or link that an operator handed over came back: it went through no mailbox.
    pub fn handed_over(method: Proof, aal: Aal, completed_at: Time) -> Self {
        Self { mailbox: Some("operator".to_owned()), ..Self::new(method, aal, completed_at) }
    }

    /// Whether it shows no more than that a mailbox or phone can be read.
    pub const fn is_mailed(&self) -> bool {
        matches!(self.method, Proof::Code | Proof::CodeRecovery | Proof::LinkRecovery)
    }
}

/// An address as [`AuthMethod::mailbox`] names it.
pub fn mailbox(via: Via, address: &str) -> String {
    format!("{}:{address}", via.as_str())
}

/// The level that a session's proofs add up to (contract: settings 3.10.4).
pub fn session_aal(methods: &[AuthMethod]) -> Aal {
    let has = |aal| methods.iter().any(|method| method.aal == aal);
    let social_second = methods.iter().any(|m| m.aal == Aal::Aal2 && matches!(m.method, Proof::Oidc | Proof::Saml));
    match (has(Aal::Aal1), has(Aal::Aal2)) {
        (true, true) => Aal::Aal2,
        (false, true) if social_second => Aal::Aal2,
        (false, false) => Aal::Aal0,
        _ => Aal::Aal1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_proofs() {
        let proof = |method, aal| AuthMethod::new(method, aal, Time::default());
        assert_eq!(session_aal(&[]), Aal::Aal0);
        assert_eq!(session_aal(&[proof(Proof::Password, Aal::Aal1)]), Aal::Aal1);
        assert_eq!(session_aal(&[proof(Proof::Totp, Aal::Aal2)]), Aal::Aal1, "a second factor alone is one factor");
        assert_eq!(session_aal(&[proof(Proof::Password, Aal::Aal1), proof(Proof::Totp, Aal::Aal2)]), Aal::Aal2);
        assert_eq!(session_aal(&[proof(Proof::Oidc, Aal::Aal2)]), Aal::Aal2);
    }

    #[test]
    fn companion_codes_alone_are_no_second_factor() {
        let mut factors = Factors { password: 1, companion_codes: 12, ..Factors::default() };
        assert_eq!(factors.available(CodeUse::default()), Aal::Aal1);
        factors.totp = 1;
        assert_eq!(factors.available(CodeUse::default()), Aal::Aal2);
    }
}
