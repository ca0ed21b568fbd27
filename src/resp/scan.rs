//! Finds where a reply ends, for any split of the bytes, and refuses what exceeds a limit before it is buffered.
//!
//! redis-protocol starts over at the first byte each time more has arrived, recurses without a bound and trusts every
//! length. So this scanner, which remembers its place and looks at each byte once, decides when one reply is whole
//! and sane; only then is that one frame decoded. It builds no values.

use thiserror::Error;

use crate::limits::{
    REPLY_BYTES_MAX, REPLY_DEPTH_MAX, REPLY_ELEMENTS_MAX, REPLY_LINE_BYTES_MAX, REPLY_NUMBER_BYTES_MAX,
};

/// What a reply may cost. All limits are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Whole reply, in bytes on the wire.
    pub bytes_max: usize,
    /// Nesting of arrays; a reply that is not an array has depth 0.
    pub depth_max: usize,
    /// Elements of all arrays in the reply together.
    pub elements_max: usize,
    /// One simple string or error, in bytes without its line end.
    pub line_bytes_max: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            bytes_max: REPLY_BYTES_MAX,
            depth_max: REPLY_DEPTH_MAX,
            elements_max: REPLY_ELEMENTS_MAX,
            line_bytes_max: REPLY_LINE_BYTES_MAX,
        }
    }
}

/// The bytes are not a reply in the connection's protocol, or exceed the limits.
///
/// None of these heals on the same connection: the place where the next reply begins is lost. A new connection may
/// fix those caused by a broken peer or proxy; a reply that exceeds a limit comes again for the same command.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A value begins with a byte that is unknown to the connection's protocol, or not allowed there.
    #[error("a reply begins with byte 0x{byte:02x}, which is not one of + - : $ *; is this a Redis server?")]
    UnknownKind {
        /// The byte found.
        byte: u8,
    },
    /// A length or integer is not a decimal number, or is out of range.
    #[error("a reply has {text:?} after {kind:?} instead of a number")]
    BadNumber {
        /// The kind byte before it: `:`, `$` or `*`; in RESP3 `%`, `>` or `_`.
        kind: char,
        /// The text found, at most as long as a number may be.
        text: String,
    },
    /// A bulk string is not followed by a line end.
    #[error("a bulk string of {bytes} bytes is not followed by a line end")]
    BadTerminator {
        /// The announced length of the string.
        bytes: usize,
    },
    /// A carriage return in a line is not followed by a line feed: no server writes that.
    #[error("a carriage return in a reply is followed by byte 0x{byte:02x} instead of a line feed")]
    BareReturn {
        /// The byte after it.
        byte: u8,
    },
    /// A simple string or error is too long.
    #[error("a line in a reply is longer than {bytes_max} bytes")]
    LineTooLong {
        /// [`ReplyLimits::line_bytes_max`].
        bytes_max: usize,
    },
    /// The whole reply is, or would be, too large.
    #[error(
        "a reply takes at least {bytes} bytes, more than the {bytes_max} allowed; ask for smaller batches"
    )]
    ReplyTooLarge {
        /// What it takes, as far as is known.
        bytes: usize,
        /// [`ReplyLimits::bytes_max`].
        bytes_max: usize,
    },
    /// The arrays have, or would have, too many elements.
    #[error(
        "a reply has at least {elements} elements, more than the {elements_max} allowed; ask for smaller batches"
    )]
    TooManyElements {
        /// What it has, as far as is known.
        elements: usize,
        /// [`ReplyLimits::elements_max`].
        elements_max: usize,
    },
    /// Arrays are nested too deeply.
    #[error("a reply nests arrays deeper than {depth_max} levels")]
    TooDeep {
        /// [`ReplyLimits::depth_max`].
        depth_max: usize,
    },
    /// redis-protocol refused, or measured differently, a frame that the scanner passed: a bug of ours or theirs.
    #[error("the decoder refused a complete reply of {bytes} bytes: {details}")]
    Refused {
        /// Size of the frame.
        bytes: usize,
        /// The decoder's error.
        details: String,
    },
}

impl DecodeError {
    /// Whether a new connection may help: a reply that exceeds a limit comes again for the same command.
    #[must_use]
    pub const fn may_heal(&self) -> bool {
        !matches!(
            self,
            Self::ReplyTooLarge { .. }
                | Self::TooManyElements { .. }
                | Self::TooDeep { .. }
                | Self::LineTooLong { .. }
        )
    }
}

