//! libFuzzer's entry point for the target `keys`.
#![no_main]

use jiggler_uring_fuzz::keys;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| keys::run(data));
