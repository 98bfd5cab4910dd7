//! Traces that reach a collector: which, in what form, and without a secret.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

use super::process::{Folder, PATIENCE, Server, base, flows, free_ports, plain};

/// One export as it came in.
struct Export {
    head: String,
    body: Vec<u8>,
}

/// A collector that takes everything.
fn collector() -> (SocketAddr, Receiver<Export>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, exports) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut read = Vec::new();
                let mut piece = [0; 4_096];
                while let Ok(count @ 1..) = stream.read(&mut piece) {
                    read.extend_from_slice(&piece[..count]);
                    let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
                    let length: usize = header(&head, "content-length").unwrap().parse().unwrap();
                    if read.len() < end + 4 + length {
                        continue;
                    }
                    let body = read[end + 4..end + 4 + length].to_vec();
                    read.drain(..end + 4 + length);
                    let _ =
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
                    let _ = sender.send(Export { head, body });
                }
            });
        }
    });
    (address, exports)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The fields of a protobuf message with their numbers; those of fixed or variable length without bytes are left out.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = message[0];
            *message = &message[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)).unwrap(),
            5 => 4,
            other => panic!("a wire type of {other}"),
        };
        let (bytes, rest) = message.split_at(length);
        message = rest;
        if key & 7 == 2 {
            found.push((key >> 3, bytes));
        }
    }
    found
}

fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    fields(message).into_iter().filter(|(found, _)| *found == number).map(|(_, bytes)| bytes).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Attributes with text, of a message that has them at this number.
fn attributes(message: &[u8], number: u64) -> Vec<(String, String)> {
    let pairs = all(message, number).into_iter();
    pairs.filter_map(|pair| Some((text(all(pair, 1)[0]), text(all(all(pair, 2)[0], 1).first()?)))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_requests_reach_the_collector_without_a_secret() {
    let (address, exports) = collector();
    let (folder, ports) = (Folder::new(), free_ports());
    let traces = format!(
        "tracing: {{provider: otel, service_name: Blue Garden, deployment_environment: trial, providers: {{otlp: {{server_url: \"{address}\", \
         insecure: true, authorization_header: Bearer canary-collector}}}}}}\n"
    );
    let mut server = Server::start(&folder, &(base(&folder, ports) + &flows(10) + &traces), ports);
    let body = r#"{"method":"password","identifier":"a@example.org","password":"canary-password"}"#;
    let asked = plain()
        .post(format!("{}/self-service/login?flow=7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d&token=canary-query", server.public))
        .header("x-session-token", "canary-token")
        .header("cookie", "ory_kratos_session=canary-cookie")
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .body(body);
    assert!(asked.send().await.unwrap().status().is_client_error());
    plain().get(format!("{}/no/such/canary-path", server.public)).send().await.unwrap();
    plain().get(format!("{}/identities/7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d", server.admin)).send().await.unwrap();
    // What has not left by then leaves at the end.
    tokio::task::spawn_blocking(move || server.stop()).await.unwrap();

    let mut spans = Vec::new();
    while !spans.iter().any(|(name, _): &(String, _)| name.starts_with("GET /admin/identities/")) {
        let export = exports.recv_timeout(PATIENCE).unwrap();
        assert!(export.head.starts_with("post /v1/traces http/1.1"), "{}", export.head);
        assert_eq!(header(&export.head, "content-type"), Some("application/x-protobuf"));
        assert_eq!(header(&export.head, "authorization"), Some("bearer canary-collector"));
        assert!(!String::from_utf8_lossy(&export.body).contains("canary"), "a secret in a trace");
        for resource_spans in all(&export.body, 1) {
            let resource = attributes(all(resource_spans, 1)[0], 1);
            for (name, value) in [("service.name", "Blue Garden"), ("deployment.environment.name", "trial")] {
                assert!(resource.contains(&(name.to_owned(), value.to_owned())), "{resource:?}");
            }
            for span in all(resource_spans, 2).into_iter().flat_map(|scope| all(scope, 2)) {
                spans.push((text(all(span, 5)[0]), attributes(span, 9)));
            }
        }
    }
    let (_, login) = spans.iter().find(|(name, _)| name == "POST /self-service/login").unwrap_or_else(|| panic!("{spans:?}"));
    for (name, value) in [("http.request.method", "POST"), ("http.route", "/self-service/login")] {
        assert!(login.contains(&(name.to_owned(), value.to_owned())), "{login:?}");
    }
    assert!(spans.iter().any(|(name, _)| name == "GET"), "an address without a route has no other name: {spans:?}");
}
