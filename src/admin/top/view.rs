//! A state as lines of text: the same on the screen and in a snapshot.

use std::time::Duration;

use crate::admin::table::{self, Align, printable};
use crate::limits::{RUNNING_JOBS_SHOWN_MAX, TOP_QUEUES_MIN, TOP_QUEUES_PART, TOP_SHARDS_MAX};
use crate::view::count::count;
use crate::view::span::span;
use crate::view::{
    member::{Member, RunningJob},
    state::{QueueLength, State, Worker},
};
use crate::wire::{ListName, heartbeat_key::split_queues};

/// How a line is shown where colours are available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    #[default]
    Plain,
    /// What this is.
    Title,
    /// The head of a table.
    Head,
    /// Something that should not be so.
    Alarm,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Line {
    /// The line from this column on.
    pub(super) fn from(self, left: usize) -> Self {
        if left == 0 { self } else { Self { text: self.text.chars().skip(left).collect(), ..self } }
    }

    fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }
}

/// The lines that stay on the screen.
pub(super) fn head(state: &State) -> Vec<Line> {
    let counts = &state.counts;
    let rate = |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!(" ({rate:.0}/s)"));
    let busy: u64 = state.processes.iter().map(|worker| worker.member.busy).sum();
    let slots: u64 = state.processes.iter().map(|worker| worker.member.concurrency).sum();
    let second = format!(
        "processed {}{}  failed {}{}  processes {}  busy {busy}/{slots}",
        counts.processed,
        rate(state.processed_per_s),
        counts.failures,
        rate(state.failures_per_s),
        state.processes_count,
    );
    let third = format!(
        "waiting {} in {}  retry set {}  scheduled set {}  dead set {}",
        state.waiting_jobs,
        count(state.queues_count as u64, "queue", "queues"),
        counts.retry_jobs,
        counts.scheduled_jobs,
        counts.dead_jobs,
    );
    let first = format!("top  {}  {}", printable(&state.redis), ages(state));
    vec![Line::new(Tone::Title, first), Line::new(Tone::Plain, second), Line::new(Tone::Plain, third)]
}

/// When Redis was read, and how old the oldest report of a process is.
fn ages(state: &State) -> String {
    let read = clock(state.at);
    let beats = state.processes.iter().filter_map(|worker| worker.member.heartbeat);
    match beats.min_by(f64::total_cmp) {
        Some(oldest) => format!("{read}  reports up to {} old", span(state.at - oldest)),
        None => read,
    }
}

/// The line of an outage.
pub(super) fn away(since: Duration, why: &str) -> Line {
    let text = format!(
        "redis has been away for {}, showing the last state: {}",
        span(since.as_secs_f64()),
        printable(why)
    );
    Line::new(Tone::Alarm, text)
}

/// The lines that scroll, what matters most on top and to the left. `room`: the rows there are, of which queues take only a
/// part; `None`: all of them are shown.
pub(super) fn body(state: &State, room: Option<usize>) -> Vec<Line> {
    let mut lines = Vec::new();
    queue_lines(&mut lines, state, room);
    let members = state.processes.iter().map(|worker| &worker.member);
    let rows: Vec<_> = members.clone().map(|member| process_row(member, state.at)).collect();
    let before = lines.len();
    section(&mut lines, "no process is running", PROCESS_COLUMNS, &rows);
    // The table comes after a blank line and its head.
    for (line, member) in lines[before..].iter_mut().skip(2).zip(members) {
        if !member.ok {
            line.tone = Tone::Alarm;
        }
    }
    section(&mut lines, "no job is known to be running", JOB_COLUMNS, &job_rows(state));
    section(&mut lines, "", SHARD_COLUMNS, &shard_rows(state));
    lines
}

