//! Verification flows that other flows begin: after signing up, after a change of address, and around signing in.
//! Each test names the acceptance cases that it proves.
//! How a code is asked for and typed is left to `verification`.

use keyward_model::Span;
use keyward_testkit::{APP, Actor, ClientKind, Flow, PASSWORD, Said, Submitted, Trial, flow_test, merge, parameter, schema_url};
use serde_json::{Value, json};

use crate::mail::{code_in, latest_code, mails_to};
use crate::second_factor::EMAIL;
use crate::verification::enabled;

pub(crate) const NEW: &str = "countess@example.org";

/// With these hooks after a method of a flow.
pub(crate) fn hooked(flow: &str, method: &str, hooks: &[&str]) -> Value {
    let hooks: Vec<_> = hooks.iter().map(|hook| json!({ "hook": hook })).collect();
    let mut config = enabled();
    merge(&mut config, &json!({ "selfservice": { "flows": { flow: { "after": { method: { "hooks": hooks } } } } } }));
    config
}

/// People with two addresses and a phone number.
pub(crate) fn reachable() -> Value {
    let verified = |via: &str| json!({ "type": "string", "ory.sh/kratos": { "verification": { "via": via } } });
    let mut email = verified("email");
    email["ory.sh/kratos"]["credentials"] = json!({ "password": { "identifier": true } });
    let mut phone = verified("sms");
    phone["format"] = "tel".into();
    let schema = json!({
        "$id": "https://schemas.invalid/reachable.json",
        "type": "object",
        "properties": { "traits": {
            "type": "object",
            "properties": { "email": email, "second": verified("email"), "phone": phone, "nickname": { "type": "string" } },
            "required": ["email"],
            "additionalProperties": false,
        } },
    });
    let mut config = enabled();
    merge(&mut config, &json!({ "identity": { "schemas": [{ "id": "person", "url": schema_url(&schema) }] } }));
    config
}

/// Signs up with these traits.
pub(crate) async fn sign_up(person: &Actor, query: &str, traits: Value) -> Submitted {
    let flow = person.init("registration", query).await;
    person.submit(&flow, json!({ "method": "password", "password": PASSWORD, "traits": traits })).await
}

/// The verification flow that the latest message to an address is about.
pub(crate) async fn flow_of(t: &Trial, address: &str) -> String {
    let mails = mails_to(t, address).await;
    let data = &mails.first().expect("a message").content.as_ref().expect("a message that can be opened").template_data;
    parameter(data["verification_url"].as_str().expect("a link"), "flow").expect("a flow")
}

/// Reads a verification flow.
pub(crate) async fn read(person: &Actor, id: &str) -> Flow {
    Flow { kind: "verification".to_owned(), json: person.fetch("verification", id).await.expect(200).json() }
}

/// What the answer goes on with; nothing for browsers.
pub(crate) fn actions(submitted: &Submitted) -> Vec<String> {
    let Said::Done(done) = &submitted.said else { panic!("not done: {submitted:#?}") };
    let items = done.body["continue_with"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["action"].as_str().unwrap().to_owned()).collect()
}

/// The flows to verify that an answer names.
pub(crate) fn verifications(body: &Value) -> Vec<Value> {
    let items = body["continue_with"].as_array().into_iter().flatten();
    items.filter(|item| item["action"] == "show_verification_ui").map(|item| item["flow"].clone()).collect()
}

pub(crate) fn page(id: &str) -> String {
    format!("http://127.0.0.1:4455/verification?flow={id}")
}

/// The addresses of an account with their progress.
pub(crate) async fn addresses(t: &Trial, person: &Actor) -> Vec<(String, String)> {
    let identity = t.admin().identity(person.id().await).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    identity["verifiable_addresses"].as_array().unwrap().iter().map(|one| (text(&one["value"]), text(&one["status"]))).collect()
}

pub(crate) fn status(address: &str, status: &str) -> (String, String) {
    (address.to_owned(), status.to_owned())
}

