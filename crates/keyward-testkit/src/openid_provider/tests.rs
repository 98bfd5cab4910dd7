use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::*;
use crate::{ManualClock, START};

const PUBLIC: &str = "http://127.0.0.1:4433";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-0";

struct World {
    clock: Arc<ManualClock>,
    provider: Arc<OpenIdProvider>,
    redirect_uri: String,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let provider = OpenIdProvider::start(Arc::<ManualClock>::clone(&clock), PUBLIC).await;
        provider.provider_config("op");
        provider.sign_in_as(Claims::new("ada").verified("ada@example.org").named("Ada", "Lovelace"));
        Self { clock, provider, redirect_uri: format!("{PUBLIC}/self-service/methods/oidc/callback/op") }
    }

    fn authorization(&self, changes: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes()));
        let mut parameters = vec![
            ("client_id", self.provider.client_id()),
            ("redirect_uri", &self.redirect_uri),
            ("response_type", "code"),
            ("scope", "openid email"),
            ("state", "the state"),
            ("nonce", "the nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        parameters.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        parameters.extend(changes);
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        format!("{}/oauth2/auth?{query}", self.provider.issuer())
    }

    async fn code(&self) -> String {
        self.provider.consent(&self.authorization(&[])).await.parameter("code").expect("a code")
    }

    async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> Reply {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
            ("client_id", self.provider.client_id()),
            ("client_secret", self.provider.client_secret()),
        ];
        form.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        form.extend(changes);
        let form: Vec<_> = form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.call("POST", Endpoint::Token).form(&form).await
    }

    fn call(&self, method: &str, endpoint: Endpoint) -> Call<'_> {
        let url = format!("{}{}", self.provider.issuer(), endpoint.path());
        Call::new(&self.provider.http, method, url, Box::new(|_| {}))
    }

    /// Verifies as a careful client does; the claims, or what is wrong.
    async fn verify(&self, token: &str) -> Result<Value, String> {
        let keys = self.call("GET", Endpoint::Keys).await.expect(200).json();
        let keys: JwkSet = serde_json::from_value(keys).expect("a key set");
        let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
        let key = keys.find(&header.kid.unwrap_or_default()).ok_or("no such key")?;
        let mut validation = Validation::new(header.alg);
        validation.algorithms = vec![Algorithm::RS256, Algorithm::ES256];
        validation
            .algorithms
            .retain(|algorithm| key.common.key_algorithm.map(|key| key.to_string()) == Some(format!("{algorithm:?}")));
        validation.set_audience(&[self.provider.client_id()]);
        validation.set_issuer(&[self.provider.issuer()]);
        // By the trial's clock, not by the machine's.
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
        let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(|error| error.to_string())?.claims;
        let now = self.clock.now().unix();
        let lives = claims["iat"].as_i64() <= Some(now) && claims["exp"].as_i64() > Some(now);
        let is_meant = claims["nonce"] == "the nonce" && claims["sub"] == "ada" && claims["azp"].is_null();
        if lives && is_meant { Ok(claims) } else { Err(claims.to_string()) }
    }
}

#[tokio::test]
async fn a_code_becomes_an_id_token_that_verifies() {
    let world = World::new().await;
    for signing in [Signing::Rs256, Signing::Es256] {
        world.provider.sign_with(signing);
        let back = world.provider.consent(&world.authorization(&[])).await;
        assert!(back.as_str().starts_with(&format!("{}?", world.redirect_uri)), "{back:?}");
        assert_eq!(back.parameter("state").as_deref(), Some("the state"));
        assert_eq!(back.parameter("iss").as_deref(), Some(world.provider.issuer()));

        let code = back.parameter("code").expect("a code");
        let tokens = world.exchange(&code, &[]).await.expect(200).json();
        let claims = world.verify(tokens["id_token"].as_str().expect("an id token")).await.expect("a good token");
        assert_eq!((&claims["email"], &claims["email_verified"]), (&json!("ada@example.org"), &json!(true)));
        assert_eq!(claims["iat"], START.unix());

        let bearer = format!("Bearer {}", tokens["access_token"].as_str().expect("an access token"));
        let told = world.call("GET", Endpoint::Userinfo).header("authorization", &bearer).await.expect(200).json();
        assert_eq!((&told["sub"], &told["given_name"]), (&json!("ada"), &json!("Ada")));
        world.call("GET", Endpoint::Userinfo).await.expect(401);
    }
    assert_eq!(world.provider.authorizations()[0]["scope"], "openid email");
    assert_eq!(world.provider.token_requests().len(), 2);
    assert_eq!(world.provider.received(Endpoint::Keys).len(), 2);
}

