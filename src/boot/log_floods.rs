//! Floods of the log: lines that repeat again and again are sampled, counted and summed up.
//!
//! A kind of line is a place in the sources; of lines that tell of failed jobs, the job and the class of its error too, so
//! that a job which always fails does not hide another. Of each kind a few lines pass in a span of time; the others are
//! counted, and one line at the end of the span reports how many there were. So a broken producer whose every payload is
//! not a job costs a few lines and not a disk. This is done here, where all lines pass, and not at the places that log, of
//! which one could be forgotten.
//!
//! Debug lines pass: anyone who asks for one per job wants one per job, and then also gets one per failure. So do the lines
//! of other crates, of a program's jobs, and those with their own target, such as the answer to a signal.
//!
//! There is no ticker: the last line that passes wakes the log's thread, which then waits for the end of the span.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Filter};

use crate::limits::{LOG_FAILURE_KINDS_MAX, LOG_FLOOD_SPAN, LOG_KINDS_MAX, LOG_SAMPLE_LINES};
use crate::stats::here::FAILURES;

/// The target of this crate's lines, and the start of those of its modules.
const OURS: &str = env!("CARGO_CRATE_NAME");

/// All kinds of lines that were logged so far.
#[derive(Debug)]
pub(super) struct Floods {
    start: Instant,
    /// Invariant: at most [`LOG_KINDS_MAX`]. Locked for writing once per kind.
    kinds: RwLock<HashMap<Key, Arc<Kind>>>,
    /// How many of them are of a job and a class. About [`LOG_FAILURE_KINDS_MAX`] at most.
    failure_kinds: AtomicUsize,
    /// What the jobs and classes of failures are told apart by.
    hasher: RandomState,
    /// Whether each failure is logged.
    tells_each_failure: AtomicBool,
}

/// A place in the sources, and the hash of a [`Failing`]; 0 for none.
type Key = (Identifier, u64);

/// Which jobs lines of a kind tell of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Failing {
    /// Their name.
    pub(super) job: String,
    /// The class of their error.
    pub(super) class: String,
}

/// A kind of line, in a span of time.
#[derive(Debug)]
struct Kind {
    level: Level,
    /// The text of its first line.
    message: String,
    of: Option<Failing>,
    /// When the span ends, in milliseconds since [`Floods::start`]; 0 if there was none yet.
    end_ms: AtomicU64,
    /// Lines that came in this span, up to one more than may pass.
    lines: AtomicU32,
    /// Lines that did not pass and were not summed up yet.
    held: AtomicU64,
}

/// Lines of a kind that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) lines: u64,
    pub(super) of: Option<Failing>,
}

impl Floods {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            kinds: RwLock::default(),
            failure_kinds: AtomicUsize::new(0),
            hasher: RandomState::new(),
            tells_each_failure: AtomicBool::new(false),
        }
    }

    /// Follows what is logged from now on.
    pub(super) fn heed(&self, targets: &Targets) {
        self.tells_each_failure.store(targets.would_enable(FAILURES, &Level::DEBUG), Ordering::Relaxed);
    }

    /// Whether a line may pass.
    fn admit(&self, event: &Event<'_>, now_ms: u64) -> bool {
        let Some(kind) = self.kind(event) else { return true };
        kind.admit(now_ms)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn kind(&self, event: &Event<'_>) -> Option<Arc<Kind>> {
        let metadata = event.metadata();
        let mut of = (metadata.target() == FAILURES).then(|| failing(event));
        let hash = of.as_ref().map_or(0, |of| self.hasher.hash_one((&of.job, &of.class)).max(1));
        let mut key = (metadata.callsite(), hash);
        let known = |kinds: &HashMap<Key, Arc<Kind>>, key: &Key| kinds.get(key).map(Arc::clone);
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = known(&kinds, &key);
        if found.is_none() && self.failure_kinds.load(Ordering::Relaxed) >= LOG_FAILURE_KINDS_MAX {
            // Classes may be any text: the rest of them are of one kind.
            of = None;
            key.1 = 0;
            found = known(&kinds, &key);
        }
        drop(kinds);
        if found.is_some() {
            return found;
        }
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = known(&kinds, &key) {
            return Some(kind);
        }
        if kinds.len() >= LOG_KINDS_MAX {
            return None;
        }
        // Threads that come here together may exceed the bound by as many.
        self.failure_kinds.fetch_add(usize::from(of.is_some()), Ordering::Relaxed);
        let kind = Arc::new(Kind::new(*metadata.level(), message(event), of));
        kinds.insert(key, Arc::clone(&kind));
        Some(kind)
    }

    /// When the log's thread is to ask for sums, from now: the earliest end of a span in which no more lines pass.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.next_end_at(self.now_ms())
    }

    fn next_end_at(&self, now_ms: u64) -> Option<Duration> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let ends =
            kinds.values().filter(|kind| kind.may_hold()).map(|kind| kind.end_ms.load(Ordering::Relaxed));
        ends.min().map(|end| Duration::from_millis(end.saturating_sub(now_ms)))
    }

    /// What did not pass in the spans that have ended.
    pub(super) fn sums(&self) -> Vec<Sum> {
        self.sums_at(self.now_ms())
    }

    /// What did not pass so far, for the end of the process.
    pub(super) fn last_sums(&self) -> Vec<Sum> {
        self.sums_at(u64::MAX)
    }

    fn sums_at(&self, now_ms: u64) -> Vec<Sum> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let ended = kinds.values().filter(|kind| kind.end_ms.load(Ordering::Relaxed) <= now_ms);
        ended.filter_map(|kind| kind.take_sum()).collect()
    }
}

