//! What the admin port tells Prometheus and operators.

use serde_json::json;

use super::process::{Folder, Server, base, flows, free_ports, plain};

#[tokio::test]
async fn requests_sign_ins_and_reloads_are_counted() {
    let folder = Folder::new();
    let ports = free_ports();
    let mut server = Server::start(&folder, &(base(&folder, ports) + &flows(10)), ports);
    let http = plain();
    for _ in 0..3 {
        assert_eq!(http.get(format!("{}/sessions/whoami", server.public)).send().await.unwrap().status(), 401);
    }
    let flow: serde_json::Value =
        http.get(format!("{}/self-service/login/api", server.public)).send().await.unwrap().json().await.unwrap();
    let wrong = json!({ "method": "password", "identifier": "a@example.org", "password": "wrong" });
    let action = flow["ui"]["action"].as_str().unwrap();
    assert_eq!(http.post(action).json(&wrong).send().await.unwrap().status(), 400);
    assert_eq!(http.get(format!("{}/no/such/{}", server.public, "path")).send().await.unwrap().status(), 404);
    server.signal("HUP");
    server.wait_for("was reloaded");

    let answer = http.get(format!("{}/metrics/prometheus", server.admin)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    for line in [
        "http_requests_total{port=\"public\",route=\"/sessions/whoami\",status=\"4xx\"} 3",
        "http_requests_total{port=\"public\",route=\"/self-service/login/api\",status=\"2xx\"} 1",
        "http_requests_total{port=\"public\",route=\"none\",status=\"4xx\"} 1",
        "http_requests_duration_seconds_count{port=\"public\",route=\"/sessions/whoami\"} 3",
        "keyward_sign_ins_total{method=\"password\",result=\"refused\"} 1",
        "keyward_sign_ins_total{method=\"password\",result=\"succeeded\"} 0",
        "keyward_password_queue_busy 0",
        "keyward_password_queue_waiting{lane=\"public\"} 0",
        "keyward_database_errors_total 0",
        "keyward_config_reloads_total{result=\"done\"} 1",
        "keyward_config_reloads_total{result=\"refused\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("no/such"), "what strangers type is no label");
    assert_eq!(http.get(format!("{}/metrics/prometheus", server.public)).send().await.unwrap().status(), 404);

    let status = http.get(format!("{}/health/config", server.admin)).header("accept", "application/json").send().await.unwrap();
    let status: serde_json::Value = status.json().await.unwrap();
    let hash = http.get(format!("{}/admin/health/config", server.admin)).send().await.unwrap().text().await.unwrap();
    assert_eq!((status["status"].as_str(), status["hash"].as_str()), (Some("ok"), Some(hash.as_str())));
    assert_eq!((hash.len(), &status["errors"], &status["reloads"]), (64, &json!([]), &json!(1)));
    server.stop();
}