/// The longest queues, and who serves each: one that nobody serves stands out.
fn queue_lines(lines: &mut Vec<Line>, state: &State, room: Option<usize>) {
    let shown = room.map_or(usize::MAX, |room| (room / TOP_QUEUES_PART).max(TOP_QUEUES_MIN));
    let served = |queue: &QueueLength| {
        let serves = |worker: &&Worker| {
            split_queues(&worker.member.queues).iter().any(|served| served.name == queue.name)
        };
        state.processes.iter().filter(serves).count()
    };
    // With more processes than are read, nobody knows.
    let all_known = state.processes.len() == state.processes_count;
    let queues: Vec<_> = state.queues.iter().take(shown).map(|queue| (queue, served(queue))).collect();
    let rows: Vec<_> = queues
        .iter()
        .map(|(queue, served)| {
            let served = match served {
                0 if all_known => "nobody".to_owned(),
                0 => "?".to_owned(),
                count => count.to_string(),
            };
            let paused = if state.paused.queues.contains_key(&queue.name) { ", paused" } else { "" };
            let mut row = vec![ListName::shown(&queue.name), queue.jobs.to_string(), served + paused];
            row.extend(slots_of(state, &queue.name));
            row
        })
        .collect();
    let before = lines.len();
    let columns = QUEUE_COLUMNS.len() - if gives_slots(state) { 0 } else { SLOT_COLUMNS };
    section(lines, "no jobs wait in any queue", &QUEUE_COLUMNS[..columns], &rows);
    for (line, (_, served)) in lines[before..].iter_mut().skip(2).zip(&queues) {
        if *served == 0 && all_known {
            line.tone = Tone::Alarm;
        }
    }
    if !state.paused.classes.is_empty() {
        let names: Vec<String> = state.paused.classes.keys().map(|name| printable(name)).collect();
        lines.push(Line::new(Tone::Alarm, format!("paused classes: {}", names.join(", "))));
    }
    let hidden = state.queues.len().saturating_sub(shown);
    if hidden > 0 {
        lines.push(Line::new(Tone::Plain, format!("and {} shorter ones (a: all)", hidden)));
    }
}

/// Whether slots are given to queues anywhere.
fn gives_slots(state: &State) -> bool {
    state.processes.iter().any(|worker| !worker.member.balance.is_empty())
}

/// How many slots a queue has in the processes that are read, and why in the one that gives it most; nothing where slots are
/// not given to queues.
fn slots_of(state: &State, queue: &str) -> Vec<String> {
    if !gives_slots(state) {
        return Vec::new();
    }
    let given = || {
        let all = state.processes.iter().flat_map(|worker| &worker.member.balance);
        all.filter(|given| given.queue == queue)
    };
    let why =
        given().max_by_key(|given| given.slots).map_or_else(String::new, |most| printable(&most.reason));
    vec![given().map(|given| given.slots).sum::<u64>().to_string(), why]
}

/// A part of a whole: first, last, of how many.
type Part = Option<(usize, usize, usize)>;

/// The last line: how to move, and which part is shown.
pub(super) fn foot(lines: Part, columns: Part) -> Line {
    let part = |what: &str, part: Part| {
        part.map_or_else(String::new, |(first, last, of)| format!("  {what} {first}-{last} of {of}"))
    };
    let parts = part("lines", lines) + &part("columns", columns);
    Line::new(Tone::Head, format!("q quit  ? help  arrows, pages{parts}"))
}

/// What the keys do.
pub(super) fn help() -> Vec<Line> {
    let lines = [
        "",
        "q, Ctrl-C        quit; so does Esc, outside this help",
        "?, h, F1         this help; again, or Esc, leaves it",
        "up, down, k, j   a line up or down",
        "page up, down    half a screen up or down; blank: down",
        "left, right      sideways",
        "Home, End        to the start, to the end",
        "a                all queues, or only the longest",
        "",
        "Counters, rates and queues are current. A process reports once a second while",
        "this is open; the first line says how old the oldest report is.",
    ];
    lines.into_iter().map(|line| Line::new(Tone::Plain, line)).collect()
}

