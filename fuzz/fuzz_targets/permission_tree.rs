//! The tree of booleans in `permissions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hoody_core::properties::permission_tree(input));
