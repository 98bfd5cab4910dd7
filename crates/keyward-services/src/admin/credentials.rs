//! Credentials that operators bring along, turned into the form in which they are stored (contract: admin 10.3, 12.3).
//! Create, replace, patch and batch read them here, and pass everything through [`shown`] on its way out.
//! Knows the wire's forms and how an import joins what is there; rows and identifiers of traits are the writer's business.

use keyward_model::{Credential, CredentialType, IdentitySnapshot, Problem, Secret, Time};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Refused, bad_request};
use crate::App;
use crate::derive::CredentialEdit;
use crate::hashing;
use crate::oidc;
use crate::passwords::{self, Lane, PasswordError};
use crate::webauthn::{Key, Keys, handle_identifier, is_key_id};

/// The member `credentials` of a body.
#[derive(Debug, Deserialize)]
pub(super) struct GivenCredentials {
    #[serde(default)]
    password: Option<Given<PasswordConfig>>,
    #[serde(default)]
    oidc: Option<Given<LinkConfig>>,
    #[serde(default)]
    saml: Option<Given<LinkConfig>>,
    #[serde(default)]
    totp: Option<Given<TotpConfig>>,
    #[serde(default)]
    lookup_secret: Option<Given<LookupConfig>>,
    #[serde(default)]
    webauthn: Option<Given<Keys>>,
    #[serde(default)]
    passkey: Option<Given<Keys>>,
}

#[derive(Debug, Deserialize)]
struct Given<C> {
    config: Option<C>,
}

#[derive(Debug, Default, Deserialize)]
struct PasswordConfig {
    #[serde(default)]
    password: Option<Secret<String>>,
    #[serde(default)]
    hashed_password: Option<Secret<String>>,
    #[serde(default)]
    use_password_migration_hook: bool,
}

#[derive(Debug, Deserialize)]
struct LinkConfig {
    #[serde(default)]
    providers: Vec<Link>,
}

#[derive(Debug, Clone, Deserialize)]
struct Link {
    subject: String,
    provider: String,
    #[serde(default)]
    use_auto_link: bool,
    #[serde(default)]
    organization: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TotpConfig {
    totp_url: Secret<String>,
}

#[derive(Debug, Deserialize)]
struct LookupConfig {
    #[serde(default)]
    codes: Vec<LookupCode>,
}

#[derive(Debug, Clone, Deserialize)]
struct LookupCode {
    code: Secret<String>,
    #[serde(default)]
    used_at: Option<Time>,
}

/// Reads the member. What cannot be read is not quoted: it may hold a password.
pub(super) fn read(value: Value) -> Result<GivenCredentials, Refused> {
    serde_json::from_value(value).map_err(|_| bad_request("The credentials are not in the form that an import has."))
}

/// The keys that a type's `config` may have in an import; `None` when the type cannot be imported.
pub(super) fn config_keys(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "password" => &["password", "hashed_password", "use_password_migration_hook"],
        "oidc" | "saml" => &["providers"],
        "totp" => &["totp_url"],
        "lookup_secret" => &["codes"],
        "webauthn" | "passkey" => &["credentials", "user_handle"],
        _ => return None,
    })
}

impl GivenCredentials {
    /// Whether a password has to be hashed.
    pub(super) fn has_plain_password(&self) -> bool {
        let config = self.password.as_ref().and_then(|given| given.config.as_ref());
        config.is_some_and(|config| !config.use_password_migration_hook && config.password.is_some())
    }

    /// Judges everything that can be judged without hashing.
    pub(super) fn check(&self) -> Result<(), Refused> {
        if let Some(config) = self.password.as_ref().and_then(|given| given.config.as_ref())
            && !config.use_password_migration_hook
            && config.password.is_none()
        {
            check_hash(config.hashed_password.as_ref())?;
        }
        self.others(None, Time::default()).map(drop)
    }

    /// Hashes what is to be hashed; expensive, so done once, before any attempt to write.
    pub(super) async fn prepare(self, app: &App) -> Result<Prepared, Refused> {
        self.check()?;
        let password = match self.password.as_ref().and_then(|given| given.config.as_ref()) {
            None => None,
            Some(config) if config.use_password_migration_hook => Some(json!({ "use_password_migration_hook": true })),
            Some(PasswordConfig { password: Some(password), .. }) => {
                let hash = passwords::hash(app, password, Lane::SignedIn).await.map_err(|error| match error {
                    PasswordError::Refused(message) => bad_request(message.text),
                    PasswordError::Problem(problem) => problem.into(),
                })?;
                Some(json!({ "hashed_password": hash.reveal() }))
            }
            Some(PasswordConfig { hashed_password: Some(hash), .. }) => Some(json!({ "hashed_password": hash.reveal() })),
            Some(_) => None,
        };
        Ok(Prepared { given: self, password })
    }

