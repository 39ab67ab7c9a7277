//! `dialbridge_fuzz::webhook`, called by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dialbridge_fuzz::webhook::run(data));
