//! Mail and text messages from the outbox to a real conversation with a mail server, or to a gateway: what arrives, what is
//! tried again, what is given up, and what operators see of it.
//! Flows that cause mail have tests of their own; here messages are queued as those flows queue them.

use std::num::NonZeroUsize;

use keyward_model::{Lang, MessageId, Secret, Span, Via};
use keyward_services::admin::get_message;
use keyward_services::courier::{Mail, MailError, Round, Template, deliver_due, deliver_due_until, enqueue, list_recent, open};
use keyward_store::{Batch, OutboxRow};
use keyward_testkit::{MailReply, MailRules, MailServer, MailTls, Trial, Value, database_test};
use serde_json::json;

use crate::operations::process::Folder;

pub(crate) const ADA: &str = "ada@example.org";
pub(crate) const CODE: &str = "271828";

pub(crate) fn login_code() -> Template {
    Template::LoginCodeValid { code: Secret::new(CODE.to_owned()) }
}

pub(crate) fn mail(to: &str, template: Template) -> Mail<'_> {
    Mail {
        via: if to.starts_with('+') { Via::Sms } else { Via::Email },
        to,
        template,
        identity: None,
        request_url: "https://www.example.org/self-service/login/browser",
        transient_payload: None,
        expires_in: Some(Span::minutes(15)),
        lang: Lang::En,
    }
}

/// A mail in the outbox, by its id.
pub(crate) async fn queued(t: &Trial, to: &str) -> String {
    queue(t, mail(to, login_code())).await.to_string()
}

pub(crate) async fn queue(t: &Trial, mail: Mail<'_>) -> MessageId {
    let mut batch = Batch::new();
    let id = enqueue(&t.app(), &mail, t.now(), &mut batch).unwrap();
    t.store().commit(batch).await.unwrap();
    id
}

/// Delivers what is due on the clock of the test.
pub(crate) async fn deliver(t: &Trial) -> Round {
    deliver_due(&t.app(), t.now()).await.unwrap()
}

pub(crate) async fn message(t: &Trial, id: MessageId) -> Value {
    t.admin().call("GET", &format!("/admin/courier/messages/{id}")).await.expect(200).json()
}

pub(crate) fn smtp(server: &MailServer, scheme: &str, user: &str, query: &str) -> Value {
    json!({ "courier": { "smtp": { "connection_uri": format!("{scheme}://{user}127.0.0.1:{}/{query}", server.port()) } } })
}

/// A server without TLS that does what servers do, and a courier that accepts that.
pub(crate) async fn plain_server(t: &Trial, reply: impl Fn(&str) -> MailReply + Send + Sync + 'static) -> MailServer {
    let server = MailServer::start(MailRules { reply: Box::new(reply), ..MailRules::default() }).await;
    t.reconfigure(&smtp(&server, "smtp", "", "?disable_starttls=true"));
    server
}

pub(crate) fn round(taken: usize, sent: usize, failed: usize, abandoned: usize) -> Round {
    Round { taken, sent, failed, abandoned }
}

