//! The table of metrics against what is written, and what writing costs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::families::{ALL, Kind};
use super::page::{Page, ProcessPart, ShardPart};
use super::*;
use crate::stats::{LifePhase, LiveRow, Outcome};
use crate::store::survey::Counts;
use crate::store::waits::NextDue;
use crate::web::counts::Rows;
use crate::web::fleet::FleetFacts;
use crate::wire::paused::{Pause, Paused};

fn row(ends: &[(Outcome, u64)]) -> LiveRow {
    let row = LiveRow::default();
    for (outcome, count) in ends {
        for number in 0..*count {
            row.count(*outcome);
            row.ran(Duration::from_millis(number + 1));
            row.waited(Duration::from_micros(70));
        }
    }
    row
}

fn page(rows: Rows) -> Page {
    let process = ProcessPart {
        phase: LifePhase::Running,
        lease: Some(Duration::from_secs(2)),
        control: Some(Duration::from_millis(3)),
        recovered: 4,
        poison: 1,
        rows,
        shards: vec![ShardPart::default()],
    };
    let fleet = FleetFacts {
        counts: Counts { processed: 70, failures: 7, ..Counts::default() },
        queues: vec![("img \"x\"".to_owned(), 12)],
        paused: Paused {
            queues: BTreeMap::from([("img \"x\"".to_owned(), Pause::default())]),
            classes: BTreeMap::from([("Charge".to_owned(), Pause::default())]),
        },
        waiting_jobs: 12,
        phases: BTreeMap::from([("running".to_owned(), 2)]),
        running_jobs: 3,
        slots: 20,
        processed_per_s: Some(6.0),
        due: NextDue { retries: Some(9.5), scheduled: None },
        queue_slots: BTreeMap::from([("img".to_owned(), 5)]),
        oldest: vec![("img \"x\"".to_owned(), 7.25)],
    };
    Page {
        version: "0.1.0",
        program: "billing 1.2".to_owned(),
        tag: String::new(),
        started_at: 1_795_299_919.5,
        machine: Machine::read(),
        process: Some(process),
        fleet: Some(Some(fleet)),
    }
}

fn some_rows() -> Rows {
    let key = |queue: &str, class: &str| (queue.into(), class.into());
    Rows::from([
        (key("default", "Charge"), row(&[(Outcome::Done, 9), (Outcome::Retried, 2)]).copy()),
        (key("img", "other"), row(&[(Outcome::Left, 1)]).copy()),
    ])
}

/// The metric that a sample belongs to, by the name that is written.
fn family_of(sample: &str) -> String {
    let name = sample.split(['{', ' ']).next().unwrap();
    let histogram = ALL.iter().find(|family| {
        let parts = ["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", family.name));
        family.kind == Kind::Histogram && parts.iter().any(|part| part == name)
    });
    histogram.map_or_else(|| name.to_owned(), |family| family.name.to_owned())
}

#[test]
fn what_is_written_is_the_table_and_nothing_else() {
    for format in Format::ALL {
        let text = write(&Arc::new(page(some_rows())), format);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let written: BTreeSet<String> = samples.map(family_of).collect();
        let table: BTreeSet<String> = ALL.iter().map(families::Family::written).collect();
        assert_eq!(written, table, "{format:?}");
        for family in ALL {
            let own = |line: &&str| family_of(line) == family.written();
            let line = text.lines().find(own).unwrap();
            let labels: Vec<&str> = match line.split_once('{') {
                Some((_, rest)) => {
                    rest.split("=\"").filter_map(|part| part.rsplit(['{', ',', '"']).next()).collect()
                }
                None => Vec::new(),
            };
            for label in family.labels {
                assert!(labels.contains(label), "{}: {label} is not in {line}", family.name);
            }
            assert!(family.help.len() > 5 && !family.help.ends_with('.'), "{}", family.name);
        }
        assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
    }
}

