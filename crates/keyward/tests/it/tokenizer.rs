//! Sessions as tokens for other systems, checked with the public part of the key set by a library of its own; and mappers that
//! misbehave, each in a worker that is this very program.
//! Each test names the acceptance cases that it proves.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use keyward_model::Span;
use keyward_testkit::{Actor, Trial, Value, database_test, flow_test};
use serde_json::json;

use crate::operations::process::{Folder, Server, base, flows, free_ports, keyward, plain, run, said};

/// A document as an address.
fn inline(document: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    format!("base64://{}", base64::engine::general_purpose::STANDARD.encode(document))
}

/// The key of RFC 8037, appendix A.1.
fn edwards() -> Value {
    json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "edwards",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    })
}

/// The elliptic key of RFC 7517, appendix A.2, with another use.
fn elliptic() -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "elliptic",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
    })
}

/// A public key comes first, as in a set that is rotated: it cannot sign.
fn key_set(private: &Value) -> String {
    let mut public = private.clone();
    public.as_object_mut().unwrap().remove("d");
    public["kid"] = json!("verifies only");
    inline(json!({ "keys": [public, private] }).to_string())
}

fn templates(templates: &Value) -> Value {
    json!({ "session": { "whoami": { "tokenizer": { "templates": templates } } } })
}

const MAPPER: &str = "local session = std.extVar('session'); local claims = std.extVar('claims'); {
    claims: { iss: claims.iss + 'team', email: session.identity.traits.email, aal: session.authenticator_assurance_level,
        sub: 'somebody-else', left: claims.exp - claims.iat, [if false then 'no']: 1 } }";

fn two_templates() -> Value {
    templates(&json!({
        "plain": { "jwks_url": key_set(&edwards()) },
        "full": { "jwks_url": key_set(&elliptic()), "ttl": "10m", "claims_mapper_url": inline(MAPPER) },
    }))
}

/// The claims of a token that verifies with the public part of this key. Times are for the test to judge.
fn claims(token: &str, key: &Value) -> Value {
    let mut public = key.clone();
    public.as_object_mut().unwrap().remove("d");
    let public: Jwk = serde_json::from_value(public).unwrap();
    let algorithm: Algorithm = key["alg"].as_str().unwrap().parse().unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!((header.alg, header.kid.as_deref(), header.typ.as_deref()), (algorithm, key["kid"].as_str(), Some("JWT")));
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&public).unwrap(), &validation).unwrap().claims
}

async fn tokenized(person: &Actor, template: &str) -> Value {
    person.call("GET", &format!("/sessions/whoami?tokenize_as={template}")).await.expect(200).json()
}

// cases: L-89, L-88
#[flow_test(config = {
    let mut config = two_templates();
    config["feature_flags"] = json!({ "cacheable_sessions": true });
    config
})]
async fn a_session_becomes_a_token(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let session = ada.whoami().await;
    assert!(session.get("tokenized").is_none());
    let now = t.now().unix();

    let reply = ada.call("GET", "/sessions/whoami?tokenize_as=plain").await.expect(200);
    assert_eq!(reply.header("ory-session-cache-for"), None);
    assert_eq!(reply.header("x-kratos-authenticated-identity-id"), session["identity"]["id"].as_str());
    let mut body = reply.json();
    let token = body.as_object_mut().unwrap().remove("tokenized").unwrap();
    assert_eq!(body, session, "apart from the token nothing differs");
    let mut plain = claims(token.as_str().unwrap(), &edwards());
    let first = plain.as_object_mut().unwrap().remove("jti").unwrap();
    let expected = json!({
        "iss": format!("{}/", t.public()), "iat": now, "nbf": now, "exp": now + 60,
        "sid": session["id"], "sub": session["identity"]["id"],
    });
    assert_eq!(plain, expected);
    let again = tokenized(&ada, "plain").await;
    assert_ne!(claims(again["tokenized"].as_str().unwrap(), &edwards())["jti"], first, "every token has an id of its own");

    let full = tokenized(&ada, "full").await;
    let mut full = claims(full["tokenized"].as_str().unwrap(), &elliptic());
    full.as_object_mut().unwrap().remove("jti").unwrap();
    let expected = json!({
        "iss": format!("{}/team", t.public()), "iat": now, "nbf": now, "exp": now + 600,
        "sid": session["id"], "sub": session["identity"]["id"],
        "email": "ada@example.org", "aal": "aal1", "left": 600,
    });
    assert_eq!(full, expected);

    let unknown = ada.call("GET", "/sessions/whoami?tokenize_as=nobody").await.expect(400);
    assert_eq!((unknown.header("ory-session-cache-for"), unknown.header("x-kratos-authenticated-identity-id")), (None, None));
    let unknown = unknown.json();
    assert_eq!((&unknown["error"]["code"], &unknown["error"]["status"]), (&json!(400), &json!("Bad Request")));
    assert_eq!(unknown["error"]["reason"], "There is no tokenizer template with this name.");
    // An empty parameter is an absent one, other places make no tokens, and nobody gets none.
    assert!(tokenized(&ada, "").await.get("tokenized").is_none());
    let device = t.signed_in("ada@example.org").await;
    let listed = device.call("GET", "/sessions?tokenize_as=plain").await.expect(200).json();
    assert!(listed[0]["id"].is_string() && listed[0].get("tokenized").is_none());
    let nobody = t.person().call("GET", "/sessions/whoami?tokenize_as=plain").header("accept", "application/json").await;
    nobody.expect(401);
}

