//! Configuration that changes while people use the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::process::{Folder, Server, base, flows, free_ports, plain};

async fn status(server: &Server) -> Value {
    let request = plain().get(format!("{}/health/config", server.admin)).header("accept", "application/json");
    request.send().await.unwrap().json().await.unwrap()
}

/// A registration flow shows two settings of one configuration at once: how long it lives, and where its page is.
async fn seen(http: &reqwest::Client, public: &str) -> (u32, u32) {
    let answer = http.get(format!("{public}/self-service/registration/browser")).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let (page, id) = location.split_once("?flow=").unwrap();
    let page: u32 = page.rsplit('/').next().unwrap().parse().unwrap();
    let cookie = answer.headers().get("set-cookie").unwrap().to_str().unwrap().split(';').next().unwrap().to_owned();
    let flow = http.get(format!("{public}/self-service/registration/flows?id={id}")).header("cookie", cookie);
    let flow = flow.header("accept", "application/json").send().await.unwrap();
    assert_eq!(flow.status(), 200);
    let flow: Value = flow.json().await.unwrap();
    let time = |name: &str| keyward_model::Time::parse(flow[name].as_str().unwrap()).unwrap();
    let minutes = time("expires_at").since(time("issued_at")).as_seconds() / 60;
    (page, u32::try_from(minutes).unwrap())
}

// cases: R-96
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reloads_under_load_fail_no_request_and_mix_nothing() {
    let folder = Folder::new();
    let ports = free_ports();
    let base = base(&folder, ports);
    let mut server = Server::start(&folder, &(base.clone() + &flows(10)), ports);
    let stop = Arc::new(AtomicBool::new(false));
    let requests = Arc::new(AtomicU64::new(0));
    let load: Vec<_> = (0..2)
        .map(|_| {
            let (public, stop, requests) = (server.public.clone(), Arc::clone(&stop), Arc::clone(&requests));
            tokio::spawn(async move {
                let http = plain();
                while !stop.load(Ordering::Relaxed) {
                    let (page, minutes) = seen(&http, &public).await;
                    assert_eq!(page, minutes, "one request saw two configurations");
                    requests.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=50 {
        folder.swap("keyward.yml", &format!("{base}{}", flows(10 + round)));
        server.wait_for("was reloaded");
        // Broken in turn: half written, unknown key, a value that cannot change.
        let good = format!("{base}{}", flows(10 + round));
        let bad = match round % 3 {
            0 => good[..good.len() / 2].to_owned() + "\n  [",
            1 => format!("{good}sesion: {{}}\n"),
            _ => format!("{good}log: {{level: debug}}\n"),
        };
        folder.swap("keyward.yml", &bad);
        server.wait_for("stays in force");
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    assert!(requests.load(Ordering::Relaxed) > 50, "there was no load");
    assert_eq!(seen(&plain(), &server.public).await, (60, 60));
    let status = status(&server).await;
    assert_eq!((&status["status"], &status["reloads"], &status["refused_reloads"]), (&json!("refused"), &json!(50), &json!(50)));
    server.stop();
}

#[tokio::test]
async fn mistakes_are_listed_until_they_are_mended() {
    let folder = Folder::new();
    let ports = free_ports();
    let good = base(&folder, ports) + &flows(10);
    let mut server = Server::start(&folder, &good, ports);
    let hash = status(&server).await["hash"].clone();

    let bad = good.replace(&format!("port: {}", ports.0), "port: 70000") + "sesion: {}\n";
    folder.swap("keyward.yml", &bad);
    server.wait_for("stays in force");
    let refused = status(&server).await;
    let errors = refused["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &refused["hash"]), (2, &hash), "{refused:#}");
    assert!(errors[0].as_str().unwrap().contains("keyward.yml:3"), "{refused:#}");

    let moved = good.replace(&format!("port: {}", ports.0), "port: 4433").replace("dsn: ", "log: {level: debug}\ndsn: ");
    folder.swap("keyward.yml", &moved);
    server.wait_for("stays in force");
    let refused = status(&server).await;
    let keys: Vec<_> =
        refused["errors"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().split(':').next().unwrap()).collect();
    assert_eq!(keys, ["serve.public.port", "log.level"], "{refused:#}");

    // Back to what it was: nothing is pending any more.
    folder.swap("keyward.yml", &good);
    server.wait_for("was reloaded");
    let mended = status(&server).await;
    assert_eq!((&mended["status"], &mended["errors"], &mended["hash"]), (&json!("ok"), &json!([]), &hash));
    server.stop();
}

/// Kubernetes mounts a link to a link and swaps the inner one.
#[tokio::test]
async fn a_swapped_link_is_a_change() {
    let folder = Folder::new();
    let ports = free_ports();
    let base = base(&folder, ports);
    let mut server = Server::start(&folder, &(base.clone() + &flows(10)), ports);
    server.stop();
    std::fs::remove_file(folder.path("keyward.yml")).unwrap();
    for version in ["..1", "..2"] {
        std::fs::create_dir(folder.path(version)).unwrap();
    }
    folder.write("..1/linked.yml", &(base.clone() + &flows(20)));
    folder.write("..2/linked.yml", &(base.clone() + &flows(30)));
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, folder.path(name)).unwrap();
    link("..1", "..data");
    link("..data/linked.yml", "linked.yml");
    let text = std::fs::read_to_string(folder.path("linked.yml")).unwrap();
    assert!(text.contains("20m"));
    let mut server = Server::start_with(&folder, "linked.yml", ports);
    assert_eq!(seen(&plain(), &server.public).await, (20, 20));
    link("..2", "..data_next");
    std::fs::rename(folder.path("..data_next"), folder.path("..data")).unwrap();
    server.wait_for("was reloaded");
    assert_eq!(seen(&plain(), &server.public).await, (30, 30));
    server.stop();
}
