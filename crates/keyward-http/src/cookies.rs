//! Cookies in and out: the session's, the CSRF cookie, the browser's own, and the one that holds the keys of paused payloads.
//! [`crate::caller`] reads them, [`crate::reply`] writes them.
//! Values are opaque: only [`keyward_services::seal`] opens them, and names are compared as they came, never decoded (AC-58).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::time::{Duration, OffsetDateTime};
use cookie::{Cookie, SameSite};
use http::HeaderValue;
use keyward_config::Cookies;
use keyward_model::{ContainerId, IdentityId, Lang, Random, Secret, Time};
use keyward_selfservice::Device;
use keyward_services::continuity::{Held, Parcel};
use keyward_services::csrf::CsrfCookie;
use keyward_services::keys::{KeyUse, Keyring};
use keyward_services::seal::Place;
use keyward_services::tokens::SessionToken;
use serde::{Deserialize, Serialize};

use crate::site::Site;

/// The name of the cookie that holds the keys of paused payloads.
pub(crate) const CONTINUITY: &str = "ory_kratos_continuity";
/// The name of the cookie that pins the language of the built-in pages.
pub(crate) const LANGUAGE: &str = "keyward_lang";
/// The name of the cookie by which a browser shows that somebody signed in with it before (decisions 5.6).
pub(crate) const DEVICE: &str = "keyward_device";
/// People of one browser that are remembered.
const MOST_REMEMBERED: usize = 5;
const YEAR: i64 = 31_536_000;
const CONTINUITY_AGE: i64 = 2_592_000;

/// The pairs of the `Cookie` headers, in order.
pub(crate) fn pairs<'a>(headers: impl Iterator<Item = &'a HeaderValue>) -> impl Iterator<Item = (&'a str, &'a str)> {
    headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| !name.is_empty())
}

/// What the session cookie says.
#[derive(Debug)]
pub(crate) struct SessionCookieContent {
    pub(crate) token: SessionToken,
    pub(crate) expires_at: Time,
}

#[derive(Serialize, Deserialize)]
struct Content<'a> {
    session_token: &'a str,
    expires_at: Time,
    /// Makes every issue of the cookie different.
    nonce: &'a str,
}

/// Opens a session cookie; `None` for anything that this server did not seal.
pub(crate) fn open_session(keys: &Keyring, name: &str, value: &str) -> Option<SessionCookieContent> {
    let plain = keys.open_text(KeyUse::SessionCookie, Place::Cookie(name), value).ok()?;
    let content: Content<'_> = serde_json::from_slice(plain.reveal()).ok()?;
    Some(SessionCookieContent { token: SessionToken::parse(content.session_token)?, expires_at: content.expires_at })
}

/// A `Set-Cookie` value with a session; the cookie ends with the session when the configuration says so.
pub(crate) fn session(keys: &Keyring, site: &Site, token: &str, expires_at: Time, now: Time, random: &dyn Random) -> HeaderValue {
    let nonce = random.alphanumeric(8);
    let content = Content { session_token: token, expires_at, nonce: &nonce };
    // Two strings and a time always have a JSON form.
    let plain = Secret::new(serde_json::to_vec(&content).unwrap_or_default());
    let value = keys.seal_text(KeyUse::SessionCookie, Place::Cookie(&site.session_cookie), plain.reveal(), random);
    let age = if site.session_persistent { Age::Until(expires_at, now) } else { Age::Browser };
    write(&site.session_cookie, value, &site.session_attributes, age)
}

/// The `Set-Cookie` values that remove the session cookie: with the configured domain, and bound to the host, where a
/// planted one may lie.
pub(crate) fn clear_session(site: &Site) -> Vec<HeaderValue> {
    let mut values = vec![write(&site.session_cookie, String::new(), &site.session_attributes, Age::Past)];
    if site.session_attributes.domain.is_some() {
        let host_only = Cookies { domain: None, ..site.session_attributes.clone() };
        values.push(write(&site.session_cookie, String::new(), &host_only, Age::Past));
    }
    values
}

/// A `Set-Cookie` value with the language that a person chose.
pub(crate) fn language(site: &Site, lang: Lang) -> HeaderValue {
    write(LANGUAGE, lang.tag().to_owned(), &site.attributes, Age::Seconds(YEAR))
}

/// A `Set-Cookie` value with the CSRF cookie.
pub(crate) fn csrf(site: &Site, cookie: &CsrfCookie) -> HeaderValue {
    write(&site.csrf_cookie, cookie.value(), &site.attributes, Age::Seconds(YEAR))
}

#[derive(Serialize, Deserialize)]
struct StoredParcel {
    id: ContainerId,
    key: String,
}

