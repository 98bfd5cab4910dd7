//! Fills in defaults and checks what depends on more than one key: from the merged tree to [`Config`].
//! Called by the loader after the form of every value was checked; what is malformed counts as absent here.
//! Knows the meaning of keys outside of `selfservice`, which has its own file.

use keyward_model::{RequiredAal, Secret, Span};
use url::Url;

use crate::check::parse_size;
use crate::courier;
use crate::document::{Node, Shape};
use crate::limits;
use crate::load::Flags;
use crate::network::{Network, PRIVATE};
use crate::report::{Place, Report, WarningKind};
use crate::selfservice;
use crate::settings::{
    Argon2, Attempts, BaseUrl, Cleanup, Config, Cookies, Cors, FeatureFlags, HashAlgorithm, Hashers, Identity, Listener, Log,
    LogFormat, LogLevel, Pem, PublicListener, SameSite, SchemaSource, Secrets, Session, Tls,
};
use crate::tokenizer;
use crate::traces;

/// Secrets that stand in well-known example files and are therefore no secrets.
const PLACEHOLDERS: &[&str] = &["PLEASE-CHANGE-ME-I-AM-VERY-INSECURE", "32-LONG-SECRET-NOT-SECURE-AT-ALL"];

/// Reads typed values by dotted key.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) root: &'a Node,
}

impl<'a> Reader<'a> {
    pub(crate) fn node(self, key: &str) -> Option<&'a Node> {
        self.root.find(key)
    }

    pub(crate) fn place(self, key: &str) -> Place {
        self.node(key).map_or(Place::Nowhere, |node| node.at.clone())
    }

    pub(crate) fn text(self, key: &str) -> Option<&'a str> {
        self.node(key).and_then(Node::as_text)
    }

    pub(crate) fn owned(self, key: &str, default: &str) -> String {
        self.text(key).unwrap_or(default).to_owned()
    }

    /// `true` and `false`, also as text.
    pub(crate) fn flag(self, key: &str) -> Option<bool> {
        let node = self.node(key)?;
        node.as_bool().or_else(|| match node.as_text() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        })
    }

    pub(crate) fn on(self, key: &str, default: bool) -> bool {
        self.flag(key).unwrap_or(default)
    }

    /// A whole number; `default` when absent, malformed or too large for the type.
    pub(crate) fn number<T: TryFrom<i64>>(self, key: &str, default: T) -> T {
        self.node(key).and_then(Node::as_int).and_then(|value| T::try_from(value).ok()).unwrap_or(default)
    }

    /// A number between zero and one.
    pub(crate) fn ratio(self, key: &str, default: f64) -> f64 {
        match self.node(key).map(|node| &node.value) {
            Some(Shape::Float(value)) => *value,
            Some(Shape::Int(value)) => f64::from(u8::from(*value > 0)),
            _ => default,
        }
    }

    pub(crate) fn span(self, key: &str, default: Span) -> Span {
        self.text(key).and_then(Span::parse).unwrap_or(default)
    }

    pub(crate) fn texts(self, key: &str, default: &[&str]) -> Vec<String> {
        match self.node(key) {
            Some(node) => node.items().iter().filter_map(Node::as_text).map(str::to_owned).collect(),
            None => default.iter().map(|text| (*text).to_owned()).collect(),
        }
    }
}

