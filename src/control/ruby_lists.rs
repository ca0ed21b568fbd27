//! The lists of dead Ruby servers: one process of the fleet puts what they had in progress back into the queues.
//!
//! A Ruby server that dies leaves its jobs in `…:in_progress:<uuid>`; without another Ruby server, or next to many other
//! keys, they would stay there for ever. Half a minute after its start and then every minute or two each process asks, with
//! one command, whether it may lead, and leaves it at that if another does: the first by name among those with a lease
//! leads. The leader keeps its connection, and each time walks over the keys with pauses between the pages, so that neither
//! Redis nor this process notices a large database. Once in its life it warns about Ruby servers with a poller
//! ([`super::ruby_pollers`]).
//!
//! A list is put back when its server has been missing in two looks in a row, a whole period apart, over one connection
//! ([`absence`]): after an outage the heartbeats of the living have expired too, and need an interval to return. So a dead
//! server's jobs wait for its heartbeat to expire (190 s) and for two looks.
//!
//! The same walk sees in-flight jobs of our own processes. Those of a process that no lease names would never be reaped:
//! the lease was lost in a fail-over to a replica that lagged, and its owner died before renewing it. When such a process
//! has been missing as a Ruby server must be, it is given a lease that has already ended, which makes it a case for the
//! reaper.
//!
//! What the walk comes across is named in the register ([`crate::store::register`]), from which operators learn what there
//! is; what is gone for long is taken out of it.
//!
//! It keeps running while the process is quiet or stops, as the reaper does: what is put back is for others to fetch.
//!
//! Idle cost with the defaults: in most processes a connection and three commands (name, script, and what that reads)
//! every 60 to 120 s; in the leader three commands every 20 s and a page for each 1,000 keys at each look, with
//! two commands more for a page that has queues or heartbeats, and five at the end.
//!
//! Known weaknesses: a Ruby server that was made quiet (TSTP) has no heartbeat but may run a job for a long time; like the
//! gem's own requeuer, this one puts that job back, so that it runs twice. Recoveries of Ruby's jobs are not counted.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::actor::Actor;
use super::lead::{Due, Lead, Terms};
use super::options::RubyListTimes;
use super::ruby_pollers::PollerWarning;
use super::state::Control;
use crate::limits::{CONTROL_CHUNK_BYTES, REGISTER_WALK_KEPT, RUBY_LISTS_FIRST};
use crate::net::{ConnOptions, Connection, Error};
use crate::resp::{self, Reply, ReplyLimits, Requests};
use crate::store::lead;
use crate::store::register;
use crate::store::ruby_lists::{self, InFlight, InProgress, Look, LookError, Rescued, Seen};
use crate::store::ruby_pollers;
use crate::wire::{Keyspace, client_name};

mod absence;

use absence::Absences;

/// How the lead is kept. A process that does not lead asks as often as the leader looks.
fn terms(times: RubyListTimes) -> Terms {
    let RubyListTimes { period_min, period_max, lead, renewal, .. } = times;
    Terms { lasts: lead, renewal, ask_min: period_min, ask_max: period_max }
}

/// Why the lead is over, or never started.
enum Over {
    /// Another process leads.
    Followed,
    /// Redis, the connection, or what was found.
    Failed(LookError),
}

impl<E: Into<LookError>> From<E> for Over {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Starts asking for the lead.
pub(super) fn spawn(control: &Rc<Control>) -> Actor {
    Actor::spawn(run(Rc::clone(control)))
}

/// Leads when it may, asks again when it may not, until it is dropped. Each step in Redis is atomic.
///
/// The gem does not speak cluster, so a cluster has no such lists.
async fn run(control: Rc<Control>) {
    if control.options.url.is_cluster() {
        return;
    }
    let warning = PollerWarning::default();
    let mut task = Task { control, random: fastrand::Rng::new(), failing_since: None, warning };
    let mut pause = task.period().min(RUBY_LISTS_FIRST.mul_f64(1.0 - 0.5 * task.random.f64()));
    loop {
        Timer::new(std::mem::replace(&mut pause, task.period())).await;
        match task.lead().await {
            Over::Followed => task.succeeded(),
            Over::Failed(error) => {
                if task.failing_since.is_none() {
                    task.failing_since = Some(Instant::now());
                    tracing::error!(%error, "cannot look for jobs of dead ruby servers; trying again");
                }
            }
        }
    }
}

struct Task {
    control: Rc<Control>,
    random: fastrand::Rng,
    /// Since when nothing has worked; this was logged.
    failing_since: Option<Instant>,
    warning: PollerWarning,
}

/// The connection over which this process leads.
struct Leader {
    control: Rc<Control>,
    conn: Connection,
    keys: Keyspace,
    uuid: String,
    times: RubyListTimes,
    lead: Lead,
}

impl Task {
    /// Time to the next look, or to the next question who leads.
    fn period(&mut self) -> Duration {
        terms(self.control.options.ruby_lists).ask_after(self.random.f64())
    }

