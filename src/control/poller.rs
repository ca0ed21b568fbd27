//! The poller: moves due jobs from the retry set and the scheduled set to their queues.
//!
//! One script looks at both sets by Redis's clock, moves what is due and reports when the next job is. One process of a
//! fleet leads ([`super::lead`]): it alone sleeps until the next job is due, so that no herd wakes for it. All others look
//! once per poll interval (or once in the time a lead lasts, if shorter), move what is due nevertheless, and take the lead
//! when it has lapsed. So a leader that dies costs at most one poll interval of delay, for a while. The script that looks
//! also takes and keeps the lead: asking for it costs no round trip of its own.
//!
//! ```text
//!          no one leads, at a look                  refused, or it stays silent
//! follows ────────────────────────► leads ──bell──► leads without a bell
//!    ▲                                │ another leads (this process was paused)      quiet, stop: the lead is given up
//!    └────────────────────────────────┘
//! ```
//!
//! Others add jobs while the leader sleeps. Its bell is Redis's key tracking (`CLIENT TRACKING`, RESP3): after a look, the
//! first change of either set, by anyone, brings one push, and the leader looks again; no sooner than [`DUE_PAUSE_MIN`]
//! after the last look, so a flood of changes costs that many looks and no more. There is no gap between look and sleep:
//! the look itself is what Redis tracks. A leader whose bell is silent knows that nothing has changed: it only renews its
//! lead, at most one command every [`LEAD_RENEWAL`](crate::limits::LEAD_RENEWAL). If tracking is refused, or turns out to
//! report nothing (the bell is rung once to check), the next look finds what others added.
//!
//! Periodic jobs ([`super::ticker`]) are due in the same way: a look tells when the first is, the leader sleeps until then,
//! and a change of their table rings the bell.
//!
//! Idle cost with the defaults: 0.1 commands a second for the leader, 0.45 for any other process (a script of one command).
//!
//! It works while the process fetches; quiet and stopping processes leave due jobs to others.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_lite::future;

use super::lead::{Due as LeadDue, Lead};
use super::link::{ControlLink, way_out};
use super::poll_times::{look_of, pause_after, terms};
use super::ticker::Ticker;
use super::{actor::Actor, duty::Duty, state::Control, unservable};
use crate::limits::{DUE_LOOK_MAX, DUE_PAUSE_MIN, POLL_JITTER};
use crate::net::{Backoff, Error};
use crate::resp::RedisErrorKind;
use crate::store::due::{self, DueLook, FirstJob, Unservable};
use crate::store::lead;
use crate::timeout::within;
use crate::wire::Causes;

/// Starts the poller of a duty. It ends by itself once the process no longer fetches.
pub(super) fn spawn(control: &Rc<Control>, duty: usize) -> Actor {
    Actor::spawn(run(Rc::clone(control), duty))
}

/// Polls until the process no longer fetches, then gives up the lead. When the interval changes it starts over.
async fn run(control: Rc<Control>, duty: usize) {
    while control.phase().fetches() && control.ended().is_none() {
        let Some(poll_interval) = control.settings.get().poll_interval else {
            control.duties[duty].phase_changed.wait().await;
            continue;
        };
        let mut poller = Poller::new(Rc::clone(&control), duty, poll_interval);
        while poller.goes_on() {
            if let Err(error) = poller.turn().await {
                poller.fail(&error).await;
            }
        }
        poller.resign().await;
    }
}

/// Whether Redis reports changes on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bell {
    /// It was not asked to.
    Off,
    /// It does.
    On,
    /// It was asked to, but does not.
    Refused,
}

struct Poller {
    // Fixed.
    control: Rc<Control>,
    /// Which of control's duties.
    duty: usize,
    poll_interval: Duration,
    // The connection and what is true of it alone.
    link: Option<ControlLink>,
    /// How often upkeep had lost its own connection when this one was opened.
    losses: u64,
    bell: Bell,
    // What is known about the fleet and the sets.
    lead: Lead,
    looked_at: Instant,
    /// When to look next, unless the bell rings.
    look_at: Instant,
    /// Periodic jobs.
    ticker: Ticker,
    // Failures.
    backoff: Backoff,
    outage: Option<Instant>,
    /// What was logged about it.
    causes: Causes,
    /// Whether the previous connection was closed while idle.
    has_rested: bool,
    /// Whether the missing bell was logged.
    missed_bell: bool,
    /// The key of a set that was logged as spoilt.
    spoilt: String,
    /// A due job that the script could not read: the next look tells of it.
    told: Option<FirstJob>,
    random: fastrand::Rng,
}

impl Poller {
    fn new(control: Rc<Control>, duty: usize, poll_interval: Duration) -> Self {
        let now = Instant::now();
        let losses = control.duties[duty].losses.get();
        Self {
            control,
            duty,
            poll_interval,
            link: None,
            losses,
            bell: Bell::Off,
            lead: Lead::new("poller", terms(poll_interval), now),
            looked_at: now,
            look_at: now,
            ticker: Ticker::new(now),
            backoff: Backoff::new(u64::from(std::process::id()) + duty as u64),
            outage: None,
            causes: Causes::default(),
            has_rested: false,
            missed_bell: false,
            spoilt: String::new(),
            told: None,
            random: fastrand::Rng::new(),
        }
    }

