//! What children print: lines of the log, bounded in length and rate.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, PipeReader, Read};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use futures_lite::future::or;

use super::child::Child;
use crate::event::Event;
use crate::foreign::Foreign;
use crate::handler::give_way;
use crate::io::readiness::{Fresh, Watched};
use crate::io::timer::timeout;
use crate::limits::runner::{
    RUNNER_CHUNK_BYTES, RUNNER_LAST_WORDS_BYTES_MAX, RUNNER_OUTPUT_LINE_BYTES_MAX,
    RUNNER_OUTPUT_LINES_PER_SECOND,
};

/// The time over which lines are counted.
const SECOND: Duration = Duration::from_secs(1);

/// Bytes in, lines out, at most so many in a second.
#[derive(Debug)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// The rest of a line that is longer than is shown.
    skips: bool,
    second: Instant,
    shown: usize,
    dropped: usize,
    last: String,
}

impl Default for Lines {
    fn default() -> Self {
        let second = Instant::now();
        Self { partial: Vec::new(), skips: false, second, shown: 0, dropped: 0, last: String::new() }
    }
}

impl Lines {
    /// Takes bytes, and passes on each line that they end.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant, mut show: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            let room = RUNNER_OUTPUT_LINE_BYTES_MAX - self.partial.len();
            if !self.skips {
                self.partial.extend_from_slice(&text[..text.len().min(room)]);
            }
            if text.len() > room || ends {
                if !self.skips {
                    self.line(now, &mut show);
                }
                self.skips = !ends;
            }
        }
    }

    /// The end: what has no line break is a line, too.
    pub(super) fn finish(&mut self, now: Instant, mut show: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            self.line(now, &mut show);
        }
        self.say_dropped(&mut show);
    }

    /// The last line that is not indented, for the reason of an end: below it Ruby and Node list where they were, and
    /// Python does so above it.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    fn line(&mut self, now: Instant, show: &mut impl FnMut(&str)) {
        let line = std::mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if !text.is_empty() && (self.last.is_empty() || !text.starts_with([' ', '\t'])) {
            let end = text.floor_char_boundary(RUNNER_LAST_WORDS_BYTES_MAX);
            text[..end].clone_into(&mut self.last);
        }
        if now.saturating_duration_since(self.second) >= SECOND {
            self.say_dropped(show);
            (self.second, self.shown) = (now, 0);
        }
        if self.shown < RUNNER_OUTPUT_LINES_PER_SECOND {
            self.shown += 1;
            show(text);
        } else {
            self.dropped += 1;
        }
    }

    fn say_dropped(&mut self, show: &mut impl FnMut(&str)) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            show(&format!("({dropped} more lines, not shown)"));
        }
    }
}

/// What a child prints. It is read before its answers are, so that each line is logged with the job that printed it.
pub(super) struct Output {
    pipe: Watched<PipeReader>,
    lines: RefCell<Lines>,
    /// Raised when lines were thrown away.
    dropped: Event,
    chunk: RefCell<Vec<u8>>,
    runner: String,
    pid: i32,
}

