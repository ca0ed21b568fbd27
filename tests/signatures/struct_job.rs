//! A struct that is no job.
//~ `Mail` is no job
//~ say its name: `impl Job for Mail { const NAME: &'static str = "…"; }`

use jiggler_uring::Registry;

#[derive(Debug)]
struct Mail;

async fn send(mail: Mail) {
    drop(mail);
}

pub fn registry() -> Registry {
    Registry::new(()).handle(send)
}
