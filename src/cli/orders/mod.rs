//! The subcommands: their arguments, and the checked orders they turn into.
//!
//! The caller of `cli` carries out an order; the order says where Redis is.

// Pushing jobs.
mod enqueue;
// Looking.
mod history;
mod jobs;
mod queues;
mod show;
mod summary;
mod why;
// Acting on jobs.
mod act;
mod cancel;
mod pause;
mod prune;
// Periodic jobs.
mod cron;
// A job without a queue.
mod run;

mod value;

use clap::{ArgMatches, Args, Command};

use super::program::own;
use super::{Invocation, words};
use crate::config::Config;

pub(super) use cancel::{CANCEL, CancelArgs};
pub(super) use enqueue::{ENQUEUE, EnqueueArgs};
pub(super) use run::{RUN, command as run_command};
pub(super) use summary::{SUMMARY, SummaryArgs};

pub use act::ActOrder;
pub use cancel::CancelOrder;
pub use cron::CronOrder;
pub use enqueue::{BulkOrder, EnqueueOrder};
pub use history::HistoryOrder;
pub use jobs::JobsOrder;
pub use pause::PauseOrder;
pub use prune::PruneOrder;
pub use queues::QueuesOrder;
pub use run::RunOrder;
pub use show::{ProgressOrder, ShowOrder};
pub use summary::SummaryOrder;
pub use why::WhyOrder;

/// The subcommands that look at jobs and act on them, without the options that find Redis.
pub(super) fn job_commands() -> [Command; 13] {
    // clap would show only the JID, as if there were no alternative.
    let usage = |name: &str| {
        own(&format!(
            "jiggler-uring {name} [OPTIONS] <JID>\n       jiggler-uring {name} [OPTIONS] --all <PLACE>"
        ))
    };
    let retry = act::RetryArgs::augment_args(Command::new(act::RETRY)).override_usage(usage(act::RETRY));
    let kill = act::KillArgs::augment_args(Command::new(act::KILL)).override_usage(usage(act::KILL));
    let delete = act::DeleteArgs::augment_args(Command::new(act::DELETE)).override_usage(usage(act::DELETE));
    [
        queues::QueuesArgs::augment_args(Command::new(queues::QUEUES)).after_help(queues::HELP),
        history::HistoryArgs::augment_args(Command::new(history::HISTORY)).after_help(history::HELP),
        jobs::JobsArgs::augment_args(Command::new(jobs::JOBS)).after_help(jobs::HELP),
        show::ShowArgs::augment_args(Command::new(show::SHOW)).after_help(show::SHOW_HELP),
        why::WhyArgs::augment_args(Command::new(why::WHY)).after_help(why::HELP),
        show::ProgressArgs::augment_args(Command::new(show::PROGRESS)).after_help(show::PROGRESS_HELP),
        retry.after_help(act::RETRY_HELP),
        words::beside(kill, act::KILL_HELP),
        words::beside(delete, act::DELETE_HELP),
        words::beside(pause::PauseArgs::augment_args(Command::new(pause::PAUSE)), pause::PAUSE_HELP),
        pause::ResumeArgs::augment_args(Command::new(pause::RESUME)).after_help(pause::RESUME_HELP),
        words::beside(prune::PruneArgs::augment_args(Command::new(prune::PRUNE)), prune::HELP),
        cron::command(),
    ]
}

/// The order described by the arguments of a subcommand. clap has rejected all other names.
pub(super) fn invocation(
    name: &str,
    matches: &ArgMatches,
    config: Config,
) -> Result<Invocation, clap::Error> {
    let redis_url = config.redis_url.clone();
    match name {
        ENQUEUE => enqueue::order(matches, redis_url),
        CANCEL => CancelOrder::from_matches(matches, redis_url).map(Invocation::Cancel),
        queues::QUEUES => QueuesOrder::from_matches(matches, redis_url).map(Invocation::Queues),
        history::HISTORY => HistoryOrder::from_matches(matches, redis_url).map(Invocation::History),
        jobs::JOBS => JobsOrder::from_matches(matches, redis_url).map(Invocation::Jobs),
        show::SHOW => ShowOrder::from_matches(matches, redis_url).map(Invocation::Show),
        why::WHY => WhyOrder::from_matches(matches, redis_url).map(Invocation::Why),
        show::PROGRESS => ProgressOrder::from_matches(matches, redis_url).map(Invocation::Progress),
        act::RETRY => ActOrder::retry(matches, config).map(Invocation::Act),
        act::KILL => ActOrder::kill(matches, config).map(Invocation::Act),
        act::DELETE => ActOrder::delete(matches, config).map(Invocation::Act),
        pause::PAUSE => PauseOrder::pause(matches, redis_url).map(Invocation::Pause),
        pause::RESUME => PauseOrder::resume(matches, redis_url).map(Invocation::Pause),
        prune::PRUNE => PruneOrder::from_matches(matches, redis_url).map(Invocation::Prune),
        RUN => RunOrder::from_matches(matches, config).map(Invocation::Run),
        cron::CRON => CronOrder::from_matches(matches, redis_url).map(Invocation::Cron),
        // The only one left.
        _ => SummaryOrder::from_matches(matches, redis_url).map(Invocation::Summary),
    }
}
