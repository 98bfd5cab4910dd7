//! The block of social sign-in: what each kind of provider needs, and what is refused before anybody meets its button.

use keyward_config::{ClaimsSource, Pkce, ProviderKind, ProviderSubject, WarningKind};
use keyward_model::Secret;

use super::{BASE, config, loaded, mistakes};

/// A configuration with these entries as the list of providers, each on a line of its own from line 6 on.
fn with(entries: &[&str]) -> String {
    let list: String = entries.iter().map(|entry| format!("          {entry},\n")).collect();
    format!("selfservice:\n  methods:\n    oidc:\n      enabled: true\n      config: {{providers: [\n{list}]}}\n")
}

const HUB: &str = "{id: hub, provider: generic, client_id: c, issuer_url: https://hub.example.org, mapper_url: base64://e30=}";

/// The entry of the hub with another member, or another value of one.
fn hub(name: &str, value: &str) -> String {
    let members =
        ["id: hub", "provider: generic", "client_id: c", "issuer_url: https://hub.example.org", "mapper_url: base64://e30="];
    let kept = members.iter().filter(|member| !member.starts_with(&format!("{name}:"))).map(|member| (*member).to_owned());
    let all: Vec<String> = kept.chain((!value.is_empty()).then(|| format!("{name}: {value}"))).collect();
    format!("{{{}}}", all.join(", "))
}

#[test]
fn a_provider_is_read_with_its_defaults() {
    let method = config(&[BASE, &with(&[HUB])]).selfservice.methods.oidc;
    let [hub] = method.providers.as_slice() else { panic!("{method:?}") };
    assert!(method.enabled && method.base_redirect_uri.is_none());
    assert_eq!((hub.id.as_str(), hub.kind, hub.label.as_deref()), ("hub", ProviderKind::Generic, None));
    assert_eq!((hub.pkce, hub.claims_source, hub.subject_source), (Pkce::Auto, ClaimsSource::IdToken, ProviderSubject::Userinfo));
    assert!(
        !hub.update_identity_on_login && hub.scope.is_empty() && hub.apple.is_none() && hub.client_secret.reveal().is_empty()
    );
    assert_eq!(hub.mapper.key, "selfservice.methods.oidc.config.providers.0.mapper_url");
}

#[test]
fn everything_that_is_written_is_read() {
    let apple = "{id: apple, provider: apple, client_id: a, apple_team_id: T, apple_private_key_id: K, apple_private_key: PEM, \
        mapper_url: base64://e30=, label: Apfel, scope: [email, name], pkce: never}";
    let work = "{id: work, provider: microsoft, client_id: m, client_secret: s, microsoft_tenant: common, subject_source: oid, \
        mapper_url: base64://e30=, update_identity_on_login: automatic, aal2_amr_values: [mfa], aal2_acr_values: [high], \
        requested_claims: {id_token: {email: ~}}, additional_id_token_audiences: [app], organization_id: org, pkce: force, \
        claims_source: userinfo, auth_url: https://a/, token_url: https://t/}";
    let method = config(&[BASE, &with(&[apple, work])]).selfservice.methods.oidc;
    let [apple, work] = method.providers.as_slice() else { panic!("{method:?}") };
    let key = apple.apple.as_ref().expect("a key");
    assert_eq!((key.team_id.as_str(), key.key_id.as_str(), &key.private_key), ("T", "K", &Secret::new("PEM".to_owned())));
    assert_eq!((apple.label.as_deref(), apple.pkce, apple.scope.len()), (Some("Apfel"), Pkce::Never, 2));
    assert_eq!((work.kind, work.pkce, work.subject_source), (ProviderKind::Microsoft, Pkce::Force, ProviderSubject::Oid));
    assert!(work.update_identity_on_login && work.requested_claims.is_some());
    assert_eq!(
        (work.aal2_acr_values.as_slice(), work.aal2_amr_values.as_slice()),
        (&["high".to_owned()][..], &["mfa".to_owned()][..])
    );
    assert_eq!((work.organization_id.as_deref(), work.microsoft_tenant.as_deref()), (Some("org"), Some("common")));
    assert!(work.auth_url.is_some() && work.token_url.is_some());
}

