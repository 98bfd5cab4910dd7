//! The one table of configuration keys: every key of Kratos' schema and every key of our own.
//! The checker, the environment overrides and the search for the nearest name all read it; a new key is one row here.
//! Knows what a key may hold and whether this version uses it, not what the value means.
//!
//! Patterns: `{a,b}` stands for several names, `[]` for the items of a list, `<>` for any name.
//! Defaults, and what the keys that only Keyward has are for, stand in [`crate::reference`].

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text; may hold a secret, so it is never repeated in a message.
    Text,
    /// Text that is a secret as a whole: it is not even shown where the configuration is.
    SecretText,
    Bool,
    /// A whole number between the bounds.
    Int(i64, i64),
    /// A number between zero and one.
    Ratio,
    /// A duration such as `1h30m`.
    Span,
    /// A size such as `128MB`.
    Size,
    /// An absolute URL.
    Url,
    /// An absolute or relative URL.
    UrlReference,
    OneOf(&'static [&'static str]),
    TextList,
    /// An object of any names, each with a text.
    TextMap,
    /// Secrets: at least so many, at most so many characters each.
    Secrets(usize, usize),
    /// `true`, `false` or the same as text.
    LooseBool,
    /// A list of hooks; its items are checked by [`crate::hooks`].
    Hooks,
    /// A request that the server makes: a web hook or a mail gateway.
    Request,
    /// Whatever the vendor's product puts there.
    Anything,
}

/// What this version does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Used,
    /// Known and without effect by nature; no warning.
    Silent,
    /// Part of Kratos' schema, not served yet: one warning.
    NotYet,
    /// Part of a commercial product: one warning.
    Commercial,
    /// Accepted, with this sentence as a warning when it is switched on.
    Moot(&'static str),
    /// An old name of the key given here, with the same meaning.
    Renamed(&'static str),
}

use Kind::UrlReference as Ref;
use Kind::{
    Anything, Bool, Hooks, Int, LooseBool, OneOf, Ratio, Request, SecretText, Secrets, Size, Span, Text, TextList, TextMap, Url,
};
use Status::{Commercial, Moot, NotYet, Renamed, Silent, Used};

const ANY_INT: Kind = Int(0, i64::MAX);
const AAL: Kind = OneOf(&["aal1", "highest_available"]);
const SAME_SITE: Kind = OneOf(&["Strict", "Lax", "None"]);
const LINK_OR_CODE: Kind = OneOf(&["link", "code"]);
const SECRET_LENGTH: Kind = Secrets(16, usize::MAX);

impl Status {
    /// The words of the generated reference.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Used => "used",
            Silent => "accepted, without effect by nature",
            NotYet => "not yet: accepted with a warning",
            Commercial => "commercial: accepted with a warning",
            Moot(_) => "accepted with a warning when switched on",
            Renamed(_) => "old name, accepted with a warning",
        }
    }
}

