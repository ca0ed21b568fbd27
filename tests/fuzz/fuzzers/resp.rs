//! libFuzzer's entry point for the target `resp`.
#![no_main]

use jiggler_uring_fuzz::resp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| resp::run(data));
