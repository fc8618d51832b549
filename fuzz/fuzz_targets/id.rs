//! Identifiers.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| hoody_core::properties::id(input));
