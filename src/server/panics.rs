//! A panic, as the log tells it.
//!
//! Not responsible for what becomes of the job whose code panicked: it fails (`shard`).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write;

use super::build;
use crate::limits::{BACKTRACE_BYTES_MAX, BACKTRACE_FRAMES_MAX};
use crate::stats::here::{self, JobHere};

/// A panic becomes a log line like any other, and names the job whose code panicked. That panic ends only the job and is
/// stored with it. A backtrace is taken if `RUST_BACKTRACE` asks for it.
pub(super) fn log() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no text");
        build::note_panic(&place);
        let thread = thread.name().unwrap_or("unnamed");
        let backtrace = backtrace();
        let trace = backtrace.as_deref();
        match here::job() {
            Some(job) => {
                let JobHere { name, jid, queue } = &*job;
                tracing::error!(
                    job = name,
                    jid,
                    queue,
                    thread,
                    place,
                    panic = message,
                    backtrace = trace,
                    "a job panicked"
                );
            }
            None => tracing::error!(thread, place, panic = message, backtrace = trace, "panic"),
        }
        here::note_backtrace(backtrace);
    }));
}

/// The backtrace of this place, if one is asked for; `RUST_BACKTRACE=full` asks for all of it.
fn backtrace() -> Option<String> {
    let taken = Backtrace::capture();
    if taken.status() != BacktraceStatus::Captured {
        return None;
    }
    let is_full = std::env::var_os("RUST_BACKTRACE").is_some_and(|asked| asked == "full");
    let text = taken.to_string();
    let mut text = if is_full { text } else { shortened(&text) };
    let end = text.floor_char_boundary(BACKTRACE_BYTES_MAX);
    text.truncate(end);
    Some(text)
}

/// The frames of the code that panicked, as the standard library's own short backtraces have them: without those of the
/// panic itself before them, and those of the callers of that code behind them. In a program without symbols, where neither
/// is known, only the number of frames is bounded.
fn shortened(text: &str) -> String {
    let frames = frames(text);
    let is = |frame: &str, parts: &[&str]| {
        let name = frame.lines().next().unwrap_or_default();
        parts.iter().any(|part| name.contains(part))
    };
    let begin = frames.iter().rposition(|frame| is(frame, PANIC_ENDS)).map_or(0, |at| at + 1);
    let begin = begin + frames[begin..].iter().take_while(|frame| is(frame, PANICKING)).count();
    let code = &frames[begin..];
    let kept = code.iter().position(|frame| is(frame, CALLERS)).unwrap_or(code.len());
    // The caller itself panicked.
    let kept = if kept == 0 { code.len() } else { kept };
    let kept = kept.min(BACKTRACE_FRAMES_MAX);
    let mut shown = code[..kept].concat();
    if let more @ 1.. = frames.len() - kept {
        let of = if more == 1 { "frame" } else { "frames" };
        // Writing to memory does not fail.
        let _written = write!(shown, "      … {more} more {of}; RUST_BACKTRACE=full shows all");
    }
    shown
}

/// The innermost frame of a panic, as seen from the code that panicked: the last of the standard library's own.
const PANIC_ENDS: &[&str] = &["__rust_end_short_backtrace"];

/// Frames between that and the code.
const PANICKING: &[&str] = &["rust_begin_unwind", "core::panicking::", "::unwrap_failed", "::expect_failed"];

/// What runs code of others: shards, the companion threads, a run of one job, the test kit, a thread.
const CALLERS: &[&str] = &[
    "__rust_begin_short_backtrace",
    "jiggler_uring::shard::",
    "jiggler_uring::handler::pool::",
    "jiggler_uring::server::",
    "jiggler_uring::testing::",
];

/// A frame is a line with its number and name, and the lines of its place.
fn frames(text: &str) -> Vec<&str> {
    let is_head = |line: &str| {
        line.trim_start().split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
    };
    let mut frames = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if is_head(line) && at > start {
            frames.push(&text[start..at]);
            start = at;
        }
        at += line.len();
    }
    if at > start {
        frames.push(&text[start..at]);
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKEN: &str = "   0: std::backtrace::Backtrace::create
   1: jiggler_uring::server::panics::backtrace
             at ./src/server/panics.rs:50:17
   2: std::sys::backtrace::__rust_end_short_backtrace
   3: __rustc::rust_begin_unwind
   4: core::panicking::panic_fmt
             at /rustc/core/src/panicking.rs:80:14
   5: shop::charge::{{closure}}
             at ./src/main.rs:7:5
   6: <F as core::future::future::Future>::poll
   7: jiggler_uring::handler::middleware::run::{{closure}}
   8: shop::logged::{{closure}}
   9: jiggler_uring::shard::execute::run::{{closure}}
  10: glommio::executor::LocalExecutor::run
";

    #[test]
    fn a_short_backtrace_has_the_frames_of_the_code_that_panicked() {
        let expected = "   5: shop::charge::{{closure}}
             at ./src/main.rs:7:5
   6: <F as core::future::future::Future>::poll
   7: jiggler_uring::handler::middleware::run::{{closure}}
   8: shop::logged::{{closure}}
      … 7 more frames; RUST_BACKTRACE=full shows all";
        assert_eq!(shortened(TAKEN), expected);
    }

    #[test]
    fn a_backtrace_without_symbols_is_whole_up_to_its_bound() {
        let unknown = |frames: usize| -> String {
            (0..frames).map(|number| format!("{number:>4}: <unknown>\n")).collect()
        };
        assert_eq!(shortened(""), "");
        assert_eq!(shortened(&unknown(BACKTRACE_FRAMES_MAX)), unknown(BACKTRACE_FRAMES_MAX));
        let more = shortened(&unknown(BACKTRACE_FRAMES_MAX + 1));
        let end = "      … 1 more frame; RUST_BACKTRACE=full shows all";
        assert_eq!(more, unknown(BACKTRACE_FRAMES_MAX) + end);
    }

    #[test]
    fn a_panic_of_the_engine_itself_keeps_its_frames() {
        let own = "   0: core::panicking::panic\n   1: jiggler_uring::shard::turn\n   2: glommio::run\n";
        let expected = "   1: jiggler_uring::shard::turn\n   2: glommio::run\n      … 1 more frame; \
                        RUST_BACKTRACE=full shows all";
        assert_eq!(shortened(own), expected);
    }
}
