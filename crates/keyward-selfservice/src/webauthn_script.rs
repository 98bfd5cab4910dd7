//! The script that talks to the browser's WebAuthn interface, and what pages need to trust it.
//! The methods `passkey` and `webauthn` name it in a node, `http` serves it at [`PATH`]; every user interface may use it.
//! Its functions carry the names of the contract's triggers; it knows fields by their names and nothing of this server.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha512};

/// The script.
pub const SOURCE: &str = include_str!("webauthn.js");

/// Where it is served.
pub const PATH: &str = "/.well-known/ory/webauthn.js";

/// Its hash as Subresource Integrity writes it.
pub fn integrity() -> &'static str {
    static INTEGRITY: LazyLock<String> =
        LazyLock::new(|| format!("sha512-{}", STANDARD.encode(Sha512::digest(SOURCE.as_bytes()))));
    &INTEGRITY
}