/// Which values a reply may be made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2: statuses, errors, integers, bulk strings, arrays.
    #[default]
    Resp2,
    /// In addition, what RESP3 answers to the commands the engine sends: nulls (`_`), maps (`%`), pushes (`>`). Its
    /// other kinds (floats, booleans, sets, …) are refused as unknown: nothing asks for them.
    Resp3,
}

/// Where the scan is in the unfinished first reply of a buffer.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Set before the first reply of another protocol is scanned.
    pub(super) protocol: Protocol,
    /// Start of the current value. Invariant: everything before it is understood and within the limits.
    at: usize,
    /// Where the search for this value's line end resumes; only meaningful beyond `at`.
    line_from: usize,
    /// End of the current bulk string, including its line end, once its length is known.
    bulk_end: Option<usize>,
    /// How many elements each open array still needs, outermost first. Invariant: none is 0.
    open: Vec<usize>,
    /// Elements announced so far, in all arrays.
    elements: usize,
}

impl Scanner {
    /// Scans what is new in `buffer`, which must be the bytes of the last call with more appended.
    ///
    /// `Some(length)`: the first reply is whole and this many bytes long; the scanner is ready for the next one, with
    /// those bytes removed. `None`: more bytes are needed.
    ///
    /// # Errors
    /// The reply is malformed or exceeds `limits`. Scanning must not continue after that.
    pub(super) fn scan(&mut self, buffer: &[u8], limits: &ReplyLimits) -> Result<Option<usize>, DecodeError> {
        loop {
            let Some(value_is_whole) = self.step(buffer, limits)? else { return Ok(None) };
            if value_is_whole && self.close_arrays() {
                let length = self.at;
                self.at = 0;
                self.line_from = 0;
                self.elements = 0;
                return Ok(Some(length));
            }
        }
    }

    /// Passes one scalar or one array header. `Some(false)`: an array was opened. `None`: more bytes are needed.
    fn step(&mut self, buffer: &[u8], limits: &ReplyLimits) -> Result<Option<bool>, DecodeError> {
        if let Some(end) = self.bulk_end {
            return self.finish_bulk(buffer, end);
        }
        let Some(&kind) = buffer.get(self.at) else { return Ok(None) };
        if let Some((start, bytes)) = plain_bulk_header(&buffer[self.at..]) {
            return self.begin_bulk(buffer, self.at + start, bytes, limits);
        }
        let line_bytes_max = match kind {
            b'+' | b'-' => limits.line_bytes_max,
            b':' | b'$' | b'*' => REPLY_NUMBER_BYTES_MAX,
            b'_' | b'%' if self.protocol == Protocol::Resp3 => REPLY_NUMBER_BYTES_MAX,
            // A push comes between replies, never within one.
            b'>' if self.protocol == Protocol::Resp3 && self.open.is_empty() => REPLY_NUMBER_BYTES_MAX,
            byte => return Err(DecodeError::UnknownKind { byte }),
        };
        let Some(line_end) = self.find_line_end(buffer, kind, line_bytes_max, limits)? else {
            return Ok(None);
        };
        let line = &buffer[self.at + 1..line_end];
        let next = line_end + 2;
        match kind {
            b'$' => match length(kind, line)? {
                None => self.at = next,
                Some(bytes) => return self.begin_bulk(buffer, next, bytes, limits),
            },
            b'*' => {
                let elements = length(kind, line)?;
                self.at = next;
                return self.open_array(elements, limits).map(Some);
            }
            b'%' | b'>' => {
                // A map announces pairs. RESP3 never writes nil as an array.
                let announced = length(kind, line)?.ok_or_else(|| bad_number(kind, line))?;
                self.at = next;
                let elements = announced.saturating_mul(if kind == b'%' { 2 } else { 1 });
                return self.open_array(Some(elements), limits).map(Some);
            }
            b':' => {
                number(kind, line)?;
                self.at = next;
            }
            b'_' if !line.is_empty() => return Err(bad_number(kind, line)),
            _ => self.at = next,
        }
        Ok(Some(true))
    }

