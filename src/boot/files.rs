//! The limit of open files: raised where the process may; otherwise an error at the start says how many are needed.
//!
//! A process that finds out later dies in the middle of its work, because a ring or a connection can no longer be opened.

use rlimit::Resource;

use super::Error;
use crate::config::{Config, Mode};
use crate::limits::{
    CONTROL_CONNECTIONS, PROCESS_FILES, SHARD_FILES, WAITERS_QUEUES_MAX, WEB_CONNECTIONS_MAX, WEB_FILES,
};
use crate::runner::spec::files_of_all;
use crate::shard;

/// Connections to Redis that a worker of this configuration has.
pub(crate) fn connections(config: &Config, shards: usize) -> usize {
    let queues = config.queues.as_slice().len();
    if config.redis_url.as_ref().is_some_and(|given| given.url.is_cluster()) {
        // Each lane has its own connection and one that waits, and the client of a core has one per node; control has
        // lease, poller and, while it reaps, a reaper for each queue.
        return shards * 3 * queues + 3 * queues + CONTROL_CONNECTIONS;
    }
    let waiting = shard::waiters(queues > WAITERS_QUEUES_MAX, config.mode == Mode::AtLeastOnce, queues);
    // The shard's own, and its client's.
    shards * (waiting + 2) + CONTROL_CONNECTIONS
}

/// Files that such a process has open before its jobs open any.
pub(crate) fn needed(config: &Config, shards: usize) -> u64 {
    let web = if config.web.is_some() { WEB_CONNECTIONS_MAX + WEB_FILES } else { 0 };
    let runners = files_of_all(&config.runners, shards);
    (connections(config, shards) + shards * SHARD_FILES + PROCESS_FILES + web + runners) as u64
}

/// The total, with one file for each job.
pub(crate) fn wanted(config: &Config, shards: usize) -> u64 {
    needed(config, shards) + config.concurrency_on(shards) as u64
}

/// Lets the process open as many files as it may without privilege, and refuses to start with fewer than `needed`.
///
/// # Errors
/// [`Error::FilesTooFew`], or [`Error::Files`] if the system does not answer.
pub(crate) fn ensure(needed: u64) -> Result<(), Error> {
    let failed = |source| Error::Files { source };
    let (soft, hard) = Resource::NOFILE.get().map_err(failed)?;
    if hard < needed {
        // Only a privileged process may; any other gets an error that says what to do.
        return Resource::NOFILE.set(needed, needed).map_err(|_| Error::FilesTooFew { needed, hard });
    }
    if soft < hard {
        // As high as possible: handlers open files and connections, too.
        Resource::NOFILE.set(hard, hard).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Queues;
    use crate::limits::WEB_ADDRESS;
    use crate::runner::spec::RunnerSpec;

    #[test]
    fn each_job_may_have_a_file_of_its_own_beyond_what_the_process_needs() {
        let config = Config { concurrency: Some(1_000), ..Config::default() };
        assert_eq!(wanted(&config, 2), needed(&config, 2) + 1_000);
        assert!(needed(&config, 4) > needed(&config, 2));
        let shown = Config { web: Some(WEB_ADDRESS), ..config.clone() };
        assert!(needed(&shown, 2) >= needed(&config, 2) + WEB_CONNECTIONS_MAX as u64);
        let mut runner = RunnerSpec::of_path(Path::new("jobs.mjs")).unwrap();
        runner.children = Some(100);
        let runners = Config { runners: vec![runner], ..config.clone() };
        // Socket, output, process here and in the keeper.
        assert!(needed(&runners, 2) >= needed(&config, 2) + 4 * 100);
    }

    #[test]
    fn many_queues_need_no_more_than_few() {
        let of = |count: usize| {
            let specs: Vec<String> = (0..count).map(|number| format!("q{number}")).collect();
            let queues = Queues::new(Queues::parse_list(&specs.join(",")).unwrap()).unwrap();
            connections(&Config { queues, ..Config::default() }, 4)
        };
        assert!(of(WAITERS_QUEUES_MAX) > of(1));
        assert_eq!(of(1_000), of(WAITERS_QUEUES_MAX + 1));
        assert!(of(1_000) < of(1));
    }

    #[test]
    fn the_error_names_what_is_needed_and_the_three_ways_out() {
        let text = Error::FilesTooFew { needed: 120, hard: 64 }.to_string();
        for part in ["120", "64", "ulimit -n", "LimitNOFILE", "--ulimit nofile"] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }
}
