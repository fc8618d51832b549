//! Lines of `X-Forwarded-For`, cut at line feeds.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hoody_core::properties::forwarded_for(input));
