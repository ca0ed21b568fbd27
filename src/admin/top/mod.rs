//! `jiggler-uring top`: queues, rates, processes with their shards, running jobs, in a terminal and as they change.
//!
//! ```text
//! reader thread ── a look every interval ──┐
//! keys thread ──── key, size ──────────────┼──► this thread: state, scroll, draw
//! signals thread ─ TERM, HUP, INT ─────────┘
//! ```
//!
//! Nothing is polled: the screen is drawn when a message arrives. A look costs one bounded round trip
//! ([`crate::store::survey`]), whatever Redis holds; in a cluster one for each primary, one after the other. While Redis is
//! away the last state stays on screen and the head says since when and why. `screen` restores the terminal on every way
//! out: quitting, signal, error, panic.
//!
//! A process reports about itself with each heartbeat, every ten seconds; while a `top` is open it is told so, and reports
//! every second. The head says how old the oldest report is.
//!
//! Without a terminal, or with `--once` or `--json`, one snapshot is printed: two looks an interval apart, for the rates.

mod reader;
mod screen;
mod view;

use std::io::{IsTerminal, Write, stdin, stdout};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{
    database::Database,
    error::Error,
    format::{Format, write_json},
};
use crate::limits::{TOP_FIRST_LOOKS_MAX, TOP_MESSAGES_MAX, TOP_SIDE_STEP};
use crate::view::state::State;
use reader::Reader;
use screen::Screen;

/// What the threads report.
enum Message {
    /// A look.
    State(Box<State>),
    /// A look failed.
    Away(Error),
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resize,
    /// A signal, or the terminal is gone.
    Quit,
}

/// Shows the state until the user quits. Without a terminal, prints it once.
///
/// # Errors
/// [`Error::Connect`] or [`Error::Survey`] if the first look fails; [`Error::Output`].
pub(crate) fn live(db: &Database, interval: Duration, out: &mut dyn Write) -> Result<(), Error> {
    if !stdout().is_terminal() || !stdin().is_terminal() {
        return once(db, interval, Format::Text, out);
    }
    let (sender, messages) = sync_channel(TOP_MESSAGES_MAX);
    // It must last until the end: the reader ends with it.
    let _reader = Reader::start(db, interval, TOP_FIRST_LOOKS_MAX, sender.clone());
    let first = first_state(&messages)?;
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT])?;
    let quitter = sender.clone();
    thread::spawn(move || {
        for _signal in signals.forever() {
            if quitter.send(Message::Quit).is_err() {
                return;
            }
        }
    });
    let mut screen = Screen::open(out)?;
    thread::spawn(move || pass_keys(&sender));
    Shown { state: first, away: None, at: Position::default() }.run(&mut screen, &messages)
}

/// Prints one snapshot.
///
/// # Errors
/// As [`live`].
pub(crate) fn once(
    db: &Database,
    interval: Duration,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let (sender, messages) = sync_channel(TOP_MESSAGES_MAX);
    let _reader = Reader::start(db, interval, usize::MAX, sender);
    first_state(&messages)?;
    // Only the second one has rates.
    let state = first_state(&messages)?;
    match format {
        Format::Json => write_json(&state, out)?,
        Format::Text => {
            for line in view::head(&state).into_iter().chain(view::body(&state, None)) {
                writeln!(out, "{}", line.text.trim_end())?;
            }
        }
    }
    Ok(())
}

/// Waits for a state; a failed look ends it.
fn first_state(messages: &Receiver<Message>) -> Result<State, Error> {
    loop {
        match messages.recv() {
            Ok(Message::State(state)) => return Ok(*state),
            Ok(Message::Away(error)) => return Err(error),
            Ok(_) => {}
            Err(_) => {
                return Err(Error::Output(std::io::Error::other("the thread that reads redis is gone")));
            }
        }
    }
}

/// Reads keys until nobody wants them. In the end it dies with the process: a read of the terminal cannot be cancelled.
fn pass_keys(sender: &SyncSender<Message>) {
    loop {
        let message = match event::read() {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Message::Key(key),
            Ok(Event::Resize(..)) => Message::Resize,
            Ok(_) => continue,
            Err(_) => Message::Quit,
        };
        let last = matches!(message, Message::Quit);
        if sender.send(message).is_err() || last {
            return;
        }
    }
}

/// What is on the screen.
struct Shown {
    state: State,
    /// Since when Redis has been away, and why.
    away: Option<(Instant, String)>,
    at: Position,
}

/// Which part of the body is on the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Position {
    /// Lines above the first one shown.
    scroll: usize,
    /// Columns left of the first one shown.
    left: usize,
    /// Whether all queues are shown, not only the longest.
    all: bool,
    /// Whether the keys are told instead of the body.
    help: bool,
}

impl Shown {
    fn run(mut self, screen: &mut Screen<'_>, messages: &Receiver<Message>) -> Result<(), Error> {
        loop {
            self.draw(screen)?;
            match messages.recv() {
                Ok(Message::State(state)) => {
                    self.state = *state;
                    self.away = None;
                }
                Ok(Message::Away(error)) => {
                    let since = self.away.as_ref().map_or_else(Instant::now, |(since, _)| *since);
                    self.away = Some((since, error.to_string()));
                }
                Ok(Message::Key(key)) => {
                    if self.at.leaves(key) {
                        return Ok(());
                    }
                    self.at = self.at.moved(key.code, screen.rows());
                }
                Ok(Message::Resize) => {}
                Ok(Message::Quit) | Err(_) => return Ok(()),
            }
        }
    }

