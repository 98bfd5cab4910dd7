//! The pages without a form: error, start page, "signed out", not found.
//! The HTTP floor calls them with a stored self-service error or with nothing but the context.
//! What went wrong is said in our own words; the server's reason stands escaped among the details for support.

use serde::Serialize;
use serde_json::Value;

use crate::context::{PageContext, PageError};
use crate::messages::Link;
use crate::moment::{Moment, moment};
use crate::render::{self, Frame, brand};
use crate::{safe, texts};

#[derive(Serialize)]
struct Failure {
    title: String,
    text: String,
    actions: Vec<Link>,
    reference: Option<String>,
    code: Option<String>,
    reason: Option<String>,
    time: Option<Moment>,
}

#[derive(Serialize)]
struct Home {
    title: String,
    text: Option<String>,
    who: Option<String>,
    main: Option<Link>,
    other: Option<Link>,
    sign_out: Option<Link>,
}

/// The error page for a self-service error (`{id, error, created_at}`), or for a bare error envelope (`{error}`).
///
/// # Errors
/// [`PageError::Template`] only; every member may be missing.
pub fn error(error: &Value, ctx: &PageContext) -> Result<String, PageError> {
    let body = &error["error"];
    let key = kind(body["id"].as_str().unwrap_or_default(), body["code"].as_u64().unwrap_or_default());
    let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
    let code =
        text("id").or_else(|| text("status")).map(str::to_owned).or_else(|| body["code"].as_u64().map(|code| code.to_string()));
    let view = Failure {
        title: texts::fill(ctx.lang, key, &[]),
        text: texts::fill(ctx.lang, &format!("{key}_text"), &[]),
        actions: ways_on(ctx),
        reference: error["id"].as_str().map(str::to_owned),
        code,
        reason: text("reason").or_else(|| text("message")).map(str::to_owned),
        time: error["created_at"].as_str().and_then(|at| moment(ctx.lang, at)),
    };
    let frame = Frame { title: view.title.clone(), refused: true, tab: None };
    render::page(ctx, "error.html", &frame, &view)
}

/// The page for an address that leads nowhere.
///
/// # Errors
/// [`PageError::Template`] only.
pub fn not_found(ctx: &PageContext) -> Result<String, PageError> {
    let view = Failure {
        title: texts::fill(ctx.lang, "not_found_title", &[]),
        text: texts::fill(ctx.lang, "not_found_text", &[]),
        actions: vec![Link { text: texts::fill(ctx.lang, "not_found_link", &[]), href: render::local(ctx, "/ui/") }],
        reference: None,
        code: None,
        reason: None,
        time: None,
    };
    let frame = Frame { title: view.title.clone(), refused: true, tab: None };
    render::page(ctx, "error.html", &frame, &view)
}

/// The start page: ways in for those who are signed out, ways on for those who are signed in.
///
/// # Errors
/// [`PageError::Template`] only.
pub fn home(ctx: &PageContext) -> Result<String, PageError> {
    match &ctx.signed_in {
        Some(person) => {
            let view = Home {
                title: texts::fill(ctx.lang, "home_in_title", &[]),
                text: None,
                who: person.handle().map(safe::cut),
                main: link(ctx, "home_in_link", Some(&ctx.settings_url)),
                other: link(ctx, "sessions_title", ctx.sessions_url.as_deref()),
                sign_out: link(ctx, "sign_out", ctx.logout_url.as_deref()),
            };
            start(ctx, &view)
        }
        None => {
            let title = texts::fill(ctx.lang, "home_out_title", &[("brand", brand(ctx))]);
            start(ctx, &outside(ctx, title, "home_out_text"))
        }
    }
}

/// The page after signing out; it shows the ways in whatever the context says about a session.
///
/// # Errors
/// [`PageError::Template`] only.
pub fn signed_out(ctx: &PageContext) -> Result<String, PageError> {
    start(ctx, &outside(ctx, texts::fill(ctx.lang, "signed_out_title", &[]), "signed_out_text"))
}

fn outside(ctx: &PageContext, title: String, text: &str) -> Home {
    Home {
        title,
        text: Some(texts::fill(ctx.lang, text, &[])),
        who: None,
        main: link(ctx, "login_title", Some(&ctx.login_url)),
        other: link(ctx, "registration_title", ctx.registration_url.as_deref()),
        sign_out: None,
    }
}

fn start(ctx: &PageContext, view: &Home) -> Result<String, PageError> {
    render::page(ctx, "home.html", &Frame { title: view.title.clone(), refused: false, tab: None }, view)
}

fn link(ctx: &PageContext, text: &str, href: Option<&str>) -> Option<Link> {
    Some(Link { href: href.and_then(safe::address)?.to_owned(), text: texts::fill(ctx.lang, text, &[]) })
}

fn ways_on(ctx: &PageContext) -> Vec<Link> {
    let way = match ctx.signed_in {
        Some(_) => link(ctx, "error_account", Some(&ctx.settings_url)),
        None => link(ctx, "error_sign_in", Some(&ctx.login_url)),
    };
    way.into_iter().collect()
}

/// Which of our explanations fits, by error id first and status second.
fn kind(id: &str, code: u64) -> &'static str {
    match (id, code) {
        ("security_csrf_violation" | "self_service_flow_expired" | "security_identity_mismatch", _) => "error_stale",
        ("session_inactive" | "session_aal2_required" | "session_refresh_required", _) => "error_session",
        ("too_many_attempts", _) => "error_busy",
        (_, 410) => "error_stale",
        (_, 401) => "error_session",
        (_, 403) => "error_denied",
        (_, 404) => "error_missing",
        (_, 429) => "error_busy",
        (_, 500..=599) => "error_server",
        _ => "error_other",
    }
}
