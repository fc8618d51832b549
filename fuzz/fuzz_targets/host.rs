//! The `Host` header and the setting `--domain`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| hoody_core::properties::host(input));