/// The time of day of a Unix time, UTC.
fn clock(at: f64) -> String {
    let seconds = (at as u64) % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The last ones only where slots are given to queues.
const QUEUE_COLUMNS: &[(&str, Align)] = &[
    ("queue", Align::Left),
    ("jobs", Align::Right),
    ("served by", Align::Right),
    ("slots", Align::Right),
    ("why", Align::Left),
];

/// How many columns tell of slots.
const SLOT_COLUMNS: usize = 2;

/// What tells whether a process is well comes first, who it is last.
const PROCESS_COLUMNS: &[(&str, Align)] = &[
    ("process", Align::Left),
    ("busy", Align::Right),
    ("reported", Align::Right),
    ("health", Align::Left),
    ("host", Align::Left),
    ("pid", Align::Right),
    ("rss MiB", Align::Right),
    ("up", Align::Right),
    ("engine", Align::Left),
    ("queues", Align::Left),
];

fn process_row(member: &Member, now: f64) -> Vec<String> {
    let unknown = || "?".to_owned();
    vec![
        member.uuid.clone(),
        format!("{}/{}", member.busy, member.concurrency),
        member.heartbeat.map_or_else(unknown, |then| format!("{} ago", span(now - then))),
        member.health_or_phase(now),
        member.host.clone(),
        member.pid.to_string(),
        member.rss_kb.map_or_else(unknown, |kilobytes| format!("{:.1}", kilobytes as f64 / 1024.0)),
        span(now - member.started_at as f64),
        member.engine_text(),
        member.queues_text(),
    ]
}

const SHARD_COLUMNS: &[(&str, Align)] = &[
    ("process", Align::Left),
    ("shard", Align::Right),
    ("busy", Align::Right),
    ("jobs/s", Align::Right),
    ("processed", Align::Right),
    ("failed", Align::Right),
    ("unstarted", Align::Right),
    ("handed back", Align::Right),
    ("disconnects", Align::Right),
];

const JOB_COLUMNS: &[(&str, Align)] = &[
    ("running job", Align::Left),
    ("for", Align::Right),
    ("jid", Align::Left),
    ("process", Align::Left),
    ("shard", Align::Right),
];

fn shard_rows(state: &State) -> Vec<Vec<String>> {
    let rows = state.processes.iter().flat_map(|worker| {
        let shards = worker.member.shards.iter().zip(&worker.shard_jobs_per_s).enumerate();
        shards.map(|(number, (shard, rate))| {
            let busy = match shard.slots {
                0 => shard.running.to_string(),
                slots => format!("{}/{slots}", shard.running),
            };
            vec![
                worker.member.name(),
                number.to_string(),
                busy,
                rate.map_or_else(|| "?".to_owned(), |rate| format!("{rate:.0}")),
                shard.processed.to_string(),
                shard.failed.to_string(),
                shard.unstarted.to_string(),
                shard.handed_back.to_string(),
                shard.disconnects.to_string(),
            ]
        })
    });
    rows.take(TOP_SHARDS_MAX).collect()
}

/// The jobs of all processes, the longest-running first.
fn job_rows(state: &State) -> Vec<Vec<String>> {
    let jobs = state
        .processes
        .iter()
        .flat_map(|worker| worker.member.jobs.iter().map(|job| (worker.member.uuid.as_str(), job)));
    let mut jobs: Vec<(&str, &RunningJob)> = jobs.collect();
    let since = |job: &RunningJob| job.since.unwrap_or(f64::MAX);
    jobs.sort_by(|one, other| since(one.1).total_cmp(&since(other.1)));
    jobs.truncate(RUNNING_JOBS_SHOWN_MAX);
    let row = |(uuid, job): (&str, &RunningJob)| {
        vec![
            job.name.clone(),
            job.since.map_or_else(|| "?".to_owned(), |since| span(state.at - since)),
            job.jid.clone(),
            uuid.to_owned(),
            job.shard.map_or_else(String::new, |shard| shard.to_string()),
        ]
    };
    jobs.into_iter().map(row).collect()
}

/// Appends a blank line and a table, or the given text if it is empty.
fn section(lines: &mut Vec<Line>, empty: &str, columns: &[(&str, Align)], rows: &[Vec<String>]) {
    if rows.is_empty() {
        if !empty.is_empty() {
            lines.extend([Line::default(), Line::new(Tone::Plain, empty)]);
        }
        return;
    }
    let mut text = Vec::new();
    // Writing to memory does not fail, and what does not fit there would not fit on a screen.
    let _written = table::write(&mut text, columns, rows);
    lines.push(Line::default());
    let text = String::from_utf8_lossy(&text);
    let tone = |number| if number == 0 { Tone::Head } else { Tone::Plain };
    lines.extend(text.lines().enumerate().map(|(number, line)| Line::new(tone(number), line)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::survey::{Counts, Process},
        wire::{
            figures::{self, QueueSlots},
            paused::Paused,
        },
    };

    #[test]
    fn a_state_of_nothing_says_so_and_one_with_queues_lists_them() {
        let counts = Counts { processed: 7, failures: 1, retry_jobs: 2, scheduled_jobs: 3, dead_jobs: 4 };
        let mut state = State {
            at: 0.0,
            redis: "redis://h:6379/0".to_owned(),
            counts,
            processed_per_s: Some(12.4),
            failures_per_s: None,
            queues: Vec::new(),
            queues_count: 0,
            waiting_jobs: 0,
            processes: Vec::new(),
            processes_count: 0,
            paused: Paused::default(),
        };
        let text = |lines: Vec<Line>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n");
        assert_eq!(
            text(head(&state)),
            "top  redis://h:6379/0  00:00:00Z\nprocessed 7 (12/s)  failed 1  processes 0  busy 0/0\n\
             waiting 0 in 0 queues  retry set 2  scheduled set 3  dead set 4"
        );
        assert_eq!(
            text(body(&state, None)),
            "\nno jobs wait in any queue\n\nno process is running\n\nno job is known to be running"
        );
        state.queues = vec![QueueLength { name: "a\u{1b}[2J".to_owned(), jobs: 12 }];
        let shown = text(body(&state, None));
        let expected = "\nqueue             jobs  served by\nescaped:a\\x1b[2J    12     nobody\n";
        assert!(shown.starts_with(expected), "{shown}");
    }

    /// On the smallest usual terminal: whatever is wrong, and what runs, is seen without scrolling.
    #[test]
    fn what_matters_fits_into_80_columns_and_24_rows() {
        let key = "jiggler:svr:d8625f8721eb:10:25:payments,3,mails,2:1:1795299901:8066:worker-7.example.org";
        let mut process =
            Process::read(key, br#"{"heartbeat":1795300000.0,"rss":36192,"current_jobs":{}}"#).unwrap();
        let json = r#"{"phase":"running","shards":[{"running":7,"slots":10}],"version":"0.1.0",
            "troubles":[{"shard":0,"what":"stalled","since":1795299990.0}],
            "jobs":[{"shard":0,"name":"Report::Daily","jid":"0d655a187e214821","since":1795300001.5}]}"#;
        process.figures = figures::parse(json.as_bytes()).ok();
        let worker = Worker { member: Member::of(&process), shard_jobs_per_s: vec![Some(12.0)] };
        let counts = Counts {
            processed: 123_456_789,
            failures: 123_456,
            retry_jobs: 12,
            scheduled_jobs: 3,
            dead_jobs: 9_999,
        };
        let queue = |number: u64| QueueLength { name: format!("queue-{number}"), jobs: 1_000 - number };
        let state = State {
            at: 1_795_300_002.0,
            redis: "redis://redis.example.org:6379/0".to_owned(),
            counts,
            processed_per_s: Some(123_456.0),
            failures_per_s: Some(12.0),
            queues: (0..20).map(queue).collect(),
            queues_count: 20,
            waiting_jobs: 19_000,
            processes: vec![worker],
            processes_count: 1,
            paused: Paused::default(),
        };
        let head = head(&state);
        assert_eq!(head[0].text, "top  redis://redis.example.org:6379/0  22:26:42Z  reports up to 2 s old");
        assert!(head.iter().chain(&help()).all(|line| line.text.chars().count() <= 80), "{head:?}");
        let body = body(&state, Some(20));
        let seen: String =
            body.iter().take(20).map(|line| line.text.chars().take(80).collect::<String>() + "\n").collect();
        for part in [
            "queue-0",
            "nobody",
            "and 15 shorter ones",
            "7/10",
            "2 s ago",
            "shard 0 stalled",
            "Report::Daily",
        ] {
            assert!(seen.contains(part), "`{part}` is missing in:\n{seen}");
        }
        assert!(body.iter().any(|line| line.tone == Tone::Alarm && line.text.contains("stalled")));
        let right = Line::new(Tone::Plain, "0123456789").from(8);
        assert_eq!(right.text, "89");
        assert!(!seen.contains("slots"), "{seen}");
        let mut state = state;
        let given = |slots, reason: &str| QueueSlots {
            queue: "queue-1".to_owned(),
            slots,
            reason: reason.to_owned(),
        };
        state.processes[0].member.balance =
            vec![given(7, "12.0 s of work, 60 % of all"), given(1, "nothing waits")];
        let body = super::body(&state, Some(20));
        let row = body.iter().find(|line| line.text.starts_with("queue-1 ")).unwrap();
        let words: Vec<&str> = row.text.split_whitespace().collect();
        assert_eq!(words.join(" "), "queue-1 999 nobody 8 12.0 s of work, 60 % of all");
    }

    #[test]
    fn the_foot_says_which_part_is_shown() {
        assert_eq!(foot(None, None).text, "q quit  ? help  arrows, pages");
        let text = foot(Some((3, 12, 40)), Some((9, 88, 120))).text;
        assert!(
            text.ends_with("  lines 3-12 of 40  columns 9-88 of 120") && text.chars().count() <= 80,
            "{text}"
        );
    }
}
