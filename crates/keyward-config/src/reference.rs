//! The key table as documents: a page for people and a JSON Schema for editors, both written from what the checker reads.
//! The binary prints them for the repository.
//! Holds the defaults and the descriptions of our own keys, which the table itself does not need.

use serde_json::{Map, Value, json};

use crate::keys::{KEYS, Kind, Status};
use crate::tree::{Branch, ROOT, alternatives};

/// One row of the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReference {
    /// The key: `{a,b}` stands for several names, `[]` for the items of a list, `<>` for any name.
    pub pattern: &'static str,
    /// What it may hold.
    pub kind: String,
    /// The value that counts when none is given, where there is a fixed one.
    pub default: Option<&'static str>,
    /// What this version does with it.
    pub state: &'static str,
    /// What it is for; given for the keys that only Keyward has.
    pub description: Option<&'static str>,
}

/// Keys that only Keyward has, and values that only Keyward takes.
const OURS: &[(&str, &str)] = &[
    ("serve.trusted_proxies", "Networks whose forwarded headers are believed."),
    ("serve.public.body_limit", "The most bytes of a request body on the public port."),
    (
        "serve.public.connections",
        "The most open connections of the port; who comes then waits. Keep both below the system's limit of open files.",
    ),
    (
        "serve.admin.connections",
        "The most open connections of the port; who comes then waits. Keep both below the system's limit of open files.",
    ),
    (
        "tracing.provider",
        "Sent with otel by a binary that was built with the cargo feature `otlp`; the others are not served yet.",
    ),
    ("tracing.providers.otlp.server_url", "Host and port, or a URL; `/v1/traces` is added where no path is given."),
    ("database.cleanup.enabled", "This node deletes expired rows in the background."),
    ("audit.retention", "How long audit events are kept; 0s keeps them for ever."),
    ("security.attempts.enabled", "Wrong passwords and codes are counted, and whoever guesses has to wait."),
    ("security.attempts.free", "Wrong attempts in a row, for each account and factor, before the first wait."),
    ("security.attempts.first_wait", "The first wait; each further one is twice as long."),
    ("security.attempts.longest_wait", "No wait is longer."),
    (
        "security.attempts.hard_stop",
        "After so many wrong attempts in a row only an operator helps, or thirty days without another one.",
    ),
    (
        "security.attempts.network_burst",
        "Wrong attempts that one client network may make at once; one more is admitted each second. 0 counts no networks.",
    ),
    ("security.factor_changes_require_aal2", "Whoever has a second factor shows it before changing anything but free traits."),
    (
        "security.limits.{sessions_per_identity,flows_per_identity}",
        "The most live sessions, and flows of one kind, of one identity; a new one takes the place of the oldest.",
    ),
    ("security.limits.{cookies,headers}", "The most cookies and header fields of a request."),
    (
        "security.limits.{header_bytes,url_bytes}",
        "The most bytes of all header fields, and of path and query on the public port.",
    ),
    ("security.limits.identifier_bytes", "The most bytes of an identifier."),
    ("security.limits.{transient_payload_bytes,traits_bytes}", "The most bytes of these parts of a submit, as JSON."),
    ("security.limits.traits_depth", "How many objects and lists may stand inside each other in the traits."),
    (
        "selfservice.flows.settings.reauthentication",
        "Which factor renews a privileged session: any, or one of the level that the operation needs.",
    ),
    ("selfservice.flows.settings.required_aal", "Only Keyward has the value aal2, which is asked for each operation by itself."),
    ("selfservice.methods.totp.config.issue_lookup_secrets", "Enrolling TOTP also hands out backup codes."),
    ("selfservice.methods.webauthn.config.api_flows", "Security keys are offered in API flows."),
    ("selfservice.methods.link.config.confirm", "A mailed link shows a page before it acts."),
    (
        "selfservice.methods.oidc.config.providers[].provider",
        "Not served: dingtalk, fedcm-test, lark, line, linkedin, slack, uaepass, vk, x; with one of them the server does not start.",
    ),
    ("ui.brand.name", "What the built-in pages call the product."),
    (
        "ui.mailbox",
        "Whether the built-in pages show the mail of everybody, on a server that is called localhost. Development mode has it always.",
    ),
];

