//! The companion threads of a core: they run work that would block the shard.
//!
//! ```text
//!  shard ── bounded channel ──► companion 1 … n   on the shard's CPU, run only when the shard does not
//!        ◄── one result each, which wakes the shard through its ring ──┘
//! ```
//!
//! The channel is between a shard and its own companions; nothing is shared with another core. A thread is started
//! when a job finds none free, up to the configured number, and then waits for the next job without a timeout. A
//! program without such jobs has no such threads.
//!
//! Companions inherit the shard's CPU: `--cores 2` stays two cores, and the shards spread these jobs over the cores
//! like all others. In the kernel's class `SCHED_IDLE` they never delay the shard: a shard that wakes preempts them
//! at once (a thread of lower weight in the normal class would first finish its slice of a few milliseconds). The
//! downside: a shard that is always busy leaves them next to nothing (1% of the CPU was measured), see
//! [`CompanionPriority::Equal`].

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use futures_channel::oneshot;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
};
use thread_priority::{ThreadPriority, thread_native_id};

use super::error::{JobError, JobResult};
use super::pool::caught;
use crate::io::permits::Permits;
use crate::job::failure::CLASS_COMPANION;
use crate::limits::COMPANION_NAME_PART;
use crate::limits::io::{COMPANION_QUEUE_JOBS_MAX, COMPANION_THREADS, COMPANION_WAITING_MAX};
use crate::stats::here;

/// How the kernel weighs a core's companion threads against its shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CompanionPriority {
    /// They get what the shard leaves (`SCHED_IDLE`): they never delay a job on the shard, and while the shard is
    /// always busy they make hardly any progress.
    #[default]
    Leftover,
    /// They share the CPU with the shard as two processes would: neither is starved, and a job on the shard may start
    /// a few milliseconds later.
    Equal,
}

/// A unit of work for one companion.
type Work = Box<dyn FnOnce() + Send>;

/// The companions of one core.
pub(super) struct Companions {
    // Fixed before the first job.
    threads_max: Cell<usize>,
    priority: Cell<CompanionPriority>,
    // This core only.
    threads: Cell<usize>,
    permits: Permits,
    channel: OnceCell<(Sender<Work>, Receiver<Work>)>,
    // Written by the companions.
    idle: Arc<AtomicUsize>,
}

impl Default for Companions {
    fn default() -> Self {
        Self {
            threads_max: Cell::new(COMPANION_THREADS),
            priority: Cell::default(),
            threads: Cell::new(0),
            permits: Permits::new(COMPANION_QUEUE_JOBS_MAX, COMPANION_WAITING_MAX),
            channel: OnceCell::new(),
            idle: Arc::default(),
        }
    }
}

impl Companions {
    pub(super) fn set_threads(&self, threads: usize) {
        self.threads_max.set(threads);
    }

    pub(super) fn set_priority(&self, priority: CompanionPriority) {
        self.priority.set(priority);
    }

    /// Runs this work on a companion and returns its result; a panic is an error. If the future is dropped, work that
    /// has not started never starts; work that has started continues, and its result is discarded.
    pub(super) async fn run(self: Rc<Self>, work: impl FnOnce() -> JobResult + Send + 'static) -> JobResult {
        let _permit = self.permits.take().await.map_err(|error| busy(error.0))?;
        let (sender, result) = oneshot::channel();
        let job = here::job();
        self.hand_over(Box::new(move || {
            if !sender.is_canceled() {
                let result = here::run_for(job.as_ref(), || caught(work)).and_then(|result| result);
                // Nobody may be waiting any longer, and that is fine.
                let _unseen = sender.send(result);
            }
        }))?;
        result.await.unwrap_or_else(|_| Err(JobError::new(CLASS_COMPANION, "the companion thread ended")))
    }

    fn hand_over(&self, work: Work) -> JobResult {
        let (sender, receiver) = self.channel.get_or_init(|| bounded(COMPANION_QUEUE_JOBS_MAX));
        sender.try_send(work).map_err(|error| match error {
            // Work that was abandoned before it started takes room until a companion gets to it.
            TrySendError::Full(_) => busy(COMPANION_QUEUE_JOBS_MAX),
            TrySendError::Disconnected(_) => {
                JobError::new(CLASS_COMPANION, "no companion thread is accepting jobs")
            }
        })?;
        // A companion that has finished and not yet said so costs one extra thread at most.
        let all_busy = self.idle.load(Ordering::Relaxed) < sender.len();
        if all_busy && self.threads.get() < self.threads_max.get() {
            self.start_thread(receiver.clone())?;
        }
        Ok(())
    }

    fn start_thread(&self, work: Receiver<Work>) -> JobResult {
        let number = self.threads.get();
        let shard = thread::current().name().unwrap_or("shard").to_owned();
        let (idle, priority) = (Arc::clone(&self.idle), self.priority.get());
        let started = thread::Builder::new()
            .name(format!("{shard}{COMPANION_NAME_PART}-{number}"))
            .spawn(move || companion(&work, &idle, priority));
        match started {
            Ok(_handle) => self.threads.set(number + 1),
            // The existing companions will get to it.
            Err(error) if number > 0 => {
                tracing::warn!(shard, error = %error, "failed to start another companion thread");
            }
            Err(error) => {
                return Err(JobError::new(
                    CLASS_COMPANION,
                    format!("failed to start a companion thread: {error}"),
                ));
            }
        }
        Ok(())
    }
}

