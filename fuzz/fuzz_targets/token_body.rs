//! The bodies of the token routes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hoody_core::properties::token_body(input));
