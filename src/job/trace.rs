//! The trace a job belongs to: the `traceparent` of the W3C's Trace Context, version 00.
//!
//! Responsible for its text form. Not for where spans are sent: programs with a tracing system read it from the job.

use std::fmt;
use std::str::FromStr;

/// A trace, and the span in it that caused the job or span carrying it.
///
/// ```
/// use jiggler_uring::TraceContext;
///
/// let trace: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// assert_eq!(trace.trace_id, 0x4bf92f3577b34da6a3ce929d0e0e4736);
/// assert!(trace.is_sampled());
/// let child = trace.child();
/// assert_eq!(child.trace_id, trace.trace_id);
/// assert_ne!(child.span_id, trace.span_id);
/// # Ok::<_, jiggler_uring::BadTraceContext>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Names the trace; not 0.
    pub trace_id: u128,
    /// Names the span; not 0.
    pub span_id: u64,
    /// Bit 0: the trace is sampled.
    pub flags: u8,
}

/// A text that is not a `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a traceparent; the format is 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, no id all zeros"
)]
pub struct BadTraceContext {
    /// The text, up to the length of a traceparent.
    pub text: String,
}

/// Characters of a `traceparent` of version 00.
const CHARS: usize = 55;

impl TraceContext {
    /// A new span of the same trace, under a random id.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: fastrand::u64(1..), ..self }
    }

    /// Whether the trace is sampled: the caller that started it records it.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }

    fn read(text: &str) -> Option<Self> {
        // A later version may continue after the flags, after another dash.
        let whole =
            text.len() == CHARS || (text.as_bytes().get(CHARS) == Some(&b'-') && !text.starts_with("00"));
        if !whole || !text.is_char_boundary(CHARS) || text.starts_with("ff") {
            return None;
        }
        let mut parts = text[..CHARS].split('-');
        let mut hex = |digits: usize| {
            let part = parts.next()?;
            let fits = part.len() == digits
                && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            u128::from_str_radix(part, 16).ok().filter(|_| fits)
        };
        let (_version, trace_id, span_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let read = Self { trace_id, span_id: span_id.try_into().ok()?, flags: flags.try_into().ok()? };
        (read.trace_id != 0 && read.span_id != 0).then_some(read)
    }
}

impl FromStr for TraceContext {
    type Err = BadTraceContext;

    fn from_str(text: &str) -> Result<Self, BadTraceContext> {
        Self::read(text).ok_or_else(|| BadTraceContext { text: text.chars().take(CHARS).collect() })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_written_again() {
        let trace: TraceContext = TEXT.parse().unwrap();
        assert_eq!((trace.span_id, trace.flags), (0x00f0_67aa_0ba9_02b7, 1));
        assert_eq!(trace.to_string(), TEXT);
        assert_eq!(format!("cc{}-more", &TEXT[2..]).parse(), Ok(trace), "a later version");
    }

    #[test]
    fn what_is_none_is_refused() {
        let zeros = |from: usize, to: usize| {
            let mut text = TEXT.to_owned();
            text.replace_range(from..to, &"0".repeat(to - from));
            text
        };
        for text in [
            String::new(),
            TEXT[..54].to_owned(),
            format!("{TEXT}-more"),
            format!("{TEXT}0"),
            format!("ff{}", &TEXT[2..]),
            TEXT.to_uppercase(),
            TEXT.replace("-01", "-é"),
            TEXT.replace('4', "+"),
            zeros(3, 35),
            zeros(36, 52),
        ] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
        }
    }
}
