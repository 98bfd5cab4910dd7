//! A change is written as a whole or not at all.

use keyward_model::Span;
use keyward_testkit::{ClientKind, PASSWORD, Trial, flow_test};
use serde_json::json;

/// The database fails at every statement of the change in turn; nothing of it may stay.
// cases: S-36
#[flow_test]
async fn a_change_that_fails_anywhere_leaves_no_trace(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let id = ada.id().await;
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "profile", "traits": { "email": "lovelace@example.org", "nickname": "Ada" } });
    let mut statement = 0;
    loop {
        let before = (t.snapshot(id).await, ada.refetch(&flow).await.state(), t.audit().await);
        t.faults().fail_at(statement);
        let submitted = ada.submit(&flow, fields.clone()).await;
        if submitted.is_done() {
            break;
        }
        submitted.problem(500);
        let after = (t.snapshot(id).await, ada.refetch(&flow).await.state(), t.audit().await);
        assert_eq!(before, after, "statement {statement} left a trace");
        t.clock().advance(Span::seconds(1));
        statement += 1;
    }
    // At least the identity, its identifier and its addresses, the flow and the audit event.
    assert!(statement > 5, "only {statement} places could fail");
    assert_eq!(ada.refetch(&flow).await.value("traits.email"), "lovelace@example.org");
    t.person_as(ClientKind::Api).sign_in("lovelace@example.org", PASSWORD).await.done();
}
