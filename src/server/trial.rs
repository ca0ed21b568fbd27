//! `jiggler-uring run`: one job here and now, with the handlers and runners of a worker, without Redis.
//!
//! What a worker makes of a run (look-up, timeout, the verdict on a failure) is that of the test kit. Only the runner that
//! takes the job's name is started, with one child; one whose application does not load ends it at once, where a worker
//! would try again. To know that, the application is loaded once more before.

mod report;

use std::future::Future;
use std::io::{self, Write};
use std::time::Instant;

use glommio::{LocalExecutorBuilder, Placement};

use super::build::{self, IntoRegistry, Unbuilt};
use super::placement::Core;
use crate::cli::{Failure, RunOrder};
use crate::client::{LocalClient, NewJob};
use crate::config::RunnerSpec;
use crate::foreign::Foreign;
use crate::handler::Pattern;
use crate::io::timer::timeout;
use crate::limits::runner::RUNNER_LOAD_TIME;
use crate::limits::{EXECUTOR_IO_BYTES, NAMES_SHOWN_MAX};
use crate::runner::{OnCores, Runners, probe};
use crate::testing::{Bench, Outcome, Run, payload_of};
use crate::time::unix_now;
use report::Report;

/// Runs it, and shows what it did.
///
/// # Errors
/// The job failed, or could not be run at all; see the help of the command.
pub(super) fn run<F, Fut>(order: &RunOrder, factory: &F, out: &mut dyn Write) -> Result<(), Failure>
where
    F: Fn(Core) -> Fut,
    Fut: Future<Output: IntoRegistry>,
{
    glommio::early_init();
    let _written = super::start_log(&order.config)?;
    let specs = chosen(&order.config.runners, &order.name);
    for spec in &specs {
        spec.ensure_usable().map_err(Failure::usage)?;
        let failed = |reason| io::Error::other(format!("runner {} does not start: {reason}", spec.name));
        probe(spec).map_err(failed)?;
    }
    let runners = Runners::start(&specs)?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .name("run")
        .io_memory(EXECUTOR_IO_BYTES)
        .make()
        .map_err(|error| io::Error::other(format!("there is no io_uring here (see doctor): {error}")))?;
    let report = executor.run(tried(order, factory, &runners.on_cores()))?;
    drop(runners);
    if order.json {
        report.write_json(out)?;
    } else {
        report.write_text(out)?;
    }
    match failure(&report.run) {
        None => Ok(()),
        Some(text) => Err(io::Error::other(text).into()),
    }
}

/// The runner that a worker would give jobs of this name, if there is one; it needs one child.
fn chosen(specs: &[RunnerSpec], name: &str) -> Vec<RunnerSpec> {
    let Some(pattern) = Pattern::longest(specs.iter().flat_map(|spec| &spec.jobs), name) else {
        return Vec::new();
    };
    let spec = specs.iter().find(|spec| spec.jobs.contains(pattern));
    spec.map(|spec| RunnerSpec { children: Some(1), ..spec.clone() }).into_iter().collect()
}

async fn tried<F, Fut>(order: &RunOrder, factory: &F, runners: &OnCores) -> Result<Report, Failure>
where
    F: Fn(Core) -> Fut,
    Fut: Future<Output: IntoRegistry>,
{
    let built = build::build(factory, runners, Core { index: 0, count: 1 }).await;
    let handlers = built.map_err(|unbuilt| match unbuilt {
        Unbuilt::Mistake { .. } | Unbuilt::Unrunnable { .. } => Failure::usage(unbuilt),
        Unbuilt::Failed { .. } => unbuilt.into(),
    })?;
    if handlers.find(&order.name).is_none() {
        let known = known(&handlers.names());
        let name = Foreign::cell(&order.name);
        return Err(Failure::usage(format!(
            "nobody here runs a job named {name}: {known}; -r FILE adds those of another language"
        )));
    }
    let gate = std::rc::Rc::clone(handlers.gate());
    let (bench, client) = Bench::new(handlers, LocalClient::in_memory());
    let up = async {
        while gate.is_closed() {
            gate.change().await;
        }
    };
    if timeout(RUNNER_LOAD_TIME, up).await.is_err() {
        bench.stop().await;
        let text = format!("its runner has no child within {RUNNER_LOAD_TIME:?}; the log says why");
        return Err(io::Error::other(text).into());
    }
    let now = unix_now();
    let job = job(order, &bench).map_err(Failure::usage)?;
    let Some(pushed) = payload_of(&job, order.attempt, now).await.map_err(Failure::usage)? else {
        return Err(io::Error::other("the job is nowhere").into());
    };
    client.set_clock(now);
    let began = Instant::now();
    let (mut run, _fate) = bench.run(&pushed.queue, &pushed.payload.into(), now).await;
    let took = began.elapsed();
    bench.stop().await;
    run.pushed = client.take_pushed();
    Ok(Report { run, took, progress: client.progress().into_iter().map(|(_, progress)| progress).collect() })
}

fn job(order: &RunOrder, bench: &Bench) -> Result<NewJob, crate::client::InvalidJob> {
    let job = NewJob::with_raw_args(&order.name, &order.args)?;
    let job = match &order.queue {
        Some(queue) => job.in_queue(queue.clone()),
        None => bench.in_its_queue(&order.name, job)?,
    };
    match &order.jid {
        Some(jid) => job.jid(jid),
        None => Ok(job),
    }
}

/// Which names there are, as far as they are shown.
fn known(names: &[&str]) -> String {
    match names {
        [] => "there are no jobs at all".to_owned(),
        names => {
            let shown: Vec<&str> = names.iter().take(NAMES_SHOWN_MAX).copied().collect();
            let more = names.len().saturating_sub(NAMES_SHOWN_MAX);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("there are {}{rest}", shown.join(", "))
        }
    }
}

/// How the run failed, if it did, and what would become of the job.
fn failure(run: &Run) -> Option<String> {
    let Run { name, attempt, retries, outcome, .. } = run;
    let then = match outcome {
        Outcome::Done | Outcome::Snoozed { .. } | Outcome::Discarded { .. } => return None,
        Outcome::Retry { after, .. } => {
            let next = attempt + 1;
            format!(
                "a worker would run it again in {:.0} s, as retry {next} of {retries}",
                after.as_secs_f64()
            )
        }
        Outcome::Dead { .. } => "a worker would put it into the dead set".to_owned(),
    };
    let error = outcome.error()?;
    let (name, class) = (Foreign::cell(name), Foreign::cell(error.class()));
    Some(format!("{name} failed: {class}: {}; {then}", Foreign::text(error.message())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_names_are_listed_than_can_be_read() {
        assert_eq!(
            (known(&[]).as_str(), known(&["A", "B"]).as_str()),
            ("there are no jobs at all", "there are A, B")
        );
        let many = known(&["A"; NAMES_SHOWN_MAX + 2]);
        assert!(many.matches('A').count() == NAMES_SHOWN_MAX && many.ends_with(" and 2 more"), "{many}");
    }
}
