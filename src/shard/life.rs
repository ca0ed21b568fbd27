//! A shard from its start to its end: it connects, is driven, and connects again.

use std::future::Future;
use std::rc::Rc;

use super::drive::Driver;
use super::fenced::report_as_another;
use super::link::{Link, LinkError, Sent, resume};
use super::orders::on_message;
use super::outage::{Attempt, Outage, sleep_unless_phase_changes};
use super::start::{cancel_all, run_ready};
use super::state::{Shard, ShardOptions};
use super::wait::wait;
use super::{abroad, crew, denied, oversize, stop};
use crate::handler::Handlers;
use crate::mesh::{Ending, ShardEnd, ToControl, ToShard};
use crate::net::Backoff;
use crate::resp::Error;

/// Runs a shard to its end, on its own executor. `build` makes the handlers' state for this core.
///
/// Nothing is fetched before control has said so: the heartbeat is published first.
pub(crate) async fn run<F>(options: ShardOptions, mesh: ShardEnd, build: F)
where
    F: Future<Output = Result<Handlers, String>>,
{
    let number = options.shard;
    let (commands, control) = mesh.connect().await;
    let control = Rc::new(control);
    let how = match build.await {
        Ok(handlers) => {
            options.stats.current.name_jobs(handlers.names());
            let lanes = crew::lanes(options, handlers);
            if let Some(ToShard::Phase(phase)) = commands.recv().await {
                lanes.iter().for_each(|lane| lane.enter(phase));
            }
            let listener = glommio::spawn_local({
                let (lanes, control) = (Rc::clone(&lanes), Rc::clone(&control));
                async move {
                    while let Some(message) = commands.recv().await {
                        on_message(&lanes, message, &control);
                    }
                }
            });
            let how = crew::work(&lanes).await;
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
pub(super) async fn work(shard: &Rc<Shard>) -> Ending {
    let waiters: Vec<_> =
        (0..shard.waiters.len()).map(|at| glommio::spawn_local(wait(Rc::clone(shard), at))).collect();
    let carrier = shard.crew.as_ref().map(|_| glommio::spawn_local(abroad::carry(Rc::clone(shard))));
    let how = connected(shard).await;
    if let Some(carrier) = carrier {
        carrier.cancel().await;
    }
    stop::end_waiters(shard);
    for waiter in waiters {
        waiter.await;
    }
    how
}

async fn connected(shard: &Rc<Shard>) -> Ending {
    let mut sent = Sent::new();
    let mut outage = Outage::default();
    let mut backoff = Backoff::new(shard.options.shard as u64 + 1);
    loop {
        let this = Attempt::new(&outage, &sent);
        // Given up at the very end of a stop only; whatever was under way over the connection ends with it.
        let given_up = async {
            this.given_up(shard).await;
            Err(LinkError::Lost(Error::Closed))
        };
        let attempt = attempt(shard, &mut sent, &mut outage, &mut backoff);
        let error = match futures_lite::future::or(attempt, given_up).await {
            Ok(()) => return Ending::Clean,
            Err(error) => denied::named(shard, error).await,
        };
        if matches!(error, LinkError::Left) {
            // The call that ends this shard arrived, its answer did not.
            return Ending::Clean;
        }
        if let (LinkError::Held(reason), true) = (&error, shard.phase.get().ends()) {
            // The lease stays, and with it the jobs are found.
            let jobs = shard.unreported(&sent);
            tracing::error!(shard = shard.options.shard, reason, jobs, "jobs stay in flight for a reaper");
            return Ending::LeftBehind { jobs };
        }
        if let LinkError::Fenced(reason) = &error {
            tracing::error!(
                shard = shard.options.shard,
                reason,
                "this shard was believed dead; its jobs run elsewhere"
            );
            cancel_all(shard).await;
            report_as_another(shard).await;
            return Ending::Fenced;
        }
        shard.lost_a_connection.set(true);
        shard.claims_nothing();
        outage.failed(shard, &error);
        shard.disarm();
        if let Some(how) = this.ending(shard, &sent) {
            cancel_all(shard).await;
            return how;
        }
        // Jobs at hand go on: they are in flight in Redis whatever happens to the connection.
        run_ready(shard).await;
        sleep_unless_phase_changes(shard, backoff.pause()).await;
    }
}

/// One connection's life.
async fn attempt(
    shard: &Rc<Shard>,
    sent: &mut Sent,
    outage: &mut Outage,
    backoff: &mut Backoff,
) -> Result<(), LinkError> {
    outage.denial(shard).await?;
    let mut link = Link::open(shard).await?;
    shard.stands_on(&link);
    resume(shard, &mut link, sent).await?;
    let resumed = outage.is_on();
    shard.idle.set(false);
    if shard.options.at_least_once {
        stop::hand_back_given_up(shard, &mut link).await?;
    }
    if resumed {
        // A waiter may still be blocked in a server that has vanished, or that is not ours any more.
        stop::unblock_waiters(shard, &mut link).await?;
        // A reply that was lost may have told of payloads too large to fetch.
        (0..shard.turns.queues.len()).for_each(|queue| oversize::bury(shard, queue));
    }
    let mut driver = Driver::new(shard, link, sent, outage);
    let result = driver.serve().await;
    if driver.has_turned() {
        // It answered: the next series of attempts begins at the shortest pause.
        backoff.reset();
    }
    result
}
