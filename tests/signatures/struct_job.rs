//! A struct that is not a job.
//~ `Mail` is not a job
//~ give it a name: `impl Job for Mail { const NAME: &'static str = "…"; }`

use jiggler_uring::Registry;

#[derive(Debug)]
struct Mail;

async fn send(mail: Mail) {
    drop(mail);
}

pub fn registry() -> Registry {
    Registry::new(()).handle(send)
}
