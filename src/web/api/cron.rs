//! `cron`: periodic jobs, page by page, as `cron list --json` prints them.

use super::answer::ApiError;
use crate::limits::PAGE_SKIP_MAX;
use crate::web::pages::{Ask, Desk, periodic_jobs};

/// One page.
pub(super) async fn list(desk: &Desk, ask: &Ask) -> Result<Vec<u8>, ApiError> {
    ask.only(&["skip"])?;
    let skip = usize::try_from(ask.number("skip", PAGE_SKIP_MAX)?.unwrap_or(0)).unwrap_or(usize::MAX);
    let page = periodic_jobs(desk, skip).await?;
    let mut body = serde_json::to_vec(&page).map_err(std::io::Error::from)?;
    body.push(b'\n');
    Ok(body)
}
