//! `cargo +nightly fuzz run webauthn`: bytes that an authenticator or a browser might send.

#![no_main]

#[path = "../src/webauthn.rs"]
mod webauthn;

libfuzzer_sys::fuzz_target!(|input: &[u8]| webauthn::judge(input));
