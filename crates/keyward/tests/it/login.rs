//! Signing in.

use keyward_testkit::{ClientKind, PASSWORD, Trial, flow_test};
use serde_json::json;

// cases: L-26
#[flow_test]
async fn right_password(t: Trial) {
    t.signed_up("ada@example.org").await;
    let phone = t.person();
    let submitted = phone.sign_in("ada@example.org", PASSWORD).await;
    let cookie = submitted.reply.set_cookie("ory_kratos_session");
    let done = submitted.done();
    assert_eq!(cookie.is_some(), t.client != ClientKind::Api);
    assert_eq!(phone.token().is_some(), t.client == ClientKind::Api);
    assert_eq!(done.location.is_some(), t.client != ClientKind::Api);

    let session = phone.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal1");
    let methods = session["authentication_methods"].as_array().unwrap();
    assert_eq!(
        methods.iter().map(|entry| (&entry["method"], &entry["aal"])).collect::<Vec<_>>(),
        [(&"password".into(), &"aal1".into())]
    );
}

// cases: L-27
#[flow_test]
async fn wrong_password_and_unknown_person_look_the_same(t: Trial) {
    t.signed_up("ada@example.org").await;
    let stranger = t.person();
    for (email, password) in [("ada@example.org", "wrong horse 7 battery"), ("bob@example.org", PASSWORD)] {
        let form = stranger.sign_in(email, password).await.form();
        assert_eq!(form.all_messages(), [(String::new(), 4_000_006)]);
        assert_eq!(form.value("identifier"), email);
        assert!(form.value("password").is_null());
        stranger.try_whoami().await.expect(401);
    }
}

// cases: L-29
#[flow_test]
async fn case_and_spaces_of_an_identifier_do_not_matter(t: Trial) {
    t.signed_up("ada@example.org").await;
    t.person().sign_in("  ADA@Example.ORG ", PASSWORD).await.done();
}

// cases: L-22
#[flow_test]
async fn an_inactive_person_is_told_so_and_gets_no_session(t: Trial) {
    let credentials = json!({ "password": { "config": { "password": PASSWORD } } });
    let person = json!({ "schema_id": "person", "traits": { "email": "bob@example.org" }, "credentials": credentials });
    let mut inactive = person.clone();
    inactive["state"] = json!("inactive");
    inactive["traits"]["email"] = json!("eve@example.org");
    let (bob, eve) = (t.admin().create(&person).await, t.admin().create(&inactive).await);
    assert_eq!((&bob["state"], &eve["state"]), (&json!("active"), &json!("inactive")));

    let person = t.person();
    person.sign_in("bob@example.org", PASSWORD).await.done();
    assert_eq!(person.id().await.to_string(), bob["id"].as_str().unwrap());
    let other = t.person();
    assert_eq!(other.sign_in("eve@example.org", PASSWORD).await.form().messages(), [4_010_011]);
    other.try_whoami().await.expect(401);
    // Whoever does not know the password does not learn it.
    assert_eq!(other.sign_in("eve@example.org", "wrong horse 7 battery").await.form().messages(), [4_000_006]);
}