/// Patterns, kinds and statuses.
pub(crate) const KEYS: &[(&str, Kind, Status)] = &[
    ("$schema", Text, Silent),
    ("version", Text, Silent),
    ("dev", Bool, Used),
    ("help", Bool, Silent),
    ("config", TextList, Silent),
    ("revision", Text, Used),
    ("sqa-opt-out", Bool, Silent),
    ("watch-courier", Bool, Used),
    ("expose-metrics-port", Int(0, 65_535), NotYet),
    ("dsn", Text, Used),
    ("database.cleanup.enabled", Bool, Used),
    ("database.cleanup.batch_size", Int(1, 100_000), Used),
    ("database.cleanup.sleep.tables", Span, Used),
    ("database.cleanup.older_than", Span, Used),
    ("audit.retention", Span, Used),
    ("preview.default_read_consistency_level", OneOf(&["strong", "eventual"]), NotYet),
    ("organizations", Anything, Commercial),
    ("enterprise", Anything, Commercial),
    ("ui.brand.name", Text, Used),
    ("ui.mailbox", Bool, Used),
    // Listeners.
    ("serve.trusted_proxies", TextList, Used),
    ("serve.public.body_limit", Int(1_024, 1 << 30), Used),
    ("serve.public.connections", Int(1, 1_000_000), Used),
    ("serve.admin.connections", Int(1, 1_000_000), Used),
    ("serve.{public,admin}.base_url", Url, Used),
    ("serve.{public,admin}.host", Text, Used),
    ("serve.{public,admin}.port", Int(1, 65_535), Used),
    ("serve.{public,admin}.socket.{owner,group}", Text, NotYet),
    ("serve.{public,admin}.socket.mode", Int(0, 0o777), NotYet),
    ("serve.{public,admin}.tls.{cert,key}.path", Text, Used),
    ("serve.{public,admin}.tls.cert.base64", Text, Used),
    ("serve.{public,admin}.tls.key.base64", SecretText, Used),
    ("serve.{public,admin}.request_log.disable_for_health", Bool, Used),
    ("serve.public.cors.enabled", Bool, Used),
    ("serve.public.cors.{allowed_origins,allowed_methods,allowed_headers,exposed_headers}", TextList, Used),
    ("serve.public.cors.allow_credentials", Bool, Used),
    ("serve.public.cors.{options_passthrough,debug}", Bool, Silent),
    ("serve.public.cors.max_age", ANY_INT, Used),
    // Observation.
    ("log.level", OneOf(&["trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"]), Used),
    ("log.format", OneOf(&["json", "text"]), Used),
    ("log.leak_sensitive_values", Bool, Moot("secrets are never logged; the switch has no effect")),
    ("log.redaction_text", Text, Silent),
    ("tracing.provider", OneOf(&["jaeger", "otel", "zipkin"]), Used),
    ("tracing.{service_name,deployment_environment}", Text, Used),
    ("tracing.providers.jaeger.local_agent_address", Text, NotYet),
    ("tracing.providers.jaeger.sampling.server_url", Url, NotYet),
    ("tracing.providers.jaeger.sampling.trace_id_ratio", Ratio, NotYet),
    ("tracing.providers.zipkin.server_url", Url, NotYet),
    ("tracing.providers.zipkin.sampling.sampling_ratio", Ratio, NotYet),
    ("tracing.providers.otlp.sampling.sampling_ratio", Ratio, Used),
    ("tracing.providers.otlp.server_url", Text, Used),
    ("tracing.providers.otlp.insecure", Bool, Used),
    ("tracing.providers.otlp.authorization_header", SecretText, Used),
    // Identities, secrets, hashing.
    ("identity.default_schema_id", Text, Used),
    ("identity.schemas[].{id,url}", Text, Used),
    ("identity.schemas[].selfservice_selectable", Bool, Used),
    ("secrets.{default,cookie}", SECRET_LENGTH, Used),
    ("secrets.pagination", SECRET_LENGTH, Silent),
    ("secrets.cipher", Secrets(32, 32), Used),
    ("hashers.algorithm", OneOf(&["argon2", "bcrypt"]), Used),
    ("hashers.bcrypt.cost", Int(4, 31), Used),
    ("hashers.argon2.memory", Size, Used),
    ("hashers.argon2.iterations", Int(1, 10), Used),
    ("hashers.argon2.parallelism", Int(1, 16), Used),
    ("hashers.argon2.{salt_length,key_length}", Int(16, 64), Used),
    ("hashers.argon2.{expected_duration,expected_deviation}", Span, Silent),
    ("hashers.argon2.dedicated_memory", Size, Silent),
    ("ciphers.algorithm", OneOf(&["noop", "aes", "xchacha20-poly1305"]), Used),
    // Cookies and sessions.
    ("cookies.domain", Text, Used),
    ("cookies.path", Text, Used),
    ("cookies.same_site", SAME_SITE, Used),
    ("cookies.secure", LooseBool, Used),
    ("session.lifespan", Span, Used),
    ("session.earliest_possible_extend", Span, Used),
    ("session.cookie.{name,domain,path}", Text, Used),
    ("session.cookie.persistent", Bool, Used),
    ("session.cookie.same_site", SAME_SITE, Used),
    ("session.cookie.secure", LooseBool, Used),
    ("session.whoami.required_aal", AAL, Used),
    ("session.whoami.tokenizer.templates.<>.{jwks_url,claims_mapper_url}", Ref, Used),
    ("session.whoami.tokenizer.templates.<>.ttl", Span, Used),
    ("session.whoami.tokenizer.templates.<>.subject_source", OneOf(&["id", "external_id"]), Used),
    ("security.account_enumeration.mitigate", Bool, Used),
    ("security.attempts.enabled", Bool, Used),
    ("security.attempts.{free,hard_stop}", Int(1, 1_000_000), Used),
    ("security.attempts.{first_wait,longest_wait}", Span, Used),
    ("security.attempts.network_burst", Int(0, 1_000_000), Used),
    ("security.disallow_ref_in_identity_schemas", Bool, NotYet),
    ("security.factor_changes_require_aal2", Bool, Used),
    ("security.limits.{sessions_per_identity,flows_per_identity}", Int(1, 1_000_000), Used),
    // The protocol layer itself reads no more than this.
    ("security.limits.{cookies,headers}", Int(10, 128), Used),
    ("security.limits.{header_bytes,url_bytes}", Int(1_024, 48 * 1_024), Used),
    ("security.limits.identifier_bytes", Int(64, 4_096), Used),
    ("security.limits.{transient_payload_bytes,traits_bytes}", Int(0, 1 << 24), Used),
    ("security.limits.traits_depth", Int(1, 16), Used),
    // Calls to others.
    ("oauth2_provider.url", Url, NotYet),
    ("oauth2_provider.headers", TextMap, NotYet),
    ("oauth2_provider.override_return_to", Bool, NotYet),
    ("clients.{http,smtp}.disallow_private_ip_ranges", Bool, Used),
    ("clients.http.private_ip_exception_urls", TextList, Used),
    ("clients.web_hook.header_allowlist", TextList, NotYet),
    // Mail.
    ("courier.smtp.connection_uri", Text, Used),
    ("courier.smtp.{client_cert_path,client_key_path,from_address,from_name,local_name}", Text, Used),
    ("courier.smtp.headers", TextMap, Used),
    ("courier.delivery_strategy", OneOf(&["smtp", "http"]), Used),
    ("courier.http.request_config", Request, Used),
    ("courier.channels[].id", OneOf(&["sms"]), Used),
    ("courier.channels[].type", OneOf(&["http"]), Used),
    ("courier.channels[].request_config", Request, Used),
    ("courier.message_retries", Int(0, 1_000), Used),
    ("courier.worker.pull_count", Int(1, 1_000), Used),
    ("courier.worker.pull_wait", Span, Used),
    ("courier.template_override_path", Text, NotYet),
    ("courier.templates.{recovery,recovery_code,verification,verification_code}.{valid,invalid}.email.subject", Ref, NotYet),
    (
        "courier.templates.{recovery,recovery_code,verification,verification_code}.{valid,invalid}.email.body.{html,plaintext}",
        Ref,
        NotYet,
    ),
    ("courier.templates.{recovery_code,verification_code,registration_code,login_code}.valid.sms.body.plaintext", Ref, NotYet),
    ("courier.templates.{registration_code,login_code}.valid.email.subject", Ref, NotYet),
    ("courier.templates.{registration_code,login_code}.valid.email.body.{html,plaintext}", Ref, NotYet),
    ("courier.templates.{verifiable_address_changed,authenticator_key_added}.email.subject", Ref, NotYet),
    ("courier.templates.{verifiable_address_changed,authenticator_key_added}.email.body.{html,plaintext}", Ref, NotYet),
    ("courier.templates.{verifiable_address_changed,authenticator_key_added}.sms.body.plaintext", Ref, NotYet),
    // Feature flags.
    ("feature_flags.choose_recovery_address", Bool, NotYet),
    ("feature_flags.refresh_login_choose_address", Bool, Used),
    ("feature_flags.{cacheable_sessions,faster_session_extend}", Bool, Used),
    ("feature_flags.cacheable_sessions_max_age", Span, Used),
    ("feature_flags.{use_continue_with_transitions,legacy_allow_insecure_origins}", Bool, Used),
    ("feature_flags.{legacy_continue_with_verification_ui,legacy_require_verified_login_error}", Bool, Used),
    ("feature_flags.password_profile_registration_node_group", OneOf(&["default", "password"]), Used),
    ("feature_flags.legacy_oidc_registration_node_group", Bool, NotYet),
    // Flows.
    ("selfservice.default_browser_return_url", Ref, Used),
    ("selfservice.allowed_return_urls", TextList, Used),
    ("selfservice.whitelisted_return_urls", TextList, Renamed("selfservice.allowed_return_urls")),
    ("selfservice.flows.error.ui_url", Ref, Used),
    ("selfservice.flows.{settings,login,registration}.ui_url", Ref, Used),
    ("selfservice.flows.{settings,login,registration}.lifespan", Span, Used),
    ("selfservice.flows.{settings,login,registration}.before.hooks", Hooks, Used),
    ("selfservice.flows.{settings,login,registration}.after.default_browser_return_url", Ref, Used),
    ("selfservice.flows.{settings,login,registration}.after.hooks", Hooks, Used),
    (
        "selfservice.flows.{settings,login,registration}.after.{password,oidc,webauthn,passkey}.default_browser_return_url",
        Ref,
        Used,
    ),
    ("selfservice.flows.{settings,login,registration}.after.{password,oidc,webauthn,passkey}.hooks", Hooks, Used),
    ("selfservice.flows.{settings,login}.after.{totp,lookup_secret}.default_browser_return_url", Ref, Used),
    ("selfservice.flows.{settings,login}.after.{totp,lookup_secret}.hooks", Hooks, Used),
    ("selfservice.flows.{login,registration}.after.code.default_browser_return_url", Ref, Used),
    ("selfservice.flows.{login,registration}.after.code.hooks", Hooks, Used),
    ("selfservice.flows.settings.after.profile.default_browser_return_url", Ref, Used),
    ("selfservice.flows.settings.after.profile.hooks", Hooks, Used),
    ("selfservice.flows.settings.privileged_session_max_age", Span, Used),
    ("selfservice.flows.settings.required_aal", OneOf(&["aal1", "highest_available", "aal2"]), Used),
    ("selfservice.flows.settings.reauthentication", OneOf(&["any", "same_aal"]), Used),
    ("selfservice.flows.login.style", OneOf(&["unified", "identifier_first"]), Used),
    ("selfservice.flows.registration.enabled", Bool, Used),
    ("selfservice.flows.registration.login_hints", Bool, Used),
    ("selfservice.flows.registration.style", OneOf(&["unified", "profile_first"]), Used),
    (
        "selfservice.flows.registration.enable_legacy_one_step",
        Bool,
        Moot("the form is always one step; the switch has no effect"),
    ),
    ("selfservice.flows.logout.after.default_browser_return_url", Ref, Used),
    ("selfservice.flows.logout.clear_browser_data", Bool, NotYet),
    ("selfservice.flows.{recovery,verification}.enabled", Bool, Used),
    ("selfservice.flows.{recovery,verification}.ui_url", Ref, Used),
    ("selfservice.flows.{recovery,verification}.lifespan", Span, Used),
    ("selfservice.flows.{recovery,verification}.use", LINK_OR_CODE, Used),
    ("selfservice.flows.{recovery,verification}.notify_unknown_recipients", Bool, Used),
    ("selfservice.flows.{recovery,verification}.before.hooks", Hooks, NotYet),
    ("selfservice.flows.{recovery,verification}.after.default_browser_return_url", Ref, Used),
    ("selfservice.flows.{recovery,verification}.after.hooks", Hooks, Used),
    // Methods.
    ("selfservice.methods.profile.enabled", Bool, Used),
    ("selfservice.methods.password.enabled", Bool, Used),
    ("selfservice.methods.password.config.haveibeenpwned_enabled", Bool, Used),
    ("selfservice.methods.password.config.haveibeenpwned_host", Text, Used),
    ("selfservice.methods.password.config.max_breaches", Int(0, 100), Used),
    ("selfservice.methods.password.config.ignore_network_errors", Bool, Used),
    ("selfservice.methods.password.config.min_password_length", Int(6, 1_024), Used),
    ("selfservice.methods.password.config.identifier_similarity_check_enabled", Bool, Used),
    ("selfservice.methods.password.config.migrate_hook.enabled", Bool, NotYet),
    ("selfservice.methods.password.config.migrate_hook.config", Request, NotYet),
    ("selfservice.methods.{totp,lookup_secret}.enabled", Bool, Used),
    ("selfservice.methods.{webauthn,passkey}.enabled", Bool, Used),
    ("selfservice.methods.code.enabled", Bool, Used),
    ("selfservice.methods.link.enabled", Bool, NotYet),
    ("selfservice.methods.oidc.enabled", Bool, Used),
    ("selfservice.methods.link.config.lifespan", Span, Silent),
    ("selfservice.methods.link.config.base_url", Url, NotYet),
    ("selfservice.methods.link.config.confirm", Bool, NotYet),
    ("selfservice.methods.code.{passwordless_enabled,mfa_enabled}", Bool, Used),
    ("selfservice.methods.code.config.lifespan", Span, Used),
    ("selfservice.methods.code.config.max_submissions", Int(1, 255), Used),
    ("selfservice.methods.code.config.missing_credential_fallback_enabled", Bool, Used),
    ("selfservice.methods.totp.config.issuer", Text, Used),
    ("selfservice.methods.totp.config.issue_lookup_secrets", Bool, Used),
    ("selfservice.methods.webauthn.config.passwordless", Bool, Used),
    ("selfservice.methods.webauthn.config.api_flows", Bool, Used),
    ("selfservice.methods.{webauthn,passkey}.config.rp.{id,display_name}", Text, Used),
    ("selfservice.methods.{webauthn,passkey}.config.rp.origins", TextList, Used),
    ("selfservice.methods.webauthn.config.rp.icon", Text, Silent),
    // The old single origin: read together with `origins`, see `resolve`.
    ("selfservice.methods.webauthn.config.rp.origin", Text, Used),
    ("selfservice.methods.passkey.config.authenticator_selection.attachment", OneOf(&["platform", "cross-platform"]), Used),
    (
        "selfservice.methods.passkey.config.authenticator_selection.{resident_key,user_verification}",
        OneOf(&["required", "preferred", "discouraged"]),
        Used,
    ),
    ("selfservice.methods.passkey.config.attestation.preference", OneOf(&["none", "indirect", "direct", "enterprise"]), Used),
    ("selfservice.methods.passkey.config.timeouts.{registration,login}", Span, Used),
    ("selfservice.methods.oidc.config.base_redirect_uri", Url, Used),
    ("selfservice.methods.oidc.config.providers[].{id,label,client_id,microsoft_tenant}", Text, Used),
    ("selfservice.methods.oidc.config.providers[].client_secret", SecretText, Used),
    ("selfservice.methods.oidc.config.providers[].provider", OneOf(OIDC_PROVIDERS), Used),
    ("selfservice.methods.oidc.config.providers[].{issuer_url,auth_url,token_url}", Url, Used),
    ("selfservice.methods.oidc.config.providers[].fedcm_config_url", Url, NotYet),
    ("selfservice.methods.oidc.config.providers[].mapper_url", Text, Used),
    ("selfservice.methods.oidc.config.providers[].subject_source", OneOf(&["userinfo", "me", "oid"]), Used),
    (
        "selfservice.methods.oidc.config.providers[].{scope,additional_id_token_audiences,aal2_acr_values,aal2_amr_values}",
        TextList,
        Used,
    ),
    ("selfservice.methods.oidc.config.providers[].{apple_team_id,apple_private_key_id}", Text, Used),
    ("selfservice.methods.oidc.config.providers[].apple_private_key", SecretText, Used),
    ("selfservice.methods.oidc.config.providers[].organization_id", Text, NotYet),
    ("selfservice.methods.oidc.config.providers[].net_id_token_origin_header", Text, NotYet),
    ("selfservice.methods.oidc.config.providers[].requested_claims", Anything, Used),
    ("selfservice.methods.oidc.config.providers[].claims_source", OneOf(&["id_token", "userinfo"]), Used),
    ("selfservice.methods.oidc.config.providers[].pkce", OneOf(&["auto", "never", "force"]), Used),
    ("selfservice.methods.oidc.config.providers[].{account_linking_mode,update_identity_on_login}", Text, Used),
    ("selfservice.methods.b2b", Anything, Commercial),
];

