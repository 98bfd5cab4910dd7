//! The mailbox of a development server: what its outbox holds, to read in the browser.
//! Only development mode and servers called localhost have it, and only under the server's own name: a page elsewhere that points a name of its own at this
//! machine must not read codes.
//! Sends and changes nothing.

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use keyward_pages::{Letter, Mailbox};
use keyward_services::courier::{self, OutboxMessage};
use keyward_services::storage_problem;
use url::{Host, Url};

use super::{context, draw, nowhere, page_url};
use crate::caller::Caller;
use crate::public::{Called, visit};

const PAGE: &str = "/ui/mailbox";
/// More messages than this are not listed.
const MOST: u32 = 50;

pub(super) fn routes() -> Router {
    Router::new().route(PAGE, get(show))
}

/// The page's address, where there is such a page.
pub(super) fn address(caller: &Caller) -> Option<String> {
    caller.app().config.mailbox.then(|| page_url(caller, PAGE, &[]))
}

async fn show(Extension(caller): Called) -> Result<Response, Response> {
    let Some(address) = address(&caller).filter(|_| is_own_name(&caller)) else { return nowhere(Extension(caller)).await };
    let call = visit(caller).await?;
    let mut messages = match courier::list_recent(call.caller.app(), MOST + 1).await {
        Ok(messages) => messages,
        Err(error) => return Ok(call.refuse_json(storage_problem(error)).await),
    };
    let most = usize::try_from(MOST).unwrap_or_default();
    let more = messages.len() > most;
    messages.truncate(most);
    let ids: Vec<_> = messages.iter().map(|message| (message.row.id.to_string(), message.row.created_at.to_string())).collect();
    let letters: Vec<_> = messages.iter().zip(&ids).map(|(message, (id, time))| letter(message, id, time)).collect();
    let mailbox = Mailbox { letters: &letters, open: call.caller.query.get("message"), more, address: &address };
    let page = keyward_pages::mailbox(&mailbox, &context::of(&call));
    draw(call, StatusCode::OK, page).await
}

fn letter<'a>(message: &'a OutboxMessage, id: &'a str, time: &'a str) -> Letter<'a> {
    let content = message.content.as_ref();
    Letter {
        id,
        recipient: &message.row.recipient,
        subject: content.map_or("", |content| content.subject.as_str()),
        text: content.map_or("", |content| content.body.as_str()),
        html: content.and_then(|content| content.html_body.as_deref()),
        time,
        template: &message.row.template_type,
    }
}

/// Whether the request names this server as it names itself, or the machine that it runs on (RFC 6761 section 6.3). Outside
/// development mode it also has to come from this machine, and not through a proxy.
fn is_own_name(caller: &Caller) -> bool {
    let proxied = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
    if !caller.app().config.dev
        && (!caller.is_from_this_machine() || proxied.into_iter().any(|name| caller.header(name).is_some()))
    {
        return false;
    }
    let named = caller.header("host").or_else(|| caller.uri.authority().map(http::uri::Authority::as_str));
    is_own(named, caller.app().config.public.base_url.url())
}

fn is_own(named: Option<&str>, base: &Url) -> bool {
    let Some(named) = named else { return false };
    let Ok(url) = Url::parse(&format!("http://{named}/")) else { return false };
    url.host() == base.host()
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mailbox_is_read_under_the_servers_own_name_only() {
        let base = Url::parse("https://id.example:8443/auth").expect("a URL");
        for (named, own) in [
            (None, false),
            (Some("id.example"), true),
            (Some("ID.example:8443"), true),
            (Some("localhost:4433"), true),
            (Some("id.localhost"), true),
            (Some("127.0.0.1:4433"), true),
            (Some("[::1]:4433"), true),
            (Some("evil.example:4433"), false),
            (Some("localhost.evil.example"), false),
            (Some("192.168.0.7:4433"), false),
            (Some("evil.example@id.example:x"), false),
            (Some(""), false),
        ] {
            assert_eq!(is_own(named, &base), own, "{named:?}");
        }
    }
}
