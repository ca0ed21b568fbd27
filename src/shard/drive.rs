//! The main loop of a shard: connect, exchange turns, wait, end.

use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::link::{Link, LinkError, SentTurn, check, is_noscript, resume, sync_wait_list};
use super::run::{cancel_all, run_ready};
use super::state::{Shard, ShardOptions};
use super::wait::{WaitState, wait};
use super::{oversize, stop};
use crate::handler::Handlers;
use crate::limits::{ACK_DELAY, BACKLOG_JOBS_MIN, STOP_GRACE, STRAGGLER_DELAY, UNSTARTED_HOLD};
use crate::mesh::{Ending, ShardEnd, ToControl, ToShard};
use crate::resp::{Backoff, Reply, Requests};
use crate::shutdown::Phase;
use crate::store::turn::{BatchName, Turn, TurnReply};
use crate::time::unix_now;

/// Runs a shard to its end, on its own executor. `build` makes the handlers' state for this core.
///
/// Nothing is fetched before control has said so: the heartbeat is published first.
pub(crate) async fn run<F>(options: ShardOptions, mesh: ShardEnd, build: F)
where
    F: Future<Output = Result<Handlers, String>>,
{
    let number = options.shard;
    let commands = mesh.from_control.connect().await;
    let control = mesh.to_control.connect().await;
    let how = match build.await {
        Ok(handlers) => {
            let shard = Rc::new(Shard::new(options, handlers));
            if let Some(ToShard::Phase(phase)) = commands.recv().await {
                shard.phase.set(phase);
            }
            let listener = glommio::spawn_local({
                let shard = Rc::clone(&shard);
                async move {
                    while let Some(ToShard::Phase(phase)) = commands.recv().await {
                        shard.phase.set(phase);
                        shard.work.raise();
                    }
                }
            });
            let how = work(&shard).await;
            listener.cancel().await;
            how
        }
        Err(error) => {
            tracing::error!(shard = number, error, "the state of the handlers cannot be built");
            Ending::NoState
        }
    };
    // Refused only if control is gone, and then nobody asks.
    let _control_is_gone = control.send(ToControl::Ended { shard: number, how }).await;
}

/// Everything between the first connection and the last.
async fn work(shard: &Rc<Shard>) -> Ending {
    let waiters: Vec<_> =
        (0..shard.waiters.len()).map(|at| glommio::spawn_local(wait(Rc::clone(shard), at))).collect();
    let how = connected(shard).await;
    stop::end_waiters(shard);
    for waiter in waiters {
        waiter.await;
    }
    how
}

async fn connected(shard: &Rc<Shard>) -> Ending {
    let mut lost: Option<SentTurn> = None;
    let mut outage: Option<(Instant, u64)> = None;
    let mut backoff = Backoff::new(shard.options.shard as u64 + 1);
    loop {
        let (error, served) = match attempt(shard, &mut lost, &mut outage, &mut backoff).await {
            Ok(()) => return Ending::Clean,
            Err(ended) => ended,
        };
        if let LinkError::Fenced(reason) = &error {
            tracing::error!(
                shard = shard.options.shard,
                reason,
                "this shard was believed dead; its jobs run elsewhere"
            );
            cancel_all(shard).await;
            return Ending::Fenced;
        }
        match &mut outage {
            Some((_, attempts)) if !served => *attempts += 1,
            _ => {
                tracing::error!(shard = shard.options.shard, %error, "redis is gone; trying again");
                shard.options.stats.disconnects.add(1);
                outage = Some((Instant::now(), 1));
            }
        }
        shard.disarm();
        if let Phase::Stopping { deadline } = shard.phase.get()
            && Instant::now() > deadline + STOP_GRACE
        {
            let jobs = cancel_all(shard).await + shard.live.borrow().len();
            return Ending::LeftBehind { jobs };
        }
        // Jobs at hand go on: they are in flight in Redis whatever happens to the connection.
        run_ready(shard).await;
        Timer::new(backoff.pause()).await;
    }
}

/// One connection's life. On failure: why, and whether the connection ever stood.
async fn attempt(
    shard: &Rc<Shard>,
    lost: &mut Option<SentTurn>,
    outage: &mut Option<(Instant, u64)>,
    backoff: &mut Backoff,
) -> Result<(), (LinkError, bool)> {
    let mut link = Link::open(shard).await.map_err(|error| (error.into(), false))?;
    resume(shard, &mut link, lost).await.map_err(|error| (error, false))?;
    if let Some((since, attempts)) = outage.take() {
        let seconds = since.elapsed().as_secs_f64();
        tracing::info!(shard = shard.options.shard, seconds, attempts, "redis is back");
    }
    shard.idle.set(false);
    let mut turns = 0_u64;
    let result = serve(shard, &mut link, lost, &mut turns).await;
    if turns > 0 {
        // It answered: the next series of attempts begins at the shortest pause.
        backoff.reset();
    }
    result.map_err(|error| (error, turns > 0))
}

/// Exchanges turns until the shard ends or the connection does.
async fn serve(
    shard: &Rc<Shard>,
    link: &mut Link,
    lost: &mut Option<SentTurn>,
    turns: &mut u64,
) -> Result<(), LinkError> {
    let mut order: Vec<usize> = Vec::new();
    loop {
        if stop::step(shard, link).await? {
            return stop::leave(shard, link).await;
        }
        // With a backlog the next batch is asked for before this one runs, so that Redis works meanwhile. Without, a job
        // that came alone is run first, and its ack travels with the fetch.
        if !shard.backlog.get() {
            run_ready(shard).await;
        }
        let now = Instant::now();
        shard.settle_stragglers(now);
        if let Some(wanted) = shard.plan(now) {
            *turns += 1;
            order.clear();
            shard.queue_order(*turns, &mut order);
            exchange(shard, link, lost, wanted, &order).await?;
            continue;
        }
        shard.backlog.set(false);
        if run_ready(shard).await || sweep(shard, link).await? {
            continue;
        }
        if shard.phase.get().fetches() && shard.free_slots() == 0 {
            if shard.is_waiting() {
                stop::unblock_waiters(shard, link).await?;
            }
            let oldest = shard.ready.borrow().front().map(|batch| batch.came_at);
            if oldest.is_some_and(|came_at| came_at.elapsed() >= UNSTARTED_HOLD) {
                stop::hand_back_unstarted(shard, link).await?;
            }
        }
        rest(shard).await;
    }
}

