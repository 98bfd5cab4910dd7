//! Backup codes as people copy them.

use keyward_testkit::{PASSWORD, Trial, flow_test};
use serde_json::json;

use super::{MARA, enrol_app, second_factors, shown_codes, step_up};

#[flow_test(config = second_factors())]
async fn codes_01_pasted_with_capitals_dashes_or_spaces(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let (_, saved) = enrol_app(&t, &mara).await;
    let codes = shown_codes(&saved);
    let spell = |code: &str, way: usize| match way {
        0 => code.to_uppercase(),
        1 => format!("{}-{}", &code[..4], &code[4..]),
        2 => format!(" {} {} ", &code[..4], &code[4..]),
        _ => format!("{code}\n"),
    };
    for (way, code) in codes.iter().take(4).enumerate() {
        let phone = t.person();
        phone.sign_in(MARA, PASSWORD).await;
        step_up(&phone, json!({ "method": "lookup_secret", "lookup_secret": spell(code, way) })).await.done();
        assert_eq!(phone.whoami().await["authenticator_assurance_level"], "aal2");
        // Used once, in whatever spelling.
        let tablet = t.person();
        tablet.sign_in(MARA, PASSWORD).await;
        let again = step_up(&tablet, json!({ "method": "lookup_secret", "lookup_secret": spell(code, (way + 1) % 4) })).await;
        assert_eq!(again.form().messages(), [4_000_012], "{way}");
    }
}