    fn duty(&self) -> &Duty {
        &self.control.duties[self.duty]
    }

    fn goes_on(&self) -> bool {
        let control = &self.control;
        let interval = control.settings.get().poll_interval;
        control.phase().fetches() && control.ended().is_none() && interval == Some(self.poll_interval)
    }

    /// Does what is due, then sleeps until something else is.
    async fn turn(&mut self) -> Result<(), Error> {
        self.act().await?;
        self.backoff.reset();
        if std::mem::take(&mut self.has_rested) {
            self.control.note_idle_close();
        }
        if let Some(since) = self.outage.take() {
            self.causes = Causes::default();
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(of = self.duty().queue(), seconds, "due jobs move to their queues again");
        }
        self.rest().await
    }

    async fn act(&mut self) -> Result<(), Error> {
        if self.losses != self.duty().losses.get() {
            self.forget_link();
        }
        let now = Instant::now();
        if now < self.look_at && self.lead.due(now) == LeadDue::Renew && self.renew().await? {
            return Ok(());
        }
        if now < self.look_at && self.ticker.is_due(now) {
            return self.offer_ticks().await;
        }
        self.look().await?;
        match (self.lead.leads(), self.bell) {
            (true, Bell::Off) => self.hang_bell().await,
            (false, Bell::On) => self.take_bell_down().await,
            _ => Ok(()),
        }
    }

    /// Moves what is due, and settles who leads.
    async fn look(&mut self) -> Result<(), Error> {
        let link = match &mut self.link {
            Some(link) => link,
            empty => {
                self.losses = self.control.duties[self.duty].losses.get();
                empty.insert(ControlLink::open(&self.control, self.duty, "poller").await?)
            }
        };
        self.looked_at = Instant::now();
        let look = DueLook { told: self.told.as_ref(), ..look_of(&self.control, &self.lead) };
        let replies = link.call(|scripts, requests| due::move_due(scripts, look, requests)).await?;
        let due = due::read_due(replies.first().ok_or(Error::Closed)?)?;
        self.told = None;
        if let Some(set) = due.unread {
            let replies = link.call(|scripts, requests| due::read_first(scripts, set, requests)).await?;
            self.told =
                FirstJob::read(self.control.options.schema, set, replies.first().ok_or(Error::Closed)?)?;
        }
        if due.held > 0 {
            let (jobs, queue) = (due.held, &*due.broken);
            tracing::error!(
                jobs,
                queue,
                "due jobs were put off: the key of their queue is not a list, or in a cluster belongs to another queue's slot"
            );
        }
        if due.held == 0 && !due.broken.is_empty() && self.spoilt != due.broken {
            let key = &*due.broken;
            tracing::error!(
                key,
                "a key is spoilt: it is not a sorted set of jobs, so its jobs wait; the rest keeps running"
            );
            self.spoilt.clone_from(&due.broken);
        }
        self.lead.answered(due.leads, self.looked_at);
        self.ticker.note(due.tick, due.leads, Instant::now());
        if !due.unservable.is_empty() {
            self.bury(&due.unservable).await?;
        }
        let pause = pause_after(&due, self.look_interval());
        // Redis counted from the moment the script ran, which was earlier.
        self.look_at = Instant::now() + pause;
        if !due.more {
            self.look_at = self.look_at.max(self.looked_at + DUE_PAUSE_MIN);
        }
        Ok(())
    }

    /// Pushes the periodic jobs that are due.
    async fn offer_ticks(&mut self) -> Result<(), Error> {
        let Some(link) = &mut self.link else { return self.look().await };
        let duty = &self.control.duties[self.duty];
        self.ticker.turn(duty, self.control.options.schema, self.lead.leads(), link).await
    }

    /// Buries jobs that name a queue which no worker may be given. Should that fail they are due again later.
    async fn bury(&mut self, jobs: &[Unservable]) -> Result<(), Error> {
        let Some(link) = &mut self.link else { return Ok(()) };
        match unservable::bury(&self.control, self.duty, link, jobs).await {
            // A dead set of another type does not concern the jobs that can be served.
            Err(Error::Redis(error)) if error.kind() == RedisErrorKind::WrongType => {
                let jobs = jobs.len();
                tracing::error!(jobs, %error, "due jobs that no worker may be given cannot be buried and wait");
                Ok(())
            }
            buried => buried,
        }
    }

    /// Renews the lead without a look. Whether this process still has it.
    async fn renew(&mut self) -> Result<bool, Error> {
        let Some(link) = &mut self.link else { return Ok(false) };
        let (sent_at, lasts) = (Instant::now(), self.lead.terms().lasts);
        let replies =
            link.call(|scripts, requests| lead::renew(&scripts.realm().lead, lasts, requests)).await?;
        let reply = replies.first().ok_or(Error::Closed)?;
        self.lead.answered(lead::read_renewed(reply, &self.control.options.uuid)?, sent_at);
        Ok(self.lead.leads())
    }