/// Fixed defaults, as they would be written in YAML.
const DEFAULTS: &[(&str, &str)] = &[
    ("dev", "false"),
    ("sqa-opt-out", "false"),
    ("watch-courier", "false"),
    ("expose-metrics-port", "0"),
    ("database.cleanup.enabled", "true"),
    ("database.cleanup.batch_size", "100"),
    ("database.cleanup.sleep.tables", "1m"),
    ("database.cleanup.older_than", "24h"),
    ("audit.retention", "8760h"),
    ("preview.default_read_consistency_level", "strong"),
    ("ui.brand.name", "Keyward"),
    ("ui.mailbox", "false"),
    ("serve.public.body_limit", "1048576"),
    ("serve.public.connections", "10000"),
    ("serve.admin.connections", "1000"),
    ("serve.{public,admin}.host", "0.0.0.0"),
    ("serve.public.port", "4433"),
    ("serve.admin.port", "4434"),
    ("serve.{public,admin}.request_log.disable_for_health", "false"),
    ("serve.public.cors.enabled", "false"),
    ("serve.public.cors.allowed_origins", "[\"*\"]"),
    ("serve.public.cors.allowed_methods", "[POST, GET, PUT, PATCH, DELETE]"),
    ("serve.public.cors.allowed_headers", "[Authorization, Content-Type, Max-Age, X-Session-Token, X-XSRF-TOKEN, X-CSRF-TOKEN]"),
    ("serve.public.cors.exposed_headers", "[Content-Type]"),
    ("serve.public.cors.allow_credentials", "true"),
    ("serve.public.cors.max_age", "0"),
    ("tracing.service_name", "Keyward"),
    ("tracing.providers.otlp.insecure", "false"),
    ("tracing.providers.otlp.sampling.sampling_ratio", "1"),
    ("log.level", "info"),
    ("log.format", "text"),
    ("identity.default_schema_id", "default"),
    ("identity.schemas[].selfservice_selectable", "false"),
    ("hashers.algorithm", "bcrypt"),
    ("hashers.bcrypt.cost", "12"),
    ("hashers.argon2.memory", "128MB"),
    ("hashers.argon2.iterations", "1"),
    ("hashers.argon2.salt_length", "16"),
    ("hashers.argon2.key_length", "32"),
    ("ciphers.algorithm", "xchacha20-poly1305"),
    ("cookies.path", "/"),
    ("cookies.same_site", "Lax"),
    ("session.lifespan", "24h"),
    ("session.cookie.name", "ory_kratos_session"),
    ("session.cookie.persistent", "true"),
    ("session.whoami.required_aal", "highest_available"),
    ("session.whoami.tokenizer.templates.<>.ttl", "1m"),
    ("session.whoami.tokenizer.templates.<>.subject_source", "id"),
    ("security.account_enumeration.mitigate", "false"),
    ("security.attempts.enabled", "true"),
    ("security.attempts.free", "5"),
    ("security.attempts.first_wait", "30s"),
    ("security.attempts.longest_wait", "1h"),
    ("security.attempts.hard_stop", "100"),
    ("security.attempts.network_burst", "60"),
    ("security.disallow_ref_in_identity_schemas", "false"),
    ("security.factor_changes_require_aal2", "true"),
    ("security.limits.sessions_per_identity", "100"),
    ("security.limits.flows_per_identity", "50"),
    ("security.limits.cookies", "50"),
    ("security.limits.headers", "100"),
    ("security.limits.header_bytes", "16384"),
    ("security.limits.url_bytes", "8192"),
    ("security.limits.identifier_bytes", "320"),
    ("security.limits.transient_payload_bytes", "8192"),
    ("security.limits.traits_bytes", "32768"),
    ("security.limits.traits_depth", "16"),
    ("feature_flags.{cacheable_sessions,faster_session_extend,choose_recovery_address,refresh_login_choose_address}", "false"),
    ("feature_flags.{use_continue_with_transitions,legacy_allow_insecure_origins}", "false"),
    ("feature_flags.password_profile_registration_node_group", "default"),
    ("selfservice.flows.{settings,login,registration}.lifespan", "1h"),
    ("selfservice.flows.settings.privileged_session_max_age", "1h"),
    ("selfservice.flows.settings.required_aal", "highest_available"),
    ("selfservice.flows.settings.reauthentication", "any"),
    ("selfservice.flows.login.style", "unified"),
    ("selfservice.flows.registration.enabled", "true"),
    ("selfservice.flows.logout.clear_browser_data", "false"),
    ("selfservice.flows.{recovery,verification}.enabled", "false"),
    ("selfservice.flows.{recovery,verification}.lifespan", "1h"),
    ("selfservice.flows.{recovery,verification}.use", "code"),
    ("selfservice.flows.{recovery,verification}.notify_unknown_recipients", "false"),
    ("selfservice.methods.profile.enabled", "true"),
    ("selfservice.methods.password.enabled", "true"),
    ("selfservice.methods.password.config.haveibeenpwned_enabled", "true"),
    ("selfservice.methods.password.config.haveibeenpwned_host", "api.pwnedpasswords.com"),
    ("selfservice.methods.password.config.max_breaches", "0"),
    ("selfservice.methods.password.config.ignore_network_errors", "true"),
    ("selfservice.methods.password.config.min_password_length", "8"),
    ("selfservice.methods.password.config.identifier_similarity_check_enabled", "true"),
    ("selfservice.methods.link.config.lifespan", "1h"),
    ("selfservice.methods.link.config.confirm", "true"),
    ("selfservice.methods.code.{passwordless_enabled,mfa_enabled}", "false"),
    ("selfservice.methods.code.config.lifespan", "1h"),
    ("selfservice.methods.code.config.max_submissions", "5"),
    ("selfservice.methods.code.config.missing_credential_fallback_enabled", "false"),
    ("selfservice.methods.oidc.enabled", "false"),
    ("selfservice.methods.oidc.config.providers[].subject_source", "userinfo"),
    ("selfservice.methods.oidc.config.providers[].claims_source", "id_token"),
    ("selfservice.methods.oidc.config.providers[].pkce", "auto"),
    ("selfservice.methods.totp.config.issue_lookup_secrets", "true"),
    ("selfservice.methods.webauthn.config.passwordless", "false"),
    ("selfservice.methods.webauthn.config.api_flows", "true"),
    ("courier.message_retries", "5"),
    ("courier.worker.pull_count", "10"),
    ("courier.worker.pull_wait", "1s"),
    ("courier.delivery_strategy", "smtp"),
    ("courier.smtp.from_address", "no-reply@ory.kratos.sh"),
    ("courier.smtp.local_name", "localhost"),
    ("clients.{http,smtp}.disallow_private_ip_ranges", "false"),
];

