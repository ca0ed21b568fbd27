//! The life of a shard from start to end: it connects, is driven, and connects again.

use std::future::Future;
use std::rc::Rc;
use std::time::Instant;

use glommio::channels::shared_channel::ConnectedSender;

use super::carrier::carry;
use super::drive::Driver;
use super::ending::cancel_all;
use super::fenced::report_as_another;
use super::lanes::lanes;
use super::link::{Link, LinkError};
use super::options::ShardOptions;
use super::orders::on_message;
use super::outage::{Attempt, Outage, unreported};
use super::state::Shard;
use super::steps::run_ready;
use super::sync::resume;
use super::tell::{counted, tell_counts};
use super::turns::Turns;
use super::unblock::{disarm, everyone, unblock};
use super::wait::wait;
use super::{denied, hand_back, oversize};
use crate::handler::Handlers;
use crate::mesh::{Ending, ShardEnd, ToControl, ToShard};
use crate::net::{Backoff, Error};
use crate::shutdown::Phase;
use crate::stats::here;

/// Runs a shard to its end, on its own executor. `build` makes the handlers of this core; without any it ends at once.
///
/// Nothing is fetched before control allows it: the heartbeat is published first.
pub(crate) async fn run<F>(options: ShardOptions, mut mesh: ShardEnd, build: F)
where
    F: Future<Output = Option<Handlers>>,
{
    let number = options.shard;
    let counts = mesh.take_counts();
    let (commands, control) = mesh.connect().await;
    let control = Rc::new(control);
    let how = match build.await {
        Some(mut handlers) => {
            handlers.set_default_retries(options.default_retries, options.schema.usual_retries());
            options.stats.current.name_jobs(handlers.names());
            options.stats.current.name_queues(options.queues.iter().map(|(name, _)| name.as_str()));
            here::is_shard(&options.stats);
            let lanes = lanes(options, handlers);
            let holding = glommio::spawn_local(heed_gate(Rc::clone(&lanes)));
            let telling = counts.map(|counts| glommio::spawn_local(tell_counts(counts, Rc::clone(&lanes))));
            // What is paused comes before the phase that starts the work.
            while let Some(message) = commands.recv().await {
                let begins = matches!(message, ToShard::Phase(_));
                on_message(&lanes, message, &control);
                if begins {
                    break;
                }
            }
            let listener = glommio::spawn_local({
                let (lanes, control) = (Rc::clone(&lanes), Rc::clone(&control));
                async move {
                    while let Some(message) = commands.recv().await {
                        on_message(&lanes, message, &control);
                    }
                }
            });
            let how = work_all(&lanes, &control).await;
            listener.cancel().await;
            holding.cancel().await;
            if let Some(telling) = telling {
                telling.cancel().await;
            }
            let _control_is_gone =
                control.send(ToControl::Counted { shard: number, rows: counted(&lanes) }).await;
            how
        }
        None => Ending::NoState,
    };
    // Refused only if control is gone, and then nobody asks.
    let _control_is_gone = control.send(ToControl::Ended { shard: number, how }).await;
}

/// Holds the lanes back while their gate is closed.
async fn heed_gate(lanes: Rc<[Rc<Shard>]>) {
    let Some(first) = lanes.first() else { return };
    let gate = first.handlers().gate();
    loop {
        if gate.is_closed() || lanes.iter().any(|lane| lane.phases().is_held_back()) {
            lanes.iter().for_each(|lane| lane.hold_back(gate.is_closed()));
        }
        gate.change().await;
    }
}

/// Runs all lanes to their end and returns the worst of their endings. A lane that is taken for dead ends the others at
/// once, because the process will continue under a new name.
async fn work_all(lanes: &Rc<[Rc<Shard>]>, control: &Rc<ConnectedSender<ToControl>>) -> Ending {
    if let [shard] = &**lanes {
        return work(shard, control).await;
    }
    let run = |lane: &Rc<Shard>| {
        let (lane, lanes, control) = (Rc::clone(lane), Rc::clone(lanes), Rc::clone(control));
        glommio::spawn_local(async move {
            let how = work(&lane, &control).await;
            if how == Ending::Fenced {
                let phase = Phase::Stopping { deadline: Instant::now() };
                lanes.iter().for_each(|other| other.enter(phase));
            }
            how
        })
    };
    let running: Vec<_> = lanes.iter().map(run).collect();
    let mut worst = Ending::Clean;
    for lane in running {
        worst = worse(worst, lane.await);
    }
    worst
}

/// The worse of two endings; jobs left behind add up.
fn worse(one: Ending, other: Ending) -> Ending {
    let rank = |how| match how {
        Ending::Clean => 0,
        Ending::Unheard => 1,
        Ending::LeftBehind { .. } => 2,
        Ending::Fenced => 3,
        Ending::NoState => 4,
    };
    match (one, other) {
        (Ending::LeftBehind { jobs: some }, Ending::LeftBehind { jobs: more }) => {
            Ending::LeftBehind { jobs: some + more }
        }
        (one, other) if rank(one) >= rank(other) => one,
        (_, other) => other,
    }
}

