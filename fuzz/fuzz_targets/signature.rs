//! Runs `signature` of the targets.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hookmill_fuzz::targets::signature(data));