    fn succeeded(&mut self) {
        if let Some(since) = self.failing_since.take() {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(seconds, "looking for jobs of dead ruby servers again");
        }
    }

    /// Looks and rescues repeatedly while this process leads.
    async fn lead(&mut self) -> Over {
        match self.try_lead().await {
            Ok(never) => match never {},
            Err(over) => over,
        }
    }

    async fn try_lead(&mut self) -> Result<std::convert::Infallible, Over> {
        let mut leader = Leader::take(&self.control).await?;
        tracing::debug!("this process looks after the lists of dead ruby servers");
        // Gone with the lead: the next leader has to miss a server twice itself.
        let mut absences = Absences::new(leader.times.period_min);
        let mut refused = BTreeSet::new();
        loop {
            let seen = leader.look().await?;
            leader.tidy_register().await?;
            refused.retain(|list| seen.lists.contains(list));
            if self.warning.is_due() {
                self.warning.give(leader.living_pollers(&seen).await?);
            }
            let dead = absences.judge(&seen, Instant::now());
            for (uuid, found) in seen.in_flight.iter().filter(|(uuid, _)| dead.contains(*uuid)) {
                leader.adopt(uuid, found).await?;
            }
            for list in seen.lists.into_iter().filter(|list| dead.contains(&list.uuid)) {
                if !leader.rescue(&list).await? && refused.insert(list.clone()) {
                    let InProgress { queue, uuid } = &list;
                    tracing::error!(
                        uuid,
                        queue,
                        "cannot put back the jobs of a dead ruby server: the key of their queue is not a list; rename that key"
                    );
                }
            }
            self.succeeded();
            leader.rest(self.period()).await?;
        }
    }
}

impl Leader {
    /// Opens a connection and asks for the lead.
    async fn take(control: &Rc<Control>) -> Result<Self, Over> {
        let conn = connect(control).await?;
        let (uuid, times) = (control.options.uuid.clone(), control.options.ruby_lists);
        let lead = Lead::new("ruby lists", terms(times), Instant::now());
        let (control, keys) = (Rc::clone(control), control.options.keys);
        let mut leader = Self { control, conn, keys, uuid, times, lead };
        leader.ask().await?;
        Ok(leader)
    }

    /// Asks for the lead, or to keep it.
    async fn ask(&mut self) -> Result<(), Over> {
        let sent_at = Instant::now();
        let mut requests = Requests::new();
        lead::ask_first(self.keys.names().leases, &self.uuid, &mut requests);
        let reply = self.call(&requests).await?;
        self.lead.answered(lead::read_first(&reply)?, sent_at);
        if self.lead.leads() { Ok(()) } else { Err(Over::Followed) }
    }

    /// Renews the lead if that is due. A lead whose time has passed is over: what was seen under it may be another's by
    /// now.
    async fn keep(&mut self) -> Result<(), Over> {
        match self.lead.due(Instant::now()) {
            Due::Ask => Err(Over::Followed),
            Due::Renew => self.ask().await,
            Due::Nothing => Ok(()),
        }
    }

    /// Sends one command, which must be safe to repeat, and awaits its reply. One round trip.
    ///
    /// If the connection was closed while idle, does the same over another: Redis was not away for long, so heartbeats that
    /// a look does not find are back by the next, a period later.
    async fn call(&mut self, requests: &Requests) -> Result<Reply, Error> {
        let mut replies = self.conn.call(requests).await;
        if let Err(error) = &replies
            && error.is_of_idleness()
        {
            tracing::debug!(%error, "looking for jobs of dead ruby servers: opening another connection");
            self.conn = connect(&self.control).await?;
            self.control.note_idle_close();
            replies = self.conn.call(requests).await;
        }
        Ok(replies?.pop().ok_or(Error::Closed)?.into_result()?)
    }

    /// Gives others a turn, here and in Redis.
    async fn pause(&mut self) -> Result<(), Over> {
        Timer::new(self.times.pause).await;
        self.keep().await
    }

    /// Sleeps until the next look, keeping the lead.
    async fn rest(&mut self, period: Duration) -> Result<(), Over> {
        let until = Instant::now() + period;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            Timer::new(left.min(self.times.renewal)).await;
            self.keep().await?;
        }
    }