#[database_test]
async fn a_mail_arrives_once_and_its_story_is_told(t: Trial) {
    let server = plain_server(&t, |_| MailReply::Usual).await;
    t.reconfigure(&json!({ "courier": { "smtp": {
        "from_address": "accounts@example.org", "from_name": "Bürgeramt Köln, Süd", "local_name": "id.example.org",
        "headers": { "X-Team": "accounts", "Bcc": "archive@example.org", "Content-Type": "text/evil" },
    } } }));
    let id = queue(&t, Mail { lang: Lang::De, ..mail(ADA, login_code()) }).await;
    let queued = message(&t, id).await;
    assert_eq!((&queued["status"], &queued["send_count"], &queued["dispatches"]), (&json!("queued"), &json!(0), &json!([])));

    assert_eq!(deliver(&t).await, round(1, 1, 0, 0));
    assert_eq!(deliver(&t).await, round(0, 0, 0, 0));
    let mails = server.mails();
    let [mail] = mails.as_slice() else { panic!("{mails:?}") };
    assert_eq!((mail.hello.as_str(), mail.from.as_str()), ("id.example.org", "accounts@example.org"));
    assert_eq!(mail.to, [ADA, "archive@example.org"]);
    let head = mail.data.split("\r\n\r\n").next().unwrap();
    assert!(head.lines().all(|line| line.is_ascii() && line.len() <= 998), "{head}");
    assert!(!head.contains("archive@") && !head.contains("evil"), "{head}");
    let header = |name| mail.header(name).unwrap_or_else(|| panic!("no {name}: {head}"));
    assert_eq!((header("to").as_str(), header("x-team").as_str()), (ADA, "accounts"));
    assert!(header("from").contains("=?utf-8?") && header("from").ends_with("<accounts@example.org>"), "{}", header("from"));
    assert_eq!(header("message-id"), format!("<{id}@example.org>"));
    assert_eq!(header("subject"), format!("{CODE} ist Ihr Code zum Anmelden"));
    assert!(header("content-type").starts_with("multipart/alternative"), "{head}");
    assert!(mail.data.contains("text/plain") && mail.data.contains("text/html"));
    assert!(mail.data.find("text/plain") < mail.data.find("text/html"), "the better form comes last (RFC 2046 5.1.4)");

    let told = message(&t, id).await;
    let dispatch = told["dispatches"][0].clone();
    let now = json!(t.now());
    assert_eq!(
        told,
        json!({
            "id": id, "status": "sent", "type": "email", "recipient": ADA, "body": told["body"], "subject": told["subject"],
            "template_type": "login_code_valid", "channel": "email", "send_count": 1,
            "dispatches": [{ "id": dispatch["id"], "message_id": id, "status": "success", "error": null,
                "created_at": now, "updated_at": now }],
            "created_at": now, "updated_at": now,
        })
    );
    let [mailed] = <[_; 1]>::try_from(t.mails_to(ADA).await).unwrap();
    assert_eq!((mailed.template_type.as_str(), mailed.status.as_str()), ("login_code_valid", "sent"));
    assert!(mailed.body.contains(CODE) && mailed.body.contains("15 Minuten"));
    // The site is the server's own name, whatever host the request was sent to.
    assert!(mailed.body.contains("127.0.0.1") && !mailed.body.contains("www.example.org"), "AC-54");
    let recent = list_recent(&t.app(), 10).await.unwrap();
    assert!(recent[0].content.as_ref().unwrap().html_body.as_ref().unwrap().contains(CODE));
    assert!(!format!("{recent:?}").contains(CODE) && !format!("{recent:?}").contains(ADA));
    let metrics = t.admin().call("GET", "/metrics/prometheus").await.expect(200).text();
    assert!(metrics.contains("keyward_courier_messages_total{channel=\"email\",result=\"sent\"}"), "{metrics}");
}

/// Contract case 73, and with passwords.
#[database_test(sqlite)]
async fn connections_are_encrypted_unless_the_operator_says_otherwise(t: Trial) {
    let user = "mailer%40example.org:p%2Fa%23s%2Bs%40%3A%25word@";
    let login = Some(("mailer@example.org".to_owned(), "p/a#s+s@:%word".to_owned()));
    let (none, start, implicit) = (MailTls::None, MailTls::StartTls, MailTls::Implicit);
    for (tls, auth, scheme, query, arrives, encrypted, reason) in [
        (none, "PLAIN LOGIN", "smtp", "", false, false, "STARTTLS"),
        (none, "PLAIN LOGIN", "smtp", "?skip_ssl_verify=true", false, false, "STARTTLS"),
        (none, "PLAIN LOGIN", "smtp", "?disable_starttls=true", true, false, ""),
        (start, "PLAIN LOGIN", "smtp", "", false, false, ""),
        (start, "PLAIN LOGIN", "smtp", "?skip_ssl_verify=true", true, true, ""),
        (start, "PLAIN", "smtp", "?skip_ssl_verify=true&disable_starttls=true", true, true, ""),
        (start, "LOGIN", "smtp", "?skip_ssl_verify=true&server_name=mail.example.org", true, true, ""),
        (start, "", "smtp", "?skip_ssl_verify=true", false, true, ""),
        (implicit, "LOGIN", "smtps", "?skip_ssl_verify=true", true, true, ""),
        (implicit, "LOGIN", "smtps", "", false, true, ""),
    ] {
        let about = format!("{tls:?} {auth} {scheme} {query}");
        let server = MailServer::start(MailRules { tls, auth, ..MailRules::default() }).await;
        t.reconfigure(&smtp(&server, scheme, user, query));
        let id = queue(&t, mail(ADA, login_code())).await;
        assert_eq!(deliver(&t).await, if arrives { round(1, 1, 0, 0) } else { round(1, 0, 1, 0) }, "{about}");
        let mails = server.mails();
        assert_eq!(
            mails.iter().map(|mail| (mail.encrypted, mail.login.clone())).collect::<Vec<_>>(),
            if arrives { vec![(encrypted, login.clone())] } else { vec![] },
            "{about}"
        );
        let told = message(&t, id).await;
        assert!(told["dispatches"][0].to_string().contains(reason), "{about}: {told}");
        if !arrives {
            // No password went out, encrypted or not.
            assert!(!server.commands().iter().any(|line| line.starts_with("AUTH")), "{about}: {:?}", server.commands());
            let mut batch = Batch::new();
            let row = t.store().find_message(id).await.unwrap().unwrap();
            batch.message_sent(row.id, t.now());
            t.store().commit(batch).await.unwrap();
        }
    }
}

