//! The terminal while `top` owns it: taken over whole, and restored on every way out.
//!
//! Raw mode belongs to the terminal, not to this process, so a process that ends without restoring it leaves a shell that
//! does not echo. It is restored when the screen is dropped, and by a panic before its text is printed.

use std::io::{self, Write, stdout};
use std::panic;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};

use super::view::{Line, Tone};

/// The whole terminal.
pub(super) struct Screen<'o> {
    out: Out<'o>,
}

/// The writer, as crossterm's macros want it: they do not accept a trait object.
struct Out<'o>(&'o mut dyn Write);

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'o> Screen<'o> {
    pub(super) fn open(out: &'o mut dyn Write) -> io::Result<Self> {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            give_back(&mut stdout());
            told(what);
        }));
        enable_raw_mode()?;
        // From here on, dropping it restores whatever has been taken over so far.
        let mut screen = Self { out: Out(out) };
        execute!(screen.out, EnterAlternateScreen, DisableLineWrap, Hide)?;
        Ok(screen)
    }

    /// The current number of rows.
    pub(super) fn rows(&self) -> usize {
        size().map_or(24, |(_, rows)| usize::from(rows))
    }

    /// The current number of columns.
    pub(super) fn columns(&self) -> usize {
        size().map_or(80, |(columns, _)| usize::from(columns))
    }

    /// Draws these lines from the top, each cut at the right edge.
    pub(super) fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let (columns, rows) = size()?;
        for (row, line) in (0..rows).zip(lines) {
            queue!(self.out, MoveTo(0, row))?;
            match line.tone {
                Tone::Plain => {}
                Tone::Title => queue!(self.out, SetAttribute(Attribute::Bold))?,
                Tone::Head => queue!(self.out, SetAttribute(Attribute::Reverse))?,
                Tone::Alarm => queue!(self.out, SetForegroundColor(Color::Red))?,
            }
            let shown: String = line.text.chars().take(usize::from(columns)).collect();
            queue!(self.out, Print(shown), SetAttribute(Attribute::Reset), ResetColor)?;
            queue!(self.out, Clear(ClearType::UntilNewLine))?;
        }
        self.out.flush()
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        give_back(&mut self.out);
    }
}

/// A terminal that is gone cannot be restored.
fn give_back(out: &mut impl Write) {
    let _gone = execute!(out, Show, EnableLineWrap, LeaveAlternateScreen);
    let _gone = disable_raw_mode();
}
