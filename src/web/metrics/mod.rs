//! `/metrics`: gathers what is known, writes it, and keeps the answer for a moment.

mod families;
mod page;
mod scrape;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

use super::machine::Machine;
use super::negotiation::Format;
use super::state::State;
use page::{Page, ProcessPart};
pub use scrape::Scrape;

/// The metrics; `None` if too many ask at the same time.
pub(super) async fn answer(state: &State, format: Format, fleet: bool) -> Option<Bytes> {
    let _turn = state.turns.take().await.ok()?;
    let question = (format, fleet);
    if let Some(kept) = state.kept.find(question, Instant::now()) {
        return Some(kept);
    }
    let page = Arc::new(gather(state, fleet).await);
    let body = Bytes::from(write(&page, format));
    state.kept.keep(question, body.clone(), Instant::now());
    Some(body)
}

async fn gather(state: &State, fleet: bool) -> Page {
    let process = match &state.worker {
        Some(worker) => {
            let rows = worker.counts.read(&worker.shards).await;
            Some(ProcessPart::of(worker, rows))
        }
        None => None,
    };
    let fleet = if fleet { Some(state.fleet.look().await) } else { None };
    let fleet = fleet.map(|look| {
        look.map(Rc::unwrap_or_clone)
            .inspect_err(|error| tracing::warn!(%error, "web: the fleet is not known"))
            .ok()
    });
    let about = &state.about;
    Page {
        version: about.version,
        program: about.program.clone(),
        tag: about.tag.clone(),
        started_at: about.started_at,
        machine: Machine::read(),
        process,
        fleet,
    }
}

/// Writes a page.
fn write(page: &Arc<Page>, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Arc::clone(page)));
    let mut body = String::new();
    let written = match format {
        Format::Prometheus => prometheus_text::encode(&mut body, &registry),
        Format::OpenMetrics => text::encode(&mut body, &registry),
    };
    // Writing to memory does not fail.
    debug_assert!(written.is_ok());
    body
}

#[cfg(test)]
mod tests;