/// Builds the settings; `None` when a mistake leaves nothing to build from (it is then in the report).
pub(crate) fn resolve(root: &Node, flags: &Flags, report: &mut Report) -> Option<Config> {
    let reader = Reader { root };
    let dev = development(reader, flags, report);
    require(reader, report);
    let dsn = dsn(reader, report);
    let public = listener(reader, "public", 4433, dev, flags, report);
    let admin = listener(reader, "admin", 4434, dev, flags, report);
    let secrets = secrets(reader, dev, report);
    let hashers = hashers(reader, dev, flags, report);
    let common = Cookies { domain: None, path: "/".into(), same_site: SameSite::Lax, secure: !dev };
    let cookies = cookies(reader, "cookies", &common, dev, report);
    let session = session(reader, &cookies, public.as_ref(), dev, report);
    if let Some(public) = &public {
        plain_http(public, cookies.secure || session.cookie.secure, reader, report);
    }
    let identity = identity(reader, report);
    let feature_flags = feature_flags(reader);
    let trusted_proxies = trusted_proxies(reader, report);
    let cors = cors(reader, report);
    factor_rule(reader, report);
    if let Some(cipher) = reader.text("ciphers.algorithm").filter(|algorithm| *algorithm == "noop") {
        let message = format!("\"{cipher}\" is accepted, but secrets at rest are encrypted all the same");
        report.warn(WarningKind::Advice, &reader.place("ciphers.algorithm"), "ciphers.algorithm", message);
    }
    let public = public?;
    let mailbox = dev || mailbox(reader, &public.base_url, report);
    let insecure = feature_flags.legacy_allow_insecure_origins;
    let selfservice = selfservice::resolve(reader, &public.base_url, insecure, mailbox, report)?;
    Some(Config {
        dev,
        dsn: Secret::new(dsn),
        public: PublicListener {
            base_url: public.base_url,
            host: public.host,
            port: public.port,
            tls: public.tls,
            quiet_health_log: public.quiet_health_log,
            cors,
            body_limit: reader.number("serve.public.body_limit", 1 << 20),
            connections: public.connections,
            trusted_proxies,
        },
        admin: admin?,
        log: log(reader),
        traces: traces::resolve(reader, report),
        secrets,
        hashers,
        cookies,
        session,
        identity,
        selfservice,
        feature_flags,
        mitigate_account_enumeration: reader.on("security.account_enumeration.mitigate", false),
        factor_changes_require_aal2: reader.on("security.factor_changes_require_aal2", true),
        attempts: attempts(reader, report),
        limits: limits::resolve(reader),
        brand_name: reader.owned("ui.brand.name", "Keyward"),
        mailbox,
        revision: reader.text("revision").map(str::to_owned),
        cleanup: cleanup(reader),
        courier: courier::resolve(reader, report),
        watch_courier: reader.on("watch-courier", false),
        clients: courier::clients(reader),
    })
}

fn development(reader: Reader<'_>, flags: &Flags, report: &mut Report) -> bool {
    if flags.dev {
        return true;
    }
    let dev = reader.on("dev", false);
    if dev {
        let message = "development mode is switched on here; never do that where others can sign in";
        report.warn(WarningKind::Advice, &reader.place("dev"), "dev", message);
    }
    dev
}

fn require(reader: Reader<'_>, report: &mut Report) {
    for (key, what) in [
        ("dsn", "the database, for example sqlite:///var/lib/keyward/keyward.sqlite or postgres://…"),
        ("selfservice.default_browser_return_url", "the address where browsers go when nothing else is said"),
        ("identity.schemas", "at least one identity schema with id and url"),
    ] {
        let empty = |node: &Node| node.as_text() == Some("") || (node.items().is_empty() && key == "identity.schemas");
        if reader.node(key).is_none_or(empty) {
            report.refuse(&reader.place(key), key, format!("is required: {what}"));
        }
    }
}

fn dsn(reader: Reader<'_>, report: &mut Report) -> String {
    let dsn = reader.owned("dsn", "");
    let scheme = dsn.split_once("://").map_or(dsn.as_str(), |(scheme, _)| scheme).to_ascii_lowercase();
    let refusal = match scheme.as_str() {
        "memory" | "sqlite" | "sqlite3" | "postgres" | "postgresql" | "" => return dsn,
        "mysql" => "MySQL is not supported; use PostgreSQL or SQLite, and import the accounts from the old server".to_owned(),
        "cockroach" | "cockroachdb" | "crdb" => "CockroachDB is not supported yet; use PostgreSQL or SQLite".to_owned(),
        _ => "expected memory, sqlite://…, or postgres://…".to_owned(),
    };
    report.refuse(&reader.place("dsn"), "dsn", refusal);
    dsn
}

