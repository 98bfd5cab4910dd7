//! Round trips with a provider inside the test: what it hears, what it says, and how often it is asked.

mod fake;
mod tokens;

use keyward_model::{Secret, Span};
use serde_json::{Value, json};
use url::Url;

use self::fake::{Fake, Key, NOW, b64, configured, open, provider, redeem_at, transaction};
use super::exchange;
use super::transaction::{authorize, proves};
use super::{AuthorizationRequest, CodeAnswer, OidcError, Providers, Subject, Tokens, Transaction, UpstreamParameters, mapper};
use crate::outbound::tests::answer;
use crate::outbound::{LONGEST_ANSWER, Outbound};

fn parameter(url: &Url, name: &str) -> Option<String> {
    let found: Vec<String> = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect();
    assert!(found.len() < 2, "{name} stands twice in {url}");
    found.into_iter().next()
}

async fn address(fake: &Fake, patch: &Value, drawn: &Transaction, upstream: &Value, login_again: bool) -> Url {
    let upstream = UpstreamParameters::read(Some(upstream));
    let request = AuthorizationRequest { transaction: drawn, state: "sealed", upstream: &upstream, login_again };
    authorize(&fake.provider(patch), &open(), &request, NOW).await.unwrap()
}

#[tokio::test]
async fn a_browser_goes_with_everything_that_the_provider_has_to_know() {
    let fake = Fake::start().await;
    // RFC 7636, appendix B.
    let verifier = Some(Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned()));
    let drawn = Transaction { verifier, ..transaction() };
    let patch = json!({ "scope": ["email"], "requested_claims": { "id_token": { "email": null } } });
    let url = address(&fake, &patch, &drawn, &json!({ "prompt": "select_account", "hd": "example.org" }), false).await;
    assert!(url.as_str().starts_with(&format!("{}/auth?", fake.issuer)), "{url}");
    for (name, value) in [
        ("tenant", "t"),
        ("client_id", "client"),
        ("redirect_uri", "https://id.example.org/callback"),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "sealed"),
        ("nonce", "n-1"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("claims", r#"{"id_token":{"email":null}}"#),
        ("prompt", "select_account"),
        ("hd", "example.org"),
    ] {
        assert_eq!(parameter(&url, name).as_deref(), Some(value), "{name} in {url}");
    }
    assert!(!url.as_str().contains("p+w") && !url.as_str().contains("dBjft"), "{url}");
    // Who has to sign in again is not let off.
    let url = address(&fake, &json!({}), &transaction(), &json!({ "prompt": "none", "acr_values": "high" }), true).await;
    assert_eq!((parameter(&url, "prompt").as_deref(), parameter(&url, "acr_values").as_deref()), (Some("login"), Some("high")));
    assert_eq!(parameter(&url, "code_challenge"), None);
    // One endpoint for all requests: the metadata were asked for by each new provider once.
    assert_eq!(fake.asked("/.well-known/openid-configuration").len(), 2);
    let elsewhere = json!({ "auth_url": "https://login.example.org/a", "scope": ["openid"] });
    let url = address(&fake, &elsewhere, &transaction(), &json!({}), false).await;
    assert!(url.as_str().starts_with("https://login.example.org/a?client_id="), "{url}");
    let foreign = Transaction { provider: "other".to_owned(), ..transaction() };
    let upstream = UpstreamParameters::default();
    let request = AuthorizationRequest { transaction: &foreign, state: "s", upstream: &upstream, login_again: false };
    let refused = authorize(&fake.provider(&json!({})), &open(), &request, NOW).await;
    assert_eq!(refused, Err(OidcError::OtherProvider));
}

