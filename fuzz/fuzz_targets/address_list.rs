//! The comma separated form of `ip_whitelist`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| hoody_core::properties::address_list(input));
