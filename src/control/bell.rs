//! The bell of a process with many queues: Redis tells it which of them change, and it tells the shards which have jobs.
//!
//! With few queues each shard waits for each of them by a connection that blocks in Redis. With more than
//! [`WAITERS_QUEUES_MAX`](crate::limits::WAITERS_QUEUES_MAX) of them that would be thousands of connections, so one waits
//! for all: it reads the length of each queue with key tracking on (`CLIENT TRACKING`, RESP3), and the first change of one,
//! by anyone, brings one push. Then nothing more comes of it until its length is read anew, so a flood of pushes into one
//! queue costs a reading now and then.
//!
//! ```text
//! Redis ──push: changed──► board ──which queues have jobs──► a shard that waits, all that are busy
//!   ▲                        │ ▲                                  │
//!   └──LLEN of what changed──┘ └──────────────waits───────────────┘
//! ```
//!
//! One push wakes one shard of one process: processes that wait for the same queue take turns ([`board::place_in_line`]),
//! and those that come later read its length first, when the job is mostly gone. A shard that does not react (a job holds
//! its core) or that leaves jobs is followed by the next. While all are busy they are told now and then, so that a queue of
//! higher priority is seen.
//!
//! A job is not forgotten: a shard strikes a queue off only when a turn found it empty after it had last heard of it
//! (`shard::sight`); whatever changes the queue later is told anew, because its length was read before, or will be. After a
//! lost connection, and every [`BELL_LOOK`], all lengths are read.
//!
//! Idle it costs 1 command for each queue every 60 s. Where Redis refuses tracking, or a proxy in between swallows what it
//! says (then not even this process's own heartbeat is heard of), all lengths are read once a second, which the log says.

mod board;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use futures_lite::future;
use glommio::timer::Timer;

use self::board::{Board, Ready, place_in_line};
use super::actor::Actor;
use super::link::ControlLink;
use super::options::ControlOptions;
use super::state::Control;
use crate::limits::{
    BELL_LATE_MAX, BELL_LOOK, BELL_LOOK_DEAF, BELL_PACE, BELL_PAGE, BELL_PROCESSES_MAX, BELL_STEP,
    BELL_UNHEARD_MAX,
};
use crate::mesh::ToShard;
use crate::net::{Backoff, Connection, Error};
use crate::resp::{Reply, Requests};
use crate::store::due;
use crate::store::lengths::{self, Changed};
use crate::timeout::within;

/// See the module.
struct Bell {
    control: Rc<Control>,
    board: Board,
    /// The keys of the queues.
    numbers: HashMap<Box<[u8]>, usize>,
    /// Messages sent to each shard.
    sent: Vec<u64>,
    /// The shard that is told first the next time.
    next: usize,
    /// The place of this process among those that listen, and how many there are.
    line: (usize, usize),
    /// Redis does not tell what changes.
    is_deaf: bool,
    /// What changes with each heartbeat: if nothing is heard of it either, nothing is heard at all.
    proof: String,
    /// Whether that was heard since the last look; `None` before the first look over a connection.
    is_proved: Option<bool>,
    look_at: Instant,
}

/// Starts it, if the shards are told which queues have jobs.
pub(super) fn spawn(control: &Rc<Control>) -> Option<Actor> {
    if control.options.told.is_empty() {
        return None;
    }
    Some(Actor::spawn(Bell::new(Rc::clone(control)).run()))
}

impl Bell {
    fn new(control: Rc<Control>) -> Self {
        let now = Instant::now();
        let ControlOptions { told, expected, keys, .. } = &control.options;
        let slots = expected.slots.iter().copied().min().unwrap_or(1);
        let key = |(at, name): (usize, &String)| (Box::from(keys.queue(name).as_bytes()), at);
        Self {
            board: Board::new(told.len(), control.shards.count(), slots, now),
            numbers: told.iter().enumerate().map(key).collect(),
            sent: vec![0; control.shards.count()],
            next: 0,
            line: (0, 1),
            is_deaf: false,
            proof: keys.process(&control.options.uuid),
            is_proved: None,
            look_at: now,
            control,
        }
    }