#[test]
fn only_four_parameters_go_upstream() {
    let given =
        json!({ "hd": "a", "prompt": "b", "auth_type": "c", "acr_values": "d", "login_hint": "e", "scope": "f", "state": "g" });
    let all = UpstreamParameters::read(Some(&given));
    let shown = format!("{all:?}");
    assert!(["hd", "prompt", "auth_type", "acr_values"].iter().all(|name| shown.contains(name)), "{shown}");
    assert!(["login_hint", "scope", "state"].iter().all(|name| !shown.contains(name)), "{shown}");
    for nothing in
        [json!({ "hd": 1, "prompt": "", "acr_values": ["a"], "auth_type": "x".repeat(257) }), json!([]), json!("hd"), json!(null)]
    {
        assert_eq!(UpstreamParameters::read(Some(&nothing)), UpstreamParameters::default());
    }
    assert_eq!(UpstreamParameters::read(None), UpstreamParameters::default());
}

#[tokio::test]
async fn proof_keys_are_used_where_the_provider_takes_them() {
    let fake = Fake::start().await;
    for (pkce, proved) in [("auto", true), ("never", false), ("force", true)] {
        assert_eq!(proves(&fake.provider(&json!({ "pkce": pkce })), &open(), NOW).await, Ok(proved), "{pkce}");
    }
    fake.metadata(&json!({}));
    for (pkce, proved) in [("auto", false), ("never", false), ("force", true)] {
        assert_eq!(proves(&fake.provider(&json!({ "pkce": pkce })), &open(), NOW).await, Ok(proved), "{pkce}");
    }
    for (kind, proved) in [("github", true), ("spotify", true), ("discord", false)] {
        assert_eq!(proves(&fake.provider(&json!({ "provider": kind })), &open(), NOW).await, Ok(proved), "{kind}");
    }
}

#[test]
fn browsers_come_back_to_one_of_three_addresses() {
    let base = json!({ "id": "hub", "provider": "google", "client_id": "c", "mapper_url": "base64://e30=" });
    for (patch, end) in [
        (json!({}), "callback/hub"),
        (json!({ "pkce": "force" }), "callback"),
        (json!({ "organization_id": "org" }), "organization/org/callback/hub"),
    ] {
        let mut entry = base.clone();
        entry.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        let provider = provider(&entry);
        assert_eq!(provider.redirect_uri, format!("https://id.example.org/self-service/methods/oidc/{end}"));
        assert_eq!((provider.id(), provider.label()), ("hub", "hub"));
    }
}

#[test]
fn a_transaction_survives_being_kept() {
    let drawn = Transaction { verifier: Some(Secret::new("CANARY".to_owned())), ..transaction() };
    assert!(!format!("{drawn:?}").contains("CANARY"));
    let kept = serde_json::to_string(&drawn).unwrap();
    let back: Transaction = serde_json::from_str(&kept).unwrap();
    assert_eq!((back.verifier, back.nonce.as_str(), back.provider.as_str()), (drawn.verifier, "n-1", "hub"));
}

#[tokio::test]
async fn a_code_becomes_a_subject() {
    let fake = Fake::start().await;
    fake.gives(&fake.token(&json!({ "acr": "high", "amr": ["pwd"] })));
    let provider = fake.provider(&json!({}));
    let drawn = Transaction { verifier: Some(Secret::new("proof".to_owned())), ..transaction() };
    let code = CodeAnswer { code: "c-1", issuer: Some(&fake.issuer), transaction: &drawn };
    let subject = exchange::redeem(&provider, &open(), &code, NOW).await.unwrap();
    assert_eq!(subject.subject, "ada");
    assert_eq!((subject.acr.as_deref(), subject.amr.as_slice(), subject.is_aal2), (Some("high"), &["pwd".to_owned()][..], false));
    assert_eq!((&subject.claims["iss"], &subject.claims["sub"]), (&json!(fake.issuer), &json!("ada")));
    assert_eq!(
        (&subject.claims["email_verified"], &subject.claims["raw_claims"]["email_verified"]),
        (&json!(true), &json!("true"))
    );
    let text = |token: &Option<Secret<String>>| token.as_ref().map(|token| token.reveal().clone());
    assert_eq!((text(&subject.tokens.access).as_deref(), text(&subject.tokens.refresh).as_deref()), (Some("at-1"), Some("rt-1")));
    assert!(text(&subject.tokens.id).is_some_and(|token| token.starts_with("ey")));
    assert!(!format!("{subject:?}{code:?}").contains("c-1") && !format!("{subject:?}").contains("ada"));
    let [asked] = &fake.asked("/token")[..] else { panic!("one exchange") };
    let form = "grant_type=authorization_code&code=c-1&redirect_uri=https%3A%2F%2Fid.example.org%2Fcallback&code_verifier=proof";
    assert_eq!(asked.body, form);
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode("client:p+w%3Ad");
    assert!(asked.head.contains(&format!("authorization: Basic {basic}\r\n")), "{}", asked.head);
    // Elliptic curves as well, and a key without a name.
    fake.keys(&[Key::Ec.jwk("e1"), json!({ "kty": "unheard-of" }), json!(7)]);
    for header in [json!({ "alg": "ES256", "kid": "e1" }), json!({ "alg": "ES256" })] {
        fake.gives(&Key::Ec.sign(&header, &fake.claims(&json!({}))));
        assert!(fake.redeem(&fake.provider(&json!({}))).await.is_ok(), "{header}");
    }
}

