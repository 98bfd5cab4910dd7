//! TLS on both ports, with certificates that are replaced while the server runs.

use rustls::pki_types::CertificateDer;

use super::process::{Folder, Server, base, client, flows, free_ports, plain};

fn certificate() -> (String, String, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem(), made.cert.der().clone())
}

fn trusting(certificate: &CertificateDer<'static>) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    client(roots)
}

// The client has to hear that the server says good-bye while the test waits for its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ports_speak_tls_and_take_up_new_certificates() {
    let folder = Folder::new();
    let ports = free_ports();
    let (cert, key, first) = certificate();
    let (cert_path, key_path) = (folder.write("cert.pem", &cert), folder.write("key.pem", &key));
    let tls = format!("tls: {{cert: {{path: {}}}, key: {{path: {}}}}}, host", cert_path.display(), key_path.display());
    let text = (base(&folder, ports) + &flows(10)).replace("host", &tls).replace("http://127.0.0.1:", "https://127.0.0.1:");
    let mut server = Server::start(&folder, &text, ports);
    let (public, admin) = (format!("https://127.0.0.1:{}", ports.0), format!("https://127.0.0.1:{}", ports.1));

    let http = trusting(&first);
    for address in [&public, &admin] {
        let answer = http.get(format!("{address}/health/alive")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    }
    assert!(plain().get(format!("{public}/health/alive")).send().await.is_err(), "nobody has to trust it");
    assert!(plain().get(format!("http://127.0.0.1:{}/health/alive", ports.0)).send().await.is_err(), "no plain HTTP");

    // Certificate and key are two files: between the two writes they do not fit, and the old pair stays in use.
    let (cert, key, second) = certificate();
    folder.swap("cert.pem", &cert);
    server.wait_for("cannot be used");
    assert_eq!(trusting(&first).get(format!("{public}/health/alive")).send().await.unwrap().status(), 200);
    folder.swap("key.pem", &key);
    server.wait_for("new certificate is in use");
    server.wait_for("new certificate is in use");
    for address in [&public, &admin] {
        assert_eq!(trusting(&second).get(format!("{address}/health/alive")).send().await.unwrap().status(), 200);
        assert!(trusting(&first).get(format!("{address}/health/alive")).send().await.is_err());
    }
    // A connection that was open before goes on with the certificate that it began with.
    assert_eq!(http.get(format!("{public}/health/alive")).send().await.unwrap().status(), 200);
    server.stop();
}
