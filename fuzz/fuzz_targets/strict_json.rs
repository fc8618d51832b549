//! A whole body as strict JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hoody_core::properties::strict_json(input));
