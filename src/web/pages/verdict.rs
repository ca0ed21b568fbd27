//! Whether anything is wrong, in sentences made of facts, the worst first.
//!
//! | found | tone |
//! |---|---|
//! | Redis does not answer; jobs wait and no process runs; jobs wait in a queue that nobody serves | bad |
//! | a process is dead or has a trouble; a queue grows, is far behind or is paused; no process runs | warning |
//! | none of these: what waits, and how soon it will have run | good |

use super::fleet::{Queue, Seen};
use super::words::{Text, count, number, rate, span};
use crate::limits::{BEHIND_S, SHOW_PLACES_MAX};
use crate::wire::ListName;

/// How bad it is; in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    Bad,
    Warning,
    Good,
}

impl Tone {
    /// The name of its class in the style sheet.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warning => "warning",
            Self::Good => "good",
        }
    }

    /// The health of it all in one word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Bad => "failing",
            Self::Warning => "look",
            Self::Good => "well",
        }
    }
}

/// One sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) tone: Tone,
    pub(super) said: String,
    /// Where to see more: the address of a page.
    pub(super) page: &'static str,
}

/// All findings, the worst first; at least one.
pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(nobody(seen));
    found.extend(unserved(seen));
    found.extend(paused(seen));
    found.extend(behind(seen));
    found.extend(sick(seen));
    if found.is_empty() {
        found.push(well(seen));
    }
    found.sort_by_key(|finding| finding.tone);
    found
}

fn queues(many: usize) -> String {
    count(many as u64, "queue", "queues")
}

fn jobs(many: u64) -> String {
    count(many, "job", "jobs")
}

/// "31,204 jobs wait", "1 job waits".
fn waits(many: u64) -> String {
    format!("{} {}", jobs(many), if many == 1 { "waits" } else { "wait" })
}

fn nobody(seen: &Seen) -> Option<Finding> {
    if seen.working().next().is_some() {
        return None;
    }
    let quiet = seen.members.iter().filter(|member| member.died_at.is_none()).count() as u64;
    let who = match quiet {
        0 => "No process runs".to_owned(),
        1 => "The only process takes no jobs: it is quiet or stops".to_owned(),
        more => format!("None of the {} processes takes jobs: they are quiet or stop", number(more)),
    };
    Some(match seen.waiting_jobs {
        0 => Finding { tone: Tone::Warning, said: format!("{who}. No job waits."), page: "processes" },
        many => Finding {
            tone: Tone::Bad,
            said: format!("{who}, and {} in {}.", waits(many), queues(seen.queues_count)),
            page: "processes",
        },
    })
}

/// Queues that hold jobs and that nobody serves. If nothing is served at all, that was said.
fn unserved(seen: &Seen) -> Option<Finding> {
    seen.working().next()?;
    let unserved = || seen.queues.iter().filter(|(_, queue)| queue.jobs > 0 && queue.processes == 0);
    let (many, sum) = unserved().fold((0, 0), |(many, sum), (_, queue)| (many + 1, sum + queue.jobs));
    let said = match (many, unserved().next()) {
        (0, _) | (_, None) => return None,
        (1, Some((name, _))) => format!("{} in {}, which no process serves.", waits(sum), shown(name)),
        (more, _) => format!(
            "{} in {} that no process serves: {}.",
            waits(sum),
            queues(more),
            names(unserved().map(|(name, _)| name.as_str()), more)
        ),
    };
    Some(Finding { tone: Tone::Bad, said, page: "queues" })
}

/// Queues that hold jobs and that an operator has paused.
fn paused(seen: &Seen) -> Option<Finding> {
    let holds = |name: &&String| seen.queues.get(*name).is_some_and(|queue| queue.jobs > 0);
    let paused = || seen.paused.queues.keys().filter(holds);
    let sum = paused().map(|name| seen.queues[name].jobs).sum();
    let said = match (paused().count(), paused().next()) {
        (0, _) | (_, None) => return None,
        (1, Some(name)) => format!("{} in {}, which is paused.", waits(sum), shown(name)),
        (more, _) => {
            let names = names(paused().map(String::as_str), more);
            format!("{} in {} that are paused: {names}.", waits(sum), queues(more))
        }
    };
    Some(Finding { tone: Tone::Warning, said, page: "queues" })
}

