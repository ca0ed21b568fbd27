//! A parameter that borrows. The compiler chooses implementations regardless of lifetimes, so the words are its own.
//~ `&str` must implement
//~ Deserialize

use jiggler_uring::Registry;

async fn greet(name: &str) {
    assert!(!name.is_empty());
}

pub fn registry() -> Registry {
    Registry::new(()).job("Greet", greet)
}
