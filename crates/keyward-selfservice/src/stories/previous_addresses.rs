//! Messages to the addresses that an account had before somebody changed them (contract: recovery 7.2).
//! Whoever changes addresses by settings adds them to the commit of the change, where the operator asked for it.
//! A message that cannot be written keeps nobody from changing their address.

use keyward_config::Recipients;
use keyward_model::{VerifiableAddress, wire_json};
use keyward_services::courier::{self, Mail, Template};
use keyward_services::derive::Derived;
use keyward_services::{App, session};
use keyward_store::Batch;
use serde_json::{Map, Value};

use crate::visit::Visit;

/// Adds a message to each of the previous addresses in question. Nothing, when the same addresses are there as before.
pub(super) fn notify(
    app: &App,
    visit: &Visit,
    derived: &Derived,
    recipients: Recipients,
    request_url: &str,
    transient_payload: Option<&Map<String, Value>>,
    batch: &mut Batch,
) {
    let Some(before) = derived.before() else { return };
    let (before, after) = (&before.identity.verifiable_addresses, &derived.identity.verifiable_addresses);
    if is_among(before, after) && is_among(after, before) {
        return;
    }
    let public = session::serve_identity(&wire_json(&derived.identity), app.public_base());
    let public: Option<Value> = serde_json::from_str(&public).ok();
    let told = before.iter().filter(|old| match recipients {
        Recipients::Removed => !has(after, old),
        Recipients::AllVerified => old.verified,
        Recipients::All => true,
    });
    for address in told {
        let mail = Mail {
            via: address.via,
            to: &address.value,
            template: Template::VerifiableAddressChanged { changed_at: visit.now },
            identity: public.as_ref(),
            request_url,
            transient_payload,
            expires_in: None,
            lang: visit.lang,
        };
        if let Err(error) = courier::enqueue(app, &mail, visit.now, batch) {
            let identity = derived.identity.id;
            tracing::warn!(identity.id = %identity, error = &error as &dyn std::error::Error, "A previous address could not be told");
        }
    }
}

fn has(list: &[VerifiableAddress], wanted: &VerifiableAddress) -> bool {
    list.iter().any(|one| one.via == wanted.via && one.value == wanted.value)
}

fn is_among(some: &[VerifiableAddress], all: &[VerifiableAddress]) -> bool {
    some.iter().all(|one| has(all, one))
}