/// Opens the continuity cookie; whatever cannot be opened counts as empty.
pub(crate) fn open_held(keys: &Keyring, value: &str) -> Held {
    let stored: Option<BTreeMap<String, StoredParcel>> = keys
        .open_text(KeyUse::ContinuityCookie, Place::Cookie(CONTINUITY), value)
        .ok()
        .and_then(|plain| serde_json::from_slice(plain.reveal()).ok());
    let parcels = stored.into_iter().flatten().filter_map(|(name, parcel)| {
        let key: [u8; 32] = URL_SAFE_NO_PAD.decode(&parcel.key).ok()?.try_into().ok()?;
        Some((name, Parcel { id: parcel.id, key: Secret::new(key) }))
    });
    Held(parcels.collect())
}

/// A `Set-Cookie` value with what the browser holds.
pub(crate) fn held(keys: &Keyring, site: &Site, held: &Held, now: Time, random: &dyn Random) -> HeaderValue {
    let stored: BTreeMap<&str, StoredParcel> = held
        .0
        .iter()
        .map(|(name, parcel)| (name.as_str(), StoredParcel { id: parcel.id, key: URL_SAFE_NO_PAD.encode(parcel.key.reveal()) }))
        .collect();
    // Ids and texts always have a JSON form.
    let plain = Secret::new(serde_json::to_vec(&stored).unwrap_or_default());
    let value = keys.seal_text(KeyUse::ContinuityCookie, Place::Cookie(CONTINUITY), plain.reveal(), random);
    write(CONTINUITY, value, &site.attributes, Age::Until(now + keyward_model::Span::seconds(CONTINUITY_AGE), now))
}

#[derive(Serialize, Deserialize)]
struct StoredDevice {
    id: [u8; 16],
    identities: Vec<IdentityId>,
}

/// Opens the device cookie.
pub(crate) fn open_device(keys: &Keyring, value: &str) -> Option<Device> {
    let plain = keys.open_text(KeyUse::Device, Place::Cookie(DEVICE), value).ok()?;
    let stored: StoredDevice = serde_json::from_slice(plain.reveal()).ok()?;
    Some(Device { id: stored.id, identities: stored.identities })
}

/// A `Set-Cookie` value that remembers a person, for a year from now.
pub(crate) fn device(
    keys: &Keyring,
    site: &Site,
    known: Option<&Device>,
    latest: IdentityId,
    random: &dyn Random,
) -> HeaderValue {
    let before = known.map(|device| device.identities.as_slice()).unwrap_or_default();
    let others = before.iter().copied().filter(|id| *id != latest).take(MOST_REMEMBERED - 1);
    let identities = std::iter::once(latest).chain(others).collect();
    let stored = StoredDevice { id: known.map_or_else(|| random.bytes(), |device| device.id), identities };
    // Bytes and ids always have a JSON form.
    let plain = serde_json::to_vec(&stored).unwrap_or_default();
    let value = keys.seal_text(KeyUse::Device, Place::Cookie(DEVICE), &plain, random);
    write(DEVICE, value, &site.attributes, Age::Seconds(YEAR))
}

/// How long a cookie lives.
#[derive(Clone, Copy)]
enum Age {
    /// As long as the browser.
    Browser,
    Seconds(i64),
    /// Until an instant, seen from now.
    Until(Time, Time),
    /// It is removed.
    Past,
}

fn write(name: &str, value: String, attributes: &Cookies, age: Age) -> HeaderValue {
    let same_site = match (attributes.secure, attributes.same_site) {
        (true, keyward_config::SameSite::None) => SameSite::None,
        (_, keyward_config::SameSite::Strict) => SameSite::Strict,
        // Browsers refuse `None` without `Secure`.
        (_, keyward_config::SameSite::Lax) | (false, keyward_config::SameSite::None) => SameSite::Lax,
    };
    let mut cookie = Cookie::build((name, value))
        .http_only(true)
        .path(attributes.path.as_str())
        .same_site(same_site)
        .secure(attributes.secure);
    if let Some(domain) = &attributes.domain {
        cookie = cookie.domain(domain.as_str());
    }
    let cookie = match age {
        Age::Browser => cookie,
        Age::Seconds(seconds) => cookie.max_age(Duration::seconds(seconds)),
        Age::Until(end, now) => with_end(cookie.max_age(Duration::seconds(end.since(now).as_seconds().max(0))), end.unix()),
        Age::Past => with_end(cookie.max_age(Duration::ZERO), 0),
    };
    // Names and attributes come from a checked configuration, values are base64; nothing else reaches this line.
    HeaderValue::try_from(cookie.build().to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn with_end(cookie: cookie::CookieBuilder<'_>, unix: i64) -> cookie::CookieBuilder<'_> {
    match OffsetDateTime::from_unix_timestamp(unix) {
        Ok(end) => cookie.expires(end),
        Err(_) => cookie,
    }
}