// cases: L-89
#[database_test(config = templates(&json!({
    "outside": { "jwks_url": key_set(&edwards()), "subject_source": "external_id" },
})))]
async fn the_subject_may_be_the_operators_own_key(t: Trial) {
    let password = json!({ "config": { "password": keyward_testkit::PASSWORD } });
    let person = json!({
        "schema_id": "person", "external_id": "crm-7", "traits": { "email": "ada@example.org" },
        "credentials": { "password": password },
    });
    t.admin().create(&person).await;
    let ada = t.signed_in("ada@example.org").await;
    let body = tokenized(&ada, "outside").await;
    assert_eq!(claims(body["tokenized"].as_str().unwrap(), &edwards())["sub"], "crm-7");
    let bob = t.signed_up("bob@example.org").await;
    let refused = bob.call("GET", "/sessions/whoami?tokenize_as=outside").await.expect(400).json();
    assert!(refused["error"]["reason"].as_str().unwrap().contains("no external id"), "{refused}");
}

const GREEDY: &str = "local f(x) = f(x + x) tailstrict; f('xxxxxxxx')";

// cases: L-89
#[database_test]
async fn mappers_that_misbehave_cost_their_own_request_only(t: Trial) {
    const NOT_EVALUATED: &str = "cannot be evaluated; the log";
    let bad = [
        ("endless", "local f(x) = f(x + 1) tailstrict; f(1)", "took longer than a second"),
        ("huge", "{ claims: { x: std.repeat('x', 300000) } }", "more than 256 KiB"),
        // A slow machine may be out of time first; that the memory is bounded is proven below.
        ("greedy", GREEDY, "The claims mapper of this template failed: the snippet"),
        ("syntax", "{ claims: {", NOT_EVALUATED),
        ("unknown", "{ claims: { x: y } }", NOT_EVALUATED),
        ("import", "importstr '/etc/hostname'", NOT_EVALUATED),
        ("raised", "error 'canary'", NOT_EVALUATED),
        ("list", "[1]", "must give an object"),
        ("bare", "{ email: 'a' }", "must give an object"),
        ("text", "{ claims: 'a' }", "must give an object"),
        ("null", "{ claims: null }", "must give an object"),
    ];
    let mut all = json!({ "good": { "jwks_url": key_set(&edwards()), "claims_mapper_url": inline("{ claims: { a: 1 } }") } });
    for (name, mapper, _) in bad {
        all[name] = json!({ "jwks_url": key_set(&edwards()), "claims_mapper_url": inline(mapper) });
    }
    t.reconfigure(&templates(&all));
    let ada = t.signed_up("ada@example.org").await;
    for (name, _, words) in bad {
        let refused = ada.call("GET", &format!("/sessions/whoami?tokenize_as={name}")).await.expect(400);
        let reason = refused.json()["error"]["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.contains(words), "{name}: {reason}");
        assert!(!refused.text().contains("canary"), "{name}: {reason}");
        let body = tokenized(&ada, "good").await;
        assert_eq!(claims(body["tokenized"].as_str().unwrap(), &edwards())["a"], 1, "after {name}");
    }
    // While one person waits for a loop to be ended, others are answered.
    let bob = t.signed_up("bob@example.org").await;
    let (looping, ()) = tokio::join!(ada.call("GET", "/sessions/whoami?tokenize_as=endless").into_future(), async {
        bob.whoami().await;
    });
    looping.expect(400);
}

// cases: L-89
#[database_test]
async fn documents_of_the_network_are_kept_and_replaced(t: Trial) {
    let stage = std::sync::Arc::new(std::sync::atomic::AtomicU8::new(0));
    let seen = std::sync::Arc::clone(&stage);
    let sink = t
        .sink(move |request| match (request.path.as_str(), seen.load(std::sync::atomic::Ordering::SeqCst)) {
            (_, 0) => (503, String::new()),
            ("/keys", 1) => (200, json!({ "keys": [edwards()] }).to_string()),
            ("/keys", 2) => (200, json!({ "keys": [elliptic()] }).to_string()),
            ("/keys", _) => (200, "nonsense".to_owned()),
            (_, stage) => (200, format!("{{ claims: {{ stage: {stage} }} }}")),
        })
        .await;
    let advance = |to: u8, minutes: i64| {
        stage.store(to, std::sync::atomic::Ordering::SeqCst);
        t.clock().advance(Span::minutes(minutes));
    };
    let address = |path: &str| format!("{}/{path}", sink.address());
    t.reconfigure(&templates(&json!({ "far": { "jwks_url": address("keys"), "claims_mapper_url": address("mapper") } })));
    let ada = t.signed_up("ada@example.org").await;
    let far = async || ada.call("GET", "/sessions/whoami?tokenize_as=far").await;
    far().await.expect(502);
    far().await.expect(502);
    assert_eq!(sink.received().len(), 1, "a failure is not tried again at once");

    advance(1, 1);
    let token = |body: &Value| body["tokenized"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        assert_eq!(claims(&token(&far().await.expect(200).json()), &edwards())["stage"], 1);
    }
    assert_eq!(sink.received().len(), 3);
    advance(2, 61);
    assert_eq!(claims(&token(&far().await.expect(200).json()), &elliptic())["stage"], 2);
    // What cannot be used does not replace what can.
    advance(3, 61);
    assert_eq!(claims(&token(&far().await.expect(200).json()), &elliptic())["stage"], 3);
}

// cases: L-89
#[database_test(sqlite, config = two_templates())]
async fn another_configuration_brings_other_templates(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    claims(tokenized(&ada, "plain").await["tokenized"].as_str().unwrap(), &edwards());
    t.reconfigure(&templates(&json!({ "plain": { "jwks_url": key_set(&elliptic()) }, "full": null })));
    claims(tokenized(&ada, "plain").await["tokenized"].as_str().unwrap(), &elliptic());
    ada.call("GET", "/sessions/whoami?tokenize_as=full").await.expect(400);
}

/// The program as it is run: documents in files, workers that are the program itself, a reload that brings a new key.
// cases: L-89
#[test]
fn the_program_reads_files_and_starts_its_workers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = Folder::new();
    let ports = free_ports();
    let keys = |key: &Value| json!({ "keys": [key] }).to_string();
    let jwks = folder.write("keys.json", &keys(&edwards()));
    let mapper = folder.write("mapper.jsonnet", "{ claims: { who: std.extVar('session').identity.traits.email } }");
    let tokenizer = format!(
        "session:\n  whoami:\n    tokenizer:\n      templates:\n        jwt:\n          jwks_url: file://{}\n          \
         claims_mapper_url: file://{}\n",
        jwks.display(),
        mapper.display()
    );
    let text = base(&folder, ports) + &flows(10) + &tokenizer;
    let mut server = Server::start(&folder, &text, ports);
    let http = plain();
    let (public, session) = runtime.block_on(async {
        let public = server.public.clone();
        let flow: Value = get(&http, &format!("{public}/self-service/registration/api"), "").await;
        let fields = json!({ "method": "password", "password": "quite-a-long-one-7", "traits": { "email": "ada@example.org" } });
        let made: Value = http
            .post(flow["ui"]["action"].as_str().unwrap())
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(fields.to_string())
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        (public, made["session_token"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned())
    });
    let token = || {
        runtime.block_on(async {
            let body = get(&http, &format!("{public}/sessions/whoami?tokenize_as=jwt"), &session).await;
            body["tokenized"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
        })
    };
    assert_eq!(claims(&token(), &edwards())["who"], "ada@example.org");
    folder.swap("keys.json", &keys(&elliptic()));
    server.signal("HUP");
    server.wait_for("was reloaded");
    assert_eq!(claims(&token(), &elliptic())["who"], "ada@example.org");
    // A key set that cannot be used leaves the running one in force.
    folder.swap("keys.json", "{}");
    server.signal("HUP");
    let line = server.wait_for("jwks_url");
    assert!(line.contains("session.whoami.tokenizer.templates.jwt.jwks_url"), "{line}");
    assert_eq!(claims(&token(), &elliptic())["who"], "ada@example.org");
    server.stop();
}

async fn get(http: &reqwest::Client, url: &str, token: &str) -> Value {
    let request = http.get(url).header("accept", "application/json").header("x-session-token", token);
    request.send().await.unwrap().json().await.unwrap()
}

#[test]
fn documents_that_cannot_be_used_stop_the_start_with_file_and_line() {
    let folder = Folder::new();
    let good = base(&folder, free_ports()) + &flows(10);
    let line = good.lines().count() + 6;
    let public = {
        let mut key = edwards();
        key.as_object_mut().unwrap().remove("d");
        json!({ "keys": [key] }).to_string()
    };
    folder.write("public.json", &public);
    let keys = folder.write("good.json", &json!({ "keys": [edwards()] }).to_string());
    let write = |name: &str, jwks: &str, mapper: &str| {
        let more = format!(
            "session:\n  whoami:\n    tokenizer:\n      templates:\n        jwt:\n          jwks_url: {jwks}\n          claims_mapper_url: {mapper}\n"
        );
        folder.write(name, &(good.clone() + &more))
    };
    let keys = format!("file://{}", keys.display());
    for (name, jwks, mapper, key, at, words) in [
        ("absent.yml", "file:///no/keys.json", "base64://e30=", "jwks_url", line, "/no/keys.json"),
        ("public.yml", "file://public.json", "base64://e30=", "jwks_url", line, "no private part"),
        ("broken.yml", "base64://!!!!", "base64://e30=", "jwks_url", line, "not base64"),
        ("mapper.yml", keys.as_str(), "file:///no/mapper.jsonnet", "claims_mapper_url", line + 1, "/no/mapper.jsonnet"),
        ("scheme.yml", "ftp://a.example/keys", "base64://e30=", "jwks_url", line, "expected a URL that begins with file://"),
    ] {
        let file = write(name, jwks, mapper);
        for command in [vec!["config", "check"], vec!["serve", "--dev"]] {
            if command[0] == "serve" && name != "absent.yml" {
                continue;
            }
            if command[0] == "serve" {
                crate::operations::process::migrate(&folder, &file);
            }
            let output = run(&folder, &[&command[..], &["-c", file.to_str().unwrap()]].concat());
            let stderr = said(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{name}: {stderr}");
            let place = format!("{name}:{at}: session.whoami.tokenizer.templates.jwt.{key}: ");
            assert!(stderr.contains(&place) && stderr.contains(words), "{name}: {stderr}");
            assert!(!stderr.contains("panicked"), "{stderr}");
        }
    }
    let file = write("fine.yml", &keys, "https://nowhere.invalid/mapper.jsonnet");
    let output = run(&folder, &["config", "check", "-c", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output.stderr));
}

/// What a worker answers to jobs, and how it ended. The pool would be out of patience before a slow machine is done.
fn worker(jobs: &[&str]) -> (Vec<u8>, std::process::ExitStatus) {
    use std::io::Write as _;
    let folder = Folder::new();
    let mut command = keyward(&folder, &["jsonnet"]);
    command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0").stdin(std::process::Stdio::piped());
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for snippet in jobs {
        let job = json!({ "snippet": snippet, "variables": [], "arguments": [] }).to_string();
        input.write_all(&u32::try_from(job.len()).unwrap().to_be_bytes()).unwrap();
        input.write_all(job.as_bytes()).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    (output.stdout, output.status)
}

#[test]
fn a_worker_ends_with_its_server_and_when_it_wants_too_much() {
    use std::os::unix::process::ExitStatusExt as _;
    let (answers, status) = worker(&[]);
    assert!(status.success() && answers == b"\0\0\0\x04null", "{status} {answers:?}");
    let (answers, status) = worker(&["1 + 1", "error 'no'"]);
    let answers = String::from_utf8_lossy(&answers).into_owned();
    assert!(status.success() && answers.contains(r#"{"Value":"2"}"#) && answers.contains(r#"{"Raised":"no"}"#), "{answers}");
    // Out of memory is an abort; out of patience would be an exit.
    let (_, status) = worker(&["1", GREEDY]);
    assert!(status.signal().is_some(), "{status}");
    let (_, status) = worker(&["local f(x) = f(x + 1) tailstrict; f(1)"]);
    assert_eq!(status.code(), Some(1));
}