#[flow_test(config = enabled())]
async fn whoever_signs_up_gets_a_code(t: Trial) {
    let ada = t.person();
    let submitted = sign_up(&ada, "", json!({ "email": EMAIL })).await;
    let expected: &[&str] = match t.client {
        ClientKind::Browser => &[],
        ClientKind::Spa => &["redirect_browser_to"],
        ClientKind::Api => &["set_ory_session_token"],
    };
    assert_eq!(actions(&submitted), expected, "nobody is led to the page unless the operator wants it");
    let done = submitted.done();
    let [mail] = &mails_to(&t, EMAIL).await[..] else { panic!("one message") };
    assert_eq!(mail.row.template_type, "verification_code_valid");
    let id = flow_of(&t, EMAIL).await;
    match t.client {
        ClientKind::Browser => assert_eq!(done.location.as_deref(), Some("http://127.0.0.1:4456/")),
        ClientKind::Spa => {
            assert_eq!(done.body["identity"]["verifiable_addresses"][0]["status"], "sent");
            assert_eq!(done.body["session"]["identity"]["verifiable_addresses"][0]["status"], "sent");
        }
        ClientKind::Api => {}
    }
    assert_eq!(addresses(&t, &ada).await, [status(EMAIL, "sent")]);

    // The flow is this person's, although their CSRF cookie changed as they were signed in.
    let flow = read(&ada, &id).await;
    assert_eq!((flow.state().as_str(), flow.messages(), &flow.json["active"]), ("sent_email", vec![1_080_003], &json!("code")));
    assert_eq!(flow.value("email"), EMAIL);
    if t.client != ClientKind::Api {
        t.person().fetch("verification", &id).await.expect(403);
    }
    let passed = ada.submit(&flow, json!({ "method": "code", "code": code_in(mail) })).await.form();
    assert_eq!((passed.state().as_str(), passed.messages()), ("passed_challenge", vec![1_080_002]));
    assert_eq!(addresses(&t, &ada).await, [status(EMAIL, "completed")]);
}

#[flow_test(config = hooked("registration", "password", &[]))]
async fn nobody_has_to_be_signed_in_for_it(t: Trial) {
    let ada = t.person();
    let submitted = sign_up(&ada, "", json!({ "email": EMAIL })).await;
    ada.try_whoami().await.expect(401);
    let id = flow_of(&t, EMAIL).await;
    assert!(verifications(&submitted.done().body).is_empty());
    let flow = read(&ada, &id).await;
    // One more of the same kind, by the button of the page.
    t.clock().advance(Span::seconds(1));
    let again = ada.submit(&flow, json!({ "method": "code", "email": flow.value("email") })).await.form();
    assert_eq!((again.state().as_str(), mails_to(&t, EMAIL).await.len()), ("sent_email", 2));
    let code = latest_code(&t, EMAIL).await;
    assert_eq!(ada.submit(&again, json!({ "method": "code", "code": code })).await.form().state(), "passed_challenge");
}

#[flow_test(config = enabled())]
async fn the_older_way_names_the_flow_always(t: Trial) {
    t.reconfigure(&json!({ "feature_flags": { "legacy_continue_with_verification_ui": true } }));
    let done = sign_up(&t.person(), "", json!({ "email": EMAIL })).await.done();
    let id = flow_of(&t, EMAIL).await;
    match t.client {
        ClientKind::Browser => {}
        ClientKind::Spa => {
            assert_eq!(verifications(&done.body), [json!({ "id": id, "verifiable_address": EMAIL, "url": page(&id) })]);
        }
        ClientKind::Api => assert_eq!(verifications(&done.body), [json!({ "id": id, "verifiable_address": EMAIL })]),
    }
}

#[flow_test(config = enabled())]
async fn an_account_that_is_not_made_sends_nothing(t: Trial) {
    t.signed_up(EMAIL).await;
    let form = sign_up(&t.person(), "", json!({ "email": EMAIL })).await.form();
    assert_eq!(form.messages(), [4_000_007]);
    assert_eq!(mails_to(&t, EMAIL).await.len(), 1);
}

// cases: L-70
#[flow_test(config = hooked("registration", "password", &["session", "show_verification_ui"]))]
async fn the_page_can_follow_at_once(t: Trial) {
    let ada = t.person();
    let submitted = sign_up(&ada, "", json!({ "email": EMAIL })).await;
    match t.client {
        ClientKind::Browser => {
            assert_eq!(submitted.reply.status, 303);
            let shown = submitted.form();
            assert_eq!((shown.state().as_str(), shown.id()), ("sent_email", flow_of(&t, EMAIL).await));
        }
        ClientKind::Spa => {
            assert_eq!(actions(&submitted), ["redirect_browser_to", "show_verification_ui"]);
            let done = submitted.done();
            assert_eq!(done.location.as_deref(), Some("http://127.0.0.1:4456/"));
        }
        ClientKind::Api => assert_eq!(actions(&submitted), ["show_verification_ui", "set_ory_session_token"]),
    }
    ada.whoami().await;
}

