//! Limits and defaults of jobs that run in other processes (`crate::runner`).

use std::time::Duration;

/// Runners of one worker: each is an application of its own.
pub const RUNNERS_MAX: usize = 16;

/// Patterns of job names of one runner; each name that no handler has is compared with all of them.
pub const RUNNER_PATTERNS_MAX: usize = 1_000;

/// Children of one runner, in the whole process: each is an interpreter.
pub const RUNNER_CHILDREN_MAX: usize = 1_024;

/// Jobs that one child runs side by side: threads, or tasks of an event loop.
pub const RUNNER_THREADS_MAX: usize = 1_000;

/// Threads of a Ruby child: what Sidekiq and Puma take, because more of them wait for each other.
pub const RUBY_THREADS: usize = 5;

/// Jobs side by side in a Node child: they share one thread and mostly wait.
pub const NODE_TASKS: usize = 10;

/// Files that a worker has open for each runner: the bell and the control socket of its keeper, the output of its fork
/// server, and what goes to that at its start.
pub const RUNNER_FILES: usize = 10;

/// Files for each child that a runner has at a time: socket, output and process, the last one also in the keeper; all that
/// twice, because a worn child may still have jobs when its successor runs; and two that go with the order for one.
pub const RUNNER_CHILD_FILES: usize = 10;

/// Requests that one core has under way for jobs behind HTTP, unless the configuration says more or less: they mostly wait.
pub const RUNNER_REQUESTS: usize = 100;

/// Requests of one runner that may be under way, in the whole process: each is a connection.
pub const RUNNER_REQUESTS_MAX: usize = 100_000;

/// Idle connections of one core that a runner keeps for its next requests.
pub const RUNNER_IDLE_CONNECTIONS: usize = 1_024;

/// How long a job behind HTTP may take if its runner says nothing else: what most servers, and proxies before them, allow.
pub const RUNNER_HTTP_TIME: Duration = Duration::from_secs(60);

/// Bytes that are read of an answer: an error with its backtrace. Of a longer one the rest is not read, and its connection
/// is closed.
pub const RUNNER_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an answer's text that a failure keeps as its message.
pub const RUNNER_ANSWER_SHOWN_BYTES: usize = 500;

/// How long a server that is busy is left alone if it does not say for how long.
pub const RUNNER_HOLD: Duration = Duration::from_secs(10);

/// How long it is left alone at most, whatever it says: a wrong clock must not stop its jobs for years.
pub const RUNNER_HOLD_MAX: Duration = Duration::from_secs(3_600);

/// By how much more than it asked for jobs are put off that find it busy, as a part of that: they are not to come back at
/// one moment.
pub const RUNNER_HOLD_JITTER: f64 = 0.1;

/// How long the doctor waits for a connection to a server that runs jobs.
pub const RUNNER_CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long an application may take to load. Large ones take half a minute; one that takes longer than this hangs.
pub const RUNNER_LOAD_TIME: Duration = Duration::from_secs(120);

/// How long a fork may take, and a child from its fork to its first word: milliseconds, on a machine that swaps seconds.
pub const RUNNER_HANDSHAKE_TIME: Duration = Duration::from_secs(20);

/// Longest line that a child may send: a failure with its backtrace, a job that it pushes. One that sends more is ended.
pub const RUNNER_LINE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes that are read from a child at once.
pub const RUNNER_CHUNK_BYTES: usize = 64 * 1024;

/// Chunks that are read after the end of a child: more than the buffer of its socket has unless it was enlarged.
pub const RUNNER_LAST_CHUNKS_MAX: usize = 64;

/// How long a successor that is a fork counts as a child that is there: a fork takes milliseconds. Jobs that are fetched
/// meanwhile wait for its threads, or go back.
pub const RUNNER_SUCCESSION_TIME: Duration = Duration::from_secs(1);

/// Lines that a failure's backtrace keeps; the bytes are bounded with the line.
pub const RUNNER_BACKTRACE_LINES_MAX: usize = 100;

/// Pushes of one child that may be under way; more of them are refused.
pub const RUNNER_PUSHES_MAX: usize = 1_000;

/// Bytes of answers to pushes that a child may leave unread, hundreds of thousands of them. A child that pushes and reads
/// nothing is ended at this.
pub const RUNNER_UNREAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of the reason why a push was refused.
pub const RUNNER_REFUSAL_BYTES_MAX: usize = 1_000;

/// Longest line of a child's output that is logged whole.
pub const RUNNER_OUTPUT_LINE_BYTES_MAX: usize = 4 * 1024;

/// Lines of a child's output that are logged in a second; the others are counted and thrown away, so that a child that
/// floods its output harms neither the log nor its shard.
pub const RUNNER_OUTPUT_LINES_PER_SECOND: usize = 200;

/// How long a job that waits for a free thread of its runner keeps its slot. A child that was just started takes that
/// long; beyond it the job goes back to its queue (P8).
pub const RUNNER_THREAD_WAIT: Duration = Duration::from_millis(100);

/// Jobs of one core that may wait so.
pub const RUNNER_WAITING_MAX: usize = 16 * 1024;

/// How long a job that was cancelled, or is late, may take to end by itself.
pub const RUNNER_CANCEL_GRACE: Duration = Duration::from_secs(2);

/// How long its child may take to end after TERM, before it is killed. Together with the time above it is shorter than the
/// first pause before a retry.
pub const RUNNER_TERM_GRACE: Duration = Duration::from_secs(3);

/// How long children without jobs may take to end when their worker ends, and once more after they were killed.
pub const RUNNER_END_GRACE: Duration = Duration::from_millis(700);

/// How long the end of a fork server may take after that, before its whole process group is killed.
pub const RUNNER_SERVER_GRACE: Duration = Duration::from_millis(500);

/// The first pause before a child or an application that failed is started again.
pub const RUNNER_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest such pause: the pauses double.
pub const RUNNER_PAUSE_MAX: Duration = Duration::from_secs(30);

/// A child, or a fork server, that lived for this long after its first word was well: its successor starts at once.
pub const RUNNER_LIVED_WELL: Duration = Duration::from_secs(5);

/// Bytes of output that are kept to say why an application does not load.
pub const RUNNER_LAST_WORDS_BYTES_MAX: usize = 2 * 1024;

/// Orders for children that a keeper may not have carried out yet: each seat gives one at a time.
pub const RUNNER_ORDERS_MAX: usize = RUNNER_CHILDREN_MAX;