/// The queue that will take longest, if it grows or will take too long.
fn behind(seen: &Seen) -> Option<Finding> {
    let late = seen.queues.iter().filter_map(|(name, queue)| {
        let is_paused = seen.paused.queues.contains_key(name);
        let growth = queue.growth.filter(|_| queue.jobs > 0 && queue.processes > 0 && !is_paused)?;
        let drain = queue.drain_s();
        let is_late = match drain {
            // It grows, and not just by the job that came a moment ago.
            None => growth > 0.0 && queue.jobs > queue.slots,
            Some(seconds) => seconds > BEHIND_S,
        };
        is_late.then_some((name, queue, growth, drain))
    });
    let longest = late.max_by(|(.., one), (.., other)| {
        one.unwrap_or(f64::INFINITY).total_cmp(&other.unwrap_or(f64::INFINITY))
    });
    let (name, queue, growth, drain) = longest?;
    let how = match drain {
        None => format!("grows by {} a second", rate(growth)),
        Some(seconds) => format!("shrinks by {} a second, so it takes {}", rate(growth), span(seconds)),
    };
    let slots = match queue.busy {
        busy if busy >= queue.slots && queue.slots == 1 => "its only slot is taken".to_owned(),
        busy if busy >= queue.slots => "all slots are taken".to_owned(),
        1 => format!("1 of {} is taken", count(queue.slots, "slot", "slots")),
        busy => format!("{} of {} are taken", number(busy), count(queue.slots, "slot", "slots")),
    };
    let verb = if queue.processes == 1 { "serves" } else { "serve" };
    let said = format!(
        "{} holds {} and {how}: {} {verb} it, {slots}.",
        shown(name),
        jobs(queue.jobs),
        count(queue.processes, "process", "processes")
    );
    Some(Finding { tone: Tone::Warning, said, page: "queues" })
}

/// Processes that are dead or in trouble: the first is named.
fn sick(seen: &Seen) -> Option<Finding> {
    let mut sick = seen.members.iter().filter(|member| !member.ok);
    let first = sick.next()?;
    let more = sick.count() as u64;
    let others = match more {
        0 => String::new(),
        1 => ", and 1 other process is not well".to_owned(),
        more => format!(", and {} other processes are not well", number(more)),
    };
    let Text { shown: host, .. } = Text::cell(&first.host);
    let health = first.health(seen.at);
    let said = format!("Process {} on {host} is not well: {health}{others}.", Text::id(&first.uuid).shown);
    Some(Finding { tone: Tone::Warning, said, page: "processes" })
}

fn well(seen: &Seen) -> Finding {
    let working = seen.working();
    let (processes, slots) =
        working.fold((0, 0), |(many, slots), member| (many + 1, slots + member.concurrency));
    let served = seen.queues.values().filter(|queue| queue.processes > 0).count();
    let verb = if processes == 1 { "serves" } else { "serve" };
    let who = format!(
        "{} with {} {verb} {}",
        count(processes, "process", "processes"),
        count(slots, "slot", "slots"),
        queues(served)
    );
    let said = match (seen.waiting_jobs, seen.drain_s()) {
        (0, _) => format!("No job waits: {who}."),
        (many, Some(seconds)) => {
            format!("{} and will have run in {} at the rate of late: {who}.", waits(many), span(seconds))
        }
        (many, None) => format!("{}: {who}.", waits(many)),
    };
    Finding { tone: Tone::Good, said, page: "queues" }
}

impl Queue {
    /// How long it takes to empty at the rate of late; `None`: it does not shrink, as far as is known.
    pub(super) fn drain_s(&self) -> Option<f64> {
        let shrinks_by = self.growth.map(|growth| -growth).filter(|rate| *rate > 0.0)?;
        Some(self.jobs as f64 / shrinks_by)
    }
}

impl Seen {
    /// How long it takes to run all that waits, at the rate at which jobs ran of late; `None` if none ran, or that is not
    /// known.
    pub(super) fn drain_s(&self) -> Option<f64> {
        let (processed, _) = self.rates.filter(|(processed, _)| *processed > 0.0)?;
        Some(self.waiting_jobs as f64 / processed)
    }
}

/// The name of a queue in a sentence.
fn shown(name: &str) -> String {
    format!("“{}”", Text::cell(&ListName::shown(name)).shown)
}