/// Mail servers that know their clients by a certificate.
#[database_test(sqlite)]
async fn a_client_certificate_is_shown(t: Trial) {
    let made = rcgen::generate_simple_self_signed(["mailer.example.org".to_owned()]).unwrap();
    let folder = Folder::new();
    folder.write("cert.pem", &made.cert.pem());
    folder.write("key.pem", &made.signing_key.serialize_pem());
    for tls in [MailTls::StartTls, MailTls::Implicit] {
        let client = Some(made.cert.der().clone());
        let server = MailServer::start(MailRules { tls, client, ..MailRules::default() }).await;
        let scheme = if tls == MailTls::Implicit { "smtps" } else { "smtp" };
        t.reconfigure(&smtp(&server, scheme, "", "?skip_ssl_verify=true"));
        t.reconfigure(&json!({ "courier": { "smtp": { "client_cert_path": null, "client_key_path": null } } }));
        let id = queue(&t, mail(ADA, login_code())).await;
        assert_eq!(deliver(&t).await, round(1, 0, 1, 0), "{tls:?}: it is asked for");
        let path = |name: &str| folder.path(name).to_str().unwrap().to_owned();
        let paths = json!({ "client_cert_path": path("cert.pem"), "client_key_path": path("key.pem") });
        t.reconfigure(&json!({ "courier": { "smtp": paths } }));
        t.clock().advance(Span::seconds(5));
        assert_eq!(deliver(&t).await, round(1, 1, 0, 0), "{tls:?}: {}", message(&t, id).await);
        assert!(server.mails()[0].encrypted);
    }
}

/// Contract case 68.
#[database_test]
async fn after_six_failures_a_mail_is_given_up(t: Trial) {
    let full = |line: &str| if line.starts_with("RCPT") { MailReply::Say("452 mailbox full".into()) } else { MailReply::Usual };
    let server = plain_server(&t, full).await;
    let id = queue(&t, Mail { expires_in: None, ..mail(ADA, login_code()) }).await;
    for attempt in 1..=6 {
        let expected = if attempt < 6 { round(1, 0, 1, 0) } else { round(1, 0, 0, 1) };
        assert_eq!(deliver(&t).await, expected, "{attempt}");
        assert_eq!(deliver(&t).await, round(0, 0, 0, 0), "not again at once");
        t.clock().advance(Span::hours(1));
    }
    assert_eq!(deliver(&t).await, round(0, 0, 0, 0));
    let told = message(&t, id).await;
    assert_eq!((&told["status"], &told["send_count"]), (&json!("abandoned"), &json!(6)));
    let dispatches = told["dispatches"].as_array().unwrap();
    assert_eq!(dispatches.len(), 6);
    for dispatch in dispatches {
        assert_eq!(dispatch["status"], "failed");
        assert_eq!((&dispatch["error"]["step"], &dispatch["error"]["status"]), (&json!("rcpt"), &json!("452")), "{dispatch}");
    }
    assert!(server.mails().is_empty());
}

