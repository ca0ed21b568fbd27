//! A struct that is not a job.
//~ `Mail` is not a job
//~ derive it: `#[derive(serde::Serialize, serde::Deserialize, jiggler_uring::Job)]`

use jiggler_uring::Registry;

#[derive(Debug)]
struct Mail;

async fn send(mail: Mail) {
    drop(mail);
}

pub fn registry() -> Registry {
    Registry::new(()).handle(send)
}