fn names<'n>(all: impl Iterator<Item = &'n str>, many: usize) -> String {
    let named: Vec<String> = all.take(SHOW_PLACES_MAX).map(shown).collect();
    let more = many - named.len();
    if more == 0 {
        named.join(", ")
    } else {
        format!("{} and {} more", named.join(", "), number(more as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::store::survey::{Counts, Process};
    use crate::view::member::Member;
    use crate::wire::figures;
    use crate::wire::paused::{Pause, Paused};

    fn member(slots: u64, figures: &str) -> Member {
        let key = format!("jiggler:svr:d8625f8721eb:{slots}:25:mail:1:1795299901:8066:vm");
        let mut process = Process::read(&key, br#"{"heartbeat":100,"rss":1,"current_jobs":{}}"#).unwrap();
        process.figures = figures::parse(figures.as_bytes()).ok();
        Member::of(&process)
    }

    fn running() -> Member {
        member(10, r#"{"phase":"running","shards":[{"running":10}]}"#)
    }

    fn seen(queues: &[(&str, Queue)], members: Vec<Member>) -> Seen {
        let queues: std::collections::BTreeMap<String, Queue> =
            queues.iter().map(|(name, queue)| ((*name).to_owned(), queue.clone())).collect();
        Seen {
            read_at: Instant::now(),
            at: 112.0,
            counts: Counts::default(),
            queues_count: queues.values().filter(|queue| queue.jobs > 0).count(),
            waiting_jobs: queues.values().map(|queue| queue.jobs).sum(),
            queues,
            members_count: members.len(),
            members,
            rates: Some((100.0, 0.0)),
            paused: Paused::default(),
            dead_caps: None,
        }
    }

    #[track_caller]
    fn check(seen: &Seen, expected: &[(Tone, &str)]) {
        let found = findings(seen);
        let found: Vec<(Tone, &str)> = found.iter().map(|finding| (finding.tone, &*finding.said)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_worst_comes_first_and_says_why() {
        let queue = |jobs, served: u64, growth| Queue {
            jobs,
            processes: served,
            slots: 10 * served,
            busy: 10 * served,
            growth,
        };
        check(&seen(&[], vec![]), &[(Tone::Warning, "No process runs. No job waits.")]);
        check(
            &seen(&[("mail", queue(1, 0, None))], vec![]),
            &[(Tone::Bad, "No process runs, and 1 job waits in 1 queue.")],
        );
        check(
            &seen(&[("mail", queue(7, 0, None))], vec![member(10, r#"{"phase":"quiet","shards":[]}"#)]),
            &[(
                Tone::Bad,
                "The only process takes no jobs: it is quiet or stops, and 7 jobs wait in 1 queue.",
            )],
        );
        check(
            &seen(&[("mail", queue(0, 1, None))], vec![running()]),
            &[(Tone::Good, "No job waits: 1 process with 10 slots serves 1 queue.")],
        );
        check(
            &seen(&[("mail", queue(5_000, 1, Some(-100.0)))], vec![running()]),
            &[(
                Tone::Good,
                "5,000 jobs wait and will have run in 50 s at the rate of late: 1 process with 10 slots serves 1 queue.",
            )],
        );
        check(
            &seen(
                &[("mail", queue(31_204, 1, Some(12.0))), ("x\u{202e}", queue(2, 0, None))],
                vec![running()],
            ),
            &[
                (Tone::Bad, "2 jobs wait in “escaped:x\\xe2\\x80\\xae”, which no process serves."),
                (
                    Tone::Warning,
                    "“mail” holds 31,204 jobs and grows by 12 a second: 1 process serves it, all slots are taken.",
                ),
            ],
        );
        check(
            &seen(&[("mail", queue(31_204, 1, Some(-10.0)))], vec![running()]),
            &[(
                Tone::Warning,
                "“mail” holds 31,204 jobs and shrinks by 10 a second, so it takes 52 min: 1 process serves it, all \
                 slots are taken.",
            )],
        );
        let mut one_paused = seen(&[("mail", queue(31_204, 1, Some(12.0)))], vec![running()]);
        one_paused.paused.queues.insert("mail".to_owned(), Pause::default());
        check(&one_paused, &[(Tone::Warning, "31,204 jobs wait in “mail”, which is paused.")]);
        let stalled =
            r#"{"phase":"running","troubles":[{"shard":1,"what":"stalled","since":100.0}],"shards":[]}"#;
        check(
            &seen(&[], vec![running(), member(10, stalled)]),
            &[(Tone::Warning, "Process d8625f8721eb on vm is not well: shard 1 stalled for 12.0 s.")],
        );
    }
}