// cases: R-43
#[flow_test(config = enabled())]
async fn where_to_go_after_it_is_asked_for_at_sign_up(t: Trial) {
    let ada = t.person();
    let back = |path: &str| format!("http%3A%2F%2F127.0.0.1%3A4456%2F{path}");
    let query = format!("return_to={}&after_verification_return_to={}", back("first"), back("then"));
    let done = sign_up(&ada, &query, json!({ "email": EMAIL })).await.done();
    if t.client != ClientKind::Api {
        assert_eq!(done.location, Some(format!("{APP}/first")));
    }
    let flow = read(&ada, &flow_of(&t, EMAIL).await).await;
    assert_eq!(flow.json["return_to"], format!("{APP}/then"));
    let url = flow.json["request_url"].as_str().unwrap();
    assert!(url.contains("/self-service/registration/") && parameter(url, "after_verification_return_to").is_none(), "{url}");
    let passed = ada.submit(&flow, json!({ "method": "code", "code": latest_code(&t, EMAIL).await })).await.form();
    assert_eq!(passed.node("continue")["attributes"]["href"], format!("{APP}/then"));
    // One that is not allowed leads nowhere else than nothing.
    let eve = t.person();
    sign_up(&eve, "after_verification_return_to=https%3A%2F%2Fevil.example%2F", json!({ "email": NEW })).await.done();
    let flow = read(&eve, &flow_of(&t, NEW).await).await;
    let passed = eve.submit(&flow, json!({ "method": "code", "code": latest_code(&t, NEW).await })).await.form();
    assert_eq!(passed.node("continue")["attributes"]["href"], format!("{APP}/"));
}

// cases: R-45
#[flow_test(config = reachable())]
async fn of_several_addresses_the_first_is_asked_about(t: Trial) {
    let ada = t.person();
    let submitted = sign_up(&ada, "", json!({ "email": EMAIL, "second": NEW })).await;
    submitted.done();
    assert_eq!((mails_to(&t, EMAIL).await.len(), mails_to(&t, NEW).await.len()), (1, 0));
    assert_eq!(addresses(&t, &ada).await, [status(EMAIL, "sent"), status(NEW, "pending")]);

    t.reconfigure(&json!({ "feature_flags": { "legacy_continue_with_verification_ui": true } }));
    let grace = t.person();
    let submitted = sign_up(&grace, "", json!({ "email": "g@example.org", "second": "h@example.org" })).await;
    if t.client != ClientKind::Browser {
        let asked: Vec<_> = verifications(&submitted.done().body).iter().map(|flow| flow["verifiable_address"].clone()).collect();
        assert_eq!(asked, ["g@example.org", "h@example.org"]);
    }
    assert_eq!((mails_to(&t, "g@example.org").await.len(), mails_to(&t, "h@example.org").await.len()), (1, 1));
    assert_eq!(addresses(&t, &grace).await, [status("g@example.org", "sent"), status("h@example.org", "sent")]);
}

#[flow_test(config = enabled())]
async fn a_mailbox_that_got_enough_keeps_nobody_from_signing_up_or_changing(t: Trial) {
    for _ in 0..5 {
        let stranger = t.person();
        let flow = stranger.init("verification", "").await;
        stranger.submit(&flow, json!({ "method": "code", "email": EMAIL })).await.form();
    }
    // What strangers ask for counts apart.
    let ada = t.person();
    sign_up(&ada, "", json!({ "email": EMAIL })).await.done();
    assert_eq!(mails_to(&t, EMAIL).await.len(), 1);
    for _ in 0..6 {
        for address in [NEW, EMAIL] {
            let settings = ada.init("settings", "").await;
            ada.submit(&settings, json!({ "method": "profile", "traits": { "email": address } })).await.saved();
        }
    }
    assert_eq!((mails_to(&t, EMAIL).await.len(), mails_to(&t, NEW).await.len()), (5, 5));
    assert_eq!(addresses(&t, &ada).await, [status(EMAIL, "pending")]);
    // Whoever was not written to can ask for it.
    t.clock().advance(Span::minutes(10));
    let flow = ada.init("verification", "").await;
    let sent = ada.submit(&flow, json!({ "method": "code", "email": EMAIL })).await.form();
    assert_eq!((sent.state().as_str(), mails_to(&t, EMAIL).await.len()), ("sent_email", 6));
}

