//! Bounds on what one request may bring and on what one identity may pile up: `security.limits`.
//! The loader reads them; `http` applies those on requests, the stories and services those on content and rows.
//! What an operator imports through the admin API may exceed the bounds on content.

use crate::resolve::Reader;

/// The bounds; each has a default that no ordinary client meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Live sessions of one identity; a new one ends the oldest.
    pub sessions_per_identity: u32,
    /// Stored flows of one kind that belong to one identity; a new one removes an expired one, or else the oldest.
    pub flows_per_identity: u32,
    /// Cookies of one request.
    pub cookies: usize,
    /// Header fields of one request.
    pub headers: usize,
    /// Bytes of all header fields of one request, names and values.
    pub header_bytes: usize,
    /// Bytes of path and query on the public port.
    pub url_bytes: usize,
    /// Bytes of an identifier in its canonical spelling.
    pub identifier_bytes: usize,
    /// Bytes of `transient_payload` as JSON.
    pub transient_payload_bytes: usize,
    /// Bytes of the traits as JSON.
    pub traits_bytes: usize,
    /// Objects and lists inside each other in the traits.
    pub traits_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_per_identity: 100,
            flows_per_identity: 50,
            cookies: 50,
            headers: 100,
            header_bytes: 16 * 1_024,
            url_bytes: 8 * 1_024,
            identifier_bytes: 320,
            transient_payload_bytes: 8 * 1_024,
            traits_bytes: 32 * 1_024,
            traits_depth: 16,
        }
    }
}

/// Reads the block; what is malformed was refused by the checker.
pub(crate) fn resolve(reader: Reader<'_>) -> Limits {
    let default = Limits::default();
    let size = |name: &str, default: usize| reader.number(&format!("security.limits.{name}"), default);
    let count = |name: &str, default: u32| reader.number(&format!("security.limits.{name}"), default);
    Limits {
        sessions_per_identity: count("sessions_per_identity", default.sessions_per_identity),
        flows_per_identity: count("flows_per_identity", default.flows_per_identity),
        cookies: size("cookies", default.cookies),
        headers: size("headers", default.headers),
        header_bytes: size("header_bytes", default.header_bytes),
        url_bytes: size("url_bytes", default.url_bytes),
        identifier_bytes: size("identifier_bytes", default.identifier_bytes),
        transient_payload_bytes: size("transient_payload_bytes", default.transient_payload_bytes),
        traits_bytes: size("traits_bytes", default.traits_bytes),
        traits_depth: size("traits_depth", default.traits_depth),
    }
}
