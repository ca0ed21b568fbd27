//! The figures published by the gem's author, to stand beside ours.
//!
//! From the README of jiggler 0.1.0: Ubuntu 22.04, Intel Core i7-6700HQ at 2.60 GHz, Ruby 3.2.0, Redis 7.0.7. Other
//! hardware: they say in which order of magnitude the Ruby processors are, not how much faster ours is.

/// Where the figures come from, for the foot of a table.
pub(crate) const SOURCE: &str = "published: README of jiggler 0.1.0, measured on other hardware (Intel Core \
     i7-6700HQ, Ruby 3.2.0, Redis 7.0.7); jobs/s is jobs by time";

/// One published row of the no-op table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishedNoop {
    /// Name and version.
    pub(crate) processor: &'static str,
    /// Threads or fibers.
    pub(crate) concurrency: u64,
    /// Jobs of the run.
    pub(crate) jobs: u64,
    /// Time of the whole run.
    pub(crate) seconds: f64,
    /// Resident at the start, in kB.
    pub(crate) start_rss_kb: u64,
    /// Resident at the end, in kB.
    pub(crate) finish_rss_kb: u64,
}

/// One published row of the idle table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishedIdle {
    /// Name and version.
    pub(crate) processor: &'static str,
    /// Threads or fibers.
    pub(crate) concurrency: u64,
    /// Resident at the start, in kB.
    pub(crate) start_rss_kb: u64,
    /// Resident at the end, in kB.
    pub(crate) finish_rss_kb: u64,
    /// CPU over three minutes.
    pub(crate) cpu_percent: f64,
}

const SIDEKIQ: &str = "Sidekiq 7.0.3 (published)";
const JIGGLER: &str = "Jiggler 0.1.0 (published)";

/// The no-op table.
pub(crate) const NOOP: [PublishedNoop; 12] = [
    noop(SIDEKIQ, 5, 100_000, 20.69, (131_068, 110_544)),
    noop(JIGGLER, 5, 100_000, 14.53, (82_020, 92_904)),
    noop(SIDEKIQ, 10, 100_000, 20.70, (132_048, 122_660)),
    noop(JIGGLER, 10, 100_000, 13.75, (82_380, 93_108)),
    noop(SIDEKIQ, 5, 1_000_000, 189.54, (172_188, 148_180)),
    noop(JIGGLER, 5, 1_000_000, 123.13, (91_028, 98_888)),
    noop(SIDEKIQ, 10, 1_000_000, 184.26, (175_048, 161_744)),
    noop(JIGGLER, 10, 1_000_000, 119.05, (90_916, 98_944)),
    noop(JIGGLER, 50, 100_000, 13.55, (82_052, 94_120)),
    noop(JIGGLER, 100, 100_000, 13.89, (82_084, 63_284)),
    noop(JIGGLER, 50, 1_000_000, 118.11, (89_532, 77_084)),
    noop(JIGGLER, 100, 1_000_000, 118.05, (89_702, 77_528)),
];

/// The idle table.
pub(crate) const IDLE: [PublishedIdle; 8] = [
    idle(SIDEKIQ, 5, (27_508, 42_680), 0.73),
    idle(JIGGLER, 5, (26_640, 34_848), 0.42),
    idle(SIDEKIQ, 10, (28_312, 47_856), 0.85),
    idle(JIGGLER, 10, (26_576, 34_388), 0.45),
    idle(SIDEKIQ, 15, (28_472, 53_236), 0.9),
    idle(JIGGLER, 15, (26_584, 34_336), 0.5),
    idle(JIGGLER, 50, (26_740, 35_556), 0.72),
    idle(JIGGLER, 100, (26_648, 37_404), 1.03),
];

const fn noop(
    processor: &'static str,
    concurrency: u64,
    jobs: u64,
    seconds: f64,
    (start_rss_kb, finish_rss_kb): (u64, u64),
) -> PublishedNoop {
    PublishedNoop { processor, concurrency, jobs, seconds, start_rss_kb, finish_rss_kb }
}

const fn idle(
    processor: &'static str,
    concurrency: u64,
    (start_rss_kb, finish_rss_kb): (u64, u64),
    cpu_percent: f64,
) -> PublishedIdle {
    PublishedIdle { processor, concurrency, start_rss_kb, finish_rss_kb, cpu_percent }
}
