//! Standard output of a command: its reader may go away, its disk may be full, and it may be a terminal.

use std::io::{self, Write};

use crate::foreign::{escape_json, neutral};
use crate::limits::UNTOLD_BYTES_MAX;

/// Standard output that remembers whether its reader went away, so that a broken Redis connection is not mistaken for that.
///
/// A report goes out line by line and never fails: the work continues, and the end reports what could not be written.
///
/// Invisible characters go out as JSON escapes. Plain text contains none, so they are in JSON strings, which mean the same
/// with escapes.
pub(super) struct Output<'a> {
    inner: &'a mut dyn Write,
    /// Whether the output reports what was done.
    pub(super) is_report: bool,
    /// Bytes of a character that is not complete yet.
    partial: Vec<u8>,
    pub(super) broken: bool,
    /// The line of a report that is being written.
    line: Vec<u8>,
    pub(super) untold: Option<Untold>,
}

/// What a report could not print, and why.
pub(super) struct Untold {
    cause: io::Error,
    lines: Vec<u8>,
}

impl Untold {
    pub(super) fn words(&self, program: &str) -> String {
        let lines = String::from_utf8_lossy(&self.lines);
        let said: String = lines.lines().map(|line| format!("{program}: done: {line}\n")).collect();
        format!("{program}: write the output: {}\n{said}", self.cause)
    }
}

impl<'a> Output<'a> {
    pub(super) fn new(inner: &'a mut dyn Write) -> Self {
        Self { inner, is_report: false, partial: Vec::new(), broken: false, line: Vec::new(), untold: None }
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.broken |= matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        result
    }

    fn report_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = neutral(&String::from_utf8_lossy(&line)).into_owned().into_bytes();
        let written = self.inner.write_all(&line).and_then(|()| self.inner.flush());
        match written {
            Ok(()) => {}
            // Nobody wants to read it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(cause) => {
                let untold = self.untold.get_or_insert(Untold { cause, lines: Vec::new() });
                if untold.lines.len() < UNTOLD_BYTES_MAX {
                    untold.lines.extend(line);
                }
            }
        }
    }
}

impl Output<'_> {
    /// Writes the complete characters among these bytes, and keeps an incomplete one at their end.
    fn write_neutral(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.partial.is_empty() && bytes.iter().all(|byte| *byte < 0x7f) {
            return self.inner.write_all(bytes);
        }
        let mut pending = std::mem::take(&mut self.partial);
        pending.extend_from_slice(bytes);
        for chunk in pending.utf8_chunks() {
            self.inner.write_all(escape_json(chunk.valid()).as_bytes())?;
            let invalid = chunk.invalid();
            let is_end = invalid.as_ptr_range().end == pending.as_ptr_range().end;
            if is_end && is_begun(invalid) {
                self.partial = invalid.to_vec();
            } else {
                self.inner.write_all(invalid)?;
            }
        }
        Ok(())
    }
}

/// Whether these bytes could become a character with those that follow.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_report {
            let result = self.write_neutral(bytes);
            return self.note(result).map(|()| bytes.len());
        }
        self.line.extend_from_slice(bytes);
        if self.line.ends_with(b"\n") {
            self.report_line();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_report {
            if !self.line.is_empty() {
                self.report_line();
            }
            return Ok(());
        }
        let result = self.inner.flush();
        self.note(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_escaped_however_the_bytes_arrive() {
        let text = "{\"a\":\"x\u{202e}y é \u{e0041}\"}\n";
        for size in 1..text.len() {
            let mut bytes = Vec::new();
            let mut out = Output::new(&mut bytes);
            for part in text.as_bytes().chunks(size) {
                out.write_all(part).unwrap();
            }
            let shown = String::from_utf8(bytes).unwrap();
            assert_eq!(shown, "{\"a\":\"x\\u202ey é \\udb40\\udc41\"}\n", "in pieces of {size}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_pass() {
        let mut bytes = Vec::new();
        let mut out = Output::new(&mut bytes);
        for part in [&b"\xff\xe2\x80"[..], b"x\xc3", b"\n"] {
            out.write_all(part).unwrap();
        }
        assert_eq!(bytes, b"\xff\xe2\x80x\xc3\n");
    }
}