/// Looks through the wait lists of waiters that lost their connection. Whether there were any.
async fn sweep(shard: &Rc<Shard>, link: &mut Link) -> Result<bool, LinkError> {
    let mut any = false;
    for waiter in &shard.waiters {
        if waiter.state.get() == WaitState::Sweeping {
            sync_wait_list(shard, link, waiter.at).await?;
            if waiter.state.get() == WaitState::Sweeping {
                waiter.set(WaitState::Armed);
            }
            any = true;
        }
    }
    Ok(any)
}

/// One turn: settle, fetch, and run what is at hand while Redis works.
async fn exchange(
    shard: &Rc<Shard>,
    link: &mut Link,
    lost: &mut Option<SentTurn>,
    wanted: usize,
    order: &[usize],
) -> Result<(), LinkError> {
    shard.settled_at.set(None);
    let settled = shard.settlement.take();
    let sent = lost.insert(SentTurn { number: shard.fresh_id(), settled });
    let mut requests = Requests::new();
    let write = |link: &Link, requests: &mut Requests| {
        let turn = Turn { number: sent.number, wanted, order, settled: &sent.settled, now: unix_now() };
        shard.turns.write(&link.scripts, &turn, requests);
    };
    write(link, &mut requests);
    link.conn.send(&requests).await?;
    shard.options.stats.turns.add(1);
    run_ready(shard).await;
    let mut reply = link.conn.reply().await?;
    if is_noscript(&reply) {
        // It has not run. Once more, after loading; a second refusal is an outage.
        link.reload().await?;
        requests.clear();
        write(link, &mut requests);
        link.conn.send(&requests).await?;
        reply = link.conn.reply().await?;
    }
    let reply = check(reply)?;
    let number = sent.number;
    *lost = None;
    take_in(shard, &reply, number, wanted, order)
}

fn take_in(
    shard: &Rc<Shard>,
    reply: &Reply,
    number: u64,
    wanted: usize,
    order: &[usize],
) -> Result<(), LinkError> {
    let turn = TurnReply::read(reply, order)
        .map_err(|got| crate::resp::Error::Unexpected { expected: "the reply of a turn", got })?;
    let mut count = 0;
    for fetched in turn.fetched {
        count += fetched.payloads.len() + fetched.oversize;
        if let Some(error) = fetched.error {
            shard.complain(fetched.queue, &error);
        }
        if fetched.oversize > 0 {
            oversize::bury(shard, fetched.queue);
        }
        shard.take_in(fetched.queue, BatchName::Turn(number), fetched.payloads);
    }
    if wanted > 0 {
        shard.backlog.set(count >= wanted.min(BACKLOG_JOBS_MIN));
        if count == 0 && shard.phase.get().fetches() {
            shard.idle.set(true);
            shard.arm();
        }
    }
    Ok(())
}

/// Sleeps until something happens or is due.
async fn rest(shard: &Shard) {
    let now = Instant::now();
    let due = |at: Instant, delay: Duration| (at + delay).saturating_duration_since(now);
    let pauses = [
        shard.settled_at.get().map(|at| due(at, ACK_DELAY)),
        shard.owing.borrow().front().map(|(_, since)| due(*since, STRAGGLER_DELAY)),
        shard.ready.borrow().front().map(|batch| due(batch.came_at, UNSTARTED_HOLD)),
        stop::until_deadline(shard, now),
    ];
    match pauses.into_iter().flatten().min() {
        None => shard.work.wait().await,
        Some(pause) => {
            let timer = async {
                Timer::new(pause).await;
            };
            futures_lite::future::or(shard.work.wait(), timer).await;
        }
    }
}

impl Shard {
    /// Whether a turn is due, and how many jobs it asks for.
    fn plan(&self, now: Instant) -> Option<usize> {
        let fetches = self.phase.get().fetches();
        if fetches && !self.idle.get() {
            let wanted = self.pace.borrow().wanted(self.free_slots(), self.unstarted.get());
            if wanted > 0 {
                return Some(wanted);
            }
        }
        if self.settlement.borrow().is_empty() {
            return None;
        }
        let waited =
            self.settled_at.get().is_none_or(|since| now.saturating_duration_since(since) >= ACK_DELAY);
        (waited || !fetches).then_some(0)
    }

    /// The order in which a turn serves the queues: by priority, queues of equal priority taking turns to be first.
    fn queue_order(&self, turn: u64, order: &mut Vec<usize>) {
        let queues = &self.options.queues;
        let mut start = 0;
        while start < queues.len() {
            let equals = queues[start..].iter().take_while(|queue| queue.1 == queues[start].1).count();
            let first = usize::try_from(turn % equals as u64).unwrap_or(0);
            order.extend((0..equals).map(|at| start + (first + at) % equals));
            start += equals;
        }
    }

    /// A queue that cannot be read: said once a process and queue, for it will be so again at each fetch.
    fn complain(&self, queue: usize, error: &str) {
        if self.complained.borrow_mut().insert(queue) {
            let queue = &*self.queue(queue).name;
            tracing::error!(queue, error, "this queue cannot be read; is its key a list?");
        }
    }
}
