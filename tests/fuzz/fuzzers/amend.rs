//! libFuzzer's entry point for the target `amend`.
#![no_main]

use jiggler_uring_fuzz::amend;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| amend::run(data));
