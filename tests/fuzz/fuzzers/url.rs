//! libFuzzer's entry point for the target `url`.
#![no_main]

use jiggler_uring_fuzz::url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| url::run(data));
