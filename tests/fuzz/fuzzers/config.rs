//! libFuzzer's entry point for the target `config`.
#![no_main]

use jiggler_uring_fuzz::config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| config::run(data));
