//! ISO 8601 instants.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| hoody_core::properties::timestamp(input));