#[test]
fn jobs_are_written_by_queue_class_and_outcome() {
    let text = write(&Arc::new(page(some_rows())), Format::Prometheus);
    for line in [
        r#"jiggler_jobs_total{queue="default",class="Charge",outcome="done"} 9"#,
        r#"jiggler_jobs_total{queue="default",class="Charge",outcome="retried"} 2"#,
        r#"jiggler_jobs_total{queue="img",class="other",outcome="left"} 1"#,
        r#"jiggler_job_run_seconds_count{queue="default",class="Charge"} 11"#,
        r#"jiggler_job_run_seconds_bucket{queue="default",class="Charge",le="0.00390625"} 5"#,
        r#"jiggler_job_run_seconds_bucket{queue="default",class="Charge",le="+Inf"} 11"#,
        r#"jiggler_batch_wait_seconds_count{queue="default"} 11"#,
        r#"jiggler_phase{phase="running"} 1.0"#,
        r#"jiggler_phase{phase="quiet"} 0.0"#,
        r#"jiggler_fleet_queue_jobs{queue="img \"x\""} 12.0"#,
        r#"jiggler_fleet_paused{what="queue",name="img \"x\""} 1.0"#,
        r#"jiggler_fleet_paused{what="class",name="Charge"} 1.0"#,
        "jiggler_fleet_drain_seconds 2.0",
        r#"jiggler_fleet_queue_slots{queue="img"} 5.0"#,
        r#"jiggler_fleet_queue_oldest_seconds{queue="img \"x\""} 7.25"#,
        r#"jiggler_fleet_next_due_timestamp_seconds{set="retries"} 9.5"#,
        "jiggler_recovered_jobs_total 4",
        "# TYPE jiggler_jobs_total counter",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(r#"class="Charge",outcome="dead""#));
}

#[test]
fn without_an_answer_of_redis_the_fleet_is_said_to_be_unknown() {
    let text =
        write(&Arc::new(Page { fleet: Some(None), process: None, ..page(Rows::new()) }), Format::Prometheus);
    assert!(text.contains("\njiggler_fleet_up 0.0\n"), "{text}");
    assert!(!text.contains("jiggler_fleet_queue_jobs") && !text.contains("jiggler_jobs_total"));
}

/// 500 classes, each in one of 50 queues: a large process. What it costs is measured by `benches/scrape.rs`.
#[test]
fn a_page_of_five_hundred_classes_stays_below_a_megabyte() {
    let bytes = Scrape::of(500, 50).write().len();
    assert!((500_000..1_000_000).contains(&bytes), "{bytes} bytes");
}

/// After a change to the table, copy what this prints into README.md, section Metrics and health.
#[test]
fn the_readme_has_the_whole_table() {
    let readme = include_str!("../../../README.md");
    let kind = |kind| match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Info => "info",
    };
    let mut table = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for family in ALL {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, help) = (family.written(), kind(family.kind), family.help);
        table.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", ")));
    }
    assert!(
        readme.contains(&table),
        "README.md, section Metrics and health, must contain exactly:\n\n{table}"
    );
}

/// An alert or a graph on a metric that does not exist would never show anything.
#[test]
fn the_shipped_alerts_and_graphs_name_metrics_that_exist() {
    let shipped = [
        include_str!("../../../packaging/prometheus/alerts.yml"),
        include_str!("../../../packaging/prometheus/alerts-test.yml"),
        include_str!("../../../packaging/grafana/jiggler-uring.json"),
    ];
    let mut known: BTreeSet<String> = ALL.iter().map(families::Family::written).collect();
    for family in ALL.iter().filter(|family| family.kind == Kind::Histogram) {
        known.extend(["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", family.name)));
    }
    let mut named = BTreeSet::new();
    for text in shipped {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        named.extend(words.filter(|word| word.starts_with("jiggler_") || word.starts_with("process_")));
    }
    let missing: Vec<&str> = named.iter().copied().filter(|word| !known.contains(*word)).collect();
    assert!(named.len() > 10 && missing.is_empty(), "{missing:?}");
}
