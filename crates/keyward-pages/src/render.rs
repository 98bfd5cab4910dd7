//! The template engine: embedded templates, one compiled set per language, our own escaping, the icon sprite.
//! Every page function ends here with its view.
//! It knows names of templates and nothing of what is in a view.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use keyward_model::Lang;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

use crate::context::{PageContext, PageError};
use crate::{assets, safe, texts};

const TEMPLATES: [(&str, &str); 9] = [
    ("base.html", include_str!("../templates/base.html")),
    ("parts.html", include_str!("../templates/parts.html")),
    ("auth.html", include_str!("../templates/auth.html")),
    ("mailed.html", include_str!("../templates/mailed.html")),
    ("mailbox.html", include_str!("../templates/mailbox.html")),
    ("settings.html", include_str!("../templates/settings.html")),
    ("sessions.html", include_str!("../templates/sessions.html")),
    ("error.html", include_str!("../templates/error.html")),
    ("home.html", include_str!("../templates/home.html")),
];

/// Where the sprite goes; no escaped value can spell it.
const SPRITE_MARK: &str = "<!--icons-->";

/// Icon drawings on a 20-unit grid (the mark: 28), stroked in the colour of the text.
const ICONS: [(&str, &str, &str); 28] = [
    (
        "mark",
        "0 0 28 28",
        r#"<path d="M5 1h18a4 4 0 0 1 4 4v18a4 4 0 0 1-4 4H5a4 4 0 0 1-4-4V5a4 4 0 0 1 4-4Zm3.5 6v14H12v-5.2l2 2V21h3.6v-4.6l-2.4-2.4 2.4-2.4V7H14v3.2l-2 2V7Z" fill-rule="evenodd"/>"#,
    ),
    ("moon", "0 0 20 20", r#"<path d="M16.6 12A7 7 0 0 1 8 3.4a7 7 0 1 0 8.6 8.6Z"/>"#),
    ("out", "0 0 20 20", r#"<path d="M8 3.6H5.4a2 2 0 0 0-2 2v8.8a2 2 0 0 0 2 2H8M12.6 6.4 16.4 10l-3.8 3.6M16 10H8"/>"#),
    ("stop", "0 0 20 20", r#"<circle cx="10" cy="10" r="7.2"/><path d="M10 6.2v4.4M10 13.6v.1"/>"#),
    ("info", "0 0 20 20", r#"<circle cx="10" cy="10" r="7.2"/><path d="M10 9.2v4.6M10 6.4v.1"/>"#),
    ("ok", "0 0 20 20", r#"<circle cx="10" cy="10" r="7.2"/><path d="m6.7 10.3 2.2 2.3 4.4-5"/>"#),
    (
        "warn",
        "0 0 20 20",
        r#"<path d="M8.8 3.6 2.4 15a1.4 1.4 0 0 0 1.2 2h12.8a1.4 1.4 0 0 0 1.2-2L11.2 3.6a1.4 1.4 0 0 0-2.4 0ZM10 7.8v4M10 14.4v.1"/>"#,
    ),
    ("none", "0 0 20 20", r#"<circle cx="10" cy="10" r="7.2" stroke-dasharray="2.6 2.4"/>"#),
    ("chev", "0 0 20 20", r#"<path d="m5.6 8 4.4 4.4L14.4 8"/>"#),
    ("user", "0 0 20 20", r#"<circle cx="10" cy="7" r="3.3"/><path d="M3.6 17a6.5 6.5 0 0 1 12.8 0"/>"#),
    (
        "lock",
        "0 0 20 20",
        r#"<rect x="4" y="9" width="12" height="8" rx="2"/><path d="M6.8 9V6.4a3.2 3.2 0 0 1 6.4 0V9M10 12.2v1.8"/>"#,
    ),
    (
        "passkey",
        "0 0 20 20",
        r#"<circle cx="7.6" cy="6.4" r="3.1"/><path d="M2.4 16.6a5.3 5.3 0 0 1 8-4.6"/><circle cx="14.6" cy="10.8" r="2.3"/><path d="M14.6 13.1v4.1l1.4-1.1M14.6 15h-.9"/>"#,
    ),
    ("phone", "0 0 20 20", r#"<rect x="5.5" y="2.5" width="9" height="15" rx="2.2"/><path d="M9 14.8h2"/>"#),
    (
        "usb",
        "0 0 20 20",
        r#"<rect x="5.5" y="7.5" width="9" height="10" rx="2"/><path d="M7.5 7.5v-5h5v5"/><circle cx="10" cy="12.5" r="1.6"/>"#,
    ),
    ("codes", "0 0 20 20", r#"<rect x="3" y="4" width="14" height="12" rx="2"/><path d="M6 8h3M11.5 8h2.5M6 12h2.5M11 12h3"/>"#),
    ("mail", "0 0 20 20", r#"<rect x="2.5" y="4.5" width="15" height="11" rx="2"/><path d="m3.2 6.2 6.8 5 6.8-5"/>"#),
    (
        "link",
        "0 0 20 20",
        r#"<path d="m8.2 11.8 3.6-3.6M9 6l1.5-1.5a3.5 3.5 0 0 1 5 5L14 11M11 14l-1.5 1.5a3.5 3.5 0 0 1-5-5L6 9"/>"#,
    ),
    ("box", "0 0 20 20", r#"<path d="M3.4 6.6 10 3.2l6.6 3.4v6.8L10 16.8l-6.6-3.4ZM3.4 6.6 10 10l6.6-3.4M10 10v6.8"/>"#),
    ("laptop", "0 0 20 20", r#"<rect x="4" y="4.5" width="12" height="8.5" rx="1.6"/><path d="M2 16h16"/>"#),
    ("mobile", "0 0 20 20", r#"<rect x="5.8" y="2.5" width="8.4" height="15" rx="2"/><path d="M9.2 5h1.6"/>"#),
    ("app", "0 0 20 20", r#"<rect x="3" y="3.5" width="14" height="13" rx="2"/><path d="m6.5 8 2.3 2-2.3 2M11 12.5h3"/>"#),
    ("plus", "0 0 20 20", r#"<path d="M10 4.2v11.6M4.2 10h11.6"/>"#),
    (
        "copy",
        "0 0 20 20",
        r#"<rect x="7" y="7" width="9.6" height="9.6" rx="2"/><path d="M13 7V5.4a2 2 0 0 0-2-2H5.4a2 2 0 0 0-2 2V11a2 2 0 0 0 2 2H7"/>"#,
    ),
    ("tick", "0 0 20 20", r#"<path d="m4.2 10.6 3.8 3.8 7.8-8.6"/>"#),
    ("next", "0 0 20 20", r#"<path d="m8 5.6 4.4 4.4L8 14.4"/>"#),
    ("bin", "0 0 20 20", r#"<path d="M3.8 5.6h12.4M8 5.6V3.8h4v1.8M5.4 5.6l.8 11h7.6l.8-11M8.6 9v4.4M11.4 9v4.4"/>"#),
    ("down", "0 0 20 20", r#"<path d="M10 3.2v9.3M6.4 9.2 10 12.8l3.6-3.6M3.8 16.6h12.4"/>"#),
    (
        "print",
        "0 0 20 20",
        r#"<path d="M6 7.2V3.4h8v3.8M6 14H4.6A1.6 1.6 0 0 1 3 12.4V8.8a1.6 1.6 0 0 1 1.6-1.6h10.8A1.6 1.6 0 0 1 17 8.8v3.6a1.6 1.6 0 0 1-1.6 1.6H14M6 11.6h8v5H6Z"/>"#,
    ),
];

static ENGLISH: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| environment(Lang::En));
static GERMAN: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| environment(Lang::De));

/// The tab of the account centre that a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Settings,
    Sessions,
}

/// Title and place of a page in the frame.
pub(crate) struct Frame {
    pub(crate) title: String,
    /// Whether something was refused: the title then says so first.
    pub(crate) refused: bool,
    /// `None` on pages of the signed-out frame.
    pub(crate) tab: Option<Tab>,
}

#[derive(Serialize)]
struct Shell<'a, V: Serialize> {
    lang: &'static str,
    other_lang: &'static str,
    theme: Option<&'static str>,
    brand: &'a str,
    document_title: String,
    /// The same with the word that something was refused, for the page's script.
    error_title: String,
    title: &'a str,
    stylesheet: String,
    icon_address: String,
    script: String,
    home: String,
    tabs: Vec<TabLink<'a>>,
    logout_url: Option<&'a str>,
    language_url: Option<&'a str>,
    mailbox_url: Option<&'a str>,
    footer: Vec<Anchor<'a>>,
    page: &'a V,
}

#[derive(Serialize)]
struct TabLink<'a> {
    text: &'static str,
    href: &'a str,
    current: bool,
}

#[derive(Serialize)]
struct Anchor<'a> {
    label: &'a str,
    href: &'a str,
}

/// Renders one page: `template` extends the base and finds `view` as `page`.
pub(crate) fn page<V: Serialize>(ctx: &PageContext, template: &str, frame: &Frame, view: &V) -> Result<String, PageError> {
    let shared = match ctx.lang {
        Lang::En => &*ENGLISH,
        Lang::De => &*GERMAN,
    };
    let environment = shared.as_ref().map_err(|error| Error::new(error.kind(), error.to_string()))?;
    let brand = brand(ctx);
    let refused = texts::fill(ctx.lang, "error_title", &[("title", &frame.title)]);
    let title = if frame.refused { &refused } else { &frame.title };
    let shell = Shell {
        lang: ctx.lang.tag(),
        other_lang: if ctx.lang == Lang::En { "de" } else { "en" },
        theme: ctx.theme.map(crate::Theme::word),
        brand,
        document_title: format!("{title} · {brand}"),
        error_title: format!("{refused} · {brand}"),
        title: &frame.title,
        stylesheet: local(ctx, &format!("{}{}", assets::ASSET_DIRECTORY, assets::stylesheet_name())),
        icon_address: local(ctx, &format!("{}{}", assets::ASSET_DIRECTORY, assets::icon_name())),
        script: local(ctx, &format!("{}{}", assets::ASSET_DIRECTORY, assets::script_name())),
        home: local(ctx, "/ui/"),
        tabs: frame.tab.map(|tab| tabs(ctx, tab)).unwrap_or_default(),
        logout_url: ctx.logout_url.as_deref().and_then(safe::address).filter(|_| frame.tab.is_some()),
        language_url: ctx.language_url.as_deref().and_then(safe::address),
        mailbox_url: ctx.mailbox_url.as_deref().and_then(safe::address),
        footer: ctx
            .footer
            .iter()
            .filter_map(|link| Some(Anchor { label: &link.label, href: safe::address(&link.href)? }))
            .collect(),
        page: view,
    };
    let html = environment.get_template(template)?.render(Serde(&shell))?;
    Ok(html.replacen(SPRITE_MARK, &sprite(&html), 1))
}

/// The name of the service.
pub(crate) fn brand(ctx: &PageContext) -> &str {
    if ctx.brand.trim().is_empty() { "Keyward" } else { ctx.brand.trim() }
}

/// An address on the origin of the page, below the path of the public base.
pub(crate) fn local(ctx: &PageContext, path: &str) -> String {
    let base = ctx.public_base.as_str();
    let prefix = match base.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None if base.starts_with('/') => base,
        None => "",
    };
    let prefix = prefix.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let local = format!("{prefix}{path}");
    // A doubled slash at the start would name another host.
    format!("/{}", local.trim_start_matches('/'))
}

fn tabs(ctx: &PageContext, current: Tab) -> Vec<TabLink<'_>> {
    let settings = Some((Tab::Settings, "settings_title", ctx.settings_url.as_str()));
    let sessions = ctx.sessions_url.as_deref().map(|href| (Tab::Sessions, "sessions_title", href));
    [settings, sessions]
        .into_iter()
        .flatten()
        .filter_map(|(tab, key, href)| {
            Some(TabLink { text: texts::text(ctx.lang, key)?, href: safe::address(href)?, current: tab == current })
        })
        .collect()
}

/// The symbols that the page uses, as one hidden element.
fn sprite(html: &str) -> String {
    let used: BTreeSet<&str> = html.split("href=\"#i-").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let mut out = String::from("<svg hidden aria-hidden=\"true\">");
    for (name, view_box, drawing) in ICONS.iter().filter(|(name, _, _)| used.contains(name)) {
        let _ = write!(out, r#"<symbol id="i-{name}" viewBox="{view_box}">{drawing}</symbol>"#);
    }
    out.push_str("</svg>");
    out
}

fn environment(lang: Lang) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, _, value| {
        if value.is_none() {
            return Ok(());
        }
        let text = value.to_string();
        let written = if value.is_safe() { out.write_str(&text) } else { escape(out, &text) };
        written.map_err(|_| Error::new(ErrorKind::WriteFailure, "the page could not be written"))
    });
    environment.add_function("t", move |key: &str, values: Kwargs| -> Result<String, Error> {
        if texts::text(lang, key).is_none() {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("no text named {key}")));
        }
        let mut named = Vec::new();
        for name in values.args() {
            named.push((name.to_owned(), values.get::<Value>(name)?.to_string()));
        }
        let named: Vec<(&str, &str)> = named.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ok(texts::fill(lang, key, &named))
    });
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

/// Escapes for text and for attributes in double or single quotes (HTML Living Standard section 13.1).
fn escape(out: &mut dyn std::fmt::Write, text: &str) -> std::fmt::Result {
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        let entity = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            _ => continue,
        };
        out.write_str(&text[start..at])?;
        out.write_str(entity)?;
        start = at + 1;
    }
    out.write_str(&text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_compiles_and_names_known_texts_and_icons() {
        for lang in [Lang::En, Lang::De] {
            environment(lang).expect("templates");
        }
        for (template, source) in TEMPLATES {
            for part in source.split("t('").skip(1) {
                let key = part.split('\'').next().unwrap_or_default();
                // `'` also ends other words before a bracket; real keys are lower-case words.
                if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                    assert!(texts::text(Lang::En, key).is_some(), "{template}: {key}");
                }
            }
            for part in source.split("icon('").skip(1) {
                let name = part.split('\'').next().unwrap_or_default();
                assert!(ICONS.iter().any(|(known, _, _)| *known == name), "{template}: {name}");
            }
        }
    }

    #[test]
    fn local_addresses_stay_on_this_host() {
        for (base, want) in [
            ("https://id.example", "/ui/"),
            ("https://id.example/auth/", "/auth/ui/"),
            ("/auth", "/auth/ui/"),
            ("", "/ui/"),
            ("https://id.example//evil.example", "/evil.example/ui/"),
        ] {
            let ctx = PageContext { public_base: base.to_owned(), ..PageContext::default() };
            assert_eq!(local(&ctx, "/ui/"), want, "{base}");
        }
    }
}