/// Every key, in the order of the table.
pub fn key_reference() -> impl Iterator<Item = KeyReference> {
    let find = |rows: &[(&'static str, &'static str)], pattern: &str| {
        rows.iter().find(|(known, _)| *known == pattern).map(|(_, text)| *text)
    };
    KEYS.iter().map(move |(pattern, kind, status)| KeyReference {
        pattern,
        kind: words(*kind),
        default: find(DEFAULTS, pattern).or_else(|| shared_default(pattern)),
        state: status.words(),
        description: find(OURS, pattern),
    })
}

/// The default of a pattern with braces whose names all have the same one.
fn shared_default(pattern: &str) -> Option<&'static str> {
    let mut defaults = alternatives(pattern).into_iter().map(|path| default_of(&path));
    let first = defaults.next()??;
    defaults.all(|other| other == Some(first)).then_some(first)
}

fn default_of(path: &str) -> Option<&'static str> {
    DEFAULTS.iter().find(|(pattern, _)| alternatives(pattern).iter().any(|known| known == path)).map(|(_, text)| *text)
}

fn words(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::SecretText => "secret text".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Int(least, i64::MAX) => format!("whole number from {least}"),
        Kind::Int(least, most) => format!("whole number, {least} to {most}"),
        Kind::Ratio => "number, 0 to 1".to_owned(),
        Kind::Span => "duration".to_owned(),
        Kind::Size => "size".to_owned(),
        Kind::Url => "absolute URL".to_owned(),
        Kind::UrlReference => "URL".to_owned(),
        Kind::OneOf(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        Kind::TextList => "list of texts".to_owned(),
        Kind::TextMap => "object of texts".to_owned(),
        Kind::Secrets(least, most) if least == most => format!("list of secrets of {least} characters"),
        Kind::Secrets(least, _) => format!("list of secrets from {least} characters"),
        Kind::LooseBool => "true or false, also as text".to_owned(),
        Kind::Hooks => "list of hooks".to_owned(),
        Kind::Request => "request".to_owned(),
        Kind::Anything => "anything".to_owned(),
    }
}

/// A JSON Schema (draft 7) of the configuration. Keys that the environment may supply are not required.
pub fn json_schema() -> Value {
    let mut schema = object(&ROOT, "");
    let head = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Keyward configuration",
    });
    if let (Value::Object(schema), Value::Object(head)) = (&mut schema, head) {
        let rest = std::mem::replace(schema, head);
        schema.extend(rest);
    }
    schema
}

fn shape(branch: &Branch, path: &str) -> Value {
    let mut schema = match branch.kind {
        _ if branch.is_object() => object(branch, path),
        _ if branch.items.is_some() => {
            let items = branch.items.as_ref().map_or_else(|| json!({}), |items| shape(items, &format!("{path}[]")));
            json!({ "type": "array", "items": items })
        }
        Some(kind) => scalar(kind),
        None => json!({}),
    };
    annotate(&mut schema, branch, path);
    schema
}

fn object(branch: &Branch, path: &str) -> Value {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let properties: Map<String, Value> =
        branch.children.iter().map(|(name, child)| (name.clone(), shape(child, &below(name)))).collect();
    let others = branch.any.as_ref().map_or(Value::Bool(false), |any| shape(any, &below("<>")));
    json!({ "type": "object", "properties": properties, "additionalProperties": others })
}

