//! Bytes as text: two lower-case digits each (RFC 4648 section 8).
//! Whoever names something by a hash calls it.
//! Reads nothing back.

use std::fmt::Write as _;

/// `[0x0f, 0xa0]` is `0fa0`.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
