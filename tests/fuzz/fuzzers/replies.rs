//! libFuzzer's entry point for the target `replies`.
#![no_main]

use jiggler_uring_fuzz::replies;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| replies::run(data));
