//! Runs `url_guard` of the targets.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hookmill_fuzz::targets::url_guard(data));