/// Below a key of kind [`Kind::Hooks`].
pub(crate) const HOOK_KEYS: &[(&str, Kind)] =
    &[("[].hook", Text), ("[].config", Request), ("[].config.recipients", OneOf(&["removed", "all_verified", "all"]))];

/// Below a key of kind [`Kind::Request`].
pub(crate) const REQUEST_KEYS: &[(&str, Kind)] = &[
    ("id", Text),
    ("url", Text),
    ("method", Text),
    ("headers", TextMap),
    ("body", Text),
    ("auth.type", OneOf(&["api_key", "basic_auth"])),
    ("auth.config.{name,user}", Text),
    ("auth.config.{value,password}", SecretText),
    ("auth.config.in", OneOf(&["header", "cookie"])),
    ("response.{ignore,parse}", Bool),
    ("can_interrupt", Bool),
    ("emit_analytics_event", Bool),
];

/// Every kind of provider that Kratos has; which of them are served, [`crate::oidc`] knows.
pub(crate) const OIDC_PROVIDERS: &[&str] = &[
    "generic",
    "google",
    "github",
    "github-app",
    "gitlab",
    "microsoft",
    "discord",
    "salesforce",
    "slack",
    "facebook",
    "auth0",
    "vk",
    "yandex",
    "apple",
    "spotify",
    "netid",
    "dingtalk",
    "linkedin",
    "linkedin_v2",
    "patreon",
    "line",
    "lark",
    "x",
    "amazon",
    "uaepass",
    "fedcm-test",
];