fn listener(
    reader: Reader<'_>,
    name: &str,
    default_port: u16,
    dev: bool,
    flags: &Flags,
    report: &mut Report,
) -> Option<Listener> {
    let key = |last: &str| format!("serve.{name}.{last}");
    let host = reader.owned(&key("host"), "0.0.0.0");
    let port = reader.number(&key("port"), default_port);
    if host.starts_with("unix:") {
        report.refuse(&reader.place(&key("host")), key("host"), "unix sockets are not supported; give an address and a port");
    }
    let text = reader.text(&key("base_url")).map_or_else(
        || {
            let hostname = match host.as_str() {
                "" | "0.0.0.0" | "::" | "[::]" => flags.hostname.as_deref().unwrap_or("localhost"),
                host => host,
            };
            format!("{}://{}:{port}/", if dev { "http" } else { "https" }, bracketed(hostname))
        },
        str::to_owned,
    );
    let url = Url::parse(&text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if url.is_none() {
        let message = "expected an http or https URL without user name, query and fragment";
        report.refuse(&reader.place(&key("base_url")), key("base_url"), message);
    }
    let tls = tls(reader, name, report);
    let quiet_health_log = reader.on(&key("request_log.disable_for_health"), false);
    let connections = reader.number(&key("connections"), if name == "public" { 10_000 } else { 1_000 });
    Some(Listener { base_url: BaseUrl { text, url: url? }, host, port, tls, quiet_health_log, connections })
}

fn tls(reader: Reader<'_>, name: &str, report: &mut Report) -> Option<Tls> {
    let block = format!("serve.{name}.tls");
    let mut pem = |part: &str| {
        let key = |form: &str| format!("{block}.{part}.{form}");
        let text = |form: &str| reader.text(&key(form)).filter(|text| !text.is_empty()).map(str::to_owned);
        match (text("path"), text("base64")) {
            (Some(_), Some(_)) => {
                let key = format!("{block}.{part}");
                report.refuse(&reader.place(&key), key.as_str(), "give either path or base64, not both");
                None
            }
            (Some(path), None) => Some(Pem::Path(path)),
            (None, Some(text)) => Some(Pem::Base64(Secret::new(text))),
            (None, None) => None,
        }
    };
    match (pem("cert"), pem("key")) {
        (Some(cert), Some(key)) => Some(Tls { cert, key }),
        (None, None) => None,
        _ => {
            report.refuse(&reader.place(&block), block.as_str(), "certificate and key are needed together");
            None
        }
    }
}

fn cleanup(reader: Reader<'_>) -> Cleanup {
    Cleanup {
        enabled: reader.on("database.cleanup.enabled", true),
        batch_size: reader.number("database.cleanup.batch_size", 100),
        sleep: reader.span("database.cleanup.sleep.tables", Span::minutes(1)),
        older_than: reader.span("database.cleanup.older_than", Span::hours(24)),
        audit_retention: Some(reader.span("audit.retention", Cleanup::AUDIT_RETENTION)).filter(|span| *span > Span::ZERO),
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

fn cors(reader: Reader<'_>, report: &mut Report) -> Option<Cors> {
    if !reader.on("serve.public.cors.enabled", false) {
        return None;
    }
    let key = "serve.public.cors.allowed_origins";
    for (index, item) in reader.node(key).map(Node::items).unwrap_or_default().iter().enumerate() {
        let host = item.as_text().and_then(|origin| origin.split_once("://")).map_or("", |(_, host)| host);
        let below = host.strip_prefix("*.").unwrap_or(host);
        // Pages are never served from a name below an address.
        let digits =
            host.starts_with("*.") && below.split(':').next().is_some_and(|name| name.parse::<std::net::Ipv4Addr>().is_ok());
        if below.contains('*') || digits {
            let message = "this origin matches nothing: * can only be the whole first label of a host name";
            report.warn(WarningKind::Advice, &item.at, format!("{key}.{index}"), message);
        }
    }
    let list = |last: &str, default: &[&str]| reader.texts(&format!("serve.public.cors.{last}"), default);
    Some(Cors {
        allowed_origins: list("allowed_origins", &["*"]),
        allowed_methods: list("allowed_methods", &["POST", "GET", "PUT", "PATCH", "DELETE"])
            .iter()
            .map(|method| method.to_ascii_uppercase())
            .collect(),
        allowed_headers: list(
            "allowed_headers",
            &["Authorization", "Content-Type", "Max-Age", "X-Session-Token", "X-XSRF-TOKEN", "X-CSRF-TOKEN"],
        ),
        exposed_headers: list("exposed_headers", &["Content-Type"]),
        allow_credentials: reader.on("serve.public.cors.allow_credentials", true),
        max_age: reader.number("serve.public.cors.max_age", 0),
    })
}

fn trusted_proxies(reader: Reader<'_>, report: &mut Report) -> Vec<Network> {
    let key = "serve.trusted_proxies";
    let Some(list) = reader.node(key) else {
        return PRIVATE.iter().filter_map(|text| text.parse().ok()).collect();
    };
    let mut networks = Vec::new();
    for (index, item) in list.items().iter().enumerate() {
        match item.as_text().unwrap_or_default().parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(error) => report.refuse(&item.at, format!("{key}.{index}"), error.to_string()),
        }
    }
    networks
}

fn log(reader: Reader<'_>) -> Log {
    let level = match reader.text("log.level") {
        Some("trace") => LogLevel::Trace,
        Some("debug") => LogLevel::Debug,
        Some("warn" | "warning") => LogLevel::Warn,
        Some("error" | "fatal" | "panic") => LogLevel::Error,
        _ => LogLevel::Info,
    };
    Log { level, format: if reader.text("log.format") == Some("json") { LogFormat::Json } else { LogFormat::Text } }
}

fn secrets(reader: Reader<'_>, dev: bool, report: &mut Report) -> Secrets {
    let mut list = |key: &str| -> Vec<Secret<String>> {
        let items = reader.node(key).map(Node::items).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            if !dev && item.as_text().is_some_and(|text| PLACEHOLDERS.contains(&text)) {
                let message =
                    "this is the placeholder of an example file and known to everyone; make a secret with `openssl rand -hex 16`";
                report.refuse(&item.at, format!("{key}.{index}"), message);
            }
        }
        items.iter().filter_map(Node::as_text).map(|text| Secret::new(text.to_owned())).collect()
    };
    let (default, cookie, cipher) = (list("secrets.default"), list("secrets.cookie"), list("secrets.cipher"));
    let secrets = Secrets { default, cookie, cipher };
    let malformed = report.problems.iter().any(|problem| problem.key.starts_with("secrets"));
    if secrets.is_empty() && !dev && !malformed {
        let message = "at least one secret is required under secrets.default, secrets.cookie or secrets.cipher; \
                       `openssl rand -hex 32` makes a good one (--dev starts without)";
        report.refuse(&reader.place("secrets"), "secrets", message);
    }
    secrets
}

fn hashers(reader: Reader<'_>, dev: bool, flags: &Flags, report: &mut Report) -> Hashers {
    let algorithm = match reader.text("hashers.algorithm") {
        Some("argon2") => HashAlgorithm::Argon2,
        _ => HashAlgorithm::Bcrypt,
    };
    let mut bcrypt_cost = reader.number("hashers.bcrypt.cost", 12);
    if bcrypt_cost < 12 && !dev {
        let message = format!("{bcrypt_cost} is too cheap outside development mode; 12 is used instead");
        report.warn(WarningKind::Advice, &reader.place("hashers.bcrypt.cost"), "hashers.bcrypt.cost", message);
        bcrypt_cost = 12;
    }
    if algorithm == HashAlgorithm::Bcrypt && reader.node("hashers.argon2").is_some() {
        let message = "unused, because hashers.algorithm is bcrypt";
        report.warn(WarningKind::Advice, &reader.place("hashers.argon2"), "hashers.argon2", message);
    }
    let memory = reader.text("hashers.argon2.memory").and_then(parse_size).unwrap_or(128 << 20);
    let mut memory_kib = u32::try_from(memory / 1_024).unwrap_or(u32::MAX);
    let parallelism = reader.number("hashers.argon2.parallelism", (flags.cpus.max(1) * 2).min(16));
    // RFC 9106, 3.1 asks for eight blocks per lane; below 19 MiB a single pass is no longer worth its name.
    let least = if dev { 8 * parallelism } else { 19 * 1_024 };
    let key = "hashers.argon2.memory";
    if memory_kib > 1 << 20 {
        report.refuse(&reader.place(key), key, "expected a size of at most 1GB");
    } else if memory_kib < least {
        report.warn(WarningKind::Advice, &reader.place(key), key, format!("too little; {least}KB is used instead"));
        memory_kib = least;
    }
    Hashers {
        algorithm,
        bcrypt_cost,
        argon2: Argon2 {
            memory_kib,
            iterations: reader.number("hashers.argon2.iterations", 1),
            parallelism,
            salt_length: reader.number("hashers.argon2.salt_length", 16),
            key_length: reader.number("hashers.argon2.key_length", 32),
        },
    }
}

fn cookies(reader: Reader<'_>, block: &str, otherwise: &Cookies, dev: bool, report: &mut Report) -> Cookies {
    let key = |last: &str| format!("{block}.{last}");
    let secure = reader.flag(&key("secure")).unwrap_or(otherwise.secure);
    let same_site = match reader.text(&key("same_site")) {
        Some("Strict") => SameSite::Strict,
        Some("Lax") => SameSite::Lax,
        Some("None") => SameSite::None,
        _ => otherwise.same_site,
    };
    if same_site == SameSite::None && !secure {
        let named = key(if reader.node(&key("same_site")).is_some() { "same_site" } else { "secure" });
        if dev {
            let message = "browsers drop cookies with SameSite=None that are not Secure; Lax is used instead";
            report.warn(WarningKind::Advice, &reader.place(&named), named, message);
        } else {
            let message = format!("browsers drop cookies with SameSite=None that are not Secure; {block}.secure has to be true");
            report.refuse(&reader.place(&named), named, message);
        }
    }
    Cookies {
        domain: reader
            .text(&key("domain"))
            .filter(|text| !text.is_empty())
            .map_or_else(|| otherwise.domain.clone(), |text| Some(text.to_owned())),
        path: reader.owned(&key("path"), &otherwise.path),
        // Browsers drop SameSite=None without Secure.
        same_site: if secure { same_site } else { SameSite::Lax },
        secure,
    }
}

fn session(reader: Reader<'_>, shared: &Cookies, public: Option<&Listener>, dev: bool, report: &mut Report) -> Session {
    let lifespan = reader.span("session.lifespan", Span::hours(24));
    let cookie = cookies(reader, "session.cookie", shared, dev, report);
    for (key, domain) in [("cookies.domain", &shared.domain), ("session.cookie.domain", &cookie.domain)] {
        let host = public.and_then(|public| public.base_url.url().host_str());
        if let (Some(domain), Some(host), Some(_)) = (domain, host, reader.node(key)) {
            let name = domain.trim_start_matches('.').to_ascii_lowercase();
            if name.parse::<std::net::IpAddr>().is_ok() {
                let message = "browsers bind a cookie to an address only when no domain is given; leave the key out";
                report.warn(WarningKind::Advice, &reader.place(key), key, message);
            } else if host != name && !host.ends_with(&format!(".{name}")) {
                let message = format!("browsers will not keep cookies of this domain, because the public address is {host}");
                report.warn(WarningKind::Advice, &reader.place(key), key, message);
            }
        }
    }
    let whoami = reader.text("session.whoami.required_aal");
    Session {
        lifespan,
        earliest_possible_extend: reader.span("session.earliest_possible_extend", lifespan),
        cookie_name: reader.owned("session.cookie.name", "ory_kratos_session"),
        cookie_persistent: reader.on("session.cookie.persistent", true),
        cookie,
        whoami_required_aal: if whoami == Some("aal1") { RequiredAal::Aal1 } else { RequiredAal::HighestAvailable },
        tokenizers: tokenizer::resolve(reader, report),
    }
}

fn plain_http(public: &Listener, secure: bool, reader: Reader<'_>, report: &mut Report) {
    let loopback = match public.base_url.url().host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if secure && !loopback && !public.base_url.is_https() {
        let key = "serve.public.base_url";
        let message = "over plain http browsers drop the Secure cookies of this server; use https, also when a proxy ends it";
        report.warn(WarningKind::Advice, &reader.place(key), key, message);
    }
}

/// What is said about other addresses of documents.
pub(crate) const DOCUMENT_URL: &str = "expected a URL that begins with file://, base64://, http:// or https://";

/// Whether a document can be read from this address.
pub(crate) fn is_document_url(url: &str) -> bool {
    ["file://", "base64://", "http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
}

fn identity(reader: Reader<'_>, report: &mut Report) -> Identity {
    let default_schema_id = reader.owned("identity.default_schema_id", "default");
    let mut schemas: Vec<SchemaSource> = Vec::new();
    let items = reader.node("identity.schemas").map(Node::items).unwrap_or_default();
    for (index, item) in items.iter().enumerate() {
        let key = format!("identity.schemas.{index}");
        let (id, url) = (item.get("id").and_then(Node::as_text), item.get("url").and_then(Node::as_text));
        let (Some(id), Some(url)) = (id, url) else {
            for name in ["id", "url"].into_iter().filter(|name| item.find(name).is_none()) {
                report.refuse(&item.at, format!("{key}.{name}"), "is required for every schema");
            }
            continue;
        };
        if schemas.iter().any(|schema| schema.id == id) {
            report.refuse(&item.at, format!("{key}.id"), format!("two schemas have the id \"{id}\""));
        }
        if !is_document_url(url) {
            report.refuse(item.get("url").map_or(&item.at, |node| &node.at), format!("{key}.url"), DOCUMENT_URL);
        }
        let selectable = item.get("selfservice_selectable").and_then(Node::as_bool).unwrap_or(false);
        schemas.push(SchemaSource { id: id.to_owned(), url: url.to_owned(), selfservice_selectable: selectable });
    }
    if !schemas.is_empty() && !schemas.iter().any(|schema| schema.id == default_schema_id) {
        let known: Vec<&str> = schemas.iter().map(|schema| schema.id.as_str()).collect();
        let message = format!("there is no schema \"{default_schema_id}\"; known are {}", known.join(", "));
        report.refuse(&reader.place("identity.default_schema_id"), "identity.default_schema_id", message);
    }
    Identity { default_schema_id, schemas }
}

fn feature_flags(reader: Reader<'_>) -> FeatureFlags {
    let on = |name: &str| reader.on(&format!("feature_flags.{name}"), false);
    FeatureFlags {
        cacheable_sessions: on("cacheable_sessions"),
        cacheable_sessions_max_age: reader.text("feature_flags.cacheable_sessions_max_age").and_then(Span::parse),
        use_continue_with_transitions: on("use_continue_with_transitions"),
        choose_recovery_address: on("choose_recovery_address"),
        legacy_continue_with_verification_ui: on("legacy_continue_with_verification_ui"),
        legacy_require_verified_login_error: on("legacy_require_verified_login_error"),
        faster_session_extend: on("faster_session_extend"),
        profile_nodes_in_password_group: reader.text("feature_flags.password_profile_registration_node_group")
            == Some("password"),
        legacy_oidc_registration_node_group: on("legacy_oidc_registration_node_group"),
        legacy_allow_insecure_origins: on("legacy_allow_insecure_origins"),
        refresh_login_choose_address: on("refresh_login_choose_address"),
    }
}

fn attempts(reader: Reader<'_>, report: &mut Report) -> Attempts {
    let enabled = reader.on("security.attempts.enabled", true);
    if !enabled {
        let key = "security.attempts.enabled";
        let message = "passwords and codes can now be guessed as fast as the server answers";
        report.warn(WarningKind::Advice, &reader.place(key), key, message);
    }
    Attempts {
        enabled,
        free: reader.number("security.attempts.free", 5),
        first_wait: reader.span("security.attempts.first_wait", Span::seconds(30)),
        longest_wait: reader.span("security.attempts.longest_wait", Span::hours(1)),
        hard_stop: reader.number("security.attempts.hard_stop", 100),
        network_burst: reader.number("security.attempts.network_burst", 60),
    }
}

/// Whether everybody's mail may be read in the pages: only where nobody but the machine itself calls the server by its name.
fn mailbox(reader: Reader<'_>, base: &BaseUrl, report: &mut Report) -> bool {
    let key = "ui.mailbox";
    let wanted = reader.on(key, false);
    let local = match base.url().host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if wanted && !local {
        let message = "everybody could read everybody's mail; the page exists only while serve.public.base_url is localhost";
        report.warn(WarningKind::Advice, &reader.place(key), key, message);
    }
    wanted && local
}

fn factor_rule(reader: Reader<'_>, report: &mut Report) {
    let key = "security.factor_changes_require_aal2";
    if !reader.on(key, true) {
        let message = "whoever steals a session that was opened with one factor can now change or remove the others";
        report.warn(WarningKind::Advice, &reader.place(key), key, message);
    }
}