// cases: S-56
#[flow_test(config = enabled())]
async fn a_changed_address_gets_a_code(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let query = "after_verification_return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fthen";
    let settings = ada.init("settings", query).await;
    let submitted = ada.submit(&settings, json!({ "method": "profile", "traits": { "email": NEW } })).await;
    let expected: &[&str] = match t.client {
        ClientKind::Browser => &[],
        ClientKind::Spa => &["show_verification_ui", "redirect_browser_to"],
        ClientKind::Api => &["show_verification_ui"],
    };
    assert_eq!(actions(&submitted), expected);
    let id = flow_of(&t, NEW).await;
    let done = submitted.done();
    match t.client {
        ClientKind::Browser => assert!(done.location.unwrap().starts_with("http://127.0.0.1:4455/settings?flow=")),
        _ => {
            assert_eq!(verifications(&done.body)[0]["id"], id.as_str());
            assert_eq!(done.body["identity"]["verifiable_addresses"][0]["status"], "sent");
        }
    }
    assert_eq!(addresses(&t, &ada).await, [status(NEW, "sent")]);
    let flow = read(&ada, &id).await;
    let passed = ada.submit(&flow, json!({ "method": "code", "code": latest_code(&t, NEW).await })).await.form();
    assert_eq!(passed.node("continue")["attributes"]["href"], format!("{APP}/then"));
    assert_eq!(addresses(&t, &ada).await, [status(NEW, "completed")]);
    // Nothing waits any more, so nothing is sent with the next change.
    let submitted = ada.submit(&settings, json!({ "method": "profile", "traits": { "email": NEW, "age": 36 } })).await;
    assert!(verifications(&submitted.done().body).is_empty());
    assert_eq!(mails_to(&t, NEW).await.len(), 1);
}

#[flow_test(config = hooked("settings", "password", &["verify"]))]
async fn any_change_sends_what_was_never_sent(t: Trial) {
    t.admin().create_person(EMAIL).await;
    let ada = t.signed_in(EMAIL).await;
    assert!(mails_to(&t, EMAIL).await.is_empty());
    let settings = ada.init("settings", "").await;
    let submitted = ada.submit(&settings, json!({ "method": "password", "password": "another horse 9 battery" })).await;
    assert_eq!(mails_to(&t, EMAIL).await.len(), 1, "once, though the hook stands in the list as well");
    if t.client != ClientKind::Browser {
        assert_eq!(verifications(&submitted.done().body).len(), 1);
    }
    assert_eq!(addresses(&t, &ada).await, [status(EMAIL, "sent")]);
}

#[flow_test(config = hooked("settings", "password", &["verify"]))]
async fn switched_off_nothing_is_sent(t: Trial) {
    t.reconfigure(&json!({ "selfservice": { "flows": { "verification": { "enabled": false } } } }));
    let ada = t.signed_up(EMAIL).await;
    let settings = ada.init("settings", "").await;
    ada.submit(&settings, json!({ "method": "profile", "traits": { "email": NEW } })).await.saved();
    ada.submit(&settings, json!({ "method": "password", "password": "another horse 9 battery" })).await.saved();
    assert!(mails_to(&t, EMAIL).await.is_empty() && mails_to(&t, NEW).await.is_empty());
    assert_eq!(addresses(&t, &ada).await, [status(NEW, "pending")]);
}

#[flow_test(config = hooked("login", "password", &["verification", "show_verification_ui"]))]
async fn signing_in_can_send_a_code(t: Trial) {
    t.admin().create_person(EMAIL).await;
    let ada = t.person();
    let submitted = ada.sign_in(EMAIL, PASSWORD).await;
    let id = flow_of(&t, EMAIL).await;
    match t.client {
        ClientKind::Browser => assert_eq!(submitted.form().id(), id),
        ClientKind::Spa => assert_eq!(actions(&submitted), ["redirect_browser_to", "show_verification_ui"]),
        ClientKind::Api => assert_eq!(actions(&submitted), ["show_verification_ui"]),
    }
    let session = ada.whoami().await;
    assert_eq!(session["identity"]["verifiable_addresses"][0]["status"], "sent");
    let flow = read(&ada, &id).await;
    let code = latest_code(&t, EMAIL).await;
    assert_eq!(ada.submit(&flow, json!({ "method": "code", "code": code })).await.form().state(), "passed_challenge");
    let again = t.person();
    assert!(again.sign_in(EMAIL, PASSWORD).await.is_done());
    assert_eq!(mails_to(&t, EMAIL).await.len(), 1);
}

