//! An option after the job it was meant for, where another job or a hook could come in between.
//~ no method named `timeout` found for struct `Registry

use std::time::Duration;

use jiggler_uring::Registry;

async fn sync(_: u64) {}

pub fn registry() -> Registry {
    Registry::new(()).job("Sync", sync).timeout(Duration::from_secs(1))
}
