//! One job and everything that is known about it, as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::entry::JobEntry;
use super::member::{Member, Members};
use crate::client::Progress;
use crate::job::Parser;
use crate::limits::RUNNING_JID_BYTES;
use crate::store::entries::{Entry, Place};
use crate::store::survey::Summary;
use crate::wire::paused::{Pause, Paused};

/// The place of a running job.
pub(crate) const IN_FLIGHT: &str = "in flight";

/// Where a job runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Running {
    pub(crate) process: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) shard: Option<usize>,
    pub(crate) name: String,
    pub(crate) since: Option<f64>,
}

/// What was found out. As JSON it is what `show --json` prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobShown<'s> {
    pub(crate) jid: &'s str,
    pub(crate) found: Option<(&'s Place, &'s Entry)>,
    /// It is not in that queue, but in flight from it.
    pub(crate) is_in_flight: bool,
    pub(crate) progress: Option<&'s Progress>,
    pub(crate) running: &'s [Running],
    pub(crate) paused: &'s Paused,
}

impl JobShown<'_> {
    /// Writes it on one line, with its payload unchanged.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn write_json(self, parser: &mut Parser, out: &mut dyn Write) -> io::Result<()> {
        self.write_with(parser, out, |job, out| job.write_json(out))
    }

    /// The same for readers over the network: see [`JobEntry::write_public_json`].
    ///
    /// # Errors
    /// Those of `out`.
    #[cfg(feature = "web")]
    pub(crate) fn write_public_json(
        self,
        parser: &mut Parser,
        bytes_max: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.write_with(parser, out, |job, out| job.write_public_json(bytes_max, out))
    }

    fn write_with(
        self,
        parser: &mut Parser,
        out: &mut dyn Write,
        write_job: impl FnOnce(&JobEntry<'_>, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let Self { jid, found, is_in_flight, progress, running, paused } = self;
        let job = found.map(|(place, entry)| JobEntry::new(place, entry, parser));
        let word = found.map(|(place, _)| match place {
            _ if is_in_flight => IN_FLIGHT,
            Place::Queue(_) => "queue",
            Place::Set(set) => set.word(),
        });
        write!(out, "{{\"jid\":{},\"place\":{},\"found\":", json_of(&jid)?, json_of(&word)?)?;
        match &job {
            Some(job) => write_job(job, out)?,
            None => write!(out, "null")?,
        }
        write!(out, ",\"progress\":{},\"running\":{}", json_of(&progress)?, json_of(&running)?)?;
        if let Some([queue, class]) = job.map(|job| pauses_of(&job, paused)) {
            for (member, pause) in [("queue_paused", queue), ("class_paused", class)] {
                if let Some(pause) = pause {
                    write!(out, ",\"{member}\":{}", json_of(pause)?)?;
                }
            }
        }
        writeln!(out, "}}")
    }
}

fn json_of(value: &(impl Serialize + ?Sized)) -> io::Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// How its queue and its class are paused.
pub(crate) fn pauses_of<'p>(job: &JobEntry<'_>, paused: &'p Paused) -> [Option<&'p Pause>; 2] {
    let class = job.name().and_then(|name| paused.classes.get(&name));
    [paused.queues.get(&job.queue()), class]
}

/// The processes that say they run it.
pub(crate) fn running(fleet: &Summary, jid: &str) -> Vec<Running> {
    let start = &jid[..jid.floor_char_boundary(RUNNING_JID_BYTES)];
    let of_one = |member: Member| {
        let jobs = member.jobs.into_iter().filter(|job| job.jid == jid || job.jid == start);
        let (process, host, pid) = (member.uuid, member.host, member.pid);
        let runs = jobs.map(move |job| Running {
            process: process.clone(),
            host: host.clone(),
            pid,
            shard: job.shard,
            name: job.name,
            since: job.since,
        });
        runs.collect::<Vec<_>>()
    };
    Members::of(fleet).processes.into_iter().flat_map(of_one).collect()
}