/// The life of one thread. It ends with the shard that feeds it.
fn companion(work: &Receiver<Work>, idle: &AtomicUsize, priority: CompanionPriority) {
    if priority == CompanionPriority::Leftover {
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
            // A thread may always lower its own priority, except in a sandbox; the work gets done either way.
            tracing::warn!(error = ?error, "could not lower the priority of a companion thread below its shard's");
        }
    }
    loop {
        idle.fetch_add(1, Ordering::Relaxed);
        let next = work.recv();
        idle.fetch_sub(1, Ordering::Relaxed);
        let Ok(work) = next else { return };
        // The job's own panic is already its result; this one comes from dropping a value.
        if let Err(panic) = caught(work) {
            tracing::error!(
                panic = panic.message(),
                "a value left by a blocking job panicked when it was dropped"
            );
        }
    }
}

fn busy(jobs: usize) -> JobError {
    JobError::new(
        CLASS_COMPANION,
        format!("{jobs} jobs are already waiting for the companion threads of this core"),
    )
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use glommio::LocalExecutor;
    use thread_priority::unix::thread_schedule_policy;

    use super::*;
    use crate::io::timer;
    use crate::job::failure::CLASS_PANIC;

    fn companions(threads: usize) -> Rc<Companions> {
        let companions = Companions::default();
        companions.set_threads(threads);
        Rc::new(companions)
    }

    fn run(
        companions: &Rc<Companions>,
        work: impl FnOnce() -> JobResult + Send + 'static,
    ) -> impl Future<Output = JobResult> + 'static {
        Rc::clone(companions).run(work)
    }

    #[test]
    fn results_and_panics_come_back_and_threads_outlive_them() {
        LocalExecutor::default().run(async {
            let companions = companions(1);
            for _ in 0..3 {
                assert!(run(&companions, || Ok(())).await.is_ok());
                let error = run(&companions, || Err(JobError::new("E", "m"))).await.unwrap_err();
                assert_eq!(error.class(), "E");
                let error = run(&companions, || panic!("aside")).await.unwrap_err();
                assert_eq!((error.class(), error.message()), (CLASS_PANIC, "aside"));
            }
            assert_eq!(companions.threads.get(), 1);
        });
    }

    #[test]
    fn threads_are_started_as_needed_up_to_their_number_and_yield_to_the_shard() {
        LocalExecutor::default().run(async {
            let companions = companions(3);
            assert_eq!(companions.threads.get(), 0);
            let (go, gone) = channel::<()>();
            let gone = Arc::new(std::sync::Mutex::new(gone));
            let (tell, told) = channel();
            let jobs: Vec<_> = (0..5)
                .map(|_| {
                    let (gone, tell) = (Arc::clone(&gone), tell.clone());
                    let wait = move || {
                        tell.send(thread_schedule_policy().unwrap()).unwrap();
                        // They wait for a closed channel.
                        let _closed = gone.lock().unwrap().recv();
                        Ok(())
                    };
                    glommio::spawn_local(run(&companions, wait))
                })
                .collect();
            let mut begun = Vec::new();
            while begun.len() < 3 {
                begun.extend(told.try_iter());
                timer::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!((begun.len(), companions.threads.get()), (3, 3), "two wait");
            let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
            assert!(begun.iter().all(|policy| *policy == idle), "{begun:?}");
            drop(go);
            for job in jobs {
                assert!(job.await.is_ok());
            }
        });
    }

    #[test]
    fn abandoned_work_is_not_started_and_started_work_continues() {
        LocalExecutor::default().run(async {
            let companions = companions(1);
            let (tell, told) = channel();
            let heard = async |expected: &str| {
                loop {
                    match told.try_recv() {
                        Ok(word) => return assert_eq!(word, expected),
                        Err(_) => timer::sleep(Duration::from_millis(1)).await,
                    }
                }
            };
            let (go, gone) = channel::<()>();
            let wait = {
                let tell = tell.clone();
                move || {
                    tell.send("begun").unwrap();
                    // It waits for a closed channel.
                    let _closed = gone.recv();
                    tell.send("ended").unwrap();
                    Ok(())
                }
            };
            let begun = glommio::spawn_local(run(&companions, wait));
            heard("begun").await;
            let unbegun = glommio::spawn_local(run(&companions, {
                let tell = tell.clone();
                move || tell.send("never").map_err(|_| JobError::new("E", "m"))
            }));
            glommio::executor().yield_task_queue_now().await;
            unbegun.cancel().await;
            begun.cancel().await;
            drop(go);
            heard("ended").await;
            let last = run(&companions, move || tell.send("last").map_err(|_| JobError::new("E", "m")));
            assert!(last.await.is_ok());
            heard("last").await;
        });
    }
}
