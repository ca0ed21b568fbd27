//! The past: what became of jobs, how long they ran and waited, and how many waited, slice by slice.

use std::collections::BTreeMap;

use serde::Serialize;

use super::filter::NamePattern;
use crate::limits::HISTORY_SLICES_MAX;
use crate::store::history::Reading;
use crate::wire::Keyspace;
use crate::wire::history::{Grain, Histogram, Slice, Tallied};

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// How finely.
    pub grain: Grain,
    /// How far back, in seconds.
    pub since: u64,
    /// Only this queue.
    pub queue: Option<String>,
    /// Only classes of this name.
    pub class: Option<NamePattern>,
}

impl Span {
    /// The grain that suits a span: not more slices than a screen has lines, or nearly.
    #[must_use]
    pub fn grain_of(since: u64) -> Grain {
        match since {
            0..=7_200 => Grain::Minute,
            7_201..=259_200 => Grain::Hour,
            _ => Grain::Day,
        }
    }

    /// How to read it, at this time.
    #[must_use]
    pub fn reading(&self, keys: Keyspace, now: f64) -> Reading {
        let now = now.max(0.0) as u64;
        let last = now / self.grain.seconds();
        let first = now.saturating_sub(self.since) / self.grain.seconds();
        Reading::new(keys, self.grain, first.max(last.saturating_sub(HISTORY_SLICES_MAX - 1)), last, now)
    }
}

/// The past. As JSON it is what `history --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct History {
    /// `minute`, `hour` or `day`.
    pub(crate) by: &'static str,
    /// Oldest first; those in which nothing happened are left out.
    pub(crate) slices: Vec<SliceView>,
}

/// A minute, an hour or a day.
#[derive(Debug, Serialize)]
pub(crate) struct SliceView {
    /// Unix seconds of its beginning.
    pub(crate) at: u64,
    /// All rows together.
    pub(crate) total: RowView,
    /// By queue and class.
    pub(crate) rows: Vec<NamedRow>,
    /// The most jobs that waited in each queue when it was looked at, once a minute.
    pub(crate) depths: BTreeMap<String, u64>,
}

/// What became of the jobs of one queue and class.
#[derive(Debug, Serialize)]
pub(crate) struct NamedRow {
    pub(crate) queue: String,
    pub(crate) class: String,
    #[serde(flatten)]
    pub(crate) row: RowView,
}

/// What became of jobs.
#[derive(Debug, Serialize)]
pub(crate) struct RowView {
    /// How many ended in each way.
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    /// All runs together, in seconds.
    pub(crate) run_seconds: f64,
    pub(crate) run: TimesView,
    /// How long jobs that had reached a process waited there.
    pub(crate) wait: TimesView,
}

/// How long things took, in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct TimesView {
    pub(crate) count: u64,
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    /// Upper bound and count of each bucket that has any; a bound of null: beyond all of them.
    pub(crate) buckets: Vec<(Option<f64>, u64)>,
}

impl History {
    /// What was asked for, of what was read.
    pub(crate) fn of(span: &Span, slices: &BTreeMap<u64, Slice>) -> Self {
        let view = |(unit, slice): (&u64, &Slice)| SliceView::of(span, unit * span.grain.seconds(), slice);
        let slices = slices.iter().map(view);
        let slices = slices.filter(|slice| !slice.rows.is_empty() || !slice.depths.is_empty()).collect();
        Self { by: span.grain.as_str(), slices }
    }
}

impl SliceView {
    fn of(span: &Span, at: u64, slice: &Slice) -> Self {
        let is_asked = |queue: &str| span.queue.as_deref().is_none_or(|asked| asked == queue);
        let mut total = Tallied::default();
        let mut rows = Vec::new();
        for ((queue, class), row) in &slice.rows {
            if is_asked(queue) && span.class.as_ref().is_none_or(|asked| asked.matches(class)) {
                total.merge(row);
                rows.push(NamedRow {
                    queue: queue.to_string(),
                    class: class.to_string(),
                    row: RowView::of(row),
                });
            }
        }
        // A queue has no class.
        let depths = slice.depths.iter().filter(|(queue, _)| span.class.is_none() && is_asked(queue));
        let depths = depths.map(|(queue, jobs)| (queue.to_string(), *jobs)).collect();
        Self { at, total: RowView::of(&total), rows, depths }
    }
}

impl RowView {
    fn of(row: &Tallied) -> Self {
        Self {
            outcomes: row.outcomes().filter(|(_, count)| *count > 0).collect(),
            run_seconds: row.run_seconds(),
            run: TimesView::of(&row.run),
            wait: TimesView::of(&row.wait),
        }
    }

    /// How many jobs ended so.
    pub(crate) fn count(&self, outcomes: &[&str]) -> u64 {
        outcomes.iter().filter_map(|outcome| self.outcomes.get(outcome)).sum()
    }
}

impl TimesView {
    fn of(times: &Histogram) -> Self {
        let buckets = times.buckets().map(|(bound, count)| (bound.is_finite().then_some(bound), count));
        Self {
            count: times.count(),
            p50: times.quantile(0.5),
            p95: times.quantile(0.95),
            buckets: buckets.collect(),
        }
    }
}
