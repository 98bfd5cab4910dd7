//! What a page needs for the browser's dialogs of passkeys and security keys: the scripts of the flow, and words for every way
//! in which such a dialog ends without a result.
//! Sign-in, sign-up and settings pages ask here; the page's script shows the words.
//! It knows nothing of credentials.

use serde::Serialize;

use crate::context::PageContext;
use crate::flow::Flow;
use crate::messages::MessageBox;
use crate::render::brand;
use crate::{safe, texts};

/// Names of failures as browsers and the helper script say them, our words when a credential is asked for, and when one is made.
/// The last one is for whatever else comes.
const FAULTS: [(&str, &str, &str); 7] = [
    ("NotAllowedError", "fault_use_cancelled", "fault_make_cancelled"),
    ("InvalidStateError", "fault_other", "fault_make_known"),
    ("SecurityError", "fault_address", "fault_address"),
    ("TimeoutError", "fault_late", "fault_late"),
    ("NotSupportedError", "fault_browser", "fault_browser"),
    ("ConstraintError", "fault_lock", "fault_lock"),
    ("NoOptionsError", "fault_page", "fault_page"),
];

/// Words for fields that have to be filled in first, by name; every other field becomes the name of the account.
const FIELDS: [(&str, &str); 2] = [("webauthn_register_displayname", "name_missing"), ("field", "account_name_missing")];

/// A message that waits for its failure.
#[derive(Serialize)]
pub(crate) struct Fault {
    name: &'static str,
    message: MessageBox,
    /// Whether it stands at a field.
    at_field: bool,
}

/// The words for failures, if the flow has a button that can fail.
pub(crate) fn faults(ctx: &PageContext, flow: &Flow<'_>, making: bool) -> Vec<Fault> {
    if !flow.nodes.iter().any(|node| node.attribute("onclickTrigger").is_some_and(safe::trigger)) {
        return Vec::new();
    }
    let fault = |name, key: &str, at_field| {
        let text = texts::fill(ctx.lang, key, &[("brand", brand(ctx))]);
        Fault { name, message: MessageBox::refusal(&text), at_field }
    };
    let named = FAULTS.iter().map(|(name, using, made)| fault(name, if making { made } else { using }, false));
    let fields = FIELDS.iter().filter(|_| making).map(|(name, key)| fault(name, key, true));
    named.chain(fields).chain([fault("", "fault_other", false)]).collect()
}

/// A `<script>` of the flow; its source is always another file.
#[derive(Debug, Serialize)]
pub(crate) struct Script {
    src: String,
    id: Option<String>,
    kind: Option<String>,
    integrity: Option<String>,
    crossorigin: Option<String>,
    referrerpolicy: Option<String>,
    nonce: Option<String>,
    is_async: bool,
}

/// The scripts of a flow, each source once; whatever is not from the public base stays away.
pub(crate) fn scripts(ctx: &PageContext, flow: &Flow<'_>) -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    for node in flow.nodes.iter().filter(|node| node.kind == "script") {
        let Some(src) = node.attribute("src").and_then(|src| safe::script(&ctx.public_base, src)) else { continue };
        if scripts.iter().any(|known| known.src == src) {
            continue;
        }
        let text = |name: &str| node.attribute(name).filter(|text| !text.is_empty()).map(str::to_owned);
        scripts.push(Script {
            src: src.to_owned(),
            id: text("id"),
            kind: text("type"),
            integrity: text("integrity"),
            crossorigin: text("crossorigin"),
            referrerpolicy: text("referrerpolicy"),
            nonce: text("nonce"),
            is_async: node.flag("async"),
        });
    }
    scripts
}
