//! libFuzzer's entry point for the target `payload`.
#![no_main]

use jiggler_uring_fuzz::payload;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| payload::run(data));
