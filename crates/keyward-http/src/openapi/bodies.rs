//! What people submit, one schema for each method of a flow.
//! Named as the official clients name them; bodies may be JSON or a form.
//! Read by the methods of `keyward_selfservice`.

use super::schema::Schema;
use super::schema::Shape::{Flag, Named, Object, Text, Time, Uuid};
use super::schema::{may, must};

pub(super) const SCHEMAS: &[Schema] = &[
    Schema::told_by(
        "updateLoginFlowBody",
        "A submit of a login flow.",
        "method",
        &[
            ("password", "updateLoginFlowWithPasswordMethod"),
            ("code", "updateLoginFlowWithCodeMethod"),
            ("totp", "updateLoginFlowWithTotpMethod"),
            ("passkey", "updateLoginFlowWithPasskeyMethod"),
            ("webauthn", "updateLoginFlowWithWebAuthnMethod"),
            ("lookup_secret", "updateLoginFlowWithLookupSecretMethod"),
        ],
    ),
    Schema::object(
        "createRecoveryCodeForIdentityBody",
        "Whose code, and how long it counts.",
        &[
            must("identity_id", Uuid),
            may("expires_in", Text).says("A duration such as `30m`."),
            may("flow_type", Named("selfServiceFlowType")),
        ],
    ),
    Schema::object(
        "recoveryCodeForIdentity",
        "A code to hand over.",
        &[must("recovery_link", Text).says("The page that takes it."), must("recovery_code", Text), may("expires_at", Time)],
    ),
    Schema::told_by(
        "updateVerificationFlowBody",
        "A submit of a verification flow.",
        "method",
        &[("code", "updateVerificationFlowWithCodeMethod")],
    ),
    Schema::object(
        "updateVerificationFlowWithCodeMethod",
        "Asks for a code, or sends it.",
        &[
            must("method", Text).says("`code`."),
            may("csrf_token", Text),
            may("email", Text).says("Where the code goes; again for another one."),
            may("code", Text),
            may("transient_payload", Object),
        ],
    ),
    Schema::told_by(
        "updateRecoveryFlowBody",
        "A submit of a recovery flow.",
        "method",
        &[("code", "updateRecoveryFlowWithCodeMethod")],
    ),
    Schema::object(
        "updateRecoveryFlowWithCodeMethod",
        "Asks for a code, or sends it.",
        &[
            must("method", Text).says("`code`."),
            may("csrf_token", Text),
            may("email", Text).says("Where the code goes; again for another one."),
            may("code", Text),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateLoginFlowWithPasswordMethod",
        "Signs in with a password.",
        &[
            must("method", Text).says("`password`."),
            may("csrf_token", Text),
            must("identifier", Text),
            may("password_identifier", Text).says("An older name of `identifier`."),
            must("password", Text),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateLoginFlowWithCodeMethod",
        "Asks for a code by mail or text message, and shows it.",
        &[
            must("method", Text).says("`code`; may be left out with `address`."),
            may("csrf_token", Text),
            may("identifier", Text).says("Who is meant, in the first submit."),
            may("address", Text).says("Where the code goes, where the flow offers a choice."),
            may("code", Text).says("What was sent, in the second submit."),
            may("resend", Text).says("`code` has a new code sent."),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateLoginFlowWithTotpMethod",
        "Shows an authenticator app's code.",
        &[
            must("method", Text).says("`totp`."),
            may("csrf_token", Text),
            must("totp_code", Text),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateLoginFlowWithLookupSecretMethod",
        "Uses up a backup code.",
        &[
            must("method", Text).says("`lookup_secret`."),
            may("csrf_token", Text),
            must("lookup_secret", Text),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateLoginFlowWithPasskeyMethod",
        "Signs in with a passkey.",
        &[
            must("method", Text).says("`passkey`."),
            may("csrf_token", Text),
            may("passkey_login", Text).says("The answer of the browser, in JSON."),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateLoginFlowWithWebAuthnMethod",
        "Signs in, or confirms, with a security key.",
        &[
            must("method", Text).says("`webauthn`."),
            may("csrf_token", Text),
            must("identifier", Text),
            may("webauthn_login", Text).says("The answer of the browser, in JSON; without it the flow asks for it."),
            may("transient_payload", Object),
        ],
    ),
    Schema::told_by(
        "updateRegistrationFlowBody",
        "A submit of a registration flow.",
        "method",
        &[
            ("password", "updateRegistrationFlowWithPasswordMethod"),
            ("code", "updateRegistrationFlowWithCodeMethod"),
            ("passkey", "updateRegistrationFlowWithPasskeyMethod"),
            ("webauthn", "updateRegistrationFlowWithWebAuthnMethod"),
        ],
    ),
    Schema::object(
        "updateRegistrationFlowWithCodeMethod",
        "Signs up with a code by mail or text message.",
        &[
            must("method", Text).says("`code`."),
            may("csrf_token", Text),
            must("traits", Object).says("The same in both submits."),
            may("code", Text).says("What was sent, in the second submit."),
            may("resend", Text).says("`code` has a new code sent."),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateRegistrationFlowWithPasskeyMethod",
        "Signs up with a passkey.",
        &[
            must("method", Text).says("`passkey`."),
            may("csrf_token", Text),
            may("passkey_register", Text).says("The answer of the browser, in JSON."),
            must("traits", Object),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateRegistrationFlowWithWebAuthnMethod",
        "Signs up with a security key.",
        &[
            must("method", Text).says("`webauthn`."),
            may("csrf_token", Text),
            may("webauthn_register", Text).says("The answer of the browser, in JSON."),
            may("webauthn_register_displayname", Text).says("What the key is called."),
            must("traits", Object),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateRegistrationFlowWithPasswordMethod",
        "Signs up with a password.",
        &[
            must("method", Text).says("`password`."),
            may("csrf_token", Text),
            must("password", Text),
            must("traits", Object),
            may("transient_payload", Object),
        ],
    ),
    Schema::told_by(
        "updateSettingsFlowBody",
        "A submit of a settings flow.",
        "method",
        &[
            ("profile", "updateSettingsFlowWithProfileMethod"),
            ("password", "updateSettingsFlowWithPasswordMethod"),
            ("totp", "updateSettingsFlowWithTotpMethod"),
            ("passkey", "updateSettingsFlowWithPasskeyMethod"),
            ("webauthn", "updateSettingsFlowWithWebAuthnMethod"),
            ("lookup_secret", "updateSettingsFlowWithLookupMethod"),
        ],
    ),
    Schema::object(
        "updateSettingsFlowWithProfileMethod",
        "Changes traits.",
        &[
            must("method", Text).says("`profile`."),
            may("csrf_token", Text),
            must("traits", Object),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateSettingsFlowWithPasswordMethod",
        "Changes the password.",
        &[
            must("method", Text).says("`password`."),
            may("csrf_token", Text),
            must("password", Text),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateSettingsFlowWithTotpMethod",
        "Adds an authenticator app or removes it.",
        &[
            must("method", Text).says("`totp`."),
            may("csrf_token", Text),
            may("totp_code", Text),
            may("totp_unlink", Flag),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateSettingsFlowWithPasskeyMethod",
        "Adds a passkey, gives it another name, or removes it.",
        &[
            must("method", Text).says("`passkey`."),
            may("csrf_token", Text),
            may("passkey_settings_register", Text).says("The answer of the browser for a new passkey, in JSON."),
            may("passkey_register", Text).says("The same."),
            may("passkey_display_name", Text).says("What a new or renamed passkey is called."),
            may("passkey_rename", Text).says("The id of the passkey that gets another name, in hex."),
            may("passkey_remove", Text).says("The id of the passkey that goes, in hex."),
        ],
    ),
    Schema::object(
        "updateSettingsFlowWithWebAuthnMethod",
        "Adds a security key, gives it another name, or removes it.",
        &[
            must("method", Text).says("`webauthn`."),
            may("csrf_token", Text),
            may("webauthn_register", Text).says("The answer of the browser for a new key, in JSON."),
            may("webauthn_register_displayname", Text).says("What a new or renamed key is called."),
            may("webauthn_rename", Text).says("The id of the key that gets another name, in hex."),
            may("webauthn_remove", Text).says("The id of the key that goes, in hex."),
            may("transient_payload", Object),
        ],
    ),
    Schema::object(
        "updateSettingsFlowWithLookupMethod",
        "Makes backup codes, shows them, or removes them.",
        &[
            must("method", Text).says("`lookup_secret`."),
            may("csrf_token", Text),
            may("lookup_secret_reveal", Flag),
            may("lookup_secret_regenerate", Flag),
            may("lookup_secret_confirm", Flag),
            may("lookup_secret_disable", Flag),
            may("transient_payload", Object),
        ],
    ),
];