impl Kind {
    fn new(level: Level, message: String, of: Option<Failing>) -> Self {
        Self {
            level,
            message,
            of,
            end_ms: AtomicU64::new(0),
            lines: AtomicU32::new(0),
            held: AtomicU64::new(0),
        }
    }

    fn admit(&self, now_ms: u64) -> bool {
        let end = self.end_ms.load(Ordering::Relaxed);
        if now_ms >= end {
            let next = now_ms.saturating_add(LOG_FLOOD_SPAN.as_millis() as u64);
            // Of the threads that see the end at the same time, one starts the new span. A line of the others may count
            // in either.
            if self.end_ms.compare_exchange(end, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                self.lines.store(0, Ordering::Relaxed);
            }
        }
        let add = |lines: u32| (lines < LOG_SAMPLE_LINES).then_some(lines + 1);
        let passes = self.lines.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok();
        if !passes {
            self.held.fetch_add(1, Ordering::Relaxed);
        }
        passes
    }

    /// Whether the next line of this span would not pass, or one did not.
    fn may_hold(&self) -> bool {
        self.lines.load(Ordering::Relaxed) >= LOG_SAMPLE_LINES || self.held.load(Ordering::Relaxed) > 0
    }

    /// What did not pass; the span is over, so the next line starts a new one.
    fn take_sum(&self) -> Option<Sum> {
        self.lines.store(0, Ordering::Relaxed);
        let lines = self.held.swap(0, Ordering::Relaxed);
        (lines > 0).then(|| Sum {
            level: self.level,
            message: self.message.clone(),
            lines,
            of: self.of.clone(),
        })
    }
}

/// The filter of the log.
#[derive(Debug)]
pub(super) struct Sampling(pub(super) Arc<Floods>);

impl<S> Filter<S> for Sampling {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let is_ours = metadata.target().split("::").next() == Some(OURS);
        let is_for_whoever_asks = *metadata.level() > Level::INFO;
        let is_asked_for = metadata.target() == FAILURES && self.0.tells_each_failure.load(Ordering::Relaxed);
        !is_ours || is_for_whoever_asks || is_asked_for || self.0.admit(event, self.0.now_ms())
    }
}

fn message(event: &Event<'_>) -> String {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                // Writing to a string does not fail.
                let _ = write!(self.0, "{value:?}");
            }
        }
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    message.0
}

impl Visit for Failing {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "job" => value.clone_into(&mut self.job),
            "class" => value.clone_into(&mut self.class),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

fn failing(event: &Event<'_>) -> Failing {
    let mut failing = Failing::default();
    event.record(&mut failing);
    failing
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, Registry};

    use super::*;

    const SPAN_MS: u64 = LOG_FLOOD_SPAN.as_millis() as u64;

    fn kind() -> Kind {
        Kind::new(Level::WARN, "a payload is not a job".to_owned(), None)
    }

    fn passed(kind: &Kind, lines: u32, now_ms: u64) -> u32 {
        (0..lines).map(|_| u32::from(kind.admit(now_ms))).sum()
    }

