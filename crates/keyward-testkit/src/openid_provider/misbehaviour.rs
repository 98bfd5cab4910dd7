//! What an OpenID provider of a test can be told to do wrong.
//! Tests pass it to [`super::OpenIdProvider::misbehave`]; endpoints and keys look it up.
//! Says only what is done wrong, not what a client has to make of it.

/// A part of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`.
    Discovery,
    /// `/oauth2/auth`, where the person goes.
    Authorization,
    /// `/oauth2/token`.
    Token,
    /// `/userinfo`.
    Userinfo,
    /// `/jwks.json`.
    Keys,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Discovery, Self::Authorization, Self::Token, Self::Userinfo, Self::Keys];

    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Discovery => "/.well-known/openid-configuration",
            Self::Authorization => "/oauth2/auth",
            Self::Token => "/oauth2/token",
            Self::Userinfo => "/userinfo",
            Self::Keys => "/jwks.json",
        }
    }
}

/// What is wrong with an id token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdTokenFault {
    /// `nonce` is another one.
    WrongNonce,
    /// `nonce` is missing.
    NoNonce,
    /// `iss` is another one.
    WrongIssuer,
    /// `aud` is another client.
    WrongAudience,
    /// `azp` names another client, although `aud` has this one too.
    WrongParty,
    /// `sub` is missing.
    NoSubject,
    /// It ended an hour ago.
    Expired,
    /// It begins in an hour.
    NotYet,
    /// Its `alg` is `none`, and it has no signature.
    Unsigned,
    /// Its signature is that of other content.
    ForeignContent,
    /// Signed by a key of somebody else that has the id of the provider's.
    ForeignKey,
    /// Signed by a key of somebody else, whose id the provider does not publish.
    UnknownKey,
    /// Signed with HS256 and the secret of the client.
    ClientSecret,
    /// Signed with HS256, where the secret is the provider's public key, as published.
    PublicKeyAsSecret,
}

impl IdTokenFault {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::WrongNonce,
        Self::NoNonce,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::WrongParty,
        Self::NoSubject,
        Self::Expired,
        Self::NotYet,
        Self::Unsigned,
        Self::ForeignContent,
        Self::ForeignKey,
        Self::UnknownKey,
        Self::ClientSecret,
        Self::PublicKeyAsSecret,
    ];
}

/// What the provider does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// An endpoint answers 500.
    Down(Endpoint),
    /// An endpoint answers when the provider behaves again.
    Slow(Endpoint),
    /// An endpoint answers with four mebibytes.
    Oversize(Endpoint),
    /// An endpoint answers with what is no JSON.
    NoJson(Endpoint),
    /// The discovery document names another issuer.
    OtherIssuer,
    /// The discovery document does not offer PKCE.
    NoPkce,
    /// The discovery document offers authentication of clients in the body only.
    SecretInBody,
    /// The token endpoint gives no id token.
    NoIdToken,
    /// Id tokens have a fault.
    IdToken(IdTokenFault),
    /// The userinfo endpoint tells of somebody else.
    OtherSubject,
    /// The person is sent back with the `iss` of another provider (RFC 9207).
    CallbackIssuer,
    /// The person is sent back without `iss`.
    NoCallbackIssuer,
    /// The person is sent back with neither code nor error.
    NoCode,
}
