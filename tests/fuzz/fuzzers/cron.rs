//! libFuzzer's entry point for the target `cron`.
#![no_main]

use jiggler_uring_fuzz::cron;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cron::run(data));
