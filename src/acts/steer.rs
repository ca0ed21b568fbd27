//! Making processes quiet, or stopping them.
//!
//! The request is published on a channel on which that process alone listens, so Redis itself reports whether it was
//! received. Then the process is watched: until its figures say `quiet` (or it is gone), or, for a stop, until its
//! heartbeat is gone. A process whose figures say `stopping` counts as quiet. A Ruby server listens on no channel.

use std::time::Duration;

use crate::{
    limits::{QUIET_WAIT, STOP_WAIT_EXTRA},
    resp::{self, Reply, Requests},
    store::{
        steer::{self, SteerRequest},
        survey::Summary,
    },
    view::member::Member,
    wire::Keyspace,
};

/// Which processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one whose uuid begins with this.
    One(String),
    /// All that have a heartbeat.
    All,
}

/// Why nothing is steered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// Nobody is there.
    NoProcess,
    /// These could be meant; their uuids.
    ManyProcesses(Vec<String>),
}

/// The processes that are meant.
///
/// # Errors
/// [`Unclear`].
pub(crate) fn meant(mut members: Vec<Member>, target: &Target) -> Result<Vec<Member>, Unclear> {
    let Target::One(prefix) = target else {
        return if members.is_empty() { Err(Unclear::NoProcess) } else { Ok(members) };
    };
    members.retain(|member| member.uuid.starts_with(prefix));
    match members.len() {
        0 => Err(Unclear::NoProcess),
        1 => Ok(members),
        _ => Err(Unclear::ManyProcesses(members.into_iter().map(|member| member.uuid).collect())),
    }
}

/// The act under way: [`Self::write_request`] and [`Self::read_heard`], then, while [`Self::is_waiting`],
/// [`Self::write_question`] and [`Self::read_phases`] (in a cluster a survey and [`Self::phases_of`]) and [`Self::look`].
#[derive(Debug)]
pub(crate) struct Steering {
    request: SteerRequest,
    members: Vec<Member>,
    /// The numbers of those that did not receive it, and of those that did but have not done it.
    deaf: Vec<usize>,
    waiting: Vec<usize>,
    late: usize,
}

/// What a look has shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen<'m> {
    /// It is done: "is quiet".
    Done(&'m Member, &'static str),
    /// It has not done it in time, and is in this phase.
    Late {
        /// Which.
        member: &'m Member,
        /// As it reports it.
        phase: String,
        /// How long it had.
        limit: Duration,
    },
}

impl Steering {
    /// Only what lives can be asked: the dead are to be told apart before, by [`Member::died_at`].
    pub(crate) const fn new(request: SteerRequest, members: Vec<Member>) -> Self {
        Self { request, members, deaf: Vec::new(), waiting: Vec::new(), late: 0 }
    }

    /// Appends the request to each. One round trip.
    pub(crate) fn write_request(&self, keys: Keyspace, database: u32, requests: &mut Requests) {
        for member in &self.members {
            steer::publish(keys, database, &member.uuid, self.request, requests);
        }
    }

    /// Reads the replies to [`Self::write_request`].
    ///
    /// # Errors
    /// If a reply is an error, or of another shape.
    pub(crate) fn read_heard(&mut self, replies: &[Reply]) -> Result<(), resp::Error> {
        for (number, reply) in replies.iter().enumerate() {
            let list = if steer::heard(reply)? { &mut self.waiting } else { &mut self.deaf };
            list.push(number);
        }
        Ok(())
    }

    /// Those that did not receive it.
    pub(crate) fn deaf(&self) -> impl Iterator<Item = &Member> {
        self.deaf.iter().filter_map(|number| self.members.get(*number))
    }

    /// Those that received it but have not done it yet.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Member> {
        self.waiting.iter().filter_map(|number| self.members.get(*number))
    }

    pub(crate) const fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many did not receive it or have not done it in time.
    pub(crate) const fn failed(&self) -> usize {
        self.deaf.len() + self.late
    }

    pub(crate) const fn members(&self) -> usize {
        self.members.len()
    }

    /// Appends the question what each process that is waited for reports. One round trip; not for a cluster.
    pub(crate) fn write_question(&self, keys: Keyspace, requests: &mut Requests) {
        let uuids: Vec<&str> = self.waiting().map(|member| member.uuid.as_str()).collect();
        steer::ask_phases(keys, &uuids, requests);
    }

    /// The phases in the reply to [`Self::write_question`]; `None` if the figures are gone, and so the process.
    ///
    /// # Errors
    /// If a reply is an error, or of another shape.
    pub(crate) fn read_phases(reply: &Reply) -> Result<Vec<Option<String>>, resp::Error> {
        steer::phases(reply)
    }

    /// The same from a survey: in a cluster the figures of each process are next to its heartbeat.
    pub(crate) fn phases_of(&self, found: &Summary) -> Vec<Option<String>> {
        let phase = |member: &Member| {
            let process = found.processes.values().find(|process| process.uuid == member.uuid)?;
            let figures = process.figures.as_ref();
            Some(figures.map_or_else(|| "unknown".to_owned(), |figures| figures.phase.clone()))
        };
        self.waiting().map(phase).collect()
    }

    /// What has become of those that are waited for, in these phases, after this much time.
    pub(crate) fn look(&mut self, phases: Vec<Option<String>>, elapsed: Duration) -> Vec<Seen<'_>> {
        let mut seen = Vec::new();
        let mut left = Vec::new();
        for (number, phase) in std::mem::take(&mut self.waiting).into_iter().zip(phases) {
            let member = &self.members[number];
            let limit = self.request_limit(member);
            match done(self.request, phase.as_deref()) {
                Some(text) => seen.push(Seen::Done(member, text)),
                None if elapsed >= limit => {
                    seen.push(Seen::Late { member, phase: phase.unwrap_or_default(), limit });
                }
                None => left.push(number),
            }
        }
        self.waiting = left;
        self.late += seen.iter().filter(|seen| matches!(seen, Seen::Late { .. })).count();
        seen
    }

    const fn request_limit(&self, member: &Member) -> Duration {
        match self.request {
            SteerRequest::Quiet => QUIET_WAIT,
            SteerRequest::Stop => Duration::from_secs(member.timeout_s).saturating_add(STOP_WAIT_EXTRA),
            SteerRequest::StopNow => STOP_WAIT_EXTRA,
        }
    }
}

/// What has happened, if it is what was wanted.
fn done(request: SteerRequest, phase: Option<&str>) -> Option<&'static str> {
    match (request, phase) {
        (_, None) => Some("has left"),
        (SteerRequest::Quiet, Some("quiet")) => Some("is quiet"),
        (SteerRequest::Quiet, Some("stopping")) => Some("is stopping"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_done_when_the_process_says_so_or_is_gone() {
        assert_eq!(done(SteerRequest::Quiet, Some("running")), None);
        assert_eq!(done(SteerRequest::Quiet, Some("quiet")), Some("is quiet"));
        assert_eq!(done(SteerRequest::Stop, Some("stopping")), None);
        assert_eq!(done(SteerRequest::Stop, None), Some("has left"));
    }
}