impl Output {
    pub(super) fn new(pipe: PipeReader, runner: &str, pid: i32) -> io::Result<Rc<Self>> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Rc::new(Self {
            pipe: Watched::new(pipe, Fresh::Connecting)?,
            lines: RefCell::default(),
            dropped: Event::default(),
            chunk: RefCell::new(vec![0; RUNNER_CHUNK_BYTES]),
            runner: runner.to_owned(),
            pid,
        }))
    }

    /// Whether there may be something to read.
    pub(super) fn is_readable(&self) -> bool {
        self.pipe.is_readable()
    }

    /// Logs one chunk, if there is one, for this job. Returns whether the output has ended.
    pub(super) fn log(&self, jid: Option<&str>) -> bool {
        let show = |line: &str| say(&self.runner, self.pid, jid, line);
        let mut chunk = self.chunk.borrow_mut();
        let mut reader = self.pipe.socket();
        match reader.read(&mut chunk) {
            Ok(0) => {
                self.lines.borrow_mut().finish(Instant::now(), show);
                return true;
            }
            Ok(count) => {
                if count < chunk.len() {
                    self.pipe.is_drained();
                }
                self.lines.borrow_mut().take(&chunk[..count], Instant::now(), show);
                if self.lines.borrow().dropped > 0 {
                    self.dropped.raise();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.pipe.is_drained(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
        false
    }

    /// Waits for more. What was thrown away is told at the latest when nothing has come for a second.
    async fn readable(&self) {
        let more = || poll_fn(|ctx| self.pipe.poll_readable(ctx));
        loop {
            if self.lines.borrow().dropped > 0 && timeout(SECOND, more()).await.is_err() {
                let show = |line: &str| say(&self.runner, self.pid, None, line);
                self.lines.borrow_mut().say_dropped(&mut { show });
            }
            or(more(), self.dropped.wait()).await;
            if self.pipe.is_readable() {
                return;
            }
        }
    }

    /// Logs what comes until it ends.
    pub(super) async fn log_all(self: Rc<Self>, child: Weak<Child>) {
        loop {
            self.readable().await;
            let jid = child.upgrade().and_then(|child| child.only_jid());
            if self.log(jid.as_deref()) {
                return;
            }
            give_way().await;
        }
    }
}

/// One line of a child, or of a fork server.
pub(super) fn say(runner: &str, pid: i32, jid: Option<&str>, line: &str) {
    tracing::info!(runner, pid, jid, line = %Foreign::text(line), "output");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &mut Lines, bytes: &[u8], now: Instant) -> Vec<String> {
        let mut shown = Vec::new();
        lines.take(bytes, now, |line| shown.push(line.to_owned()));
        shown
    }

    #[test]
    fn lines_are_put_together_and_long_ones_are_cut() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        assert_eq!(shown(&mut lines, b"one\ntw", now), ["one"]);
        assert_eq!(shown(&mut lines, b"o\r\n\xff\n", now), ["two", "\u{fffd}"]);
        shown(&mut lines, b"app.rb:2:in `a': no config (RuntimeError)\n\tfrom app.rb:4:in `<main>'\n", now);
        assert_eq!(lines.last(), "app.rb:2:in `a': no config (RuntimeError)");
        shown(&mut lines, b"Traceback (most recent call last):\n  File \"a.py\"\nKeyError: 'x'\n", now);
        assert_eq!(lines.last(), "KeyError: 'x'");
        let long = "x".repeat(RUNNER_OUTPUT_LINE_BYTES_MAX);
        for more in [0, 1, 3 * RUNNER_OUTPUT_LINE_BYTES_MAX] {
            let text = format!("{long}{}\nnext\n", "y".repeat(more));
            let mut seen = Vec::new();
            for part in text.as_bytes().chunks(1_000) {
                seen.extend(shown(&mut lines, part, now));
            }
            assert_eq!(seen, [long.as_str(), "next"], "{more}");
        }
        assert_eq!(shown(&mut lines, b"no end", now), [""; 0]);
        let mut seen = Vec::new();
        lines.finish(now, |line| seen.push(line.to_owned()));
        assert_eq!((seen, lines.last()), (vec!["no end".to_owned()], "no end"));
    }

    #[test]
    fn a_flood_is_counted_not_shown() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        let flood = "a\n".repeat(RUNNER_OUTPUT_LINES_PER_SECOND + 5);
        assert_eq!(shown(&mut lines, flood.as_bytes(), now).len(), RUNNER_OUTPUT_LINES_PER_SECOND);
        let later = now + Duration::from_secs(1);
        assert_eq!(shown(&mut lines, b"b\n", later), ["(5 more lines, not shown)", "b"]);
    }
}