    /// Runs until the process takes no more jobs; then there is nothing to tell.
    async fn run(mut self) {
        let mut backoff = Backoff::new(u64::from(std::process::id()) + 3);
        while self.control.phase().fetches() {
            let began = Instant::now();
            match self.listen().await {
                Ok(()) => {}
                Err(error) => {
                    // Tasks that need Redis more log its outages.
                    tracing::debug!(%error, "lost the connection that hears of changed queues; reconnecting");
                    if began.elapsed() > BELL_LOOK {
                        backoff.reset();
                    }
                    Timer::new(backoff.pause()).await;
                }
            }
        }
    }

    /// The life of one connection; it ends well when the process takes no more jobs.
    async fn listen(&mut self) -> Result<(), Error> {
        let ControlOptions { url, .. } = &self.control.options;
        let mut conn = Connection::open(url, &ControlLink::options(&self.control, "bell")).await?;
        // A server that is gone, or was demoted, is silent: this ends with upkeep's connection.
        self.control.note_ringing(conn.stopper());
        conn.keep_pushes();
        self.ask_to_be_told(&mut conn).await?;
        self.is_proved = None;
        self.look_at = Instant::now();
        while self.control.phase().fetches() {
            if Instant::now() >= self.look_at {
                self.look(&mut conn).await?;
            }
            self.read_due(&mut conn).await?;
            self.hear(&mut conn)?;
            self.tell();
            self.wait(&conn).await?;
        }
        Ok(())
    }

    async fn ask_to_be_told(&mut self, conn: &mut Connection) -> Result<(), Error> {
        conn.speak_resp3();
        let mut requests = Requests::new();
        due::listen(&mut requests);
        let refused = conn.call(&requests).await?.into_iter().find_map(|reply| reply.into_result().err());
        match refused {
            Some(error) => self.be_deaf(&error.to_string()),
            None => self.is_deaf = false,
        }
        Ok(())
    }

