//! `dialbridge_fuzz::call`, called by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dialbridge_fuzz::call::run(data));
