//! Sessions, sign-outs and the state of the server, as answers show them.
//! Named as the official clients name them.
//! The answers themselves are written by [`keyward_services::session`] and the handlers.

use super::schema::Schema;
use super::schema::Shape::{Flag, List, Map, Named, Number, Text, Time, Uuid};
use super::schema::{may, must};

pub(super) const SCHEMAS: &[Schema] = &[
    Schema::object(
        "session",
        "Somebody is signed in.",
        &[
            must("id", Uuid),
            may("active", Flag),
            may("expires_at", Time),
            may("authenticated_at", Time),
            may("authenticator_assurance_level", Named("authenticatorAssuranceLevel")),
            may("authentication_methods", List(&Named("sessionAuthenticationMethod"))),
            may("issued_at", Time),
            may("identity", Named("identity")),
            may("devices", List(&Named("sessionDevice"))),
        ],
    ),
    Schema::words(
        "authenticatorAssuranceLevel",
        "What the proofs add up to: one factor, or two.",
        &["aal0", "aal1", "aal2", "aal3"],
    ),
    Schema::object(
        "sessionAuthenticationMethod",
        "One proof.",
        &[
            may("method", Text),
            may("aal", Named("authenticatorAssuranceLevel")),
            may("completed_at", Time),
            may("provider", Text),
            may("organization", Text),
        ],
    ),
    Schema::object(
        "sessionDevice",
        "Where a session was opened.",
        &[must("id", Uuid), may("ip_address", Text), may("user_agent", Text), may("location", Text)],
    ),
    Schema::object("deleteMySessionsCount", "How many sessions ended.", &[may("count", Number)]),
    Schema::object("logoutFlow", "Where a browser goes to sign out.", &[must("logout_url", Text), must("logout_token", Text)]),
    Schema::object("performNativeLogoutBody", "Which session an app ends.", &[must("session_token", Text)]),
    Schema::object(
        "manageSessionsBody",
        "Ends or deletes many sessions: of identities, or by their own ids.",
        &[
            must("action", Named("manageSessionsAction")),
            may("identities", List(&Text)).says("At most 500 ids, or `*` alone for everybody."),
            may("sessions", List(&Uuid)).says("At most 500."),
        ],
    ),
    Schema::words("manageSessionsAction", "What happens to them.", &["disable", "delete"]),
    Schema::object(
        "manageSessionsResponse",
        "How many sessions were ended or deleted, and whether there are more.",
        &[must("processed", Number), must("more", Flag)],
    ),
    Schema::object("healthStatus", "Alive, or ready.", &[must("status", Text).says("Always `ok`.")]),
    Schema::object("healthNotReadyStatus", "What is not ready.", &[must("errors", Map(&Text))]),
    Schema::object("version", "Which server this is.", &[must("version", Text)]),
    Schema::object(
        "configurationStatus",
        "Which configuration is in force.",
        &[
            must("status", Text).says("`ok`, or `refused` when a newer one could not be put into force."),
            must("loaded_at", Time),
            must("hash", Text),
            may("revision", Text),
            must("errors", List(&Text)).says("What is wrong with the newer one."),
            must("reloads", Number),
            must("refused_reloads", Number),
        ],
    ),
];
