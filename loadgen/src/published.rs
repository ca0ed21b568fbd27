//! The figures published by the gem's author, to show alongside ours.
//!
//! From the README of jiggler 0.1.0: Ubuntu 22.04, Intel Core i7-6700HQ at 2.60 GHz, Ruby 3.2.0, Redis 7.0.7. Other
//! hardware: they show the order of magnitude of the Ruby processors, not how much faster ours is.

/// Where the figures come from, for the footer of a table.
pub(crate) const SOURCE: &str = "published: README of jiggler 0.1.0, measured on other hardware (Intel Core \
     i7-6700HQ, Ruby 3.2.0, Redis 7.0.7); jobs/s is jobs by time";

/// What ChasquiMQ (Rust and tokio on Redis Streams, batched acks) publishes: jobs a second.
pub(crate) const CHASQUIMQ: [(&str, u64); 3] =
    [("drained", 419_000), ("pushed in bulk", 196_000), ("contended", 112_000)];

/// Where these figures come from.
pub(crate) const CHASQUIMQ_SOURCE: &str = "published: chasquimq.pages.dev/benchmarks, measured on other hardware (Apple M3, \
     Redis 8.6 on the same host)";

/// One published row of a table of drained jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
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
    /// CPU over the run, if it was published.
    pub(crate) cpu_percent: Option<f64>,
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
pub(crate) const NOOP: [Published; 12] = [
    row(SIDEKIQ, 5, 100_000, 20.69, (131_068, 110_544)),
    row(JIGGLER, 5, 100_000, 14.53, (82_020, 92_904)),
    row(SIDEKIQ, 10, 100_000, 20.70, (132_048, 122_660)),
    row(JIGGLER, 10, 100_000, 13.75, (82_380, 93_108)),
    row(SIDEKIQ, 5, 1_000_000, 189.54, (172_188, 148_180)),
    row(JIGGLER, 5, 1_000_000, 123.13, (91_028, 98_888)),
    row(SIDEKIQ, 10, 1_000_000, 184.26, (175_048, 161_744)),
    row(JIGGLER, 10, 1_000_000, 119.05, (90_916, 98_944)),
    row(JIGGLER, 50, 100_000, 13.55, (82_052, 94_120)),
    row(JIGGLER, 100, 100_000, 13.89, (82_084, 63_284)),
    row(JIGGLER, 50, 1_000_000, 118.11, (89_532, 77_084)),
    row(JIGGLER, 100, 1_000_000, 118.05, (89_702, 77_528)),
];

/// The table of HTTP requests with `net/http` to a server that answers after 0.2 s.
pub(crate) const HTTP: [Published; 8] = [
    row(SIDEKIQ, 5, 1_000, 43.65, (30_632, 45_436)).cpu(9.0),
    row(JIGGLER, 5, 1_000, 43.58, (28_724, 35_508)).cpu(6.34),
    row(SIDEKIQ, 10, 1_000, 23.12, (30_640, 50_436)).cpu(13.26),
    row(JIGGLER, 10, 1_000, 22.87, (28_644, 35_788)).cpu(9.32),
    row(SIDEKIQ, 15, 1_000, 16.21, (30_384, 55_420)).cpu(18.14),
    row(JIGGLER, 15, 1_000, 16.02, (28_604, 35_956)).cpu(11.97),
    row(JIGGLER, 50, 1_000, 6.5, (28_744, 38_700)).cpu(31.36),
    row(JIGGLER, 100, 1_000, 4.52, (28_624, 41_124)).cpu(47.85),
];

/// The table of `SELECT pg_sleep(0.1)`.
pub(crate) const PG: [Published; 8] = [
    row(SIDEKIQ, 5, 1_000, 23.32, (31_564, 49_112)).cpu(8.41),
    row(JIGGLER, 5, 1_000, 23.28, (28_672, 39_748)).cpu(5.39),
    row(SIDEKIQ, 10, 1_000, 13.15, (31_272, 52_808)).cpu(14.76),
    row(JIGGLER, 10, 1_000, 12.82, (28_992, 38_784)).cpu(9.98),
    row(SIDEKIQ, 15, 1_000, 9.63, (31_016, 59_868)).cpu(20.45),
    row(JIGGLER, 15, 1_000, 9.37, (28_704, 39_960)).cpu(14.14),
    row(JIGGLER, 50, 1_000, 5.2, (28_808, 42_012)).cpu(41.5),
    row(JIGGLER, 100, 1_000, 5.11, (28_884, 46_636)).cpu(66.0),
];

/// The table of a line appended to a file.
pub(crate) const FILE: [Published; 8] = [
    row(SIDEKIQ, 5, 50_000, 19.77, (83_244, 72_576)).cpu(99.6),
    row(JIGGLER, 5, 50_000, 10.51, (56_348, 65_554)).cpu(92.06),
    row(SIDEKIQ, 10, 50_000, 17.57, (83_268, 81_204)).cpu(95.15),
    row(JIGGLER, 10, 50_000, 10.29, (55_412, 64_558)).cpu(93.08),
    row(SIDEKIQ, 15, 50_000, 17.03, (83_312, 87_176)).cpu(94.7),
    row(JIGGLER, 15, 50_000, 10.7, (55_852, 65_716)).cpu(94.64),
    row(JIGGLER, 50, 50_000, 10.9, (55_680, 65_888)).cpu(92.9),
    row(JIGGLER, 100, 50_000, 10.71, (56_500, 52_768)).cpu(94.6),
];

/// The table of fib(25) in Ruby, about 35 ms a job there.
pub(crate) const CPU: [Published; 4] = [
    row(SIDEKIQ, 5, 100, 5.81, (27_792, 42_464)),
    row(JIGGLER, 5, 100, 5.53, (27_020, 33_660)),
    row(SIDEKIQ, 10, 100, 5.63, (28_044, 47_640)),
    row(JIGGLER, 10, 100, 5.43, (27_136, 33_856)),
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

const fn row(
    processor: &'static str,
    concurrency: u64,
    jobs: u64,
    seconds: f64,
    (start_rss_kb, finish_rss_kb): (u64, u64),
) -> Published {
    Published { processor, concurrency, jobs, seconds, start_rss_kb, finish_rss_kb, cpu_percent: None }
}

impl Published {
    const fn cpu(mut self, percent: f64) -> Self {
        self.cpu_percent = Some(percent);
        self
    }
}

const fn idle(
    processor: &'static str,
    concurrency: u64,
    (start_rss_kb, finish_rss_kb): (u64, u64),
    cpu_percent: f64,
) -> PublishedIdle {
    PublishedIdle { processor, concurrency, start_rss_kb, finish_rss_kb, cpu_percent }
}