    /// Everything but the password, as it joins what `before` has.
    fn others(&self, before: Option<&IdentitySnapshot>, now: Time) -> Result<Vec<CredentialEdit>, Refused> {
        let stored = |kind| before.and_then(|before| before.credential(kind)).map(|row| &row.config);
        let mut edits = Vec::new();
        let mut put = |kind, (config, identifiers): (Value, Option<Vec<String>>)| {
            edits.push(CredentialEdit::Put { kind, config, identifiers });
        };
        if let Some(given) = given(self.totp.as_ref()) {
            put(CredentialType::Totp, (totp(given)?, None));
        }
        if let Some(given) = given(self.lookup_secret.as_ref()) {
            put(CredentialType::LookupSecret, (lookup(given, stored(CredentialType::LookupSecret))?, None));
        }
        for (kind, keys) in [(CredentialType::Webauthn, &self.webauthn), (CredentialType::Passkey, &self.passkey)] {
            if let Some(given) = given(keys.as_ref()) {
                let before = before.and_then(|before| before.credential(kind));
                put(kind, self::keys(kind, given, Keys::read(before)?, before, now)?);
            }
        }
        for (kind, links) in [(CredentialType::Oidc, &self.oidc), (CredentialType::Saml, &self.saml)] {
            if let Some(given) = given(links.as_ref()) {
                put(kind, (self::links(kind, given, stored(kind))?, None));
            }
        }
        Ok(edits)
    }
}

/// Credentials whose password is hashed.
pub(super) struct Prepared {
    given: GivenCredentials,
    password: Option<Value>,
}

impl Prepared {
    /// The edits that put them beside what `before` has (contract: admin 8.4): password and authenticator app replace, links and
    /// codes are appended, keys are joined by their id.
    pub(super) fn edits(&self, before: Option<&IdentitySnapshot>, now: Time) -> Result<Vec<CredentialEdit>, Refused> {
        let mut edits = self.given.others(before, now)?;
        if let Some(config) = &self.password {
            let kind = CredentialType::Password;
            edits.push(CredentialEdit::Put { kind, config: config.clone(), identifiers: None });
        }
        Ok(edits)
    }
}

fn given<C>(credential: Option<&Given<C>>) -> Option<&C> {
    credential.and_then(|given| given.config.as_ref())
}

/// The config as the admin API shows it to those who ask for it: tokens of providers are opened, because operators call the
/// providers with them (contract: admin 10.2).
pub(super) fn shown(app: &App, kind: CredentialType, config: &Value) -> Value {
    match kind {
        CredentialType::Oidc | CredentialType::Saml => oidc::shown(&app.keys, config),
        _ => config.clone(),
    }
}

/// Judges a password config that a patch wrote.
pub(super) fn check_password_config(config: &Value) -> Result<(), Refused> {
    let members = config.as_object().ok_or_else(|| bad_request("The config of a credential must be an object."))?;
    match members.get("hashed_password") {
        None => Ok(()),
        Some(Value::String(hash)) if hash.is_empty() => Ok(()),
        Some(Value::String(hash)) => check_hash(Some(&Secret::new(hash.clone()))),
        Some(_) => Err(bad_request("The password hash must be a text.")),
    }
}

fn check_hash(hash: Option<&Secret<String>>) -> Result<(), Refused> {
    let Some(hash) = hash else { return Ok(()) };
    match hashing::recognise(hash.reveal()) {
        Ok(_) => Ok(()),
        Err(refusal) => Err(Problem::BadRequest { reason: format!("The password hash cannot be used: {refusal}.") }.into()),
    }
}

fn totp(given: &TotpConfig) -> Result<Value, Refused> {
    let url = given.totp_url.reveal();
    if !url.starts_with("otpauth://totp/") {
        return Err(bad_request("The totp_url must start with otpauth://totp/."));
    }
    Ok(json!({ "totp_url": url }))
}