/// Everything between the first connection of one lane and the last.
async fn work(shard: &Rc<Shard>, control: &ConnectedSender<ToControl>) -> Ending {
    let waiters: Vec<_> =
        (0..shard.waiters().len()).map(|at| glommio::spawn_local(wait(Rc::clone(shard), at))).collect();
    let carrier = shard.slots().share().map(|_| glommio::spawn_local(carry(Rc::clone(shard))));
    let how = connected(shard, control).await;
    if let Some(carrier) = carrier {
        carrier.cancel().await;
    }
    // Their sockets are shut down. A waiter that is about to open another, or pauses, has nothing to lose, and would take
    // its time.
    shard.waiters().end();
    for waiter in waiters {
        let _ended = waiter.cancel().await;
    }
    how
}

async fn connected(shard: &Rc<Shard>, control: &ConnectedSender<ToControl>) -> Ending {
    let mut turns = Turns::default();
    let mut outage = Outage::default();
    let mut backoff = Backoff::new(shard.options().shard as u64 + 1);
    loop {
        let this = Attempt::new(&outage, &turns);
        // Given up only at the very end of a stop; whatever was under way over the connection ends with it.
        let given_up = async {
            this.given_up(shard).await;
            Err(LinkError::Lost(Error::Closed))
        };
        let attempt = async {
            match attempt(shard, control, &mut turns, &mut outage, &mut backoff).await {
                Err(error) => Err(denied::named(shard.options(), error).await),
                ended => ended,
            }
        };
        let Err(error) = futures_lite::future::or(attempt, given_up).await else { return Ending::Clean };
        if matches!(error, LinkError::Left) {
            // The call that ends this shard arrived, but its reply did not.
            return Ending::Clean;
        }
        if let (LinkError::Held(reason), true) = (&error, shard.phases().now().ends()) {
            // The lease stays, and with it the jobs are found.
            let jobs = unreported(shard, &turns);
            tracing::error!(shard = shard.options().shard, reason, jobs, "jobs stay in flight for a reaper");
            return Ending::LeftBehind { jobs };
        }
        if let LinkError::Fenced(reason) = &error {
            tracing::error!(
                shard = shard.options().shard,
                reason,
                "this shard was believed dead; its jobs run elsewhere"
            );
            cancel_all(shard).await;
            report_as_another(shard).await;
            return Ending::Fenced;
        }
        shard.numbers().lose_connection();
        shard.appetite().expect_nothing();
        shard.slots().wake_starved_lanes();
        let has_rested = outage.has_merely_rested(shard, &error);
        if !has_rested {
            outage.failed(shard, &error);
        }
        disarm(shard, everyone);
        if let Some(how) = this.ending(shard, &turns) {
            cancel_all(shard).await;
            return how;
        }
        // Jobs at hand keep running: they are in flight in Redis whatever happens to the connection.
        run_ready(shard).await;
        if !has_rested {
            shard.phases().rest_before_attempt(backoff.pause().max(outage.pause())).await;
        }
    }
}

/// The life of one connection.
async fn attempt(
    shard: &Rc<Shard>,
    control: &ConnectedSender<ToControl>,
    turns: &mut Turns,
    outage: &mut Outage,
    backoff: &mut Backoff,
) -> Result<(), LinkError> {
    outage.denial(shard).await?;
    let mut link = Link::open(shard.options()).await?;
    shard.phases().work_over(link.stopper());
    resume(shard, &mut link, turns).await?;
    let (resumed, has_rested) = (outage.is_on(), outage.take_rest(shard));
    shard.appetite().look();
    // What the lost connection would have said of them is not known.
    shard.rota().sight().hear_of_all(shard.numbers().last());
    if shard.options().at_least_once {
        hand_back::given_up(shard, &mut link).await?;
    }
    if resumed || has_rested {
        // A waiter may still be blocked in a server that has vanished, or that is no longer ours.
        unblock(shard, &mut link, everyone).await?;
    }
    if resumed {
        // A lost reply may have named payloads that are too large to fetch.
        (0..shard.turn_context().queues.len()).for_each(|queue| oversize::bury(shard, queue));
    }
    let mut driver = Driver::new(shard, link, control, turns, outage);
    let result = driver.serve().await;
    if driver.has_turned() {
        // It answered: the next series of attempts starts with the shortest pause.
        backoff.reset();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_ending_counts_and_jobs_left_behind_add_up() {
        let left = |jobs| Ending::LeftBehind { jobs };
        assert_eq!(worse(Ending::Clean, Ending::Unheard), Ending::Unheard);
        assert_eq!(worse(left(2), left(3)), left(5));
        assert_eq!(worse(Ending::Fenced, left(3)), Ending::Fenced);
        assert_eq!(worse(left(1), Ending::Clean), left(1));
    }
}
