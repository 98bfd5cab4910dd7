//! Reads the block `selfservice.methods.oidc` and refuses what could not serve.
//! Called with the other methods; the same rules hold: mistakes are collected, what is malformed counts as absent.
//! A button that does nothing is worse than a server that does not start, so kinds that are not served are refused.

use keyward_model::Secret;
use url::{Host, Url};

use super::{AppleKey, ClaimsSource, OidcMethod, OidcProvider, Pkce, ProviderKind, ProviderSubject};
use crate::document::{Node, Shape};
use crate::report::{Place, Report, WarningKind};
use crate::resolve::{DOCUMENT_URL, Reader, is_document_url};
use crate::tokenizer::Document;

const METHOD: &str = "selfservice.methods.oidc";
const PROVIDERS: &str = "selfservice.methods.oidc.config.providers";

/// Kinds that Kratos has and this version does not serve, with what can be done instead.
const NOT_SERVED: &[(&str, &str)] = &[
    ("slack", "; Slack speaks OpenID Connect: write generic, with issuer_url: https://slack.com"),
    ("linkedin", ", because LinkedIn ended it; write linkedin_v2"),
    ("line", ", because its id tokens carry no signature that others could check"),
    ("x", ", because it speaks OAuth 1.0a"),
];

pub(crate) fn resolve(reader: Reader<'_>, report: &mut Report) -> OidcMethod {
    let enabled = reader.on(&format!("{METHOD}.enabled"), false);
    let mut unheard = Report::default();
    // Of a method that is switched off only the form counts, which the checker has seen to.
    let report = if enabled { report } else { &mut unheard };
    let key = format!("{METHOD}.config.base_redirect_uri");
    let base_redirect_uri = reader.text(&key).and_then(|text| {
        let url = Url::parse(text).ok().filter(|url| is_web(url) && url.query().is_none() && url.fragment().is_none());
        if url.is_none() {
            report.refuse(&reader.place(&key), key.as_str(), "expected an http or https URL without query and fragment");
        }
        url
    });
    let items = reader.node(PROVIDERS).map(Node::items).unwrap_or_default();
    let mut providers: Vec<OidcProvider> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let entry = Entry { item, key: format!("{PROVIDERS}.{index}") };
        if let Some(id) = entry.text("id")
            && items[..index].iter().any(|earlier| earlier.find("id").and_then(Node::as_text) == Some(id))
        {
            entry.refuse("id", "another provider has the same id", report);
            continue;
        }
        providers.extend(provider(&entry, report));
    }
    if items.is_empty() {
        let message = "the method is on without a provider, so nothing is offered";
        report.warn(WarningKind::Advice, &reader.place(&format!("{METHOD}.enabled")), PROVIDERS, message);
    }
    OidcMethod { enabled, base_redirect_uri, providers }
}

/// One item of the list of providers.
struct Entry<'a> {
    item: &'a Node,
    key: String,
}

impl<'a> Entry<'a> {
    fn node(&self, name: &str) -> Option<&'a Node> {
        self.item.get(name).filter(|node| !matches!(node.value, Shape::Null))
    }

    /// A text that is not empty.
    fn text(&self, name: &str) -> Option<&'a str> {
        self.node(name).and_then(Node::as_text).filter(|text| !text.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let items = self.node(name).map(Node::items).unwrap_or_default();
        items.iter().filter_map(Node::as_text).filter(|text| !text.is_empty()).map(str::to_owned).collect()
    }

    fn secret(&self, name: &str) -> Secret<String> {
        Secret::new(self.text(name).unwrap_or_default().to_owned())
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.key)
    }

    fn at(&self, name: &str) -> &'a Place {
        self.item.get(name).map_or(&self.item.at, |node| &node.at)
    }

    fn refuse(&self, name: &str, message: impl Into<String>, report: &mut Report) {
        report.refuse(self.at(name), self.key(name), message);
    }

    fn warn(&self, kind: WarningKind, name: &str, message: &str, report: &mut Report) {
        report.warn(kind, self.at(name), self.key(name), message);
    }

    /// The URL of an endpoint of the provider. What travels there in clear is worth a word.
    fn url(&self, name: &str, report: &mut Report) -> Option<Url> {
        let text = self.text(name)?;
        let Some(url) = Url::parse(text).ok().filter(|url| is_web(url) && url.fragment().is_none()) else {
            self.refuse(name, "expected an http or https URL without user name and fragment", report);
            return None;
        };
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if url.scheme() == "http" && !local {
            let message = "over plain http anybody on the way can sign in as anybody; use https";
            self.warn(WarningKind::Advice, name, message, report);
        }
        Some(url)
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty() && url.password().is_none()
}

