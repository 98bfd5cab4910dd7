//! Which id tokens are believed: claims, signatures, keys, levels, and the tokens that apps bring along.

use keyward_model::Span;
use serde_json::{Value, json};

use super::fake::{Fake, Key, NOW, b64, open, provider, redeem_at};
use crate::oidc::discovery::Metadata;
use crate::oidc::{IdTokenError, OidcError, exchange, id_token};

#[tokio::test]
async fn an_id_token_is_believed_only_when_everything_is_right() {
    let fake = Fake::start().await;
    let provider = fake.provider(&json!({}));
    let now = NOW.unix();
    let other = || json!("https://evil.example.org");
    let claims: &[(Value, &str)] = &[
        (json!({ "iss": other() }), "another issuer"),
        (json!({ "iss": format!("{}/", fake.issuer) }), "another issuer"),
        (json!({ "iss": null }), "another issuer"),
        (json!({ "aud": "other" }), "another audience"),
        (json!({ "aud": null }), "another audience"),
        (json!({ "aud": ["other"] }), "another audience"),
        (json!({ "aud": ["client", "other"] }), "several audiences"),
        (json!({ "aud": ["client", "other"], "azp": "other" }), "several audiences"),
        (json!({ "aud": { "client": true } }), "another audience"),
        (json!({ "exp": now - 60 }), "expired"),
        (json!({ "exp": null }), "when it expires"),
        (json!({ "exp": "4000000000" }), "when it expires"),
        (json!({ "iat": now + 61 }), "in the future"),
        (json!({ "iat": null }), "when it was issued"),
        (json!({ "nbf": now + 61 }), "not valid yet"),
        (json!({ "sub": "" }), "names nobody"),
        (json!({ "sub": null }), "names nobody"),
        (json!({ "sub": 7 }), "names nobody"),
        (json!({ "sub": "x".repeat(256) }), "names nobody"),
        (json!({ "sub": "a\u{0}b" }), "names nobody"),
        (json!({ "nonce": "n-2" }), "another nonce"),
        (json!({ "nonce": null }), "no nonce"),
        (json!({ "nonce": 1 }), "no nonce"),
    ];
    for (patch, why) in claims {
        fake.gives(&fake.token(patch));
        let error = fake.redeem(&provider).await.expect_err(why);
        assert!(matches!(error, OidcError::IdToken(_)) && error.to_string().contains(why), "{patch}: {error}");
    }
    for patch in [
        json!({ "aud": ["client"] }),
        json!({ "aud": ["client", "other"], "azp": "client" }),
        json!({ "exp": now - 59 }),
        json!({ "exp": now as f64 + 0.5 }),
        json!({ "iat": now + 60, "nbf": now + 60 }),
        json!({ "sub": "x".repeat(255) }),
    ] {
        fake.gives(&fake.token(&patch));
        assert!(fake.redeem(&provider).await.is_ok(), "{patch}");
    }
}

