//! `dialbridge_fuzz::twilio_message`, called by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dialbridge_fuzz::twilio_message::run(data));