    #[test]
    fn the_first_lines_of_a_span_pass_and_the_others_are_counted() {
        let kind = kind();
        assert_eq!(passed(&kind, LOG_SAMPLE_LINES, 5), LOG_SAMPLE_LINES);
        assert!(kind.may_hold(), "the thread waits for the end from now on");
        assert_eq!(passed(&kind, 4_812, SPAN_MS), 0);
        let sum = kind.take_sum().unwrap();
        assert_eq!(
            (sum.lines, sum.message.as_str(), sum.level),
            (4_812, "a payload is not a job", Level::WARN)
        );
        assert_eq!(kind.take_sum(), None);
    }

    #[test]
    fn a_new_span_lets_lines_pass_again_and_forgets_none_of_the_old_one() {
        let kind = kind();
        passed(&kind, LOG_SAMPLE_LINES + 3, 5);
        assert_eq!(passed(&kind, LOG_SAMPLE_LINES + 1, 5 + SPAN_MS), LOG_SAMPLE_LINES);
        assert_eq!(kind.take_sum().unwrap().lines, 4);
    }

    #[test]
    fn lines_that_come_one_by_one_all_pass() {
        let kind = kind();
        let mut times = (0..1_000_u64).map(|line| line * SPAN_MS / u64::from(LOG_SAMPLE_LINES - 1));
        assert!(times.all(|now_ms| kind.admit(now_ms)));
        assert_eq!(kind.take_sum(), None);
    }

    #[test]
    fn the_thread_learns_when_to_sum_up_and_does_not_wait_if_nothing_is_held() {
        let floods = Floods::new();
        let kind = Arc::new(kind());
        assert_eq!(floods.next_end_at(0), None);
        // The callsite of any line will do.
        let id = Identifier(&CALLSITE);
        floods.kinds.write().unwrap().insert((id, 0), Arc::clone(&kind));
        passed(&kind, 1, 100);
        assert_eq!(floods.next_end_at(100), None);
        passed(&kind, LOG_SAMPLE_LINES, 100);
        assert_eq!(floods.next_end_at(1_100), Some(LOG_FLOOD_SPAN - Duration::from_secs(1)));
        assert_eq!(floods.sums_at(1_100), []);
        assert_eq!(floods.sums_at(100 + SPAN_MS)[0].lines, 1);
        assert_eq!(floods.next_end_at(100 + SPAN_MS), None);
    }

    /// Logs a failure under this filter.
    fn fail(job: &str, class: &str) {
        tracing::warn!(target: FAILURES, job, class, "a job failed");
    }

    #[test]
    fn a_job_that_always_fails_does_not_hide_another_and_classes_have_a_bound() {
        let floods = Arc::new(Floods::new());
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
        let subscriber = Registry::default().with(layer.with_filter(Sampling(Arc::clone(&floods))));
        tracing::subscriber::with_default(subscriber, || {
            (0..LOG_SAMPLE_LINES + 5).for_each(|_| fail("Mail", "Timeout"));
            (0..LOG_SAMPLE_LINES + 1).for_each(|_| fail("Mail", "Refused"));
            fail("Other", "Timeout");
            let mut sums = floods.last_sums();
            sums.sort_by_key(|sum| sum.lines);
            let told: Vec<_> = sums.iter().map(|sum| (sum.lines, sum.of.clone().unwrap())).collect();
            let of = |class: &str| Failing { job: "Mail".to_owned(), class: class.to_owned() };
            assert_eq!(told, [(1, of("Refused")), (5, of("Timeout"))]);

            (0..2 * LOG_FAILURE_KINDS_MAX).for_each(|number| fail("Mail", &number.to_string()));
            assert_eq!(floods.kinds.read().unwrap().len(), LOG_FAILURE_KINDS_MAX + 1);
            let rest = 2 * LOG_FAILURE_KINDS_MAX - (LOG_FAILURE_KINDS_MAX - 3) - LOG_SAMPLE_LINES as usize;
            let sums = floods.last_sums();
            assert_eq!(
                sums.iter().map(|sum| (sum.lines, &sum.of)).collect::<Vec<_>>(),
                [(rest as u64, &None)]
            );
        });
    }

    struct AnyCallsite;
    static CALLSITE: AnyCallsite = AnyCallsite;

    impl tracing::Callsite for AnyCallsite {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            panic!("nobody asks")
        }
    }
}