#[test]
fn what_cannot_serve_is_refused_with_its_line() {
    let bare = |kind: &str| format!("{{id: a, provider: {kind}, client_id: c, mapper_url: base64://e30=}}");
    let table = [
        (bare("generic"), "issuer_url: is required for providers of this kind"),
        (bare("auth0"), "issuer_url: is required"),
        (bare("salesforce"), "issuer_url: is required"),
        (bare("microsoft"), "microsoft_tenant: is required"),
        (bare("slack"), "provider: \"slack\" is not served; Slack speaks OpenID Connect"),
        (bare("x"), "provider: \"x\" is not served, because it speaks OAuth 1.0a"),
        (bare("vk"), "provider: \"vk\" is not served"),
        (bare("gogle"), "provider: expected one of"),
        (hub("id", ""), "id: is required for every provider"),
        (hub("client_id", ""), "client_id: is required for every provider"),
        (hub("mapper_url", "mapper.jsonnet"), "mapper_url: expected a URL that begins with"),
        (hub("id", "a/b"), "id: expected a name for a path"),
        (hub("id", "\"a:b\""), "id: expected a name for a path"),
        (hub("id", "\"..\""), "id: expected a name for a path"),
        (hub("id", "\"\u{00e4}\""), "id: expected a name for a path"),
        (hub("issuer_url", "https://u:HUNTER2@hub.example.org"), "issuer_url: expected an http or https URL"),
        (hub("issuer_url", "ftp://hub.example.org"), "issuer_url: expected an http or https URL"),
        (hub("issuer_url", "\"https://hub.example.org/?a=b\""), "issuer_url: an issuer has no query"),
        (hub("client_secret", "\"HUNTER2\\n\""), "client_secret: line breaks"),
        (hub("scope", "[\"a b\"]"), "scope: expected a list with one word each"),
        (hub("requested_claims", "[a]"), "requested_claims: expected an object"),
        (hub("update_identity_on_login", "sometimes"), "update_identity_on_login: expected one of never, automatic"),
        (hub("pkce", "sure"), "pkce: expected one of"),
    ];
    for (entry, expected) in table {
        let found = mistakes(&[BASE, &with(&[&entry])], &[]);
        let [mistake] = found.as_slice() else { panic!("{entry}: {found:?}") };
        let place = "1.yml:6: selfservice.methods.oidc.config.providers.0.";
        assert!(mistake.starts_with(&format!("{place}{expected}")), "{entry}\n  {mistake}");
        assert!(!mistake.contains("HUNTER2"), "{mistake}");
    }
    let found = mistakes(&[BASE, &with(&[HUB, HUB])], &[]);
    assert!(found.len() == 1 && found[0].starts_with("1.yml:7:") && found[0].contains("1.id: another provider"), "{found:?}");
    let apple = "{id: a, provider: apple, client_id: c, mapper_url: base64://e30=}";
    assert_eq!(mistakes(&[BASE, &with(&[apple])], &[]).len(), 3);
    // While the method is off, nobody is bothered.
    let off = with(&[&bare("x")]).replace("enabled: true", "enabled: false");
    assert_eq!(mistakes(&[BASE, &off], &[]), Vec::<String>::new());
}

#[test]
fn what_may_surprise_is_said() {
    for (entry, kind, words) in [
        (hub("issuer_url", "http://hub.example.org"), WarningKind::Advice, "over plain http"),
        (hub("account_linking_mode", "automatic"), WarningKind::Advice, "never joined"),
        (hub("fedcm_config_url", "https://hub.example.org/f"), WarningKind::NotYet, "nothing with it yet"),
    ] {
        let warnings = loaded(&[BASE, &with(&[&entry])]).warnings;
        let [warning] = warnings.as_slice() else { panic!("{entry}: {warnings:?}") };
        assert!(warning.kind == kind && warning.message.contains(words), "{warning}");
    }
    assert_eq!(loaded(&[BASE, &with(&[HUB])]).warnings, []);
    assert_eq!(loaded(&[BASE, &with(&[&hub("issuer_url", "http://localhost:4444")])]).warnings, []);
    let warnings = loaded(&[BASE, "selfservice: {methods: {oidc: {enabled: true}}}\n"]).warnings;
    assert!(warnings.len() == 1 && warnings[0].message.contains("without a provider"), "{warnings:?}");
}

#[test]
fn the_mailbox_counts_only_where_it_is_shown() {
    let text = "selfservice: {flows: {recovery: {enabled: true}}}\n";
    let about_mail = |texts: &[&str], dev: bool| {
        let loaded = super::try_load(texts, &[], dev).unwrap_or_else(|errors| panic!("{errors}"));
        loaded.warnings.iter().any(|warning| warning.message.contains("no block courier"))
    };
    let (near, far) =
        ("serve: {public: {base_url: \"https://localhost/\"}}\n", "serve: {public: {base_url: \"https://id.example.org/\"}}\n");
    for (base, mailbox, dev, said) in [
        (near, "ui: {mailbox: true}\n", false, false),
        (far, "ui: {mailbox: true}\n", false, true),
        (near, "ui: {mailbox: false}\n", false, true),
        (near, "ui: {}\n", true, false),
    ] {
        assert_eq!(about_mail(&[BASE, text, base, mailbox], dev), said, "{base} {mailbox} {dev}");
    }
}