    fn be_deaf(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.is_deaf, true) {
            tracing::warn!(
                reason,
                "redis does not tell which queues change, so their lengths are read once a second; \
                 allow this user HELLO and CLIENT TRACKING"
            );
        }
    }

    /// Has all lengths read, and sees whether Redis tells of changes at all, and who else listens.
    async fn look(&mut self, conn: &mut Connection) -> Result<(), Error> {
        let now = Instant::now();
        self.board.forget(now);
        if self.is_proved == Some(false) {
            self.be_deaf("redis accepts CLIENT TRACKING, but reports no change");
        }
        let ControlOptions { url, keys, uuid, .. } = &self.control.options;
        let mut requests = Requests::new();
        lengths::ask_processes(*keys, url.database(), &mut requests);
        lengths::track(&self.proof, &mut requests);
        let replies = conn.call(&requests).await?;
        // A user who may not ask is alone, as far as is known: each process then comes first.
        let all =
            replies.first().and_then(|reply| lengths::read_processes(*keys, url.database(), reply).ok());
        let all = all.unwrap_or_default();
        let own = keys.steer_channel(url.database(), uuid);
        let place = all.iter().take(BELL_PROCESSES_MAX).position(|channel| **channel == *own.as_bytes());
        self.line = place.map_or((0, 1), |place| (place, all.len().min(BELL_PROCESSES_MAX)));
        self.is_proved = Some(self.is_deaf);
        // Long enough for several heartbeats.
        let usual = BELL_LOOK.max(3 * self.control.settings.get().stats_interval);
        self.look_at = now + if self.is_deaf { BELL_LOOK_DEAF } else { usual };
        Ok(())
    }

    /// Reads the lengths that are due.
    async fn read_due(&mut self, conn: &mut Connection) -> Result<(), Error> {
        let due = self.board.take_due(Instant::now());
        let mut requests = Requests::new();
        for page in due.chunks(BELL_PAGE) {
            requests.clear();
            let ControlOptions { keys, told, .. } = &self.control.options;
            lengths::ask(*keys, page.iter().map(|queue| told[*queue].as_str()), &mut requests);
            let replies: Vec<Reply> = conn.call(&requests).await?;
            for (queue, reply) in page.iter().zip(&replies) {
                self.board.read(*queue, lengths::read(reply));
            }
        }
        Ok(())
    }

    /// Notes what Redis says has changed.
    fn hear(&mut self, conn: &mut Connection) -> Result<(), Error> {
        let (count, pushes) = conn.pushed()?;
        let now = Instant::now();
        if count > pushes.len() {
            self.board.forget(now);
        }
        for push in &pushes {
            match lengths::changed(push) {
                None => {}
                Some(Changed::All) => self.board.forget(now),
                Some(Changed::Keys(keys)) => {
                    for key in keys {
                        if let Some(queue) = self.numbers.get(key).copied() {
                            self.board.changed(queue, self.ready_for(queue), now);
                        } else if *key == *self.proof.as_bytes() {
                            self.is_proved = Some(true);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Who is there for the jobs of this queue.
    fn ready_for(&self, queue: usize) -> Ready {
        if !(0..self.sent.len()).any(|shard| self.waits(shard)) {
            return Ready::Nobody;
        }
        let (place, count) = self.line;
        match place_in_line(&self.control.options.told[queue], place, count) {
            0 => Ready::Now,
            before => {
                let before = u32::try_from(before).unwrap_or(u32::MAX);
                let late = BELL_STEP.saturating_mul(before).min(BELL_LATE_MAX);
                Ready::Later(late + BELL_STEP.mul_f64(fastrand::f64()))
            }
        }
    }

    /// Whether a shard waits for jobs.
    fn waits(&self, shard: usize) -> bool {
        self.control.options.stats[shard].waits.get() == 1
    }

    /// Tells the busy shards all they do not know, and of those that wait as many as there are jobs for.
    fn tell(&mut self) {
        if !self.board.has_news() {
            return;
        }
        let now = Instant::now();
        let (count, mut may_tell) = (self.sent.len(), self.board.may_tell(now));
        let mut told_any = false;
        let first = self.next;
        for shard in (0..count).map(|at| (first + at) % count) {
            let waits = self.waits(shard);
            if waits && may_tell == 0 {
                continue;
            }
            let queues = self.board.untold(shard);
            if queues.is_empty() || !self.send(shard, &queues) {
                continue;
            }
            self.board.tell(shard, &queues);
            if waits {
                may_tell -= 1;
                told_any = true;
            }
        }
        if told_any {
            self.next = (self.next + 1) % count;
            self.board.be_patient(now);
        }
    }

    /// Tells a shard, if it has heard what it was told before: one that is held up reads nothing.
    fn send(&mut self, shard: usize, queues: &[usize]) -> bool {
        let heard = self.control.options.stats[shard].jobs_heard.get();
        let may_send = self.sent[shard].saturating_sub(heard) < BELL_UNHEARD_MAX;
        let is_sent = may_send && self.control.shards.try_send(shard, ToShard::HaveJobs(Arc::from(queues)));
        self.sent[shard] += u64::from(is_sent);
        is_sent
    }

    /// Waits until something has arrived, a shard begins to wait, or something is due by itself. Nothing is read meanwhile.
    async fn wait(&mut self, conn: &Connection) -> Result<(), Error> {
        let is_untold = self.board.has_news();
        // A shard that is held up by a job, and has not heard what it was told before, is tried again.
        let again = is_untold.then(|| Instant::now() + BELL_PACE);
        let due = [self.board.wakes_at(is_untold), again].into_iter().flatten();
        let pause = due.fold(self.look_at, Instant::min).saturating_duration_since(Instant::now());
        if pause.is_zero() {
            return Ok(());
        }
        let waits = async {
            self.control.shards.waits().wait().await;
            Ok(true)
        };
        let arrived = async { conn.readable().await.map(|()| false) };
        if within(pause, future::or(waits, arrived)).await.unwrap_or(Ok(false))? {
            self.board.hurry(Instant::now());
        }
        Ok(())
    }
}