/// The flow to which somebody is led who may not sign in yet.
fn kept_out(t: &Trial, submitted: Submitted) -> String {
    if t.client == ClientKind::Browser {
        assert_eq!(submitted.reply.status, 303);
        return submitted.form().id();
    }
    assert_eq!(submitted.reply.error_id(), "session_verified_address_required");
    let error = submitted.problem(403);
    let [flow] = &verifications(&error["details"])[..] else { panic!("one flow: {error:#}") };
    let id = flow["id"].as_str().unwrap().to_owned();
    let url = (t.client == ClientKind::Spa).then(|| json!(page(&id)));
    assert_eq!((&flow["verifiable_address"], flow.get("url")), (&json!(EMAIL), url.as_ref()));
    id
}

// cases: R-67
#[flow_test(config = hooked("login", "password", &["require_verified_address"]))]
async fn nobody_signs_in_with_unverified_addresses(t: Trial) {
    t.admin().create_person(EMAIL).await;
    let ada = t.person();
    ada.sign_in(EMAIL, "not the password 7").await.form();
    assert!(mails_to(&t, EMAIL).await.is_empty(), "only who proved it causes a message");
    let id = kept_out(&t, ada.sign_in(EMAIL, PASSWORD).await);
    ada.try_whoami().await.expect(401);
    assert_eq!(id, flow_of(&t, EMAIL).await);
    let flow = read(&ada, &id).await;
    let code = latest_code(&t, EMAIL).await;
    assert_eq!(ada.submit(&flow, json!({ "method": "code", "code": code })).await.form().state(), "passed_challenge");
    ada.sign_in(EMAIL, PASSWORD).await.done();
    ada.whoami().await;
    assert_eq!(mails_to(&t, EMAIL).await.len(), 1);
}

// cases: R-67
#[flow_test(config = {
    let schema = json!({
        "$id": "https://schemas.invalid/named.json",
        "type": "object",
        "properties": { "traits": {
            "type": "object",
            "properties": { "name": {
                "type": "string", "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } },
            } },
        } },
    });
    let mut config = hooked("login", "password", &["require_verified_address"]);
    merge(&mut config, &json!({ "identity": { "schemas": [{ "id": "person", "url": schema_url(&schema) }] } }));
    config
})]
async fn without_any_address_that_is_the_operators_mistake(t: Trial) {
    let password = json!({ "config": { "password": PASSWORD } });
    let ada = json!({ "schema_id": "person", "traits": { "name": "ada" }, "credentials": { "password": password } });
    t.admin().create(&ada).await;
    let error = t.person().sign_in("ada", PASSWORD).await.problem(500);
    assert_eq!(error["id"], "invalid_configuration");
}

#[flow_test(config = hooked("login", "password", &["require_verified_address"]))]
async fn the_older_way_is_a_message_on_the_form(t: Trial) {
    t.admin().create_person(EMAIL).await;
    for patch in [
        json!({ "feature_flags": { "legacy_require_verified_login_error": true } }),
        json!({
            "feature_flags": { "legacy_require_verified_login_error": false },
            // Nothing can be confirmed, so there is nowhere to lead to.
            "selfservice": { "flows": { "verification": { "enabled": false } } },
        }),
    ] {
        t.reconfigure(&patch);
        let ada = t.person();
        let submitted = ada.sign_in(EMAIL, PASSWORD).await;
        assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 303 } else { 400 });
        assert_eq!(submitted.form().messages(), [4_000_010]);
        ada.try_whoami().await.expect(401);
    }
    assert!(mails_to(&t, EMAIL).await.is_empty());
}

pub(crate) async fn type_code(t: &Trial, person: &Actor, flow: &Flow, address: &str) -> Submitted {
    let code = latest_code(t, address).await;
    person.submit(flow, json!({ "method": "code", "code": code })).await
}

