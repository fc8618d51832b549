//! The text of a token.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| hoody_core::properties::token_text(input));