#[tokio::test]
async fn a_signature_counts_only_under_a_key_of_the_provider() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let fake = Fake::start().await;
    fake.keys(&[Key::Rsa(0).jwk("r1"), Key::Ec.jwk("e1"), json!({ "kty": "oct", "kid": "h1", "k": b64("p w:d") })]);
    let claims = fake.claims(&json!({}));
    let (body, good) = (b64(claims.to_string()), fake.token(&json!({})));
    let mut parts: Vec<&str> = good.split('.').collect();
    let hmac = |header: Value, secret: &[u8]| {
        let message = format!("{}.{body}", b64(header.to_string()));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
        mac.update(message.as_bytes());
        format!("{message}.{}", b64(mac.finalize().into_bytes()))
    };
    let none = |alg: &str| format!("{}.{body}.", b64(json!({ "alg": alg }).to_string()));
    let modulus = Key::Rsa(0).jwk("r1")["n"].as_str().unwrap_or_default().to_owned();
    let evil = b64(fake.claims(&json!({ "sub": "eve" })).to_string());
    let altered = {
        parts[1] = &evil;
        parts.join(".")
    };
    let unsigned = good.rsplit_once('.').map(|(rest, _)| format!("{rest}.")).unwrap();
    let crit = Key::Rsa(0).sign(&json!({ "alg": "RS256", "kid": "r1", "crit": ["b64"], "b64": true }), &claims);
    let table = [
        ("a foreign key under the same name", Key::Rsa(1).sign(&json!({ "alg": "RS256", "kid": "r1" }), &claims)),
        ("a foreign key without a name", Key::Rsa(1).sign(&json!({ "alg": "RS256" }), &claims)),
        ("an unknown name", Key::Rsa(0).sign(&json!({ "alg": "RS256", "kid": "r2" }), &claims)),
        ("a key of another kind", Key::Ec.sign(&json!({ "alg": "ES256", "kid": "r1" }), &claims)),
        ("another algorithm than the key has", Key::Ec.sign(&json!({ "alg": "ES384", "kid": "e1" }), &claims)),
        ("none", none("none")),
        ("None", none("None")),
        ("HS256 with the client secret", hmac(json!({ "alg": "HS256", "kid": "h1" }), b"p w:d")),
        ("HS256 with the public key", hmac(json!({ "alg": "HS256", "kid": "r1" }), modulus.as_bytes())),
        ("altered claims", altered),
        ("no signature", unsigned),
        ("an extension that is not understood", crit),
        ("a key of its own in the header", {
            let jwk = Key::Rsa(1).jwk("r1");
            Key::Rsa(1).sign(&json!({ "alg": "RS256", "kid": "r1", "jwk": jwk }), &claims)
        }),
        ("no token", "nonsense".to_owned()),
        ("a long one", format!("{good}{}", "A".repeat(70_000))),
    ];
    let provider = fake.provider(&json!({}));
    for (what, token) in &table {
        fake.gives(token);
        let outcome = fake.redeem(&provider).await;
        assert!(matches!(outcome, Err(OidcError::IdToken(IdTokenError::Invalid(_)))), "{what}: {outcome:?}");
    }
    fake.gives(&good);
    assert!(fake.redeem(&provider).await.is_ok());
}

#[tokio::test]
async fn new_keys_are_found_and_nobody_can_have_them_fetched_all_the_time() {
    let fake = Fake::start().await;
    let provider = fake.provider(&json!({}));
    let after = |seconds: i64| NOW + Span::seconds(seconds);
    fake.gives(&fake.token(&json!({})));
    assert!(redeem_at(&provider, NOW).await.is_ok());
    assert_eq!(fake.asked("/keys").len(), 1);
    let turned = Key::Rsa(1).sign(&json!({ "alg": "RS256", "kid": "r2" }), &fake.claims(&json!({})));
    fake.keys(&[Key::Rsa(1).jwk("r2")]);
    fake.gives(&turned);
    // The set was fetched only just now.
    assert!(redeem_at(&provider, after(59)).await.is_err() && fake.asked("/keys").is_empty());
    assert!(redeem_at(&provider, after(60)).await.is_ok());
    assert_eq!(fake.asked("/keys").len(), 1);
    // The old key is gone with the old set.
    fake.gives(&fake.token(&json!({})));
    for second in 61..80 {
        assert!(redeem_at(&provider, after(second)).await.is_err());
    }
    assert_eq!(fake.asked("/keys").len(), 0);
    // While the keys are out of reach, the known ones stand in, for a day.
    fake.says("/keys", "503 Service Unavailable", &json!({}));
    let fresh =
        |at: i64| Key::Rsa(1).sign(&json!({ "alg": "RS256", "kid": "r2" }), &fake.claims(&json!({ "exp": NOW.unix() + at + 9 })));
    fake.gives(&fresh(4_000));
    assert!(redeem_at(&provider, after(4_000)).await.is_ok() && redeem_at(&provider, after(4_005)).await.is_ok());
    assert_eq!(fake.asked("/keys").len(), 1);
    fake.gives(&fresh(90_000));
    let outcome = redeem_at(&provider, after(90_000)).await;
    assert!(matches!(outcome, Err(OidcError::Unreachable(_))), "{outcome:?}");
}

// cases: AC-19
#[tokio::test]
async fn two_factors_count_only_in_words_that_were_listed_and_signed() {
    let fake = Fake::start().await;
    let lists = json!({ "aal2_acr_values": ["high"], "aal2_amr_values": ["mfa", "hwk"] });
    for (patch, claims, is_aal2) in [
        (&lists, json!({ "acr": "high" }), true),
        (&lists, json!({ "amr": ["pwd", "hwk"] }), true),
        (&lists, json!({ "amr": "mfa" }), true),
        (&lists, json!({ "acr": "High" }), false),
        (&lists, json!({ "acr": "mfa", "amr": ["high"] }), false),
        (&lists, json!({ "acr": ["high"], "amr": { "mfa": true } }), false),
        (&lists, json!({}), false),
        (&json!({}), json!({ "acr": "high", "amr": ["mfa"] }), false),
        (&json!({ "aal2_acr_values": [""] }), json!({ "acr": "" }), false),
    ] {
        fake.gives(&fake.token(&claims));
        let subject = fake.redeem(&fake.provider(patch)).await.unwrap();
        assert_eq!(subject.is_aal2, is_aal2, "{patch} {claims}");
    }
}