fn scalar(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::SecretText => json!({ "type": "string" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Int(least, i64::MAX) => json!({ "type": "integer", "minimum": least }),
        Kind::Int(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Ratio => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Span => json!({ "type": "string", "pattern": "^([0-9]+(ns|us|ms|s|m|h))+$" }),
        Kind::Size => json!({ "type": "string", "pattern": "^[0-9]+ *([KkMmGgTt]([Ii]?[Bb])?|[Bb])?$" }),
        Kind::Url => json!({ "type": "string", "format": "uri" }),
        Kind::UrlReference => json!({ "type": "string", "minLength": 1 }),
        Kind::OneOf(names) => json!({ "enum": names }),
        Kind::TextList => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::TextMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Secrets(least, usize::MAX) => json!({ "type": "array", "items": { "type": "string", "minLength": least } }),
        Kind::Secrets(least, most) => {
            json!({ "type": "array", "items": { "type": "string", "minLength": least, "maxLength": most } })
        }
        Kind::LooseBool => json!({ "enum": [true, false, "true", "false"] }),
        Kind::Hooks => json!({ "type": "array" }),
        Kind::Request => json!({ "type": "object" }),
        Kind::Anything => json!({}),
    }
}

fn annotate(schema: &mut Value, branch: &Branch, path: &str) {
    let Value::Object(schema) = schema else { return };
    if let Some(text) = default_of(path) {
        // The texts of the table are YAML; scalars and lists without nesting are all there is.
        let parsed = crate::document::parse("default.yml", &format!("value: {text}")).ok();
        if let Some(value) = parsed.and_then(|node| node.find("value").map(crate::document::Node::to_json)) {
            schema.insert("default".to_owned(), value);
        }
    }
    let ours = OURS.iter().find(|(pattern, _)| alternatives(pattern).iter().any(|known| known == path)).map(|(_, text)| *text);
    let state = match branch.status {
        None | Some(Status::Used) => None,
        Some(Status::Renamed(new)) => {
            schema.insert("deprecated".to_owned(), Value::Bool(true));
            Some(format!("Old name of {new}."))
        }
        Some(Status::Moot(sentence)) => Some(format!("Accepted: {sentence}.")),
        Some(status) => Some(format!("State in this version: {}.", status.words())),
    };
    let sentences: Vec<String> = ours.map(str::to_owned).into_iter().chain(state).collect();
    if !sentences.is_empty() {
        schema.insert("description".to_owned(), Value::from(sentences.join(" ")));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Flags, Source, load};

    #[test]
    fn every_description_and_default_belongs_to_a_key() {
        let known: Vec<String> = KEYS.iter().flat_map(|(pattern, ..)| alternatives(pattern)).collect();
        for (pattern, _) in OURS.iter().chain(DEFAULTS) {
            for path in alternatives(pattern) {
                assert!(known.contains(&path), "{path}");
            }
        }
    }

    /// What the reference calls a default changes nothing when it is written down.
    #[test]
    fn defaults_are_what_counts_when_nothing_is_written() {
        let base = "dsn: memory\nsecrets: {default: [a-secret-that-only-this-test-knows]}\nidentity: {schemas: [{id: default, url: \"base64://e30=\"}]}\nselfservice: {default_browser_return_url: \"https://www.example.org/\"}\n";
        let source = |name: &str, text: String| Source { name: name.to_owned(), text };
        let config = |sources: &[Source]| {
            let flags = Flags { dev: false, hostname: Some("box".to_owned()), cpus: 2 };
            load(sources, &BTreeMap::new(), &flags).unwrap_or_else(|errors| panic!("{errors}")).config
        };
        let before = config(&[source("base.yml", base.to_owned())]);
        for (pattern, default) in DEFAULTS.iter().filter(|(pattern, _)| !pattern.contains(['<', '['])) {
            // The switch of CORS decides whether the rest of its block is read.
            for path in alternatives(pattern).into_iter().filter(|path| !path.starts_with("courier.")) {
                let depth = path.split('.').enumerate().map(|(depth, name)| format!("{}{name}:", " ".repeat(depth)));
                let text = format!("{} {default}\n", depth.collect::<Vec<_>>().join("\n"));
                let after = config(&[source("base.yml", base.to_owned()), source("one.yml", text)]);
                assert_eq!(format!("{before:?}"), format!("{after:?}"), "{path}: {default}");
            }
        }
        let cors = |more: &str| {
            config(&[
                source("b.yml", base.to_owned()),
                source("c.yml", format!("serve: {{public: {{cors: {{enabled: true{more}}}}}}}")),
            ])
        };
        let listed = DEFAULTS.iter().filter_map(|(path, text)| Some((path.strip_prefix("serve.public.cors.")?, text)));
        let written: String =
            listed.filter(|(name, _)| *name != "enabled").map(|(name, text)| format!(", {name}: {text}")).collect();
        assert_eq!(cors("").public.cors, cors(&written).public.cors);
    }
}
