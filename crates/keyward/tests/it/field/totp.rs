//! Authenticator apps: what they are shown, and which codes of theirs count.

use base64::Engine as _;
use keyward_model::{CredentialType, Span, Time};
use keyward_testkit::{ClientKind, PASSWORD, Trial, database_test, flow_test};
use serde_json::json;

use super::{MARA, code_at, enrol_app, make_codes, second_factors, shown_key, step_up};

/// The text of a QR code in a `data:` address.
fn read_qr(src: &str) -> String {
    let png = base64::engine::general_purpose::STANDARD.decode(src.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let picture = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((picture.color_type, picture.bit_depth), (png::ColorType::Grayscale, png::BitDepth::Eight));
    let (width, height) = (picture.width as usize, picture.height as usize);
    let mut grey = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    let grids = grey.detect_grids();
    assert_eq!(grids.len(), 1, "one code in the picture");
    grids[0].decode().unwrap().1
}

#[flow_test(api, config = second_factors())]
async fn totp_01_an_issuer_with_a_space_has_no_plus(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let flow = mara.init("settings", "").await;
    let text = read_qr(flow.node("totp_qr")["attributes"]["src"].as_str().unwrap());
    assert!(text.starts_with("otpauth://totp/Blue%20Garden:mara%40example.org?"), "{text}");
    assert!(text.contains("issuer=Blue%20Garden") && !text.contains('+'), "{text}");
    assert_eq!(
        text.split(['?', '&']).find_map(|pair| pair.strip_prefix("secret=")),
        Some(shown_key(&flow).base32().reveal().as_str())
    );
}

#[flow_test(config = second_factors())]
async fn totp_03_wrong_code_keeps_the_secret(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let flow = mara.init("settings", "").await;
    let key = shown_key(&flow);
    let right = code_at(&key, t.now());
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let form = mara.submit(&flow, json!({ "method": "totp", "totp_code": wrong })).await.form();
    assert_eq!(form.messages_at("totp_code"), [4_000_008]);
    assert_eq!(form.node("totp_qr")["attributes"], flow.node("totp_qr")["attributes"]);
    for reading in 0..3 {
        if reading == 1 {
            mara.submit(&flow, json!({ "method": "password", "password": "short" })).await.form();
        }
        let again = mara.refetch(&flow).await;
        assert_eq!(again.node("totp_secret_key")["attributes"], flow.node("totp_secret_key")["attributes"]);
        assert_eq!(again.node("totp_qr")["attributes"], flow.node("totp_qr")["attributes"]);
    }
    mara.submit(&flow, json!({ "method": "totp", "totp_code": right })).await.saved();
    assert_eq!(mara.whoami().await["authenticator_assurance_level"], "aal2");
}

/// The codes that come with an app are switched off, so that what can be reached follows the app alone.
#[flow_test(config = json!({ "selfservice": { "methods": { "totp": { "enabled": true } } } }))]
async fn totp_05_enrol_remove_enrol_again_on_one_flow(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let id = mara.id().await;
    let reachable = async || t.snapshot(id).await.factors().totp;
    let flow = mara.init("settings", "").await;
    let first = shown_key(&flow);
    let saved = mara.submit(&flow, json!({ "method": "totp", "totp_code": code_at(&first, t.now()) })).await.saved();
    assert!(saved.find("totp_qr").is_none());
    assert_eq!(reachable().await, 1);
    let saved = mara.submit(&flow, json!({ "totp_unlink": true })).await.saved();
    assert_eq!(reachable().await, 0);
    let second = shown_key(&saved);
    assert_ne!(second.base32(), first.base32());
    assert_eq!(shown_key(&mara.refetch(&flow).await).base32(), second.base32());
    mara.submit(&flow, json!({ "method": "totp", "totp_code": code_at(&second, t.now()) })).await.saved();
    assert_eq!(reachable().await, 1);
}

#[flow_test(config = json!({ "selfservice": { "flows": { "settings": { "lifespan": "5m" } }, "methods": { "totp": { "enabled": true } } } }))]
async fn totp_05_an_expired_flow_gives_way_to_one_whose_secret_works(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let flow = mara.init("settings", "").await;
    t.clock().advance(Span::minutes(5));
    let late = mara.submit(&flow, json!({ "method": "totp", "totp_code": code_at(&shown_key(&flow), t.now()) })).await;
    let fresh = match t.client {
        ClientKind::Browser => late.form(),
        ClientKind::Api | ClientKind::Spa => {
            let body = late.reply.json();
            assert_eq!(body["error"]["code"], 410);
            let reply = mara.fetch("settings", body["use_flow_id"].as_str().unwrap()).await.expect(200);
            keyward_testkit::Flow { kind: "settings".to_owned(), json: reply.json() }
        }
    };
    assert_ne!(shown_key(&fresh).base32(), shown_key(&flow).base32());
    mara.submit(&fresh, json!({ "method": "totp", "totp_code": code_at(&shown_key(&fresh), t.now()) })).await.saved();
}

/// The flow was made while an app was enrolled, which an operator removed since: it has no secret to check a code against.
#[flow_test(config = second_factors())]
async fn totp_05_without_a_pending_secret_the_person_is_told_to_start_over(t: Trial) {
    let mara = t.signed_up(MARA).await;
    enrol_app(&t, &mara).await;
    let flow = mara.init("settings", "").await;
    let path = format!("/admin/identities/{}/credentials/totp", mara.id().await);
    t.admin().call("DELETE", &path).await.expect(204);
    for fields in [json!({ "method": "totp", "totp_code": "123456" }), json!({ "totp_unlink": true })] {
        let form = mara.submit(&flow, fields).await.form();
        assert_eq!(form.all_messages(), [(String::new(), 4_000_001)]);
        let reason = form.json["ui"]["messages"][0]["text"].as_str().unwrap();
        assert!(reason.contains("again"), "{reason}");
    }
    enrol_app(&t, &mara).await;
}

fn around(now: Time, steps: i64) -> Time {
    Time::from_unix(now.unix() + 30 * steps)
}

#[database_test(config = second_factors())]
async fn totp_07_neighbouring_codes_count_at_enrolment_and_at_login(t: Trial) {
    for step in [-2, -1, 0, 1, 2] {
        let email = format!("p{}@example.org", step + 2);
        let mara = t.person();
        mara.sign_up(&email, PASSWORD).await;
        let flow = mara.init("settings", "").await;
        let key = shown_key(&flow);
        let submitted = mara.submit(&flow, json!({ "method": "totp", "totp_code": code_at(&key, around(t.now(), step)) })).await;
        if step.abs() > 1 {
            assert_eq!(submitted.form().messages_at("totp_code"), [4_000_008], "{step}");
            let right = json!({ "method": "totp", "totp_code": code_at(&key, t.now()) });
            mara.submit(&flow, right).await.saved();
        } else {
            submitted.saved();
        }
        t.clock().advance(Span::minutes(10));
        let phone = t.person();
        phone.sign_in(&email, PASSWORD).await;
        let code = code_at(&key, around(t.now(), step));
        let submitted = step_up(&phone, json!({ "method": "totp", "totp_code": code })).await;
        if step.abs() > 1 {
            assert_eq!(submitted.form().messages(), [4_000_008], "{step}");
        } else {
            submitted.done();
            assert_eq!(phone.whoami().await["authenticator_assurance_level"], "aal2");
        }
    }
}

/// Read just before the change, sent just after it.
#[database_test(config = second_factors())]
async fn totp_07_a_code_survives_the_change_of_the_step(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let (key, _) = enrol_app(&t, &mara).await;
    t.clock().advance(Span::from_micros(600_000_000 + 29_900_000));
    let code = code_at(&key, t.now());
    t.clock().advance(Span::from_micros(200_000));
    assert_ne!(code, code_at(&key, t.now()));
    let phone = t.person();
    phone.sign_in(MARA, PASSWORD).await;
    step_up(&phone, json!({ "method": "totp", "totp_code": code })).await.done();
}

/// How somebody can lose a second factor.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Settings,
    Delete,
    Patch,
    Config,
}