    /// The head stays, the body scrolls under it, the last row says how to quit.
    fn draw(&mut self, screen: &mut Screen<'_>) -> Result<(), Error> {
        let mut lines = view::head(&self.state);
        if let Some((since, why)) = &self.away {
            lines.push(view::away(since.elapsed(), why));
        }
        let (rows, columns) = (screen.rows(), screen.columns());
        let room = rows.saturating_sub(lines.len() + 1);
        let body = match self.at.help {
            true => view::help(),
            false => view::body(&self.state, (!self.at.all).then_some(room)),
        };
        let width = body.iter().map(|line| line.text.trim_end().chars().count()).max().unwrap_or(0);
        self.at.scroll = self.at.scroll.min(body.len().saturating_sub(room));
        self.at.left = self.at.left.min(width.saturating_sub(columns));
        let Position { scroll, left, .. } = self.at;
        let part = |from: usize, shown: usize, of: usize| {
            (of > shown).then(|| (from + 1, (from + shown).min(of), of))
        };
        let foot = view::foot(part(scroll, room, body.len()), part(left, columns, width));
        lines.extend(body.into_iter().skip(scroll).take(room).map(|line| line.from(left)));
        lines.resize_with(rows.saturating_sub(1), view::Line::default);
        lines.push(foot);
        Ok(screen.draw(&lines)?)
    }
}

impl Position {
    /// Whether the user quits: Esc leaves the help first.
    fn leaves(self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        matches!(key.code, KeyCode::Char('q' | 'Q'))
            || key.code == KeyCode::Esc && !self.help
            || control && matches!(key.code, KeyCode::Char('c' | 'd'))
    }

    /// The part after a key was pressed, on a screen of so many rows. What is beyond the end is cut when it is drawn.
    fn moved(self, key: KeyCode, rows: usize) -> Self {
        let Self { scroll, left, all, help } = self;
        if matches!(key, KeyCode::Char('?' | 'h') | KeyCode::F(1)) || help && key == KeyCode::Esc {
            return Self { all, help: !help, ..Self::default() };
        }
        let scroll = match key {
            KeyCode::Up | KeyCode::Char('k') => scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => scroll + 1,
            KeyCode::PageUp => scroll.saturating_sub(rows / 2),
            KeyCode::PageDown | KeyCode::Char(' ') => scroll + rows / 2,
            KeyCode::Home => 0,
            KeyCode::End => usize::MAX,
            _ => scroll,
        };
        let left = match key {
            KeyCode::Left => left.saturating_sub(TOP_SIDE_STEP),
            KeyCode::Right => left + TOP_SIDE_STEP,
            KeyCode::Home => 0,
            _ => left,
        };
        Self { scroll, left, all: all ^ matches!(key, KeyCode::Char('a')), help }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_database::{database, nowhere};
    use crate::own_redis::OwnRedis;

    #[test]
    fn keys_leave_and_scroll() {
        let key = |code, modifiers| KeyEvent::new(code, modifiers);
        let helped = Position { help: true, ..Position::default() };
        for (pressed, leaves) in [
            (key(KeyCode::Char('q'), KeyModifiers::NONE), [true, true]),
            (key(KeyCode::Char('c'), KeyModifiers::CONTROL), [true, true]),
            (key(KeyCode::Char('c'), KeyModifiers::NONE), [false, false]),
            (key(KeyCode::Esc, KeyModifiers::NONE), [true, false]),
        ] {
            assert_eq!([Position::default(), helped].map(|at| at.leaves(pressed)), leaves, "{pressed:?}");
        }
        let moved = |at: Position, keys: &[KeyCode]| keys.iter().fold(at, |at, key| at.moved(*key, 10));
        let start = Position::default();
        assert_eq!(moved(start, &[KeyCode::Up, KeyCode::Left]), start);
        assert_eq!(moved(start, &[KeyCode::Down, KeyCode::PageDown]).scroll, 6);
        let right = moved(start, &[KeyCode::Right, KeyCode::Right, KeyCode::Left]);
        assert_eq!((right.left, right.scroll), (TOP_SIDE_STEP, 0));
        assert_eq!(moved(right, &[KeyCode::PageDown, KeyCode::Home]), start);
        for open in [KeyCode::Char('?'), KeyCode::Char('h')] {
            assert_eq!(moved(start, &[open]), helped);
            assert_eq!(moved(start, &[open, KeyCode::Esc]), start);
            assert_eq!(moved(start, &[open, open]), start);
        }
        assert!(moved(start, &[KeyCode::Char('a')]).all && !moved(start, &[KeyCode::Char('a'); 2]).all);
    }

    #[test]
    fn without_a_terminal_one_snapshot_is_printed() {
        let redis = OwnRedis::start();
        let shown = |format| {
            let mut out = Vec::new();
            once(&database(&redis), Duration::from_millis(100), format, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = shown(Format::Text);
        assert!(text.contains("processed 0 (0/s)") && text.contains("no process is running"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&shown(Format::Json)).unwrap();
        assert_eq!((&json["counts"]["processed"], &json["processes"]), (&0.into(), &serde_json::json!([])));
        let nowhere = nowhere();
        let error = once(&nowhere, Duration::from_millis(100), Format::Text, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, Error::Connect(_)), "{error}");
    }
}
