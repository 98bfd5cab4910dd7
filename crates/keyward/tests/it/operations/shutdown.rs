//! An orderly end: what is under way is answered, nothing new is taken, and the exit code says that all is well.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::process::{Folder, PATIENCE, Server, base, flows, free_ports};

#[test]
fn a_request_under_way_is_answered_and_no_new_one_is_taken() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::new();
        let ports = free_ports();
        let mut server = Server::start(&folder, &(base(&folder, ports) + &flows(10)), ports);
        let address = ("127.0.0.1", ports.0);
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = r#"{"method":"password","identifier":"a@example.org","password":"b"}"#;
        write!(
            stream,
            "POST /self-service/login?flow=00000000-0000-4000-8000-000000000000 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            body.len()
        )
        .unwrap();
        // The server asks for the body once the request has reached its handler.
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100 Continue"));

        server.signal(signal);
        server.wait_for("Stopping");
        // Each try waits for the system's answer; the listener is closed right after that line.
        let still_taken = (0..10_000).take_while(|_| TcpStream::connect(address).is_ok()).count();
        assert!(still_taken < 10_000, "new connections are still taken");
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        let json = answer.split("\r\n\r\n").nth(1).unwrap();
        assert!(json.contains("\"error\""), "{answer}");
        let status = server.end();
        assert_eq!(status.code(), Some(0), "{signal}: {}", server.log.join("\n"));
    }
}
