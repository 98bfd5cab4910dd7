//! Identities and identity schemas, as answers show them and as operators send them.
//! Named as the official clients name them.
//! Written by `keyward_model::WireIdentity`, read by [`keyward_services::admin`].

use super::schema::Schema;
use super::schema::Shape::{Any, Flag, List, Map, Named, Number, Object, OrNull, Text, Time, Uuid};
use super::schema::{may, must};

pub(super) const SCHEMAS: &[Schema] = &[
    Schema::object(
        "identity",
        "An account.",
        &[
            must("id", Uuid),
            may("external_id", Text).says("The operator's own id."),
            may("credentials", Map(&Named("identityCredentials"))).says("By type; only the admin port shows any."),
            must("schema_id", Text),
            must("schema_url", Text),
            may("state", Named("identityState")),
            may("state_changed_at", Time),
            must("traits", Any).says("What the identity schema says."),
            may("verifiable_addresses", List(&Named("verifiableIdentityAddress"))),
            may("recovery_addresses", List(&Named("recoveryIdentityAddress"))),
            may("metadata_public", Any),
            may("metadata_admin", Any).says("Only the admin port shows it."),
            may("created_at", Time),
            may("updated_at", Time),
            may("organization_id", Uuid),
            may("region", Text).says("Only in the answer to a request that names one."),
        ],
    ),
    Schema::words("identityState", "Whether an account can be used.", &["active", "inactive"]),
    Schema::object(
        "identityCredentials",
        "Something that somebody signs in with.",
        &[
            may("type", Text),
            may("identifiers", List(&Text)),
            may("config", Object).says("Shown when `include_credential` asks for it."),
            may("version", Number),
            may("created_at", Time),
            may("updated_at", Time),
        ],
    ),
    Schema::object(
        "verifiableIdentityAddress",
        "An address that can be proved.",
        &[
            may("id", Uuid),
            must("value", Text),
            must("verified", Flag),
            must("via", Text).says("`email` or `sms`."),
            must("status", Text).says("`pending`, `sent` or `completed`."),
            may("verified_at", Time),
            may("created_at", Time),
            may("updated_at", Time),
        ],
    ),
    Schema::object(
        "recoveryIdentityAddress",
        "An address that an account can be recovered with.",
        &[
            must("id", Uuid),
            must("value", Text),
            must("via", Text).says("`email` or `sms`."),
            may("created_at", Time),
            may("updated_at", Time),
        ],
    ),
    Schema::object(
        "createIdentityBody",
        "A new account.",
        &[
            may("schema_id", Text).says("The default schema when it is missing or empty."),
            must("traits", Object),
            may("credentials", Named("identityWithCredentials")),
            may("verifiable_addresses", List(&Named("verifiableIdentityAddress"))),
            may("recovery_addresses", List(&Named("recoveryIdentityAddress"))),
            may("metadata_public", Any),
            may("metadata_admin", Any),
            may("state", Named("identityState")),
            may("external_id", Text),
            may("organization_id", Uuid),
            may("region", Text),
        ],
    ),
    Schema::object(
        "updateIdentityBody",
        "What replaces an account.",
        &[
            must("schema_id", Text),
            must("traits", Object),
            may("credentials", Named("identityWithCredentials")),
            may("metadata_public", Any),
            may("metadata_admin", Any),
            must("state", Named("identityState")),
            may("external_id", Text),
            may("region", Text),
        ],
    ),
    Schema::object(
        "identityWithCredentials",
        "Credentials of a new account.",
        &[
            may("password", Named("identityWithCredentialsPassword")),
            may("oidc", Named("identityWithCredentialsOidc")),
            may("saml", Named("identityWithCredentialsSaml")),
            may("totp", Named("identityWithCredentialsTotp")),
            may("lookup_secret", Named("identityWithCredentialsLookupSecret")),
            may("webauthn", Named("identityWithCredentialsWebAuthn")),
            may("passkey", Named("identityWithCredentialsPasskey")),
        ],
    ),
    Schema::object(
        "identityWithCredentialsPassword",
        "A password, or its hash.",
        &[may("config", Named("identityWithCredentialsPasswordConfig"))],
    ),
    Schema::object(
        "identityWithCredentialsPasswordConfig",
        "The first of these that is given counts, from the bottom up.",
        &[
            may("hashed_password", Text).says("In one of the encodings that imports know."),
            may("password", Text).says("In clear; it is hashed and not judged."),
            may("use_password_migration_hook", Flag).says("The password stands elsewhere, and a web hook knows it."),
        ],
    ),
    Schema::object(
        "identityWithCredentialsOidc",
        "Accounts elsewhere.",
        &[may("config", Named("identityWithCredentialsOidcConfig"))],
    ),
    Schema::object(
        "identityWithCredentialsOidcConfig",
        "Which ones.",
        &[may("providers", List(&Named("identityWithCredentialsOidcConfigProvider")))],
    ),
    Schema::object(
        "identityWithCredentialsOidcConfigProvider",
        "An account elsewhere.",
        &[must("provider", Text), must("subject", Text), may("organization", Text), may("use_auto_link", Flag)],
    ),
    Schema::object(
        "identityWithCredentialsSaml",
        "Accounts elsewhere, by SAML.",
        &[may("config", Named("identityWithCredentialsSamlConfig"))],
    ),
    Schema::object(
        "identityWithCredentialsSamlConfig",
        "Which ones.",
        &[may("providers", List(&Named("identityWithCredentialsSamlConfigProvider")))],
    ),
    Schema::object(
        "identityWithCredentialsSamlConfigProvider",
        "An account elsewhere, by SAML.",
        &[must("provider", Text), must("subject", Text), may("organization", Text)],
    ),
    Schema::object(
        "identityWithCredentialsTotp",
        "An authenticator app.",
        &[may("config", Named("identityWithCredentialsTotpConfig"))],
    ),
    Schema::object("identityWithCredentialsTotpConfig", "Its key.", &[must("totp_url", Text).says("An `otpauth` address.")]),
    Schema::object(
        "identityWithCredentialsLookupSecret",
        "Backup codes.",
        &[may("config", Named("identityWithCredentialsLookupSecretConfig"))],
    ),
    Schema::object(
        "identityWithCredentialsLookupSecretConfig",
        "Which ones.",
        &[must("codes", List(&Named("identityWithCredentialsLookupSecretConfigCode")))],
    ),
    Schema::object(
        "identityWithCredentialsLookupSecretConfigCode",
        "A backup code.",
        &[must("code", Text), may("used_at", Time)],
    ),
    Schema::object(
        "identityWithCredentialsWebAuthn",
        "Security keys.",
        &[may("config", Named("identityWithCredentialsWebAuthnConfig"))],
    ),
    Schema::object(
        "identityWithCredentialsWebAuthnConfig",
        "Which ones.",
        &[must("credentials", List(&Object)), may("user_handle", Text).says("Base64.")],
    ),
    Schema::object(
        "identityWithCredentialsPasskey",
        "Passkeys.",
        &[may("config", Named("identityWithCredentialsPasskeyConfig"))],
    ),
    Schema::object(
        "identityWithCredentialsPasskeyConfig",
        "Which ones.",
        &[must("credentials", List(&Object)), must("user_handle", Text).says("Base64.")],
    ),
    Schema::list("jsonPatchDocument", "A JSON Patch (RFC 6902) with `add`, `remove` and `replace`.", Named("jsonPatch")),
    Schema::object(
        "jsonPatch",
        "One operation of a JSON Patch.",
        &[
            must("op", Text),
            must("path", Text).says("A JSON pointer (RFC 6901)."),
            may("value", Any).says("What is added, or put in place of the old."),
        ],
    ),
    Schema::object(
        "patchIdentitiesBody",
        "Many new accounts.",
        &[may("identities", List(&Named("identityPatch"))).says("At most 1000, of which 200 may have passwords in clear.")],
    ),
    Schema::object("identityPatch", "One of them.", &[may("create", Named("createIdentityBody")), may("patch_id", Uuid)]),
    Schema::object(
        "batchPatchIdentitiesResponse",
        "What became of each, in the same order.",
        &[may("identities", List(&OrNull(&Named("identityPatchResponse"))))],
    ),
    Schema::object(
        "identityPatchResponse",
        "What became of one of them.",
        &[
            may("action", Named("identityPatchAction")),
            may("identity", Uuid),
            may("patch_id", Uuid),
            may("error", Named("genericError")),
        ],
    ),
    Schema::words("identityPatchAction", "Whether it was made.", &["create", "error"]),
    Schema::object(
        "identityAttempts",
        "Wrong attempts on record against an identity.",
        &[
            must("authenticator", Text).says("What was tried, such as `password`."),
            must("lane", Text).says("`device` for a browser that signed in before, `public` for all others."),
            must("failures", Number),
            may("blocked_until", Time),
        ],
    ),
    Schema::object("identitySchemaContainer", "An identity schema and its id.", &[must("id", Text), must("schema", Object)]),
    Schema::object("identitySchema", "An identity schema: a JSON Schema of an object with `traits`.", &[]),
];
