//! A box that may cross threads, where a `JobResult` is returned: no conversion is possible, and the way out is named.
//~ not an error, text or `Box<dyn Error>`
//~ `.map_err(JobError::from_boxed)?`

use std::error::Error;

use jiggler_uring::JobResult;

fn load() -> Result<u64, Box<dyn Error + Send + Sync>> {
    Ok(7)
}

pub async fn import() -> JobResult {
    load()?;
    Ok(())
}
