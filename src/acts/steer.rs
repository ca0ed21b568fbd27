//! Making processes quiet, or stopping them.
//!
//! The request is published on a channel on which that process alone listens, so Redis itself reports whether it was
//! received. Then the process is watched: until its figures say `quiet` (or it is gone), or, for a stop, until its
//! heartbeat is gone. A process whose figures say `stopping` counts as quiet. A Ruby server listens on no channel; one of
//! Sidekiq looks for signals in Redis with each heartbeat, and its hash says whether it is quiet.

use std::time::Duration;

use crate::{
    limits::{QUIET_WAIT, STEER_SIGNALS_EXTRA, STOP_WAIT_EXTRA},
    resp::{self, Reply, Requests},
    store::{
        steer::{self, SteerRequest},
        survey::Summary,
    },
    view::member::{Engine, Member},
    wire::{Keyspace, sidekiq_process},
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
    keys: Keyspace,
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
    pub(crate) const fn new(keys: Keyspace, request: SteerRequest, members: Vec<Member>) -> Self {
        Self { keys, request, members, deaf: Vec::new(), waiting: Vec::new(), late: 0 }
    }

    /// The identity of a member that takes signals.
    fn signalled(&self, member: &Member) -> Option<String> {
        let takes = member.engine == Engine::Ruby && steer::takes_signals(self.keys);
        takes.then(|| sidekiq_process::identity(&member.host, member.pid, &member.uuid))
    }

    /// Whether this member is asked by a signal that it takes with its next heartbeat.
    pub(crate) fn is_signalled(&self, member: &Member) -> bool {
        self.signalled(member).is_some()
    }

    /// Appends the request to each. One round trip.
    pub(crate) fn write_request(&self, database: u32, requests: &mut Requests) {
        for member in &self.members {
            match self.signalled(member) {
                Some(identity) => steer::signal(&identity, self.request, requests),
                None => steer::publish(self.keys, database, &member.uuid, self.request, requests),
            }
        }
    }

    /// Reads the replies to [`Self::write_request`].
    ///
    /// # Errors
    /// If a reply is an error, or of another shape.
    pub(crate) fn read_heard(&mut self, replies: &[Reply]) -> Result<(), resp::Error> {
        let mut replies = replies.iter();
        for number in 0..self.members.len() {
            let more = if self.is_signalled(&self.members[number]) { steer::SIGNAL_COMMANDS - 1 } else { 0 };
            let Some(reply) = replies.next() else { break };
            for reply in replies.by_ref().take(more) {
                reply.as_integer()?;
            }
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
    pub(crate) fn write_question(&self, requests: &mut Requests) {
        let ours = self.waiting().filter(|member| !self.is_signalled(member));
        let uuids: Vec<&str> = ours.map(|member| member.uuid.as_str()).collect();
        if !uuids.is_empty() {
            steer::ask_phases(self.keys, &uuids, requests);
        }
        for identity in self.waiting().filter_map(|member| self.signalled(member)) {
            steer::ask_signalled(self.keys, &identity, requests);
        }
    }

    /// The phases in the replies to [`Self::write_question`]; `None` if the figures are gone, and so the process.
    ///
    /// # Errors
    /// If a reply is an error, or of another shape.
    pub(crate) fn read_phases(&self, replies: &[Reply]) -> Result<Vec<Option<String>>, resp::Error> {
        let ours = self.waiting().filter(|member| !self.is_signalled(member)).count();
        let (of_ours, of_others) = replies.split_at(replies.len().min(usize::from(ours > 0)));
        let mut of_ours = of_ours.first().map(steer::phases).transpose()?.unwrap_or_default().into_iter();
        let mut of_others = of_others.chunks(steer::SIGNALLED_COMMANDS);
        let mut phases = Vec::with_capacity(self.waiting.len());
        for member in self.waiting() {
            phases.push(match of_others.len() {
                left if left > 0 && self.is_signalled(member) => {
                    of_others.next().map(steer::signalled).transpose()?.flatten()
                }
                _ => of_ours.next().flatten(),
            });
        }
        Ok(phases)
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
            let extra = if self.is_signalled(member) { STEER_SIGNALS_EXTRA } else { Duration::ZERO };
            let limit = self.request_limit(member) + extra;
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
    fn a_process_of_sidekiq_is_asked_by_a_signal_and_watched_in_its_hash() {
        use crate::own_redis::OwnRedis;
        use crate::store::survey::{Scope, Survey};
        use crate::view::member::Members;
        use crate::wire::keys::SIDEKIQ;

        let redis = OwnRedis::start();
        let identity = "vm:a:8066:0123456789ab";
        let info =
            r#"{"hostname":"vm:a","started_at":1795299901.5,"pid":8066,"queues":["low"],"concurrency":5}"#;
        redis.run(&[b"SADD", b"processes", identity.as_bytes()]);
        let beat = crate::time::unix_now().to_string();
        redis.run(&[
            b"HSET",
            identity.as_bytes(),
            b"info",
            info.as_bytes(),
            b"beat",
            beat.as_bytes(),
            b"quiet",
            b"false",
        ]);
        let mut conn = redis.connect();
        let mut survey = Survey::once(Scope::Processes, SIDEKIQ);
        let mut requests = Requests::new();
        while survey.write(&mut requests) {
            survey.accept(&conn.call(&requests).unwrap()).unwrap();
            requests.clear();
        }
        let members = Members::of(&survey.summary()).processes;
        assert_eq!((members.len(), members[0].engine), (1, Engine::Ruby));
        let mut steering = Steering::new(SIDEKIQ, SteerRequest::Quiet, members);
        requests.clear();
        steering.write_request(0, &mut requests);
        steering.read_heard(&conn.call(&requests).unwrap()).unwrap();
        assert_eq!((steering.waiting().count(), steering.failed()), (1, 0));
        let signals = format!("{identity}-signals");
        assert_eq!(redis.strings(&[b"LRANGE", signals.as_bytes(), b"0", b"-1"]), ["TSTP"]);
        assert!(redis.run(&[b"TTL", signals.as_bytes()]).as_integer().unwrap() > 50);
        let mut phases = |steering: &Steering| {
            let mut requests = Requests::new();
            steering.write_question(&mut requests);
            steering.read_phases(&conn.call(&requests).unwrap()).unwrap()
        };
        assert_eq!(phases(&steering), [Some("running".to_owned())]);
        redis.run(&[b"HSET", identity.as_bytes(), b"quiet", b"true"]);
        let seen = phases(&steering);
        assert!(matches!(steering.look(seen, Duration::ZERO)[..], [Seen::Done(_, "is quiet")]));
        assert!(!steering.is_waiting());
        let members = steering.members.clone();
        let mut steering = Steering::new(SIDEKIQ, SteerRequest::Stop, members);
        steering.waiting.push(0);
        redis.run(&[b"SREM", b"processes", identity.as_bytes()]);
        let seen = phases(&steering);
        assert!(matches!(steering.look(seen, Duration::ZERO)[..], [Seen::Done(_, "has left")]));
    }

    #[test]
    fn a_request_is_done_when_the_process_says_so_or_is_gone() {
        assert_eq!(done(SteerRequest::Quiet, Some("running")), None);
        assert_eq!(done(SteerRequest::Quiet, Some("quiet")), Some("is quiet"));
        assert_eq!(done(SteerRequest::Stop, Some("stopping")), None);
        assert_eq!(done(SteerRequest::Stop, None), Some("has left"));
    }
}