    /// Index of the carriage return that ends the line of the current value.
    fn find_line_end(
        &mut self,
        buffer: &[u8],
        kind: u8,
        line_bytes_max: usize,
        limits: &ReplyLimits,
    ) -> Result<Option<usize>, DecodeError> {
        let start = self.at + 1;
        let from = self.line_from.max(start);
        // No further than a line may reach, so that an endless line costs no more than a line.
        let to = buffer.len().min(start.saturating_add(line_bytes_max).saturating_add(2));
        let found = buffer.get(from..to).and_then(|rest| rest.iter().position(|byte| *byte == b'\r'));
        // The last byte may be the first half of a line end. Any other carriage return must be followed by the second
        // half at once; otherwise a break in the stream between the two would look like an unfinished line until the
        // call times out.
        if let Some((offset, after)) =
            found.and_then(|at| Some((from + at, *buffer[..to].get(from + at + 1)?)))
        {
            check_size(offset + 2, limits)?;
            return if after == b'\n' {
                Ok(Some(offset))
            } else {
                Err(DecodeError::BareReturn { byte: after })
            };
        }
        check_size(to, limits)?;
        let line_bytes = to.saturating_sub(start);
        let half_end = usize::from(buffer[..to].ends_with(b"\r") && line_bytes > 0);
        if line_bytes - half_end > line_bytes_max {
            return Err(match kind {
                b'+' | b'-' => DecodeError::LineTooLong { bytes_max: line_bytes_max },
                _ => bad_number(kind, &buffer[start..to]),
            });
        }
        self.line_from = to - half_end;
        Ok(None)
    }

    /// Passes a bulk string of `bytes` that starts at `start`, or waits for its end.
    fn begin_bulk(
        &mut self,
        buffer: &[u8],
        start: usize,
        bytes: usize,
        limits: &ReplyLimits,
    ) -> Result<Option<bool>, DecodeError> {
        let end = start.saturating_add(bytes).saturating_add(2);
        check_size(end, limits)?;
        self.at = start;
        self.bulk_end = Some(end);
        self.finish_bulk(buffer, end)
    }

    fn finish_bulk(&mut self, buffer: &[u8], end: usize) -> Result<Option<bool>, DecodeError> {
        let Some(bulk) = buffer.get(self.at..end) else { return Ok(None) };
        if !bulk.ends_with(b"\r\n") {
            return Err(DecodeError::BadTerminator { bytes: bulk.len() - 2 });
        }
        self.bulk_end = None;
        self.at = end;
        Ok(Some(true))
    }

    /// Whether the array, having no elements (or being nil), is already whole.
    fn open_array(&mut self, elements: Option<usize>, limits: &ReplyLimits) -> Result<bool, DecodeError> {
        let Some(elements) = elements else { return Ok(true) };
        if self.open.len() >= limits.depth_max {
            return Err(DecodeError::TooDeep { depth_max: limits.depth_max });
        }
        self.elements = self.elements.saturating_add(elements);
        if self.elements > limits.elements_max {
            return Err(DecodeError::TooManyElements {
                elements: self.elements,
                elements_max: limits.elements_max,
            });
        }
        if elements == 0 {
            return Ok(true);
        }
        self.open.push(elements);
        Ok(false)
    }

    /// Counts a whole value into the array around it; returns whether no array is open any longer.
    fn close_arrays(&mut self) -> bool {
        while let Some(missing) = self.open.last_mut() {
            *missing -= 1;
            if *missing > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }
}

/// Length of the header and of the string, for a bulk string written the way all servers write it: one to nine digits
/// and a line end, all present. It halves the time of scanning a batch of payloads; `None` says nothing about the
/// bytes.
fn plain_bulk_header(value: &[u8]) -> Option<(usize, usize)> {
    let digits = value.strip_prefix(b"$")?;
    let mut length = 0;
    for (count, byte) in digits.iter().take(10).enumerate() {
        match byte {
            b'0'..=b'9' => length = length * 10 + usize::from(byte - b'0'),
            b'\r' if count > 0 && digits.get(count + 1) == Some(&b'\n') => return Some((count + 3, length)),
            _ => return None,
        }
    }
    None
}

fn check_size(bytes: usize, limits: &ReplyLimits) -> Result<(), DecodeError> {
    if bytes > limits.bytes_max {
        return Err(DecodeError::ReplyTooLarge { bytes, bytes_max: limits.bytes_max });
    }
    Ok(())
}

/// A length: `None` for -1, which is how RESP2 writes nil.
fn length(kind: u8, line: &[u8]) -> Result<Option<usize>, DecodeError> {
    match number(kind, line)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| bad_number(kind, line)),
    }
}

fn number(kind: u8, line: &[u8]) -> Result<i64, DecodeError> {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or_else(|| bad_number(kind, line))
}

fn bad_number(kind: u8, line: &[u8]) -> DecodeError {
    let shown = &line[..line.len().min(REPLY_NUMBER_BYTES_MAX)];
    DecodeError::BadNumber { kind: char::from(kind), text: String::from_utf8_lossy(shown).into_owned() }
}