/// What was sent to an address about a change.
pub(crate) async fn told(t: &Trial, address: &str) -> usize {
    mails_to(t, address).await.iter().filter(|mail| mail.row.template_type == "verifiable_address_changed").count()
}

// cases: R-54, S-124
#[flow_test(config = {
    let mut config = reachable();
    merge(&mut config, &json!({ "selfservice": { "flows": {
        "verification": { "enabled": false },
        "settings": { "after": { "profile": { "hooks": [{ "hook": "notify_previous_addresses" }] } } },
    } } }));
    config
})]
async fn earlier_addresses_are_told_of_a_change(t: Trial) {
    for (recipients, first_is_told, second_is_told) in
        [(json!({}), 1, 0), (json!({ "recipients": "all_verified" }), 0, 1), (json!({ "recipients": "all" }), 1, 1)]
    {
        let hooks = json!([{ "hook": "notify_previous_addresses", "config": recipients }]);
        t.reconfigure(&json!({ "selfservice": { "flows": { "settings": { "after": { "profile": { "hooks": hooks } } } } } }));
        let way = recipients["recipients"].as_str().unwrap_or("removed").replace('_', "-");
        let [first, second, new] = ["first", "second", "new"].map(|name| format!("{name}.{way}@example.org"));
        let ada = t.person();
        sign_up(&ada, "", json!({ "email": first, "second": second })).await.done();
        // The second one is confirmed, and stays.
        let id = ada.id().await;
        let proof = json!([{ "op": "replace", "path": "/verifiable_addresses/1/verified", "value": true }]);
        t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&proof).await.expect(200);
        let settings = ada.init("settings", "").await;
        let change = async |traits: Value| {
            ada.submit(&settings, json!({ "method": "profile", "traits": traits })).await.saved();
        };
        // Nothing but a status, or another trait, was changed.
        change(json!({ "email": first, "second": second, "nickname": "Countess" })).await;
        assert_eq!((told(&t, &first).await, told(&t, &second).await), (0, 0), "{way}");
        change(json!({ "email": new, "second": second })).await;
        assert_eq!(
            (told(&t, &first).await, told(&t, &second).await, told(&t, &new).await),
            (first_is_told, second_is_told, 0),
            "{way}"
        );
    }
}

// cases: R-53
#[flow_test(config = reachable())]
async fn a_phone_number_gets_a_text_message(t: Trial) {
    let ada = t.person();
    let phone = "+4915112345678";
    sign_up(&ada, "", json!({ "email": EMAIL })).await.done();
    t.clock().advance(Span::seconds(1));
    let settings = ada.init("settings", "").await;
    ada.submit(&settings, json!({ "method": "profile", "traits": { "email": EMAIL, "phone": phone } })).await.saved();
    assert_eq!(mails_to(&t, phone).await.len(), 1);
    // Text messages have no link; the audit log knows the flow.
    let asked = t.audit().await.into_iter().find(|event| event.kind == "verification_requested").expect("an event");
    let flow = read(&ada, &asked.flow_id.expect("a flow").to_string()).await;
    assert_eq!((flow.messages(), flow.value("sms")), (vec![1_080_004], json!(phone)));
    t.clock().advance(Span::seconds(1));
    let again = ada.submit(&flow, json!({ "method": "code", "sms": phone })).await.form();
    assert_eq!((again.messages(), mails_to(&t, phone).await.len()), (vec![1_080_004], 2));
    let code = latest_code(&t, phone).await;
    let passed = ada.submit(&again, json!({ "method": "code", "code": code })).await.form();
    assert_eq!(passed.messages(), [1_080_005]);
    assert!(addresses(&t, &ada).await.contains(&status(phone, "completed")));
}

#[flow_test(config = enabled())]
async fn a_code_to_an_address_that_is_gone_proves_nothing(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = read(&ada, &flow_of(&t, EMAIL).await).await;
    t.clock().advance(Span::seconds(1));
    let settings = ada.init("settings", "").await;
    ada.submit(&settings, json!({ "method": "profile", "traits": { "email": NEW } })).await.saved();
    assert_eq!(type_code(&t, &ada, &flow, EMAIL).await.form().messages(), [4_070_006]);
    assert_eq!(addresses(&t, &ada).await, [status(NEW, "sent")]);
}
