//! What lies in the outbox, as the person reads it who gets it.

use keyward_model::Span;
use keyward_services::courier::{self, OutboxMessage};
use keyward_testkit::Trial;

/// The messages to an address, newest first.
pub(crate) async fn mails_to(t: &Trial, address: &str) -> Vec<OutboxMessage> {
    let all = courier::list_recent(&t.app(), 1_000).await.expect("reading the outbox");
    all.into_iter().filter(|message| message.row.recipient == address).collect()
}

/// The six digits in a message.
#[track_caller]
pub(crate) fn code_in(message: &OutboxMessage) -> String {
    let body = &message.content.as_ref().expect("a message that can be opened").body;
    let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    body.split(|character: char| !character.is_ascii_alphanumeric()).find(is_code).expect("a code in the message").to_owned()
}

/// The latest code to an address. A second passes, so that the next message is newer.
pub(crate) async fn latest_code(t: &Trial, address: &str) -> String {
    let code = code_in(mails_to(t, address).await.first().expect("a message"));
    t.clock().advance(Span::seconds(1));
    code
}

/// A code of the right form that is not this one.
pub(crate) fn other_than(code: &str) -> String {
    let number: u32 = code.parse().expect("digits");
    format!("{:06}", (number + 1) % 1_000_000)
}