#[database_test]
async fn a_code_that_has_expired_is_not_sent_any_more(t: Trial) {
    let server = plain_server(&t, |_| MailReply::Usual).await;
    let first = queue(&t, mail(ADA, login_code())).await;
    t.clock().advance(Span::minutes(15));
    assert_eq!(deliver(&t).await, round(1, 0, 0, 1));
    assert!(server.mails().is_empty());
    assert_eq!(message(&t, first).await["dispatches"][0]["error"]["step"], "expired");
}

#[database_test(sqlite)]
async fn only_what_can_never_succeed_is_given_up_at_once(t: Trial) {
    let say = |text: &str| MailReply::Say(text.to_owned());
    for (command, reply, abandoned) in [
        ("RCPT", say("550 no such user"), true),
        (".", say("554 we do not want this"), true),
        ("RCPT", say("450 come back later"), false),
        ("MAIL", say("550 not from you"), false),
        ("EHLO", say("550 not now"), false),
        ("AUTH", say("535 wrong password"), false),
        (".", say("451 try again"), false),
        ("DATA", MailReply::HangUp, false),
        (".", MailReply::HangUp, false),
    ] {
        let about = format!("{command} {reply:?}");
        let rule = move |line: &str| if line.starts_with(command) { reply.clone() } else { MailReply::Usual };
        let server = plain_server(&t, rule).await;
        t.reconfigure(&smtp(&server, "smtp", "u:p@", "?disable_starttls=true"));
        let id = queue(&t, mail(ADA, login_code())).await;
        assert_eq!(deliver(&t).await, if abandoned { round(1, 0, 0, 1) } else { round(1, 0, 1, 0) }, "{about}");
        let told = message(&t, id).await;
        assert_eq!(told["status"], if abandoned { "abandoned" } else { "queued" }, "{about}");
        if !abandoned {
            // Once the server thinks better of it, the mail arrives.
            let server = plain_server(&t, |_| MailReply::Usual).await;
            t.reconfigure(&smtp(&server, "smtp", "", "?disable_starttls=true"));
            t.clock().advance(Span::seconds(5));
            assert_eq!(deliver(&t).await, round(1, 1, 0, 0), "{about}");
            assert_eq!(server.mails().len(), 1, "{about}");
        }
    }
}

// cases: AC-99
#[database_test]
async fn line_breaks_never_reach_a_mail_server(t: Trial) {
    let server = plain_server(&t, |_| MailReply::Usual).await;
    let app = t.app();
    for to in [
        "ada@example.org\r\nRCPT TO:<eve@evil.example>",
        "ada@example.org\n",
        "ada@example.org\0",
        "ada\r@example.org",
        "ada@example.org,eve@evil.example",
        "ada@example.org eve@evil.example",
        "Ada <ada@example.org>",
        "<ada@example.org>",
        "ada",
        "",
        "+49 30 1234567",
        "+4930\r\n1234567",
    ] {
        for via in [Via::Email, Via::Sms] {
            let mut batch = Batch::new();
            let outcome = enqueue(&app, &Mail { via, ..mail(to, login_code()) }, t.now(), &mut batch);
            assert_eq!((outcome, batch.len()), (Err(MailError::Recipient), 0), "{to:?} {via:?}");
        }
    }
    for code in ["1\r\nBcc: eve@evil.example", "1\n", "1\0"] {
        let mut batch = Batch::new();
        let template = Template::LoginCodeValid { code: Secret::new(code.to_owned()) };
        assert_eq!(enqueue(&app, &mail(ADA, template), t.now(), &mut batch), Err(MailError::Subject), "{code:?}");
        assert!(batch.is_empty());
    }

    // Contract case 69: what stands in the outbox already, by whatever means.
    let good = queue(&t, mail(ADA, login_code())).await;
    let good = t.store().find_message(good).await.unwrap().unwrap();
    assert_eq!(deliver(&t).await, round(1, 1, 0, 0));
    let id: MessageId = app.random().id();
    let recipient = "ada@example.org>\r\nRCPT TO:<eve@evil.example".to_owned();
    let mut batch = Batch::new();
    batch.insert_message(&OutboxRow { id, recipient, due_at: Some(t.now()), ..good });
    t.store().commit(batch).await.unwrap();
    assert_eq!(deliver(&t).await, round(1, 0, 0, 1));
    assert_eq!(message(&t, id).await["status"], "abandoned");
    let commands = server.commands();
    assert!(!commands.iter().any(|line| line.contains("evil")), "{commands:?}");
    assert_eq!(commands.iter().filter(|line| line.starts_with("RCPT")).count(), 1, "{commands:?}");
}

