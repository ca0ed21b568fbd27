//! `/processes` and `/busy`: who runs jobs, how they are, and what they run.

use askama::Template;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::answer::Visit;
use super::ask::{AskError, address};
use super::deed::{Deed, Way};
use super::frame::{Frame, Page, html};
use super::paging::Paging;
use super::words::{Moment, Text, bytes, count, number, span};
use crate::limits::{PAGE_MEMBERS_MAX, PAGE_PROCESSES_MAX, PAGE_ROWS_MAX, RUNNING_JOBS_SHOWN_MAX};
use crate::store::steer::SteerRequest;
use crate::view::member::{Engine, Member, RunningJob};
use crate::web::access::Role;

#[derive(Template)]
#[template(path = "processes.html", config = "src/web/pages/askama.toml")]
struct Processes {
    frame: Frame,
    rows: Vec<Row>,
    paging: Paging,
    left_out: String,
}

/// One process.
struct Row {
    ways: Vec<Way>,
    uuid: String,
    host: Text,
    pid: u32,
    engine: Text,
    phase: Text,
    /// `good`, `warning` or `bad`, as in the style sheet.
    class: &'static str,
    health: Text,
    queues: Text,
    busy: String,
    memory: String,
    started: Moment,
    heartbeat: Option<Moment>,
    shards: Vec<Shard>,
    /// Empty: all are shown.
    more_shards: String,
    /// Names that it leaves to others.
    left: String,
}

struct Shard {
    number: usize,
    slots: String,
    running: String,
    unstarted: String,
    processed: String,
    failed: String,
    disconnects: String,
}

#[derive(Template)]
#[template(path = "busy.html", config = "src/web/pages/askama.toml")]
struct Busy {
    frame: Frame,
    rows: Vec<BusyRow>,
    paging: Paging,
    /// Running jobs of which only the number is known.
    left_out: String,
}

/// One running job.
struct BusyRow {
    cancel: Option<Way>,
    jid: Text,
    href: String,
    name: Text,
    runs_for: String,
    since: Option<Moment>,
    uuid: Text,
    host: Text,
    shard: String,
}

/// The page of processes.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Response<Full<Bytes>>, AskError> {
    let skip = visit.ask.number("skip", PAGE_PROCESSES_MAX as u64)?.unwrap_or(0) as usize;
    let known = visit.known().await;
    let frame = visit.frame("Processes", &known);
    let (mut rows, mut total, mut left_out) = (Vec::new(), 0, String::new());
    if let Some(seen) = &known.seen {
        let shown = seen.members.iter().skip(skip).take(PAGE_ROWS_MAX);
        rows = shown.map(|member| row(member, seen.at, visit.who.role)).collect();
        total = seen.members.len();
        if seen.members_count > total {
            let many = (seen.members_count - total) as u64;
            left_out = format!("{} not shown.", count(many, "more process is", "more processes are"));
        }
    }
    let to = |skip: &str| address(Page::Processes.path(), &[("skip", skip)]);
    let paging = Paging::of((skip, rows.len(), total), ("process", "processes"), to);
    Ok(html(known.status(), &Processes { frame, rows, paging, left_out }))
}