#[tokio::test]
async fn apps_bring_id_tokens_of_their_own() {
    let fake = Fake::start().await;
    let provider = fake.provider(&json!({ "additional_id_token_audiences": ["app"] }));
    let native = async |token: String, nonce: Option<&str>| exchange::native(&provider, &open(), &token, nonce, NOW).await;
    let subject = native(fake.token(&json!({ "aud": "app" })), Some("n-1")).await.unwrap();
    assert_eq!(subject.subject, "ada");
    assert!(subject.tokens.access.is_none() && subject.tokens.id.is_some());
    for (patch, nonce, expected) in [
        (json!({}), Some("n-2"), IdTokenError::NonceMismatch),
        (json!({}), None, IdTokenError::NonceNotSubmitted),
        (json!({}), Some(""), IdTokenError::NonceNotSubmitted),
        (json!({ "nonce": null }), Some("n-1"), IdTokenError::NonceMissingInToken),
        (json!({ "nonce": null }), None, IdTokenError::NonceMissingInToken),
        (json!({ "nonce": null, "nonce_supported": true }), None, IdTokenError::NonceMissingInToken),
        (json!({ "aud": "other" }), Some("n-1"), IdTokenError::Invalid("it has another audience")),
        (json!({ "exp": 1 }), Some("n-2"), IdTokenError::Invalid("it has expired")),
    ] {
        assert_eq!(native(fake.token(&patch), nonce).await.err(), Some(expected), "{patch} {nonce:?}");
    }
    assert!(native(fake.token(&json!({ "nonce": null, "nonce_supported": false })), None).await.is_ok());
    // For codes the further audiences do not count.
    fake.gives(&fake.token(&json!({ "aud": "app" })));
    assert!(fake.redeem(&provider).await.is_err());
    let github = fake.provider(&json!({ "provider": "github" }));
    let outcome = exchange::native(&github, &open(), "x", None, NOW).await;
    assert_eq!(outcome.err(), Some(IdTokenError::NotSupported));
    fake.says("/keys", "503 Service Unavailable", &json!({}));
    let fresh = fake.provider(&json!({}));
    let outcome = exchange::native(&fresh, &open(), &fake.token(&json!({})), Some("n-1"), NOW).await;
    assert!(matches!(outcome, Err(IdTokenError::Unreachable(_))), "{outcome:?}");
}

#[test]
fn a_tenant_of_microsoft_is_the_one_that_the_token_names() {
    let (work, private) = ("72f988bf-86f1-41af-91ab-2d7cd011db47", "9188040d-6c67-4c5b-b112-36a304b66dad");
    let issuer = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let url = || url::Url::parse("https://login.microsoftonline.com/").unwrap();
    let settings = |tenant: &str| {
        let entry = json!({
            "id": "hub", "provider": "microsoft", "client_id": "client", "microsoft_tenant": tenant, "mapper_url": "base64://e30=",
        });
        provider(&entry).settings().clone()
    };
    for (tenant, found, iss, tid, believed) in [
        ("common", "{tenantid}", work, work, true),
        ("common", "{tenantid}", private, private, true),
        ("common", "{tenantid}", work, private, false),
        ("common", "{tenantid}", "{tenantid}", "{tenantid}", false),
        ("common", "{tenantid}", "common", "common", false),
        ("organizations", "{tenantid}", work, work, true),
        ("organizations", "{tenantid}", private, private, false),
        ("example.org", work, work, work, true),
        ("example.org", work, private, private, false),
    ] {
        let metadata = Metadata {
            issuer: issuer(found),
            authorization_endpoint: url(),
            token_endpoint: url(),
            userinfo_endpoint: None,
            jwks_uri: url(),
            takes_proof_keys: true,
            takes_basic: true,
            takes_post: true,
            names_itself: false,
        };
        let claims = json!({ "iss": issuer(iss), "tid": tid });
        let told = id_token::issuer(&settings(tenant), &metadata, claims.as_object().unwrap());
        assert_eq!(told, believed.then(|| issuer(iss)), "{tenant} {found} {iss} {tid}");
    }
}