/// Whoever has no second factor left is not asked for one, however it went.
#[flow_test(config = second_factors())]
async fn totp_09_the_last_second_factor_gone_is_not_demanded(t: Trial) {
    for (number, loss) in [Loss::Settings, Loss::Delete, Loss::Patch, Loss::Config].into_iter().enumerate() {
        for factor in [CredentialType::Totp, CredentialType::LookupSecret] {
            let email = format!("{}{number}@example.org", factor.as_str());
            let mara = t.person();
            mara.sign_up(&email, PASSWORD).await;
            if factor == CredentialType::Totp {
                enrol_app(&t, &mara).await;
            } else {
                make_codes(&mara).await;
            }
            let id = mara.id().await;
            t.person().sign_in(&email, PASSWORD).await;
            match loss {
                Loss::Settings => {
                    let flow = mara.init("settings", "").await;
                    let button = if factor == CredentialType::Totp { "totp_unlink" } else { "lookup_secret_disable" };
                    mara.submit(&flow, json!({ button: true })).await.saved();
                }
                Loss::Delete => {
                    let path = format!("/admin/identities/{id}/credentials/{}", factor.as_str());
                    t.admin().call("DELETE", &path).await.expect(204);
                }
                Loss::Patch => {
                    let patch = json!([{ "op": "remove", "path": format!("/credentials/{}", factor.as_str()) }]);
                    t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
                }
                Loss::Config => {
                    t.reconfigure(&json!({ "selfservice": { "methods": { factor.as_str(): { "enabled": false } } } }));
                }
            }
            let phone = t.person();
            let submitted = phone.sign_in(&email, PASSWORD).await;
            assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 303 } else { 200 }, "{loss:?} {factor:?}");
            let whoami = phone.try_whoami().await;
            assert_eq!(whoami.status, 200, "{loss:?} {factor:?}: {whoami:?}");
            // Nor is it demanded by what it would protect.
            let flow = phone.init("settings", "").await;
            phone.submit(&flow, json!({ "method": "password", "password": "staple 9 correct elephant" })).await.saved();
            if matches!(loss, Loss::Config) {
                t.reconfigure(&second_factors());
                assert_eq!(phone.try_whoami().await.status, 403, "with the method back the factor counts again");
            }
        }
    }
}

