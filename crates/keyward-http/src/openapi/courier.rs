//! Messages of the outbox, as answers show them.
//! Named as the official clients name them.
//! The answers themselves are written by [`keyward_services::admin`].

use super::schema::Schema;
use super::schema::Shape::{Any, List, Named, Number, Text, Time, Uuid};
use super::schema::{may, must};

pub(super) const SCHEMAS: &[Schema] = &[
    Schema::object(
        "message",
        "A mail or text message.",
        &[
            must("id", Uuid),
            must("status", Named("courierMessageStatus")),
            must("type", Named("courierMessageType")),
            must("recipient", Text),
            must("body", Text).says("Shown in development mode only."),
            must("subject", Text).says("Shown in development mode only."),
            must("template_type", Text).says("What it is about, such as `recovery_code_valid`."),
            may("channel", Text),
            must("send_count", Number).says("Attempts so far."),
            may("dispatches", List(&Named("messageDispatch"))).says("The attempts that ended, where one message is shown."),
            must("created_at", Time),
            must("updated_at", Time),
        ],
    ),
    Schema::object(
        "messageDispatch",
        "An attempt to deliver a message.",
        &[
            must("id", Uuid),
            must("message_id", Uuid),
            must("status", Named("messageDispatchStatus")),
            may("error", Any).says("Why it failed: `message`, `step` and `status`; null when it did not."),
            must("created_at", Time),
            must("updated_at", Time),
        ],
    ),
    Schema::words("courierMessageStatus", "How far a message has come.", &["queued", "sent", "processing", "abandoned"]),
    Schema::words("courierMessageType", "How a message leaves.", &["email", "sms"]),
    Schema::words("messageDispatchStatus", "How an attempt ended.", &["failed", "success"]),
];
