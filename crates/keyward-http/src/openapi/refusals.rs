//! How refusals are told.
//! Named as the official clients name them.
//! Written by [`crate::envelope`].

use super::schema::Schema;
use super::schema::Shape::{Flag, Named, Number, Object, Text, Time, Uuid};
use super::schema::{may, must};

pub(super) const SCHEMAS: &[Schema] = &[
    Schema::object(
        "errorGeneric",
        "How every refusal is told.",
        &[
            must("error", Named("genericError")),
            may("CredentialsMissing", Flag).says("Beside `session_inactive`, where a browser asked."),
            may("redirect_browser_to", Text).says("Where a browser has to go first."),
        ],
    ),
    Schema::object(
        "genericError",
        "What was refused, and why.",
        &[
            may("id", Text).says("A fixed name for programs, such as `session_inactive`."),
            must("code", Number).says("The status."),
            may("status", Text).says("Its phrase."),
            may("request", Text).says("`X-Request-Id`, as it was sent."),
            may("reason", Text).says("What was wrong this time."),
            may("details", Object),
            must("message", Text).says("A sentence, mostly the one of the status."),
        ],
    ),
    Schema::object(
        "errorBrowserLocationChangeRequired",
        "The browser has to go elsewhere before this can go on.",
        &[must("error", Named("genericError")), must("redirect_browser_to", Text)],
    ),
    Schema::object(
        "selfServiceFlowExpiredError",
        "The flow has expired; a new one stands in its place.",
        &[
            must("error", Named("genericError")),
            may("expired_at", Time),
            may("since", Number).says("Nanoseconds."),
            may("use_flow_id", Uuid),
        ],
    ),
    Schema::object(
        "flowError",
        "A refusal that a browser was sent to look at.",
        &[must("id", Uuid), must("error", Named("genericError")), must("created_at", Time), must("updated_at", Time)],
    ),
];
