//! A parameter that no argument can be decoded into.
//~ is not a job handler
//~ every parameter must own its data and implement `serde::Deserialize`: `String`, not `&str`

use std::rc::Rc;

use jiggler_uring::Registry;

async fn greet(name: Rc<u8>) {
    assert!(*name > 0);
}

pub fn registry() -> Registry {
    Registry::new(()).job("Greet", greet)
}
