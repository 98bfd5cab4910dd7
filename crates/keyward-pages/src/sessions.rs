//! The devices page: where the account is signed in, with a form to end each session and one for all others.
//! The HTTP floor hands in the session JSON of its public API and the paths that the forms post to.
//! It ends nothing itself and knows no token but the form's.

use keyward_model::Lang;
use serde::Serialize;
use serde_json::Value;

use crate::context::{PageContext, PageError};
use crate::device;
use crate::messages::MessageBox;
use crate::moment::{Moment, moment};
use crate::render::{self, Frame, Tab};
use crate::{safe, texts};

/// What the devices page shows and where its forms go.
///
/// Forms post `csrf_token` and, for a single device, `session` (the session id) as `application/x-www-form-urlencoded`.
#[derive(Clone, Copy, Debug)]
pub struct SessionList<'a> {
    /// The session of the reader, as `whoami` answers it.
    pub current: &'a Value,
    /// The other active sessions, as the session list answers them.
    pub others: &'a [Value],
    /// The form token of this browser.
    pub csrf_token: &'a str,
    /// Where the form that ends one session posts to.
    pub end_one: &'a str,
    /// Where the form that ends all others posts to.
    pub end_others: &'a str,
    /// What has just been done, for the notice.
    pub ended: Option<Ended<'a>>,
}

/// The outcome of the last post from the devices page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// One session ended; the user agent of its device, empty if unknown.
    One(&'a str),
    /// All other sessions ended.
    Others,
    /// The session had ended before.
    Gone,
}

#[derive(Serialize)]
struct Devices<'a> {
    title: String,
    messages: Vec<MessageBox>,
    current: Option<Row>,
    others: Vec<Row>,
    csrf_token: &'a str,
    end_one: &'a str,
    end_others: &'a str,
}

#[derive(Serialize)]
struct Row {
    id: String,
    name: String,
    icon: &'static str,
    since: Option<Moment>,
    with: Option<String>,
    address: Option<String>,
    place: Option<String>,
    ends: Option<Moment>,
}

/// The devices page.
///
/// # Errors
/// [`PageError::Malformed`] when a path is neither http(s) nor relative.
pub fn sessions(list: &SessionList<'_>, ctx: &PageContext) -> Result<String, PageError> {
    let notice = list.ended.map(|ended| match ended {
        Ended::One(agent) => {
            let device = device::classify(ctx.lang, agent).name;
            MessageBox::done(&texts::fill(ctx.lang, "ended_one", &[("device", &device)]))
        }
        Ended::Others => MessageBox::done(&texts::fill(ctx.lang, "ended_others", &[])),
        Ended::Gone => MessageBox::note(&texts::fill(ctx.lang, "ended_gone", &[])),
    });
    let current_id = list.current["id"].as_str();
    let others = list.others.iter().filter(|session| current_id.is_none() || session["id"].as_str() != current_id);
    let title = texts::fill(ctx.lang, "sessions_title", &[]);
    let view = Devices {
        title: title.clone(),
        messages: notice.into_iter().collect(),
        current: list.current.is_object().then(|| row(ctx.lang, list.current)),
        others: others.map(|session| row(ctx.lang, session)).collect(),
        csrf_token: list.csrf_token,
        end_one: safe::address(list.end_one).ok_or(PageError::Malformed("end_one"))?,
        end_others: safe::address(list.end_others).ok_or(PageError::Malformed("end_others"))?,
    };
    render::page(ctx, "sessions.html", &Frame { title, refused: false, tab: Some(Tab::Sessions) }, &view)
}

fn row(lang: Lang, session: &Value) -> Row {
    let device = &session["devices"][0];
    let text = |name: &str| device[name].as_str().map(str::trim).filter(|text| !text.is_empty());
    let shown = device::classify(lang, text("user_agent").unwrap_or_default());
    Row {
        id: session["id"].as_str().unwrap_or_default().to_owned(),
        name: shown.name,
        icon: shown.icon,
        since: session["authenticated_at"].as_str().and_then(|at| moment(lang, at)),
        with: methods(lang, &session["authentication_methods"]),
        address: text("ip_address").map(|address| safe::cut(host(address))),
        place: text("location").map(safe::cut),
        ends: session["expires_at"].as_str().and_then(|at| moment(lang, at)),
    }
}

/// The ways the person proved who they are, each once, in order.
fn methods(lang: Lang, list: &Value) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    for entry in list.as_array()? {
        let word = match (entry["method"].as_str()?, entry["provider"].as_str().filter(|name| !name.is_empty())) {
            ("oidc" | "saml", Some(provider)) => texts::fill(lang, "method_oidc", &[("provider", &safe::cut(provider))]),
            ("oidc" | "saml", None) => texts::fill(lang, "method_oidc_plain", &[]),
            ("link_recovery" | "code_recovery", _) => texts::fill(lang, "method_recovery", &[]),
            (method, _) => texts::text(lang, &format!("method_{method}")).map_or_else(|| safe::cut(method), str::to_owned),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    (!words.is_empty()).then(|| words.join(", "))
}

/// The address without the port that the server stores with it.
fn host(address: &str) -> &str {
    if let Some(inner) = address.strip_prefix('[') {
        return inner.split(']').next().unwrap_or(inner);
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_are_dropped_and_addresses_kept() {
        for (raw, want) in [
            ("127.0.0.1:50000", "127.0.0.1"),
            ("203.0.113.64", "203.0.113.64"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(host(raw), want);
        }
    }

    #[test]
    fn methods_read_as_words() {
        let list = json!([{"method": "password"}, {"method": "totp"}, {"method": "password"}, {"method": "oidc", "provider": "github"}, {"method": "novel"}]);
        assert_eq!(methods(Lang::En, &list).as_deref(), Some("password, authenticator app, github account, novel"));
        assert_eq!(methods(Lang::En, &json!(null)), None);
    }
}