#[tokio::test]
async fn codes_are_used_once_in_time_and_by_their_client() {
    let world = World::new().await;
    let refused = [
        ("redirect_uri", "http://127.0.0.1:4433/elsewhere", 400),
        ("code_verifier", "another-verifier-of-at-least-forty-three-chars", 400),
        ("client_secret", "guessed", 401),
        ("grant_type", "password", 400),
    ];
    for (name, value, status) in refused {
        world.exchange(&world.code().await, &[(name, value)]).await.expect(status);
    }
    let code = world.code().await;
    world.exchange(&code, &[]).await.expect(200);
    assert_eq!(world.exchange(&code, &[]).await.expect(400).json()["error"], "invalid_grant");
    let code = world.code().await;
    world.clock.advance(endpoints::CODE_LIFETIME);
    assert_eq!(world.exchange(&code, &[]).await.expect(400).json()["error"], "invalid_grant");
}

#[tokio::test]
async fn clients_authenticate_in_the_header_as_rfc_6749_escapes_it_or_in_the_body() {
    let world = World::new().await;
    let escape = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (id, secret) = (world.provider.client_id(), world.provider.client_secret());
    let basic = |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    for (header, status) in [(basic(&escape(id), &escape(secret)), 200), (basic(id, secret), 401)] {
        let code = world.code().await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &world.redirect_uri),
            ("code_verifier", VERIFIER),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let call = world.call("POST", Endpoint::Token).form(&form).header("authorization", &header);
        call.await.expect(status);
    }
}

#[tokio::test]
async fn only_the_client_at_a_registered_address_is_sent_anything() {
    let world = World::new().await;
    for change in [("client_id", "somebody"), ("redirect_uri", "http://127.0.0.1:4433/self-service/methods/oidc/callback/op/")] {
        world.provider.visit(&world.authorization(&[change])).await.expect(400);
    }
    let back = world.provider.consent(&world.authorization(&[("response_type", "token")])).await;
    assert_eq!(back.parameter("error").as_deref(), Some("unsupported_response_type"));
    let back = world.provider.consent(&world.authorization(&[("scope", "email")])).await;
    assert_eq!(back.parameter("error").as_deref(), Some("invalid_scope"));
    world.provider.deny();
    let back = world.provider.consent(&world.authorization(&[])).await;
    assert_eq!((back.parameter("error").as_deref(), back.parameter("code")), (Some("access_denied"), None));
    assert_eq!(back.with("error", None).with("code", Some("x")).parameter("error"), None);
}

#[tokio::test]
async fn every_fault_of_an_id_token_is_one_that_a_careful_client_sees() {
    let world = World::new().await;
    let mint = || world.provider.mint_id_token(&Claims::new("ada"), Some("the nonce"));
    for signing in [Signing::Rs256, Signing::Es256] {
        world.provider.sign_with(signing);
        for fault in IdTokenFault::ALL {
            world.provider.misbehave(Misbehaviour::IdToken(fault));
            assert!(world.verify(&mint()).await.is_err(), "{fault:?}");
        }
        world.provider.behave();
        world.verify(&mint()).await.expect("a good token");
    }
    let before = mint();
    world.provider.rotate_keys();
    assert_eq!(world.verify(&before).await, Err("no such key".to_owned()));
    world.verify(&mint()).await.expect("a good token");
}

#[tokio::test]
async fn endpoints_fail_as_they_are_told() {
    let world = World::new().await;
    for endpoint in [Endpoint::Discovery, Endpoint::Keys] {
        world.provider.misbehave(Misbehaviour::Down(endpoint));
        world.call("GET", endpoint).await.expect(500);
        world.provider.misbehave(Misbehaviour::Oversize(endpoint));
        assert!(world.call("GET", endpoint).await.expect(200).body.len() > 4 * 1024 * 1024);
        world.provider.misbehave(Misbehaviour::NoJson(endpoint));
        assert!(serde_json::from_slice::<Value>(&world.call("GET", endpoint).await.expect(200).body).is_err());
        world.provider.behave();
        world.call("GET", endpoint).await.expect(200).json();
    }
    let code = world.code().await;
    world.provider.misbehave(Misbehaviour::NoIdToken);
    assert_eq!(world.exchange(&code, &[]).await.expect(200).json()["id_token"], Value::Null);

    let code = world.code().await;
    world.provider.misbehave(Misbehaviour::Slow(Endpoint::Token));
    let behaves = async {
        // The next answer comes from another endpoint, while this one waits.
        world.call("GET", Endpoint::Discovery).await.expect(200);
        world.provider.behave();
    };
    let (reply, ()) = tokio::join!(world.exchange(&code, &[]), behaves);
    reply.expect(200);
}
