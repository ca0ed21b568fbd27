//! What the engine relies on in glommio and cannot see in its types. Each of these must hold: a version of glommio
//! for which one fails is not adopted, or whatever depends on it changes in the same commit.
//!
//! Resident memory needs a separate process: that test runs itself again as a child; an environment variable says
//! which part to play. What signals do is in tests/alone/signal.rs.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use glommio::channels::shared_channel::new_bounded;
use glommio::io::PollableFd;
use glommio::timer::Timer;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use jiggler_uring::internal::limits::EXECUTOR_IO_BYTES;

/// Names the part that a child plays.
const PART: &str = "RUNTIME_PINS_PART";

/// What three executors may add to the resident memory of a process, in KiB; code that is not optimised is part of it.
const EXECUTORS_KB_MAX: u64 = 12 * 1024;

fn spawn<T, F>(make: impl FnOnce() -> F + Send + 'static) -> ExecutorJoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    LocalExecutorBuilder::new(Placement::Unbound).io_memory(EXECUTOR_IO_BYTES).spawn(make).unwrap()
}

fn on_executor<T: Send + 'static, F: Future<Output = T> + 'static>(
    make: impl FnOnce() -> F + Send + 'static,
) -> T {
    spawn(make).join().unwrap()
}

/// Runs the test `name` of this binary again, as a child that plays its part.
fn child(name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("runtime_pins::{name}"), "--nocapture", "--test-threads=1"])
        .env(PART, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn is_child() -> bool {
    std::env::var_os(PART).is_some()
}

async fn yield_now() {
    glommio::executor().yield_task_queue_now().await;
}

/// `net::conn` awaits readiness and drops that wait at will; what arrived meanwhile is read later.
#[test]
fn a_dropped_wait_for_readiness_swallows_nothing() {
    on_executor(|| async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = PollableFd::new(ours).unwrap();
        for round in 0..100_u8 {
            assert!(poll_once(ours.readable()).await.is_none(), "nothing was written yet");
            // The kernel has received the dropped wait, or its cancellation, by now.
            yield_now().await;
            theirs.write_all(&[round]).unwrap();
            drop(poll_once(ours.readable()).await);
            ours.readable().await.unwrap();
            let mut byte = [0];
            ours.get_ref().read_exact(&mut byte).unwrap();
            assert_eq!(byte, [round]);
        }
    });
}

/// `net::conn` ends a read by shutting the socket down.
#[test]
fn a_shut_down_socket_becomes_readable() {
    on_executor(|| async {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = Rc::new(PollableFd::new(ours).unwrap());
        let reader = glommio::spawn_local({
            let ours = Rc::clone(&ours);
            async move { ours.readable().await.is_ok() }
        });
        yield_now().await;
        ours.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
        assert!(reader.await);
        assert_eq!(ours.get_ref().read(&mut [0]).unwrap(), 0);
    });
}

