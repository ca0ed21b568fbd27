//! A state as lines of text: the same on the screen and in a snapshot.

use std::time::Duration;

use crate::admin::{
    processes,
    span::span,
    table::{self, Align, printable},
};
use crate::limits::{RUNNING_JOBS_SHOWN_MAX, TOP_SHARDS_MAX};
use crate::view::{member::RunningJob, state::State};
use crate::wire::ListName;

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
        "processed {}{}  failed {}{}  retry set {}  scheduled set {}  dead set {}",
        counts.processed,
        rate(state.processed_per_s),
        counts.failures,
        rate(state.failures_per_s),
        counts.retry_jobs,
        counts.scheduled_jobs,
        counts.dead_jobs,
    );
    let third = format!(
        "waiting {}  queues {}  processes {}  busy {busy}/{slots}",
        state.waiting_jobs, state.queues_count, state.processes_count
    );
    vec![
        Line::new(Tone::Title, format!("jiggler-uring top  {}", printable(&state.redis))),
        Line::new(Tone::Plain, second),
        Line::new(Tone::Plain, third),
    ]
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

/// The lines that scroll.
pub(super) fn body(state: &State) -> Vec<Line> {
    let mut lines = Vec::new();
    let queues: Vec<_> =
        state.queues.iter().map(|queue| vec![ListName::shown(&queue.name), queue.jobs.to_string()]).collect();
    section(
        &mut lines,
        "no jobs wait in any queue",
        &[("queue", Align::Left), ("jobs", Align::Right)],
        &queues,
    );
    let members = state.processes.iter().map(|worker| &worker.member);
    let rows: Vec<_> = members.clone().map(|member| processes::row(member, state.at)).collect();
    let before = lines.len();
    section(&mut lines, "no process is running", processes::COLUMNS, &rows);
    // The table comes after a blank line and its head.
    for (line, member) in lines[before..].iter_mut().skip(2).zip(members) {
        if !member.ok {
            line.tone = Tone::Alarm;
        }
    }
    section(&mut lines, "", SHARD_COLUMNS, &shard_rows(state));
    section(&mut lines, "no job is known to be running", JOB_COLUMNS, &job_rows(state));
    lines
}

/// The last line: which part is shown, and how to quit.
pub(super) fn foot(scroll: usize, room: usize, lines: usize) -> Line {
    let part = if lines > room {
        format!("  lines {} to {} of {lines}", scroll + 1, (scroll + room).min(lines))
    } else {
        String::new()
    };
    Line::new(Tone::Head, format!("q quit  arrows, page up and down scroll{part}"))
}

const SHARD_COLUMNS: &[(&str, Align)] = &[
    ("process", Align::Left),
    ("shard", Align::Right),
    ("busy", Align::Right),
    ("unstarted", Align::Right),
    ("jobs/s", Align::Right),
    ("processed", Align::Right),
    ("failed", Align::Right),
    ("handed back", Align::Right),
    ("disconnects", Align::Right),
];

const JOB_COLUMNS: &[(&str, Align)] = &[
    ("running job", Align::Left),
    ("jid", Align::Left),
    ("process", Align::Left),
    ("shard", Align::Right),
    ("for", Align::Right),
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
                shard.unstarted.to_string(),
                rate.map_or_else(|| "?".to_owned(), |rate| format!("{rate:.0}")),
                shard.processed.to_string(),
                shard.failed.to_string(),
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
            job.jid.clone(),
            uuid.to_owned(),
            job.shard.map_or_else(String::new, |shard| shard.to_string()),
            job.since.map_or_else(|| "?".to_owned(), |since| span(state.at - since)),
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
    use crate::{store::survey::Counts, view::state::QueueLength};

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
        };
        let text = |lines: Vec<Line>| lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n");
        assert_eq!(
            text(head(&state)),
            "jiggler-uring top  redis://h:6379/0\nprocessed 7 (12/s)  failed 1  retry set 2  scheduled set 3  \
             dead set 4\nwaiting 0  queues 0  processes 0  busy 0/0"
        );
        assert_eq!(
            text(body(&state)),
            "\nno jobs wait in any queue\n\nno process is running\n\nno job is known to be running"
        );
        state.queues = vec![QueueLength { name: "a\u{1b}[2J".to_owned(), jobs: 12 }];
        assert!(
            text(body(&state)).starts_with("\nqueue             jobs\nescaped:a\\x1b[2J    12\n"),
            "{}",
            text(body(&state))
        );
    }

    #[test]
    fn the_foot_says_which_part_is_shown() {
        assert!(foot(0, 10, 10).text.ends_with("scroll"));
        assert!(foot(2, 10, 40).text.ends_with("lines 3 to 12 of 40"));
    }
}