// cases: AC-98
#[database_test(sqlite)]
async fn what_people_type_stays_text_in_html(t: Trial) {
    t.reconfigure(&json!({ "ui": { "brand": { "name": "A <b>bold</b> & \"brand\"" } } }));
    let to = "\"<img/src=x>'\"@example.org";
    let url = "https://www.example.org/?a=1&b=\"><script>alert(1)</script>";
    let template = Template::VerificationCodeValid { code: Secret::new("<i>1".to_owned()), url: Secret::new(url.to_owned()) };
    let id = queue(&t, mail(to, template)).await;
    let row = t.store().find_message(id).await.unwrap().unwrap();
    let content = open(&t.app(), &row).unwrap();
    let html = content.html_body.unwrap();
    for bad in ["<img", "<b>", "<script", "<i>", "b=\"", "\"brand\""] {
        assert!(!html.contains(bad), "{bad}: {html}");
    }
    for good in ["&lt;img", "&lt;b&gt;bold", "&lt;i&gt;1", ">Confirm my address</a>"] {
        assert!(html.contains(good), "{good}: {html}");
    }
    // Plain text is plain: nothing is escaped there.
    assert!(content.body.contains(to) && content.body.contains("A <b>bold</b>"), "{}", content.body);
}

/// Contract cases 70 to 72.
#[database_test]
async fn operators_read_the_outbox_in_pages(t: Trial) {
    let mut ids = Vec::new();
    for number in 0..23 {
        let to = if number % 2 == 0 { ADA } else { "bob+tag@example.org" };
        ids.push(queue(&t, mail(to, login_code())).await.to_string());
        if number % 3 == 0 {
            t.clock().advance(Span::seconds(1));
        }
    }
    let mut seen = Vec::new();
    let mut times = Vec::new();
    let mut path = "/admin/courier/messages".to_owned();
    let mut pages = 0;
    loop {
        let reply = t.admin().call("GET", &path).await.expect(200);
        assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
        for message in reply.json().as_array().unwrap() {
            seen.push(message["id"].as_str().unwrap().to_owned());
            times.push(message["created_at"].as_str().unwrap().to_owned());
            assert!(message.get("dispatches").is_none());
        }
        pages += 1;
        let links = reply.header("link").unwrap().to_owned();
        assert!(
            links.starts_with("</admin/courier/messages?page_size=10&page_token=") && links.contains("rel=\"first\""),
            "{links}"
        );
        let Some(next) = links.split(',').find(|link| link.ends_with("rel=\"next\"")) else { break };
        path = next.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(pages, 3);
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    seen.sort();
    ids.sort();
    assert_eq!(seen, ids, "each once");

    let count = async |query: &str| {
        let reply = t.admin().call("GET", &format!("/admin/courier/messages?{query}")).await.expect(200);
        reply.json().as_array().unwrap().len()
    };
    for (query, expected) in [
        ("page_size=500", 23),
        ("page_size=9999", 23),
        ("page_size=0", 10),
        ("page_size=3", 3),
        ("page_size=500&status=queued", 23),
        ("status=sent", 0),
        ("status=", 10),
        ("page_size=500&recipient=bob%2Btag%40example.org", 11),
        ("page_size=500&recipient=bob+tag@example.org", 11),
        ("page_size=500&status=queued&recipient=ada@example.org", 12),
        ("status=abandoned&recipient=ada@example.org", 0),
        ("recipient=nobody@example.org", 0),
        ("recipient=%00", 0),
    ] {
        assert_eq!(count(query).await, expected, "{query}");
    }
    for (path, status) in [
        ("?status=foo", 400),
        ("?page_size=x", 400),
        ("?page_token=x", 400),
        ("/not-a-uuid", 400),
        ("/7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d", 404),
    ] {
        let reply = t.admin().call("GET", &format!("/admin/courier/messages{path}")).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.json()["error"]["code"], status, "{path}");
    }
    // A page token ends after an hour.
    t.clock().advance(Span::hours(2));
    t.admin().call("GET", &path).await.expect(400);

    let id = MessageId::parse(&ids[0]).unwrap();
    assert!(message(&t, id).await["body"].as_str().unwrap().contains(CODE), "development");
    let mut config = t.app().config.clone();
    config.dev = false;
    let production = t.app().rebuild(config, NonZeroUsize::MIN).unwrap();
    let told = get_message(&production, id).await.unwrap();
    let redacted = json!("<redacted-unless-dev-mode>");
    assert_eq!((&told["body"], &told["subject"]), (&redacted, &redacted));
    assert!(!told.to_string().contains(CODE));
}