/// Records when it is dropped.
struct Tell(Rc<Cell<bool>>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// A task that waits forever; returns whether its future is gone.
fn waiting() -> (glommio::Task<()>, Rc<Cell<bool>>) {
    let gone = Rc::new(Cell::new(false));
    let tell = Tell(Rc::clone(&gone));
    let task = glommio::spawn_local(async move {
        let _tell = tell;
        pending::<()>().await;
    });
    (task, gone)
}

/// `shard::running` forgets a task by detaching it, because dropping its handle would end it.
#[test]
fn a_dropped_task_is_cancelled_and_a_detached_one_continues() {
    on_executor(|| async {
        let (task, gone) = waiting();
        yield_now().await;
        assert!(!gone.get());
        drop(task);
        while !gone.get() {
            yield_now().await;
        }
        let done = Rc::new(Cell::new(false));
        let detached = glommio::spawn_local({
            let done = Rc::clone(&done);
            async move {
                Timer::new(Duration::from_millis(1)).await;
                done.set(true);
            }
        });
        detached.detach();
        while !done.get() {
            Timer::new(Duration::from_millis(1)).await;
        }
    });
}

/// `shard::hand_back` hands jobs back after cancelling them: by then none of their code may still run.
#[test]
fn cancel_returns_when_the_future_is_dropped() {
    on_executor(|| async {
        let (task, gone) = waiting();
        yield_now().await;
        assert_eq!(task.cancel().await, None);
        assert!(gone.get());
        let ended = glommio::spawn_local(async { 7 });
        yield_now().await;
        assert_eq!(ended.cancel().await, Some(7), "a finished task keeps its result");
    });
}

/// `shard::slots` takes a task's own handle out of the map and detaches it from within.
#[test]
fn a_task_may_detach_itself() {
    on_executor(|| async {
        let own: Rc<RefCell<Option<glommio::Task<()>>>> = Rc::default();
        let done = Rc::new(Cell::new(false));
        let task = glommio::spawn_local({
            let (own, done) = (Rc::clone(&own), Rc::clone(&done));
            async move {
                yield_now().await;
                own.borrow_mut().take().unwrap().detach();
                yield_now().await;
                done.set(true);
            }
        });
        *own.borrow_mut() = Some(task);
        while !done.get() {
            yield_now().await;
        }
    });
}

/// Acks wait a millisecond for company: timers must neither fire early, nor out of order, nor be whole jiffies late.
#[test]
fn timers_of_milliseconds_fire_in_order_and_not_early() {
    on_executor(|| async {
        let order: Rc<RefCell<Vec<u64>>> = Rc::default();
        let begin = Instant::now();
        // Far apart, whatever else this machine does between the starts of two.
        let tasks: Vec<_> = [1_500, 700, 200, 1]
            .into_iter()
            .map(|millis| {
                let order = Rc::clone(&order);
                glommio::spawn_local(async move {
                    Timer::new(Duration::from_millis(millis)).await;
                    assert!(begin.elapsed() >= Duration::from_millis(millis), "early");
                    order.borrow_mut().push(millis);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(*order.borrow(), [1, 200, 700, 1_500]);
    });
}

/// A deadline that has already passed must not wait for anything.
#[test]
fn a_timer_of_zero_length_fires() {
    on_executor(|| async {
        Timer::new(Duration::ZERO).await;
    });
}

/// The panic passes through the executor and ends its thread: one bad task is not contained. So code that spawns a
/// task that may panic must catch it there, as `handler::pool` does for jobs.
#[test]
fn a_panic_in_a_spawned_task_ends_the_executor() {
    let (reached, was_reached) = mpsc::channel();
    let handle = spawn(move || async move {
        let task = glommio::spawn_local(async { panic!("on purpose") });
        task.detach();
        Timer::new(Duration::from_secs(3600)).await;
        reached.send(()).unwrap();
    });
    assert!(handle.join().is_err());
    assert!(was_reached.recv().is_err());
}

/// A name is looked up on another thread while the shard carries on.
#[test]
fn spawn_blocking_leaves_the_executor_free() {
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let seen = on_executor(move || async move {
        let blocked = glommio::spawn_local(async move {
            glommio::executor().spawn_blocking(move || may_go_on.recv().is_ok()).await
        });
        yield_now().await;
        Timer::new(Duration::from_millis(1)).await;
        // Only now, from the executor that would hang if it were blocked.
        go_on.send(()).unwrap();
        blocked.await
    });
    assert!(seen);
}

/// Control sends an idle shard its phase: the message alone must wake it.
#[test]
fn a_message_wakes_an_idle_executor_of_another_thread() {
    let (to_shard, from_control) = new_bounded::<u32>(4);
    let (to_control, from_shard) = new_bounded::<u32>(4);
    let idle = spawn(move || async move {
        let (from, to) = (from_control.connect().await, to_control.connect().await);
        to.send(0).await.unwrap();
        while let Some(number) = from.recv().await {
            to.send(number + 1).await.unwrap();
        }
    });
    on_executor(move || async move {
        let (to, from) = (to_shard.connect().await, from_shard.connect().await);
        assert_eq!(from.recv().await, Some(0));
        for number in [1, 10, 100] {
            // By now the other one has nothing to do but wait.
            Timer::new(Duration::from_millis(20)).await;
            to.send(number).await.unwrap();
            assert_eq!(from.recv().await, Some(number + 1));
        }
    });
    idle.join().unwrap();
}

/// The promised resident size leaves no room for glommio's default of 10 MiB per executor.
#[test]
fn executors_with_little_io_memory_are_small() {
    if is_child() {
        let before = resident_kb();
        let (ready, all_ready) = mpsc::channel();
        let (ends, executors): (Vec<_>, Vec<_>) = (0..3)
            .map(|_| {
                let ready = ready.clone();
                let (end, may_end) = new_bounded::<()>(1);
                let executor = spawn(move || async move {
                    ready.send(()).unwrap();
                    may_end.connect().await.recv().await
                });
                (end, executor)
            })
            .unzip();
        (0..3).for_each(|_| all_ready.recv().unwrap());
        println!("grown by {} KiB", resident_kb().saturating_sub(before));
        drop(ends);
        executors.into_iter().for_each(|executor| assert_eq!(executor.join().unwrap(), None));
        return;
    }
    let child = child("executors_with_little_io_memory_are_small");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let grown = text.split("grown by ").nth(1).and_then(|rest| rest.split(' ').next());
    let grown: u64 = grown.unwrap().parse().unwrap();
    assert!(grown < EXECUTORS_KB_MAX, "three executors take {grown} KiB");
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A job's first poll has a waker that wakes nothing (`handler::pool`); the task it moves into polls it again.
#[test]
fn a_future_polled_once_without_a_waker_continues_in_a_task() {
    on_executor(|| async {
        let mut timer = Box::pin(async {
            Timer::new(Duration::from_millis(5)).await;
            7
        });
        let mut noop = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(timer.as_mut().poll(&mut noop).is_pending());
        assert_eq!(glommio::spawn_local(timer).await, 7);
        let mut polls = 0;
        let third = poll_fn(|ctx| {
            polls += 1;
            ctx.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
        });
        assert_eq!(third.await, 3);
    });
}
