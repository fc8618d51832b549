//! `expires_at`, as text and as JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| hoody_core::properties::expiry(input));
