//! Several workers at once: each message is one's alone, none is lost with its worker, and a process of its own does as well.
//! Every test runs on both databases, with a real SMTP server at the other end.
//! What is in a message, and what happens when it is refused, is left to `courier`.

use std::process::Stdio;

use keyward_model::{Span, Time};
use keyward_services::courier::{Mail, deliver_due, enqueue};
use keyward_store::{Batch, MessageFilter, MessageStatus};
use keyward_testkit::{MailReply, MailRules, MailServer, Trial, database_test};

use crate::courier::{ADA, CODE, deliver, login_code, mail, message, plain_server, queue, round};
use crate::operations::process::{Folder, PATIENCE, base, flows, free_ports, keyward};

#[database_test]
async fn workers_together_deliver_each_mail_once(t: Trial) {
    let server = plain_server(&t, |_| MailReply::Usual).await;
    let mut expected = Vec::new();
    let mut batch = Batch::new();
    for number in 0..40 {
        let to = format!("person{number:02}@example.org");
        enqueue(&t.app(), &mail(&to, login_code()), t.now(), &mut batch).unwrap();
        expected.push(to);
    }
    t.store().commit(batch).await.unwrap();
    let mut nodes = Vec::new();
    for _ in 0..4 {
        let (app, now) = (t.app(), t.now());
        nodes.push(tokio::spawn(async move { while deliver_due(&app, now).await.unwrap().taken > 0 {} }));
    }
    for node in nodes {
        node.await.unwrap();
    }
    let mut arrived: Vec<String> = server.mails().into_iter().flat_map(|mail| mail.to).collect();
    arrived.sort();
    assert_eq!(arrived, expected);
    let left = t.store().list_messages(&MessageFilter { status: Some(MessageStatus::Sent), recipient: None }, None, 100).await;
    assert_eq!(left.unwrap().len(), 40);
}

#[database_test]
async fn a_worker_that_dies_loses_nothing(t: Trial) {
    let server = plain_server(&t, |_| MailReply::Usual).await;
    let id = queue(&t, mail(ADA, login_code())).await;
    let lease = t.now() + Span::minutes(1);
    // It took the mail and died; another one died in the middle of an attempt.
    assert_eq!(t.store().claim_messages(t.now(), lease, None, 10).await.unwrap().len(), 1);
    assert_eq!(deliver(&t).await, round(0, 0, 0, 0), "the lease is alive");
    let mut batch = Batch::new();
    batch.begin_delivery(id, lease, lease + Span::seconds(30), t.now());
    t.store().commit(batch).await.unwrap();
    t.clock().advance(Span::seconds(89));
    assert_eq!(deliver(&t).await, round(0, 0, 0, 0), "the lease was renewed");
    t.clock().advance(Span::seconds(1));
    assert_eq!(deliver(&t).await, round(1, 1, 0, 0));
    assert_eq!(server.mails().len(), 1);
    assert_eq!(message(&t, id).await["send_count"], 2);

    // Whoever comes back too late changes nothing.
    let late = queue(&t, mail(ADA, login_code())).await;
    let first = t.now() + Span::seconds(10);
    t.store().claim_messages(t.now(), first, None, 10).await.unwrap();
    t.clock().advance(Span::seconds(10));
    t.store().claim_messages(t.now(), t.now() + Span::minutes(1), None, 10).await.unwrap();
    let mut batch = Batch::new();
    batch.abandon_message(late, first, t.now());
    batch.retry_message(late, first, t.now(), t.now());
    t.store().commit(batch).await.unwrap();
    assert_eq!(message(&t, late).await["status"], "processing");
    let mut batch = Batch::new();
    batch.begin_delivery(late, first, first, t.now());
    assert!(t.store().commit(batch).await.is_err());

    // A worker whose last attempt never ended does not get another one.
    for _ in 0..6 {
        t.clock().advance(Span::minutes(2));
        let lease = t.now() + Span::minutes(1);
        t.store().claim_messages(t.now(), lease, None, 10).await.unwrap();
        let mut batch = Batch::new();
        batch.begin_delivery(late, lease, lease, t.now());
        t.store().commit(batch).await.unwrap();
    }
    t.clock().advance(Span::minutes(2));
    assert_eq!(deliver(&t).await, round(1, 0, 0, 1));
    assert_eq!(server.mails().len(), 1);
}

/// `keyward courier watch` delivers from a process of its own, and its log holds neither codes nor passwords nor addresses.
#[database_test]
async fn a_process_of_its_own_delivers_and_keeps_secrets(t: Trial) {
    // A server that repeats what it was told when it refuses.
    let refused = std::sync::atomic::AtomicBool::new(false);
    let reply = move |line: &str| {
        let first = line.starts_with("AUTH") && !refused.swap(true, std::sync::atomic::Ordering::SeqCst);
        if first { MailReply::Say(format!("535 wrong: CANARY-password {line} {CODE}")) } else { MailReply::Usual }
    };
    let server = MailServer::start(MailRules { reply: Box::new(reply), auth: "PLAIN", ..MailRules::default() }).await;
    // The process has the clock of this machine, so the mail has waited since long ago.
    let mut batch = Batch::new();
    for to in [ADA, "bob@example.org"] {
        let mail = Mail { expires_in: None, ..mail(to, login_code()) };
        enqueue(&t.app(), &mail, Time::from_unix(1_000_000), &mut batch).unwrap();
    }
    t.store().commit(batch).await.unwrap();
    let folder = Folder::new();
    let own = base(&folder, free_ports());
    let (_, rest) = own.split_once('\n').unwrap();
    let uri = format!("smtp://mailer:CANARY-password@127.0.0.1:{}/?disable_starttls=true", server.port());
    let text = format!("dsn: \"{}\"\n{rest}{}courier: {{smtp: {{connection_uri: \"{uri}\"}}}}\n", t.dsn(), flows(10));
    folder.write("keyward.yml", &text);
    let log = folder.path("log");
    let mut command = keyward(&folder, &["courier", "watch", "--dev", "-c", "keyward.yml"]);
    let mut child = command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let arrived = tokio::time::timeout(PATIENCE, server.wait_for(2)).await;
    let status = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(arrived.is_ok() && status.success() && ended.success(), "{ended}: {log}");
    assert!(log.contains("A message could not be delivered") && log.contains("535"), "{log}");
    for secret in ["CANARY", CODE, ADA, "bob@", "bWFpbGVy"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    let told: Vec<_> = t.mails_to(ADA).await.into_iter().chain(t.mails_to("bob@example.org").await).collect();
    assert!(told.iter().all(|mailed| mailed.status == "sent"), "{told:?}");
}
