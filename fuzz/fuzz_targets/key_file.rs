//! A master key file.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hoody_core::properties::key_file(input));