    async fn look(&mut self) -> Result<Seen, Over> {
        let mut look = Look::new(self.keys);
        let mut requests = Requests::new();
        while look.write(&mut requests) {
            let reply = self.call(&requests).await?;
            look.accept(&reply)?;
            requests.clear();
            if let Some(register) = self.keys.register() {
                look.name(register, self.control.now(), &mut requests);
                self.note_all(&mut requests).await?;
            }
            self.pause().await?;
        }
        Ok(look.finish())
    }

    /// Notes in the register that a walk is over, and takes out of it what is gone.
    async fn tidy_register(&mut self) -> Result<(), Over> {
        let Some(register) = self.keys.register() else { return Ok(()) };
        let (now, mut requests) = (self.control.now(), Requests::new());
        register::note_walked(register, now, REGISTER_WALK_KEPT, &mut requests);
        self.note_all(&mut requests).await?;
        for kind in register::Kind::ALL {
            loop {
                register::ask_stale(register, kind, now, &mut requests);
                let reply = self.conn.call(&requests).await?.pop().ok_or(Error::Closed)?;
                requests.clear();
                // A spoilt set names nothing; that was said when something was to be named.
                let Ok(stale) = register::read_stale(&reply) else { break };
                if stale.is_empty() {
                    break;
                }
                register::drop_stale(self.keys, kind, &stale, now, &mut requests);
                let dropped = register::read_dropped(&self.call(&requests).await?)?;
                requests.clear();
                self.pause().await?;
                // Something has come back under the others' keys.
                if dropped < stale.len() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Sends what is to be noted in the register, if anything. What a spoilt set does not take is not seen by operators, who
    /// are told its name by the same error; it stops nothing else.
    async fn note_all(&mut self, requests: &mut Requests) -> Result<(), Over> {
        if requests.is_empty() {
            return Ok(());
        }
        let replies = self.conn.call(requests).await?;
        requests.clear();
        for reply in replies {
            match reply.into_result() {
                Err(resp::Error::Redis(error)) if error.is_of_spoilt_key() => {
                    tracing::debug!(%error, "a key of the register is spoilt");
                }
                result => _ = result?,
            }
        }
        Ok(())
    }

    /// How many living Ruby servers have a poller.
    async fn living_pollers(&mut self, seen: &Seen) -> Result<usize, Over> {
        let mut requests = Requests::new();
        if !ruby_pollers::ask_living(seen, &mut requests) {
            return Ok(0);
        }
        Ok(ruby_pollers::count_living(&self.conn.call(&requests).await?)?)
    }

    /// Gives a process of ours that has no lease one that has already ended.
    async fn adopt(&mut self, uuid: &str, found: &InFlight) -> Result<(), Over> {
        let mut requests = Requests::new();
        if ruby_lists::adopt(self.keys, uuid, found, &mut requests).is_none() {
            // Fences of a process that was reaped or has left, or keys that no process of ours has written.
            return Ok(());
        }
        let reply = self.call(&requests).await?;
        if ruby_lists::read_adopted(&reply)? {
            let queues = found.queues.len();
            tracing::warn!(uuid, queues, "a process has jobs in flight and no lease; they are put back now");
        }
        self.pause().await
    }

    /// Puts the jobs of a list back into their queue: those that are in it now, so that a server that lives after all and
    /// keeps filling it does not keep this going. `false` if the queue's key is in the way.
    async fn rescue(&mut self, list: &InProgress) -> Result<bool, Over> {
        let (mut jobs, mut all) = (0, None);
        loop {
            let mut requests = Requests::new();
            ruby_lists::rescue(self.keys, list, &mut requests);
            let reply = self.call(&requests).await?;
            let (moved, left) = match ruby_lists::read_rescued(&reply)? {
                Rescued::Jobs { moved, left } => (moved, left),
                Rescued::NotAList => break,
                Rescued::QueueNotAList => return Ok(false),
            };
            jobs += moved;
            if moved == 0 || left == 0 || jobs >= *all.get_or_insert(moved + left) {
                break;
            }
            self.pause().await?;
        }
        if jobs > 0 {
            let InProgress { queue, uuid } = list;
            tracing::warn!(uuid, queue, jobs, "a ruby server died; its jobs are back in their queue");
        }
        Ok(true)
    }
}

async fn connect(control: &Control) -> Result<Connection, Error> {
    let options = ConnOptions {
        name: client_name(&control.options.uuid, None, "ruby-lists"),
        limits: ReplyLimits::default(),
        chunk_bytes: CONTROL_CHUNK_BYTES,
    };
    Connection::open(&control.options.url, &options).await
}

#[cfg(test)]
mod tests;
