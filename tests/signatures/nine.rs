//! More parameters than a handler may have.
//~ is not a job handler
//~ not an async function of 0 to 8 deserializable arguments

use jiggler_uring::Registry;

async fn nine(_: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8) {}

pub fn registry() -> Registry {
    Registry::new(()).job("Nine", nine)
}
