//! Jobs in other languages: interpreters as children of the worker, each job a line over a socket.
//!
//! ```text
//!  keeper, a thread per runner              shard, one per core: a lane per runner
//!    fork server: the application, loaded once     lane ── take a free thread ── child ── child …
//!      │ fork order with two descriptors ◄─────────── seat: keeps one child alive
//!      └─► child ◄═══════ socket, lines of JSON ═══════► wire: who writes, who reads, which jobs it has
//!                 └────── pipe, stdout and stderr ──────► output: lines of the log
//! ```
//!
//! # Who owns what
//!
//! - [`keeper`] owns what the kernel calls our children: the fork server of a runner, or, where a language cannot fork
//!   (Node), each child. It starts, reaps and restarts them, and does nothing per job. It is a thread of its own, because
//!   the kernel's parent-death signal is tied to the thread that started a process, and because loading an application
//!   blocks.
//! - [`lane`] is the part of one shard: its children, and the jobs that wait for a free thread of them. Nothing of it is
//!   shared with another shard; each shard has children of its own.
//! - [`seat`] keeps one child alive. The successor of one that takes no more jobs is started at once, while that one still
//!   has some; with [`board`], no fetching stops for it where a fork takes milliseconds.
//! - [`child`] is one child as its shard sees it: socket, output, jobs in hand, and a descriptor of the process (pidfd), by
//!   which a signal reaches exactly this process and its end is seen.
//! - `http` is the runner without children: it posts jobs to a server.
//! - [`frame`] is the protocol, sans-IO. [`spec`] is the configuration, [`programs`] what is started.
//!
//! # A job
//!
//! The shard treats it as a handler that waits: it has a slot, its timeout, and can be cancelled. The lane picks the child
//! with the most free threads and appends one line to what is to be written; one task a child writes all that has gathered
//! with one call. The answer ends the handler's future, and the shard settles it like any other: the ack comes last (P1).
//!
//! Per job: about one `write` and one `read` of the engine, fewer under load, because lines gather; the payload is copied
//! once, into the child's buffer; a task, a context and a oneshot are allocated.
//!
//! # How the promises hold
//!
//! - P1, P2: whatever happens to a child, its jobs stay in flight in Redis until they are settled. A job that may not start
//!   twice (at most once) goes to the dead set if its child dies.
//! - P3: children end with the engine, even at `kill -9`: the fork server is started by `setpriv --pdeathsig KILL`, and its
//!   children ask for the same by `prctl` in their own language. So a job does not go on while a reaper gives it to
//!   another worker. (`pre_exec` would need unsafe code; `setpriv` belongs to util-linux, which every Debian has. Without
//!   it the end of the socket ends an idle child.)
//! - P4: the jobs of a child that dies go back to their queue, and each counts one more death in its payload
//!   (`job::lost`); at the fourth it is dead as poison. If the child was killed because one job was late, the others are
//!   innocent: nothing is counted.
//! - P6: quiet and stop wait for jobs as for any handler. At the end of the timeout their futures are dropped, and the
//!   children that run them are killed before the jobs are handed back by Redis's next reply.
//! - P8: a job that finds no free thread within [`RUNNER_THREAD_WAIT`](crate::limits::runner::RUNNER_THREAD_WAIT) goes back
//!   to its queue. There are by default as many slots as threads, so that this is rare.
//!
//! A runner that has no child, because its application does not load, burns no retry: its jobs go back. If that runner
//! takes every name, or no runner has a child, the shard is quiet: it fetches nothing, and the jobs stay in their queues
//! ([`Gate`](crate::handler::Gate)). Why is said once; `/health/ready` fails.
//!
//! A child has no heartbeat: a busy interpreter could not send one. The end of its socket or of its process, and the
//! job's timeout, are the judges.
//!
//! # The protocol, version 1
//!
//! For those who write a runner in another language. The child finds its end of a stream socket under the number in
//! `JIGGLER_URING_FD`, and in `JIGGLER_URING_THREADS` how many jobs it is given at once. Stdin is empty; stdout and stderr
//! go to the log; TERM, INT, HUP, TSTP and USR1 are blocked until it unblocks them, because the worker reads its own.
//! Each message is one line: a JSON array in UTF-8 whose first element says what it is.
//!
//! | from the child | |
//! |---|---|
//! | `["hello", {"protocol": 1}]` | first of all, when it can run jobs; `"language"` is shown |
//! | `["done", id]` | the job ran to its end |
//! | `["failed", id, {"class", "message", "backtrace": [..]}]` | it failed; also `"retry"`, `"retry_in"`, `"retry_queue"` |
//! | `["snooze", id, seconds]` | it runs again later, as if it had not run |
//! | `["discard", id, {"class", "message"}]` | it has become pointless |
//! | `["dead", id, {"class", "message"}]` | no attempt would help |
//! | `["progress", id, done, total, "note"]` | for `jiggler-uring progress` |
//! | `["log", id or null, "info", "text"]` | a line of the log: `debug`, `info`, `warn`, `error` |
//! | `["enqueue", id, ref, {"name", "args", "queue", "in", "at"}]` | pushes a job over the engine's connection |
//! | `["memory", bytes]` | what it takes; beyond the runner's `max_memory` it gets no more jobs |
//! | `["bye"]` | it takes no more jobs, and ends when it has none |
//!
//! | to the child | |
//! |---|---|
//! | `["job", id, {"name", "jid", "queue", "attempt"}, payload]` | run this; the payload is as it lay in Redis |
//! | `["cancel", id]` | nobody waits for it any longer; whatever the answer is, send one |
//! | `["enqueued", ref, jid]`, `["refused", ref, "why"]` | what became of a push |
//! | `["bye"]` | end now: there are no more jobs |
//!
//! Each job gets exactly one answer. An answer for a job that the child does not have, a line that is not a message, or one
//! of more than [`RUNNER_LINE_BYTES_MAX`](crate::limits::runner::RUNNER_LINE_BYTES_MAX) ends the child. The end of the
//! socket means: exit.
//!
//! A fork server finds its control socket the same way, and also in `JIGGLER_URING_ROLE` the word `server`. It loads the
//! application, says `["ready", 1]`, and for each `["fork", n]`, which comes with two descriptors (socket and output), forks
//! and answers `["forked", n, pid]`.
//!
//! # Known weaknesses
//!
//! - What shows jobs by name (metrics, running jobs) shows the pattern of their runner, because names are known only when
//!   jobs come.
//! - Middleware of a Rust program's registry does not surround jobs of runners.
//! - A seat has two children at most, of which one takes no more jobs. If the other one has to be replaced before that one's
//!   last job has ended, the seat waits for it.
//! - What a child has started ends with it, because it is in its process group, which is killed before its end is taken note
//!   of. What leaves that group (`setsid`, a shell with job control) goes on; so does what children have started when the
//!   engine or a fork server is killed, because the kernel ends only the children themselves then. A Ruby without Fiddle
//!   kills the group a moment after that.
//! - A child that reads its jobs and never answers, without a timeout, keeps them: nothing shows that it is not busy.
//! - The deaths of a job's children and of its worker are counted apart.

pub(crate) mod spec;

mod board;
mod child;
mod ending;
mod frame;
#[cfg(feature = "http")]
mod http;
mod keeper;
mod lane;
mod output;
mod probe;
mod programs;
mod seat;
mod server;
mod single;
mod start;

pub(crate) use probe::probe;
pub(crate) use start::{OnCores, Runners};
