//! A session token that nobody signed.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| hoody_core::properties::session_token(input));
