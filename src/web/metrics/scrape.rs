//! What an answer costs to write: for `benches/scrape.rs`. Not part of the API.

use std::sync::Arc;
use std::time::Duration;

use super::page::{Page, ProcessPart};
use super::write;
use crate::stats::{LifePhase, LiveRow, Outcome};
use crate::web::counts::Rows;
use crate::web::machine::Machine;
use crate::web::negotiation::Format;

/// The answer of a process that has counted this much.
#[doc(hidden)]
pub struct Scrape(Arc<Page>);

impl Scrape {
    /// So many classes, each in one of so many queues.
    #[must_use]
    pub fn of(classes: usize, queues: usize) -> Self {
        let row = LiveRow::default();
        for ms in 0..100 {
            row.count(if ms % 20 == 0 { Outcome::Retried } else { Outcome::Done });
            row.ran(Duration::from_millis(ms));
            row.waited(Duration::from_micros(ms));
        }
        let rows: Rows = (0..classes)
            .map(|number| {
                let queue = format!("queue_{:02}", number % queues.max(1)).into();
                ((queue, format!("Billing::Job{number:03}").into()), row.copy())
            })
            .collect();
        let process = ProcessPart {
            phase: LifePhase::Running,
            lease: Some(Duration::from_secs(2)),
            control: Some(Duration::from_millis(3)),
            recovered: 0,
            poison: 0,
            rows,
            shards: Vec::new(),
        };
        Self(Arc::new(Page {
            version: "0.1.0",
            program: "billing 1.2".to_owned(),
            tag: String::new(),
            started_at: 1_795_299_919.5,
            machine: Machine::default(),
            process: Some(process),
            fleet: None,
        }))
    }

    /// Writes it as Prometheus reads it.
    #[must_use]
    pub fn write(&self) -> String {
        write(&self.0, Format::Prometheus)
    }
}