#[tokio::test]
async fn what_the_token_endpoint_refuses_is_said_in_its_own_words() {
    let fake = Fake::start().await;
    let provider = fake.provider(&json!({}));
    let good = fake.token(&json!({}));
    for (status, body, expected) in [
        (
            "400 Bad Request",
            json!({ "error": "invalid_grant", "error_description": "The code is old." }),
            "refused: invalid_grant: The code is old.",
        ),
        ("200 OK", json!({ "error": "bad_verification_code" }), "refused: bad_verification_code."),
        ("400 Bad Request", json!({ "error": { "code": 7 } }), "refused: error."),
        ("500 Internal Server Error", json!({}), "status 500"),
        ("302 Found\r\nlocation: /token", json!({}), "status 302"),
        ("200 OK", json!({}), "no access token"),
        ("200 OK", json!([]), "no access token"),
        ("200 OK", json!({ "access_token": "", "id_token": good }), "no access token"),
        ("200 OK", json!({ "access_token": "a" }), "no id token"),
        ("200 OK", json!({ "access_token": "a", "id_token": "" }), "no id token"),
    ] {
        fake.says("/token", status, &body);
        let error = fake.redeem(&provider).await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
    // The second way to show who we are is tried when the first one is refused, and only then.
    fake.metadata(&json!({ "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"] }));
    let provider = fake.provider(&json!({}));
    fake.asked("/token");
    fake.says("/token", "401 Unauthorized", &json!({ "error": "invalid_client" }));
    assert_eq!(fake.redeem(&provider).await.err(), Some(OidcError::Refused("invalid_client".to_owned())));
    let [first, second] = &fake.asked("/token")[..] else { panic!("two ways") };
    assert!(first.head.contains("authorization: Basic") && !first.body.contains("client_secret"));
    assert!(
        !second.head.contains("authorization:") && second.body.ends_with("client_id=client&client_secret=p+w%3Ad"),
        "{}",
        second.body
    );
    fake.says("/token", "400 Bad Request", &json!({ "error": "invalid_grant" }));
    assert!(fake.redeem(&provider).await.is_err());
    assert_eq!(fake.asked("/token").len(), 1);
    // A public client only says its name.
    fake.gives(&good);
    assert!(fake.redeem(&fake.provider(&json!({ "client_secret": "" }))).await.is_ok());
    let [asked] = &fake.asked("/token")[..] else { panic!("one exchange") };
    assert!(!asked.head.contains("authorization:") && asked.body.ends_with("&client_id=client"), "{}", asked.body);
}