fn lookup(given: &LookupConfig, stored: Option<&Value>) -> Result<Value, Refused> {
    if given.codes.iter().any(|code| code.code.reveal().is_empty()) {
        return Err(bad_request("A backup code is empty."));
    }
    let mut codes = stored.and_then(|config| config["recovery_codes"].as_array()).cloned().unwrap_or_default();
    codes.extend(given.codes.iter().map(|code| match code.used_at {
        Some(used_at) => json!({ "code": code.code.reveal(), "used_at": used_at }),
        None => json!({ "code": code.code.reveal() }),
    }));
    Ok(json!({ "recovery_codes": codes }))
}

fn links(kind: CredentialType, given: &LinkConfig, stored: Option<&Value>) -> Result<Value, Refused> {
    let mut providers = stored.and_then(|config| config["providers"].as_array()).cloned().unwrap_or_default();
    for link in &given.providers {
        if link.subject.is_empty() || link.provider.is_empty() {
            return Err(bad_request("A link to a provider needs a provider and a subject."));
        }
        if providers.iter().any(|known| known["provider"] == link.provider.as_str() && known["subject"] == link.subject.as_str())
        {
            continue;
        }
        let mut entry = json!({ "subject": link.subject, "provider": link.provider });
        if kind == CredentialType::Oidc {
            for token in ["initial_id_token", "initial_access_token", "initial_refresh_token"] {
                entry[token] = "".into();
            }
            if link.use_auto_link {
                entry["use_auto_link"] = true.into();
            }
        }
        if let Some(organization) = link.organization.as_ref().filter(|id| !id.is_empty()) {
            entry["organization"] = organization.as_str().into();
        }
        providers.push(entry);
    }
    Ok(json!({ "providers": providers }))
}

/// Keys by their id, and for passkeys what finds them: the text of the user handle.
/// They join `stored`; what found the keys before goes on to do so.
fn keys(
    kind: CredentialType,
    given: &Keys,
    stored: Keys,
    before: Option<&Credential>,
    now: Time,
) -> Result<(Value, Option<Vec<String>>), Refused> {
    let mut all = stored;
    all.other.extend(given.other.clone());
    if !given.user_handle.is_empty() {
        all.user_handle.clone_from(&given.user_handle);
    }
    if kind == CredentialType::Passkey && (all.user_handle.is_empty() || given.credentials.is_empty()) {
        return Err(bad_request("Passkeys need a user_handle and at least one credential."));
    }
    for key in &given.credentials {
        if !is_key_id(&key.id) || key.public_key.is_empty() {
            return Err(bad_request("A key needs an id of 1 to 1023 bytes and a public key."));
        }
        let key = Key {
            added_at: key.added_at.or(Some(now)),
            is_passwordless: key.is_passwordless || kind == CredentialType::Passkey,
            ..key.clone()
        };
        match all.credentials.iter_mut().find(|known| known.id == key.id) {
            Some(known) => *known = key,
            None => all.credentials.push(key),
        }
    }
    let identifiers = (kind == CredentialType::Passkey).then(|| {
        let mut known = before.map(|before| before.identifiers.clone()).unwrap_or_default();
        let handle = handle_identifier(&all.user_handle);
        if !known.contains(&handle) {
            known.push(handle);
        }
        known
    });
    Ok((all.to_config(), identifiers))
}

/// The edit for a credential whose config a patch wrote. It is stored as it stands, so it has to be what is stored.
pub(super) fn patched(
    kind: CredentialType,
    mut config: Value,
    before: &IdentitySnapshot,
    now: Time,
) -> Result<CredentialEdit, Refused> {
    let malformed =
        |_| bad_request(format!("The config of the credential {:?} is not in the form in which it is shown.", kind.as_str()));
    let mut identifiers = None;
    match kind {
        CredentialType::Totp => {
            let given: TotpConfig = serde_json::from_value(config.clone()).map_err(malformed)?;
            totp(&given)?;
        }
        CredentialType::Webauthn | CredentialType::Passkey if config.as_object().is_some_and(|members| !members.is_empty()) => {
            let given: Keys = serde_json::from_value(config.clone()).map_err(malformed)?;
            (config, identifiers) = keys(kind, &given, Keys::default(), before.credential(kind), now)?;
        }
        CredentialType::LookupSecret if !config["recovery_codes"].is_null() => {
            let _: Vec<LookupCode> = serde_json::from_value(config["recovery_codes"].clone()).map_err(malformed)?;
        }
        _ => {}
    }
    if kind == CredentialType::Password && config.as_object().is_none_or(Map::is_empty) && before.credential(kind).is_some() {
        return Ok(CredentialEdit::Drop(kind));
    }
    Ok(CredentialEdit::Put { kind, config, identifiers })
}