/// One provider; `None` when a mistake leaves nothing to build from (it is then in the report).
fn provider(entry: &Entry<'_>, report: &mut Report) -> Option<OidcProvider> {
    for name in ["id", "provider", "client_id", "mapper_url"].into_iter().filter(|name| entry.text(name).is_none()) {
        entry.refuse(name, "is required for every provider", report);
    }
    let kind = kind(entry, report);
    for (name, what) in kind.map(ProviderKind::needs).unwrap_or_default() {
        if entry.text(name).is_none() {
            entry.refuse(name, format!("is required for providers of this kind: {what}"), report);
        }
    }
    let id = entry.text("id");
    if id.is_some_and(|id| !is_provider_id(id)) {
        let message = "expected a name for a path: letters, digits and - . _ ~, at most 64 of them, not only dots";
        entry.refuse("id", message, report);
    }
    for name in ["client_id", "client_secret", "issuer_url", "microsoft_tenant", "apple_team_id", "apple_private_key_id"] {
        if entry.text(name).is_some_and(|text| text.chars().any(char::is_control)) {
            entry.refuse(name, "line breaks and other control characters cannot stand here", report);
        }
    }
    if entry.text("microsoft_tenant").is_some_and(|tenant| !is_provider_id(tenant)) {
        entry.refuse("microsoft_tenant", "expected the id or domain of a tenant, or common, organizations, consumers", report);
    }
    let mapper = entry.text("mapper_url").map(|url| {
        if !is_document_url(url) {
            entry.refuse("mapper_url", DOCUMENT_URL, report);
        }
        Document { key: entry.key("mapper_url"), at: entry.at("mapper_url").clone(), url: Secret::new(url.to_owned()) }
    });
    for name in ["scope", "additional_id_token_audiences"] {
        let spaced = |text: &String| text.chars().any(|character| character.is_whitespace() || character.is_control());
        if entry.texts(name).iter().any(spaced) {
            entry.refuse(name, "expected a list with one word each, without spaces", report);
        }
    }
    let issuer = entry.url("issuer_url", report);
    if issuer.is_some_and(|issuer| issuer.query().is_some()) {
        entry.refuse("issuer_url", "an issuer has no query (OpenID Connect Discovery 1.0, section 3)", report);
    }
    let requested_claims = entry.node("requested_claims").map(Node::to_json);
    if requested_claims.as_ref().is_some_and(|claims| !claims.is_object()) {
        entry.refuse("requested_claims", "expected an object (OpenID Connect Core 1.0, section 5.5)", report);
    }
    if choice(entry, "account_linking_mode", &LINKING, report) == Some("automatic") {
        let message = "accounts are never joined on a provider's word; people confirm with a credential they have";
        entry.warn(WarningKind::Advice, "account_linking_mode", message, report);
    }
    let (auth_url, token_url) = (entry.url("auth_url", report), entry.url("token_url", report));
    Some(OidcProvider {
        id: id?.to_owned(),
        kind: kind?,
        label: entry.owned("label"),
        client_id: entry.owned("client_id")?,
        client_secret: entry.secret("client_secret"),
        issuer_url: entry.owned("issuer_url"),
        auth_url,
        token_url,
        mapper: mapper?,
        scope: entry.texts("scope"),
        pkce: match entry.text("pkce") {
            Some("never") => Pkce::Never,
            Some("force") => Pkce::Force,
            _ => Pkce::Auto,
        },
        claims_source: match entry.text("claims_source") {
            Some("userinfo") => ClaimsSource::Userinfo,
            _ => ClaimsSource::IdToken,
        },
        requested_claims,
        additional_id_token_audiences: entry.texts("additional_id_token_audiences"),
        aal2_acr_values: entry.texts("aal2_acr_values"),
        aal2_amr_values: entry.texts("aal2_amr_values"),
        organization_id: entry.owned("organization_id"),
        microsoft_tenant: entry.owned("microsoft_tenant"),
        subject_source: match entry.text("subject_source") {
            Some("me") => ProviderSubject::Me,
            Some("oid") => ProviderSubject::Oid,
            _ => ProviderSubject::Userinfo,
        },
        apple: apple(entry),
        update_identity_on_login: choice(entry, "update_identity_on_login", &["never", "automatic"], report) == Some("automatic"),
    })
}

const LINKING: [&str; 2] = ["confirm_with_existing_credential", "automatic"];

/// One of a few words.
fn choice<'a>(entry: &Entry<'a>, name: &str, words: &[&str], report: &mut Report) -> Option<&'a str> {
    let text = entry.text(name)?;
    if !words.contains(&text) {
        entry.refuse(name, format!("expected one of {}", words.join(", ")), report);
    }
    Some(text)
}

fn kind(entry: &Entry<'_>, report: &mut Report) -> Option<ProviderKind> {
    let text = entry.text("provider")?;
    let kind = ProviderKind::parse(text);
    if kind.is_none() {
        let instead = NOT_SERVED.iter().find(|(name, _)| *name == text).map_or("", |(_, instead)| *instead);
        // The checker has refused words that nobody knows.
        entry.refuse("provider", format!("\"{text}\" is not served{instead}"), report);
    }
    kind
}

fn apple(entry: &Entry<'_>) -> Option<AppleKey> {
    entry.text("apple_private_key")?;
    Some(AppleKey {
        team_id: entry.owned("apple_team_id")?,
        key_id: entry.owned("apple_private_key_id")?,
        private_key: entry.secret("apple_private_key"),
        key: entry.key("apple_private_key"),
        at: entry.at("apple_private_key").clone(),
    })
}

/// Whether a text can stand as one segment of a path without being changed on the way (RFC 3986, section 2.3), and before the
/// colon of an identifier.
fn is_provider_id(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(unreserved) && !text.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::key_reference;

    #[test]
    fn the_reference_names_the_kinds_that_are_not_served() {
        let row = key_reference().find(|row| row.pattern.ends_with("providers[].provider")).expect("the row of the kinds");
        let said = row.description.expect("what is not served");
        let known = crate::keys::OIDC_PROVIDERS.iter().filter(|name| ProviderKind::parse(name).is_none());
        let named = |name: &str| said.split([' ', ',', ';']).any(|word| word == name);
        assert!(known.clone().all(|name| named(name)), "{said}");
        assert!(
            ProviderKind::ALL.iter().all(|kind| !named(kind.as_str()) && crate::keys::OIDC_PROVIDERS.contains(&kind.as_str()))
        );
        assert!(NOT_SERVED.iter().all(|(name, _)| named(name)));
    }
}