/// Whoever is asked for a second factor is offered one that they have.
#[flow_test(config = second_factors())]
async fn totp_09_whoever_is_asked_is_offered_a_factor(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let codes = make_codes(&mara).await;
    enrol_app(&t, &mara).await;
    for (app, codes_on, expected) in [
        (true, true, vec!["totp_code", "lookup_secret"]),
        (true, false, vec!["totp_code"]),
        (false, true, vec!["lookup_secret"]),
        (false, false, vec![]),
    ] {
        t.reconfigure(
            &json!({ "selfservice": { "methods": { "totp": { "enabled": app }, "lookup_secret": { "enabled": codes_on } } } }),
        );
        let phone = t.person();
        phone.sign_in(MARA, PASSWORD).await;
        assert_eq!(phone.try_whoami().await.status, if expected.is_empty() { 200 } else { 403 }, "{expected:?}");
        let login = phone.init("login", "aal=aal2").await;
        let offered: Vec<_> = login.names().into_iter().filter(|name| ["totp_code", "lookup_secret"].contains(name)).collect();
        assert_eq!(offered, expected);
    }
    // Codes that are used up are no factor any more.
    t.reconfigure(&second_factors());
    let flow = mara.init("settings", "").await;
    mara.submit(&flow, json!({ "totp_unlink": true })).await.saved();
    for code in codes {
        let phone = t.person();
        phone.sign_in(MARA, PASSWORD).await;
        step_up(&phone, json!({ "method": "lookup_secret", "lookup_secret": code })).await.done();
    }
    t.signed_in(MARA).await.whoami().await;
}