#[tokio::test]
async fn an_answer_from_somebody_else_is_refused() {
    let fake = Fake::start().await;
    fake.gives(&fake.token(&json!({})));
    let drawn = transaction();
    let foreign = Transaction { provider: "other".to_owned(), ..transaction() };
    let evil = "https://evil.example.org";
    for (announced, issuer, drawn, expected) in [
        (false, None, &drawn, None),
        (true, Some(fake.issuer.as_str()), &drawn, None),
        (false, Some(evil), &drawn, Some(OidcError::OtherIssuer)),
        (true, None, &drawn, Some(OidcError::OtherIssuer)),
        (false, None, &foreign, Some(OidcError::OtherProvider)),
    ] {
        fake.metadata(&json!({ "authorization_response_iss_parameter_supported": announced }));
        fake.asked("/token");
        let code = CodeAnswer { code: "c-1", issuer, transaction: drawn };
        let outcome = exchange::redeem(&fake.provider(&json!({})), &open(), &code, NOW).await;
        assert_eq!(outcome.err(), expected, "{announced} {issuer:?}");
        assert_eq!(fake.asked("/token").is_empty(), expected.is_some(), "the code was given away");
    }
}

#[tokio::test]
async fn userinfo_speak_of_the_same_person_and_prove_no_level() {
    let fake = Fake::start().await;
    fake.gives(&fake.token(&json!({})));
    let patch = json!({ "claims_source": "userinfo", "aal2_acr_values": ["high"], "aal2_amr_values": ["mfa"] });
    let provider = fake.provider(&patch);
    fake.says(
        "/me",
        "200 OK",
        &json!({ "sub": "ada", "name": "Ada", "acr": "high", "amr": ["mfa"], "iss": "https://evil.example.org" }),
    );
    let subject = fake.redeem(&provider).await.unwrap();
    assert_eq!((&subject.claims["name"], &subject.claims["iss"]), (&json!("Ada"), &json!(fake.issuer)));
    assert!(!subject.is_aal2 && subject.acr.is_none() && subject.amr.is_empty());
    assert!(fake.asked("/me")[0].head.contains("authorization: Bearer at-1\r\n"));
    for (status, body, expected) in [
        ("200 OK", json!({ "sub": "eve" }), OidcError::OtherSubject),
        ("200 OK", json!({ "sub": "Ada" }), OidcError::OtherSubject),
        ("200 OK", json!({ "name": "Ada" }), OidcError::OtherSubject),
        ("200 OK", json!(["ada"]), OidcError::Unusable("its userinfo are no claims")),
        ("401 Unauthorized", json!({ "sub": "ada" }), OidcError::Status { what: "who somebody is", status: 401 }),
        ("302 Found\r\nlocation: /me", json!({ "sub": "ada" }), OidcError::Status { what: "who somebody is", status: 302 }),
    ] {
        fake.says("/me", status, &body);
        assert_eq!(fake.redeem(&provider).await.err(), Some(expected), "{body}");
    }
    fake.metadata(&json!({ "userinfo_endpoint": null }));
    let outcome = fake.redeem(&fake.provider(&patch)).await.err();
    assert_eq!(outcome, Some(OidcError::Unusable("it has no userinfo endpoint")));
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_asked_seldom() {
    let fake = Fake::start().await;
    let after = |seconds: i64| NOW + Span::seconds(seconds);
    let path = "/.well-known/openid-configuration";
    for (whole, expected) in [
        (answer("500 Internal Server Error", "{}"), "status 500"),
        (answer("302 Found\r\nlocation: /elsewhere", "{}"), "status 302"),
        (answer("200 OK", "nonsense"), "not those of an OpenID provider"),
        (answer("200 OK", &"x".repeat(LONGEST_ANSWER + 1)), "longer than 256 KiB"),
        (
            answer(
                "200 OK",
                r#"{"issuer":"https://evil.example.org","authorization_endpoint":"https://a/","token_endpoint":"https://a/","jwks_uri":"https://a/"}"#,
            ),
            "another issuer",
        ),
        (String::new(), "cannot be reached"),
    ] {
        fake.set(path, whole);
        let provider = fake.provider(&json!({}));
        for second in 0..10 {
            let error = redeem_at(&provider, after(second)).await.expect_err(expected).to_string();
            assert!(error.contains(expected) && !error.contains("http"), "{error}");
        }
        assert_eq!(fake.asked(path).len(), 1, "{expected}");
        assert!(redeem_at(&provider, after(10)).await.is_err());
        assert_eq!(fake.asked(path).len(), 1, "{expected}");
    }
    fake.metadata(&json!({}));
    fake.gives(&fake.token(&json!({})));
    let provider = fake.provider(&json!({}));
    let (one, two) = tokio::join!(redeem_at(&provider, NOW), redeem_at(&provider, NOW));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!((fake.asked(path).len(), fake.asked("/keys").len()), (1, 1));
}

// cases: AC-92
#[tokio::test]
async fn private_addresses_are_not_called() {
    let fake = Fake::start().await;
    fake.gives(&fake.token(&json!({})));
    let guarded = Outbound::default();
    let drawn = transaction();
    let code = CodeAnswer { code: "c-1", issuer: None, transaction: &drawn };
    let outcome = exchange::redeem(&fake.provider(&json!({})), &guarded, &code, NOW).await;
    assert!(outcome.as_ref().is_err_and(|error| error.to_string().contains("private")), "{outcome:?}");
    assert!(fake.asked("/.well-known/openid-configuration").is_empty());
    // Nor where public metadata lead.
    let provider = fake.provider(&json!({}));
    assert!(proves(&provider, &open(), NOW).await.is_ok());
    let outcome = exchange::redeem(&provider, &guarded, &code, NOW).await;
    assert!(outcome.as_ref().is_err_and(|error| error.to_string().contains("private")), "{outcome:?}");
    assert!(fake.asked("/token").is_empty() && fake.asked("/keys").is_empty());
}

/// A provider of a plain kind whose endpoints are those of the test.
async fn plain(fake: &Fake, kind: &str) -> Result<Subject, OidcError> {
    let mut provider = fake.provider(&json!({ "provider": kind, "token_url": format!("{}/token", fake.issuer) }));
    let super::kinds::Client::Plain(client) = &mut provider.client else { panic!("{kind} is plain") };
    client.userinfo_endpoint = format!("{}/user?a=b", fake.issuer);
    client.emails_endpoint = client.emails_endpoint.take().map(|_| format!("{}/emails", fake.issuer));
    fake.redeem(&provider).await
}

#[tokio::test]
async fn providers_without_id_tokens_are_asked_who_somebody_is() {
    let fake = Fake::start().await;
    fake.says("/token", "200 OK", &json!({ "access_token": "at-1", "scope": "user:email" }));
    fake.says("/user", "200 OK", &json!({ "id": 7, "login": "octo", "email": "public@example.org" }));
    fake.says("/emails", "200 OK", &json!([{ "email": "octo@example.org", "primary": true, "verified": true }]));
    let subject = plain(&fake, "github").await.unwrap();
    assert_eq!((subject.subject.as_str(), subject.is_aal2), ("7", false));
    assert_eq!((&subject.claims["email"], &subject.claims["email_verified"]), (&json!("octo@example.org"), &json!(true)));
    assert_eq!(subject.claims["iss"], "https://github.com/login/oauth/access_token");
    assert!(fake.asked("/token")[0].body.ends_with("&client_id=client&client_secret=p+w%3Ad"));
    fake.says("/emails", "404 Not Found", &json!({}));
    let subject = plain(&fake, "github-app").await.unwrap();
    assert_eq!((&subject.claims["email"], &subject.claims["email_verified"]), (&json!("public@example.org"), &json!(false)));
    fake.says("/user", "200 OK", &json!({ "id": "80", "email": "n@example.org", "verified": true }));
    assert_eq!(plain(&fake, "discord").await.unwrap().claims["email_verified"], true);
    fake.asked("/user");
    assert!(plain(&fake, "yandex").await.is_ok());
    assert!(fake.asked("/user")[0].head.contains("authorization: OAuth at-1\r\n"));
    assert!(plain(&fake, "spotify").await.is_ok());
    fake.asked("/user");
    assert!(plain(&fake, "facebook").await.is_ok());
    let head = &fake.asked("/user")[0].head;
    assert!(head.contains("appsecret_proof=") && !head.contains("p%20w"), "{head}");
    for (body, expected) in [
        (json!({}), "does not say who"),
        (json!({ "id": "" }), "does not say who"),
        (json!({ "id": "x".repeat(256) }), "names nobody"),
    ] {
        fake.says("/user", "200 OK", &body);
        let error = plain(&fake, "discord").await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn apple_hears_a_secret_that_is_signed_anew() {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use base64::Engine as _;
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(pair.to_pkcs8v1().unwrap().as_ref());
    for pem in [
        format!("-----BEGIN PRIVATE KEY-----\n{}\n{}\n-----END PRIVATE KEY-----\n", &body[..64], &body[64..]),
        format!("-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----"),
    ] {
        let entry = json!({
            "id": "hub", "provider": "apple", "client_id": "client", "apple_team_id": "TEAM", "apple_private_key_id": "KEY",
            "apple_private_key": pem, "mapper_url": "base64://e30=", "scope": ["email"],
        });
        let provider = provider(&entry);
        let secret = provider.key.as_ref().unwrap().secret("client", NOW).unwrap();
        let header = jsonwebtoken::decode_header(secret.reveal()).unwrap();
        assert_eq!((header.alg, header.kid.as_deref()), (jsonwebtoken::Algorithm::ES256, Some("KEY")));
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let set = json!({ "kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y) });
        let key = jsonwebtoken::DecodingKey::from_jwk(&serde_json::from_value(set).unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.validate_exp = false;
        rules.set_audience(&["https://appleid.apple.com"]);
        let claims = jsonwebtoken::decode::<Value>(secret.reveal(), &key, &rules).unwrap().claims;
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("TEAM"), &json!("client")));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW.unix()), &json!(NOW.unix() + 300)));
        assert!(!format!("{provider:?}").contains(&body[..16]));
    }
}

#[test]
fn providers_are_found_by_id_while_the_method_is_on() {
    let entry = |id: &str, mapper: &str| json!({ "id": id, "provider": "google", "client_id": "c", "mapper_url": mapper, "label": id.to_uppercase() });
    let block = |enabled: bool, mapper: &str| {
        let config =
            json!({ "base_redirect_uri": "https://login.example.org/x/", "providers": [entry("b", mapper), entry("a", mapper)] });
        configured(&json!({ "enabled": enabled, "config": config }))
    };
    let on = Providers::load(&block(true, "base64://e30=")).expect("mappers");
    assert_eq!(on.iter().map(|provider| (provider.id(), provider.label())).collect::<Vec<_>>(), [("b", "B"), ("a", "A")]);
    let found = on.get("a").expect("a");
    assert_eq!(found.redirect_uri, "https://login.example.org/x/self-service/methods/oidc/callback/a");
    assert!(on.get("A").is_none() && on.get("c").is_none());
    // A mapper that is not there stops the start, unless nobody would use it.
    let missing = "file:///nowhere/mapper.jsonnet";
    let off = Providers::load(&block(false, missing)).expect("nothing to load");
    assert!(off.get("a").is_none() && off.iter().next().is_none());
    let errors = Providers::load(&block(true, missing)).expect_err("no such file");
    assert!(errors.len() == 2 && errors[0].to_string().contains("providers.0.mapper_url"), "{errors:?}");
    let mut apple = entry("a", "base64://e30=");
    for (name, value) in
        [("provider", "apple"), ("apple_team_id", "T"), ("apple_private_key_id", "K"), ("apple_private_key", "CANARY")]
    {
        apple[name] = value.into();
    }
    let errors =
        Providers::load(&configured(&json!({ "enabled": true, "config": { "providers": [apple] } }))).expect_err("no key");
    let said = format!("{errors:?}{}", errors[0]);
    assert!(said.contains("providers.0.apple_private_key: ") && said.contains("P-256") && !said.contains("CANARY"), "{said}");
}

#[tokio::test]
async fn a_mapper_that_cannot_run_is_an_error() {
    let nobody = keyward_jsonnet::Jsonnet::of_program("/nowhere/keyward", std::num::NonZeroUsize::MIN);
    let subject = Subject::of_profile("s".to_owned(), serde_json::Map::new(), Tokens::default());
    assert_eq!(mapper::map("hub", &nobody, "{}", &subject).await, Err(OidcError::Mapper));
}