fn row(member: &Member, now: f64, role: Role) -> Row {
    let class = match (member.died_at.is_some(), member.ok, &*member.phase) {
        (true, ..) => "bad",
        (false, true, "running") => "good",
        _ => "warning",
    };
    let shard = |(number_of, shard): (usize, &crate::wire::figures::ShardFigures)| Shard {
        number: number_of,
        slots: number(shard.slots),
        running: number(shard.running),
        unstarted: number(shard.unstarted),
        processed: number(shard.processed),
        failed: number(shard.failed),
        disconnects: number(shard.disconnects),
    };
    let shards: Vec<Shard> = member.shards.iter().enumerate().take(PAGE_MEMBERS_MAX).map(shard).collect();
    let left = member.left.iter().take(PAGE_MEMBERS_MAX).map(|left| {
        let name = if left.name.is_empty() { "others".to_owned() } else { Text::cell(&left.name).shown };
        format!("{name} ({})", count(left.times, "time", "times"))
    });
    Row {
        ways: ways(member, role),
        uuid: Text::id(&member.uuid).shown,
        host: Text::cell(&member.host),
        pid: member.pid,
        engine: Text::cell(&member.engine_text()),
        phase: Text::cell(&member.phase),
        class,
        health: Text::cell(&member.health(now)),
        queues: Text::cell(&member.queues_text()),
        busy: format!("{} of {}", number(member.busy), number(member.concurrency)),
        memory: member
            .rss_kb
            .map_or_else(|| "–".to_owned(), |kilobytes| bytes(kilobytes.saturating_mul(1024))),
        started: Moment::of(member.started_at as f64, now),
        heartbeat: member.heartbeat.map(|at| Moment::of(at, now)),
        more_shards: match member.shards.len() - shards.len() {
            0 => String::new(),
            more => format!("{} not shown.", count(more as u64, "more shard is", "more shards are")),
        },
        shards,
        left: left.collect::<Vec<_>>().join(", "),
    }
}

/// The page of running jobs, the longest-running first.
pub(super) async fn busy(visit: &Visit<'_>) -> Result<Response<Full<Bytes>>, AskError> {
    let most = PAGE_PROCESSES_MAX * RUNNING_JOBS_SHOWN_MAX;
    let skip = visit.ask.number("skip", most as u64)?.unwrap_or(0) as usize;
    let known = visit.known().await;
    let frame = visit.frame("Busy", &known);
    let (mut rows, mut total, mut left_out) = (Vec::new(), 0, String::new());
    if let Some(seen) = &known.seen {
        let mut jobs: Vec<(&Member, &RunningJob)> =
            seen.members.iter().flat_map(|member| member.jobs.iter().map(move |job| (member, job))).collect();
        let since = |job: &RunningJob| job.since.unwrap_or(f64::INFINITY);
        jobs.sort_by(|one, other| since(one.1).total_cmp(&since(other.1)));
        total = jobs.len();
        let shown = jobs.iter().skip(skip).take(PAGE_ROWS_MAX);
        rows = shown.map(|(member, job)| busy_row(member, job, seen.at, visit.who.role)).collect();
        let unnamed = seen.running_jobs().saturating_sub(total as u64);
        if unnamed > 0 {
            left_out = format!(
                "{}: a process names the {RUNNING_JOBS_SHOWN_MAX} that have run for longest.",
                count(unnamed, "more job runs", "more jobs run")
            );
        }
    }
    let to = |skip: &str| address(Page::Busy.path(), &[("skip", skip)]);
    let paging = Paging::of((skip, rows.len(), total), ("running job", "running jobs"), to);
    Ok(html(known.status(), &Busy { frame, rows, paging, left_out }))
}

/// What may be asked of it. The dead hear nothing.
fn ways(member: &Member, role: Role) -> Vec<Way> {
    let steer = |request| Deed::Steer { uuid: member.uuid.clone(), request };
    let mut ways = Vec::new();
    if member.phase == "running" {
        ways.extend(Way::to(role, &steer(SteerRequest::Quiet), "Make quiet"));
    }
    if member.died_at.is_none() {
        ways.extend(Way::to(role, &steer(SteerRequest::Stop), "Stop"));
    }
    ways
}

fn busy_row(member: &Member, job: &RunningJob, now: f64, role: Role) -> BusyRow {
    // A Ruby server hears of no cancellation.
    let is_ours = member.engine == Engine::JigglerUring;
    let cancel = Way::to(role, &Deed::Cancel { jid: job.jid.clone() }, "Cancel").filter(|_| is_ours);
    BusyRow {
        cancel,
        jid: Text::id(&job.jid),
        href: address(Page::Job.path(), &[("id", &job.jid)]),
        name: Text::cell(&job.name),
        runs_for: job.since.map_or_else(|| "–".to_owned(), |since| span(now - since)),
        since: job.since.map(|since| Moment::of(since, now)),
        uuid: Text::id(&member.uuid),
        host: Text::cell(&member.host),
        shard: job.shard.map_or_else(|| "–".to_owned(), |shard| shard.to_string()),
    }
}
