//! The mailbox of a development server: who sees it, and what in it.
//! Over messages put into the outbox as flows do it.
//! What the page looks like is tested where it is drawn.

use http::StatusCode;
use keyward_model::{Clock, Lang, Secret, Span, Via};
use keyward_services::courier::{Mail, Template, enqueue};
use keyward_store::Batch;

use super::*;

const HTML: (&str, &str) = ("accept", "text/html");

#[tokio::test]
async fn messages_are_read_in_development_and_under_the_own_name_only() {
    let app = app(|_| {}).await;
    let mut batch = Batch::new();
    let mail = Mail {
        via: Via::Email,
        to: "ada@example.org",
        template: Template::LoginCodeValid { code: Secret::new("481209".to_owned()) },
        identity: None,
        request_url: BASE,
        transient_payload: None,
        expires_in: Some(Span::minutes(15)),
        lang: Lang::En,
    };
    let id = enqueue(&app, &mail, Still.now(), &mut batch).expect("one address");
    app.store.commit(batch).await.expect("the outbox takes it");
    let router = crate::public_router(crate::app_state(app));

    let page = format!("/ui/mailbox?message={id}");
    let answer = ask(&router, "GET", &page, &[HTML, ("host", "id.test")], "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "private, no-cache, no-store, must-revalidate");
    let shown = text(answer).await;
    for part in ["ada@example.org", "login_code_valid", "481 209", "data-copy=\"481209\"", "sandbox=\"\""] {
        assert!(shown.contains(part), "{part}");
    }

    let answer = ask(&router, "GET", &page, &[HTML, ("host", "evil.example")], "").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(!text(answer).await.contains("481"));
}
