//! No secret in anything that the program writes, at its most talkative and through every kind of request.

use serde_json::{Value, json};

use super::process::{Folder, Server, base, flows, free_ports, plain};

/// Parts of secrets that were planted; each would be found whatever stands around it.
const PASSWORD: &str = "canary-pass-51c0de";
const NEW_PASSWORD: &str = "canary-next-77ab1e";
const QUERY: &str = "canary-query-9f31";
const HEADER: &str = "canary-header-44d2";
const COOKIE: &str = "canary-cookie-e81b";
const CONFIGURED: &str = "canary-secret-in-the-configuration";

#[tokio::test]
async fn no_planted_secret_reaches_a_log_in_either_form() {
    for format in ["json", "text"] {
        let folder = Folder::new();
        let ports = free_ports();
        let text = base(&folder, ports).replace("a-secret-for-tests-that-protects-nothing", CONFIGURED)
            + &flows(10)
            + &format!("log: {{level: trace, format: {format}, leak_sensitive_values: true}}\n");
        let mut server = Server::start(&folder, &text, ports);
        let mut secrets: Vec<String> = [PASSWORD, NEW_PASSWORD, QUERY, HEADER, COOKIE, CONFIGURED].map(str::to_owned).to_vec();
        let http = plain();
        let (public, admin) = (server.public.clone(), server.admin.clone());
        let flow = async |kind: &str, token: &str| -> Value {
            let request = http.get(format!("{public}/self-service/{kind}/api")).header("x-session-token", token);
            request.send().await.unwrap().json().await.unwrap()
        };
        let submit = async |flow: &Value, token: &str, body: Value| {
            let request = http.post(flow["ui"]["action"].as_str().unwrap()).header("x-session-token", token).json(&body);
            request.header("x-request-id", "request-of-this-test").send().await.unwrap()
        };

        let begun = flow("registration", "").await;
        let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": "ada@example.org" } });
        let answer = submit(&begun, "", fields).await;
        assert_eq!(answer.status(), 200);
        let token = answer.json::<Value>().await.unwrap()["session_token"].as_str().unwrap().to_owned();
        secrets.push(token.clone());
        for (password, status) in [("canary-pass-51c0de-wrong", 400), (PASSWORD, 200)] {
            let begun = flow("login", "").await;
            let fields = json!({ "method": "password", "identifier": "ada@example.org", "password": password });
            let answer = submit(&begun, "", fields).await;
            assert_eq!(answer.status(), status);
            if let Some(token) = answer.json::<Value>().await.unwrap()["session_token"].as_str() {
                secrets.push(token.to_owned());
            }
        }
        let begun = flow("settings", &token).await;
        let answer = submit(&begun, &token, json!({ "method": "password", "password": NEW_PASSWORD })).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());

        // Mistakes of clients: secrets where none belong.
        let get = |path: String| http.get(path);
        for request in [
            get(format!("{public}/self-service/login/api?password={QUERY}&refresh=maybe")),
            get(format!("{public}/self-service/login?flow={QUERY}&password={QUERY}")),
            get(format!("{public}/no/such/path?token={QUERY}")),
            get(format!("{public}/sessions/whoami")).header("authorization", format!("Bearer {HEADER}")),
            get(format!("{public}/sessions/whoami")).header("cookie", format!("ory_kratos_session={COOKIE}")),
            get(format!("{public}/self-service/settings/browser")).header("cookie", format!("csrf_token={COOKIE}")),
            get(format!("{admin}/admin/identities?credentials_identifier=ada@example.org&page_token={QUERY}")),
            http.post(format!("{public}/self-service/login?flow={QUERY}")).body(format!("{{\"password\":\"{PASSWORD}")),
            http.post(format!("{admin}/admin/identities")).json(
                &json!({ "schema_id": "default", "traits": { "email": 7 }, "credentials": { "password": { "config": { "password": PASSWORD } } } }),
            ),
        ] {
            let answer = request.send().await.unwrap();
            assert_ne!(answer.status(), 500);
        }
        // A refused reload speaks of the file.
        folder.swap("keyward.yml", &text.replace(CONFIGURED, "canary").replace("log:", "lgo:"));
        server.wait_for("stays in force");
        let metrics = http.get(format!("{admin}/metrics/prometheus")).send().await.unwrap().text().await.unwrap();
        server.stop();

        let written = format!("{}\n{metrics}", server.log.join("\n"));
        assert!(written.contains("answered") && written.contains("request-of-this-test"), "the log was talkative:\n{written}");
        for secret in &secrets {
            assert!(!written.contains(secret.as_str()), "{secret} was written:\n{written}");
        }
        if format == "json" {
            let lines = server.log.iter().map(|line| serde_json::from_str::<Value>(line));
            assert!(lines.into_iter().all(|line| line.is_ok_and(|line| line["timestamp"].is_string())), "{written}");
        }
    }
}
