//! Boxed errors, with a bare `?`, wherever a result of the user's is taken.

use std::error::Error;

use jiggler_uring::{Ctx, JobResult, Next, Registry, SendCtx, options};

type Boxed = Box<dyn Error + Send + Sync>;

fn load() -> Result<u64, Boxed> {
    Ok("7".parse::<u64>()?)
}

fn local() -> Result<u64, Box<dyn Error>> {
    Ok(7)
}

fn alone_too() -> Result<(), Boxed> {
    load()?;
    Ok(())
}

async fn whole(_: Ctx<u64>, number: u64) -> Result<(), Boxed> {
    if load()? != number {
        return Err(format!("not {number}").into());
    }
    Err("text")?
}
async fn alone(_: Ctx<u64>) -> Result<(), Box<dyn Error>> {
    local()?;
    Ok(())
}
async fn plain() -> JobResult {
    local()?;
    Ok(())
}
fn compute(_: SendCtx, _: String) -> Result<(), Boxed> {
    load()?;
    Ok(())
}
async fn around(_: Ctx<u64>, next: Next) -> Result<(), Boxed> {
    load()?;
    next.await.map_err(|error| error.to_string().into())
}
async fn registry() -> Result<Registry<u64>, Boxed> {
    let registry = Registry::new(load()?)
        .job("Whole", whole)
        .job("Alone", alone)
        .job("Plain", plain)
        .job("Closure", options(async |_: u64| -> Result<(), Boxed> { alone_too() }).middleware(around))
        .blocking("Compute", compute)
        .middleware(around)
        .on_stop(async |_| -> Result<(), Boxed> { alone_too() });
    Ok(registry)
}

pub fn main() -> std::process::ExitCode {
    jiggler_uring::worker(|_core| registry()).name("boxed").run()
}