/// Contract case 74.
#[database_test(sqlite)]
async fn gateways_get_what_the_snippet_makes(t: Trial) {
    use base64::Engine as _;
    let snippet = |text: &str| format!("base64://{}", base64::engine::general_purpose::STANDARD.encode(text));
    let gateway = t.sink(|request| if request.path == "/busy" { (400, String::new()) } else { (202, "fine".into()) }).await;
    let request = |path: &str, body: &str| json!({ "url": format!("{}{path}", gateway.address()), "body": snippet(body) });
    let mut sms = request("/sms", "function(ctx) { to: ctx.recipient, text: ctx.body, kind: ctx.message_type }");
    sms["headers"] = json!({ "Content-Type": "application/x-www-form-urlencoded", "X-Key": "k" });
    sms["auth"] = json!({ "type": "basic_auth", "config": { "user": "u", "password": "p" } });
    t.reconfigure(&json!({ "courier": {
        "delivery_strategy": "http",
        "http": { "request_config": request("/mail", "function(ctx) ctx") },
        "channels": [{ "id": "sms", "type": "http", "request_config": sms }],
    } }));
    queue(&t, mail(ADA, Template::RecoveryCodeValid { code: Secret::new(CODE.to_owned()) })).await;
    t.clock().advance(Span::seconds(1));
    queue(&t, mail("+49301234567", login_code())).await;
    assert_eq!(deliver(&t).await, round(2, 2, 0, 0), "{:?}", t.mails_to(ADA).await);
    let received = gateway.received();
    let of = |path: &str| received.iter().find(|request| request.path == path).unwrap();
    let context = of("/mail").json();
    assert_eq!(of("/mail").header("content-type"), Some("application/json"));
    for (pointer, expected) in [
        ("/recipient", json!(ADA)),
        ("/template_type", json!("recovery_code_valid")),
        ("/message_type", json!("email")),
        ("/template_data/to", json!(ADA)),
        ("/template_data/recovery_code", json!(CODE)),
        ("/template_data/expires_in_minutes", json!(15)),
        ("/template_data/request_url", json!(format!("{}/self-service/login/browser", t.public()))),
        ("/request_headers", json!({})),
    ] {
        assert_eq!(context.pointer(pointer), Some(&expected), "{pointer}: {context}");
    }
    let names: Vec<_> = context["template_data"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["expires_in_minutes", "identity", "recovery_code", "request_url", "to", "transient_payload"]);
    assert!(context["html_body"].as_str().unwrap().contains("<html"));

    let sms = of("/sms");
    assert_eq!((sms.header("authorization"), sms.header("x-key")), (Some("Basic dTpw"), Some("k")));
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&sms.body).into_owned().collect();
    let text = &form.iter().find(|(name, _)| name == "text").unwrap().1;
    assert!(text.ends_with(&format!("\n\n@127.0.0.1 #{CODE}")), "{text}");

    // Without a snippet the built-in body is sent; an answer that is no success is a failed attempt.
    t.reconfigure(
        &json!({ "courier": { "http": { "request_config": { "url": format!("{}/busy", gateway.address()), "body": null } } } }),
    );
    let id = queue(&t, mail(ADA, login_code())).await;
    assert_eq!(deliver(&t).await, round(1, 0, 1, 0));
    let told = message(&t, id).await;
    assert!(told["dispatches"][0]["error"]["message"].as_str().unwrap().contains("400"), "{told}");
    let built_in = gateway.received().last().unwrap().json();
    assert_eq!((&built_in["recipient"], &built_in["recovery_code"]), (&json!(ADA), &Value::Null));
    t.clock().advance(Span::minutes(1));
    t.reconfigure(&json!({ "clients": { "http": { "disallow_private_ip_ranges": true } } }));
    assert_eq!(deliver(&t).await, round(1, 0, 1, 0));
    let told = message(&t, id).await;
    assert!(told["dispatches"][0]["error"]["message"].as_str().unwrap().contains("private"), "{told}");
    assert_eq!(gateway.received().len(), 3, "it was not called");
}