    /// Longest time from one look to the next.
    fn look_interval(&mut self) -> Duration {
        let random = self.random.f64();
        match (self.lead.leads(), self.bell) {
            (true, Bell::On) => self.poll_interval.max(DUE_LOOK_MAX),
            (true, _) => self.poll_interval.mul_f64(1.0 - POLL_JITTER * random),
            (false, _) => self.lead.terms().ask_after(random),
        }
    }

    /// Asks Redis to report changes, and provokes one to check: the script reads the lead, which is then renewed.
    async fn hang_bell(&mut self) -> Result<(), Error> {
        let Some(link) = &mut self.link else { return Ok(()) };
        link.speak_resp3();
        match link.call(|_, requests| due::listen(requests)).await {
            Ok(_) => {}
            Err(Error::Redis(error)) if !error.kind().may_heal() => {
                self.miss_bell(&error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let look = look_of(&self.control, &self.lead);
        link.call(|scripts, requests| due::ring(scripts, look, requests)).await?;
        if link.pushes()? == 0 {
            self.miss_bell("redis accepts CLIENT TRACKING, but reports no change");
            return Ok(());
        }
        self.bell = Bell::On;
        // Changes from before it stopped reporting our own cannot be told apart.
        self.look_at = Instant::now();
        Ok(())
    }

    async fn take_bell_down(&mut self) -> Result<(), Error> {
        let Some(link) = &mut self.link else { return Ok(()) };
        link.call(|_, requests| due::stop_listening(requests)).await?;
        self.bell = Bell::Off;
        Ok(())
    }

    fn miss_bell(&mut self, reason: &str) {
        self.bell = Bell::Refused;
        if !std::mem::replace(&mut self.missed_bell, true) {
            let poll_interval_s = self.poll_interval.as_secs_f64();
            tracing::info!(
                reason,
                poll_interval_s,
                "redis does not report new retries and scheduled jobs, so they may be late by the poll interval; \
                 allow this user HELLO and CLIENT TRACKING"
            );
        }
    }

    /// Sleeps until it is time to look or to renew, or until the process no longer fetches.
    async fn rest(&mut self) -> Result<(), Error> {
        while self.goes_on() {
            if let (Bell::On, Some(link)) = (self.bell, &mut self.link)
                && link.pushes()? > 0
            {
                self.look_at = self.look_at.min(self.looked_at + DUE_PAUSE_MIN);
            }
            let others = [self.lead.renew_at(), self.ticker.due_at()].into_iter().flatten();
            let wake_at = others.fold(self.look_at, Instant::min);
            let pause = wake_at.saturating_duration_since(Instant::now());
            if pause.is_zero() {
                break;
            }
            self.wait(pause).await?;
        }
        Ok(())
    }

    /// Waits this long, or until something has arrived on the connection or the phase has changed. Nothing is read
    /// meanwhile.
    async fn wait(&self, pause: Duration) -> Result<(), Error> {
        let phase = async {
            self.duty().phase_changed.wait().await;
            Ok(())
        };
        let bell = async {
            match (self.bell, &self.link) {
                (Bell::On, Some(link)) => link.readable().await,
                _ => future::pending().await,
            }
        };
        within(pause, future::or(phase, bell)).await.unwrap_or(Ok(()))
    }

    /// Drops the connection; the next look opens another.
    fn forget_link(&mut self) {
        self.link = None;
        self.bell = Bell::Off;
        self.ticker.forget();
        self.lead.lost();
        self.look_at = Instant::now();
    }

    async fn fail(&mut self, error: &Error) {
        self.forget_link();
        if self.outage.is_none() && error.is_of_idleness() {
            tracing::debug!(%error, "the poller is opening another connection");
            self.has_rested = true;
            return;
        }
        self.outage.get_or_insert_with(Instant::now);
        let cause = error.cause();
        if self.causes.are_news(cause, Instant::now()) {
            let run = way_out(&self.control, &self.duty().options.url, error).await;
            let of = self.duty().queue();
            tracing::error!(of, %cause, %error, run, "due jobs cannot be moved to their queues; trying again");
        }
        let pause = self.backoff.pause();
        // There is no connection now, so this cannot fail.
        let _nothing = self.wait(pause).await;
    }

    /// Gives up the lead, so that another process takes it at its next look; if that fails, the lead lapses.
    async fn resign(&mut self) {
        let (true, Some(link)) = (self.lead.give_up(), &mut self.link) else { return };
        let uuid = &*self.control.options.uuid;
        let resigned =
            link.call(|scripts, requests| lead::resign(scripts, &scripts.realm().lead, uuid, requests));
        if let Err(error) = resigned.await {
            tracing::debug!(%error, "could not give up the pollers' lead; it lapses by itself");
        }
    }
}