#[database_test(sqlite)]
async fn mail_waits_while_there_is_nothing_to_deliver_it(t: Trial) {
    let id = queue(&t, mail(ADA, login_code())).await;
    let text = queue(&t, mail("+49301234567", login_code())).await;
    assert_eq!(deliver(&t).await, round(0, 0, 0, 0));
    assert_eq!(message(&t, id).await["send_count"], 0);
    let server = plain_server(&t, |_| MailReply::Usual).await;
    // Told to stop, a worker gives back what it took.
    let stopped = deliver_due_until(&t.app(), t.now(), || true).await.unwrap();
    assert_eq!((stopped, server.commands().len()), (round(1, 0, 0, 0), 0));
    assert_eq!(deliver(&t).await, round(1, 1, 0, 0), "only the mail: text messages have no gateway");
    assert_eq!(message(&t, text).await["status"], "queued");
    let local = json!({ "clients": { "smtp": { "disallow_private_ip_ranges": true } } });
    t.reconfigure(&local);
    queue(&t, mail(ADA, login_code())).await;
    assert_eq!(deliver(&t).await, round(1, 0, 1, 0), "this machine is no public address");
    assert_eq!(server.mails().len(), 1);
}

/// Every message in both languages, by both channels: the sentences hold what they should.
#[database_test(sqlite)]
async fn every_message_can_be_said(t: Trial) {
    let code = || Secret::new(CODE.to_owned());
    let url = || Secret::new("https://www.example.org/link?token=secret".to_owned());
    let templates = [
        Template::RecoveryCodeValid { code: code() },
        Template::RecoveryCodeInvalid,
        Template::RecoveryValid { url: url() },
        Template::RecoveryInvalid,
        Template::VerificationCodeValid { code: code(), url: url() },
        Template::VerificationCodeInvalid,
        Template::VerificationValid { url: url() },
        Template::VerificationInvalid,
        Template::LoginCodeValid { code: code() },
        Template::RegistrationCodeValid { code: code(), traits: json!({ "email": ADA }) },
        Template::VerifiableAddressChanged { changed_at: t.now() },
    ];
    for template in templates {
        for (lang, minutes) in [(Lang::En, "15 minutes"), (Lang::De, "15 Minuten")] {
            for to in [ADA, "+49301234567"] {
                let name = template.as_str();
                let id = queue(&t, Mail { lang, ..mail(to, template.clone()) }).await;
                let row = t.store().find_message(id).await.unwrap().unwrap();
                let content = open(&t.app(), &row).unwrap();
                let has_code = name.contains("code_valid");
                let has_link = matches!(name, "recovery_valid" | "verification_valid");
                assert_eq!((row.template_type.as_str(), row.channel.as_str()), (name, row.via.as_str()));
                assert_eq!(content.body.contains(CODE), has_code, "{name}: {}", content.body);
                assert_eq!(content.body.contains(minutes), has_code || has_link, "{name}: {}", content.body);
                if to == ADA {
                    let html = content.html_body.unwrap();
                    assert!(!content.subject.is_empty() && html.contains("Keyward"), "{name}");
                    assert_eq!(html.contains(CODE), has_code, "{name}");
                    assert!(content.body.contains(ADA), "{name}: {}", content.body);
                } else {
                    assert!(content.subject.is_empty() && content.html_body.is_none());
                    assert_eq!(content.body.ends_with(&format!("@127.0.0.1 #{CODE}")), has_code, "{name}: {}", content.body);
                }
            }
        }
    }
}
