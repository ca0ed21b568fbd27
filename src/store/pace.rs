//! The moments to which due jobs of a queue with a pace were put off. The script of due jobs keeps them (`pace.lua`); here
//! they are read, to tell what a job waits for.

use crate::limits::{PACE_MAX, PACE_MIN};
use crate::resp::{Error, Reply, Requests};
use crate::wire::Keyspace;

/// Where moments lie between whole seconds, as in the script.
const OFFSET_S: f64 = 0.0377;

/// The shortest time between two of them at a pace of ten a second or more, as in the script.
const TICK_S: f64 = 0.1;

/// The moments of one queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// The last that is taken, Unix time in seconds.
    pub last: f64,
    /// The pace, in jobs a second.
    pub per_second: f64,
}

impl Moments {
    /// Whether a job with this score was put off to one of them.
    #[must_use]
    pub fn have(&self, score: f64) -> bool {
        let tick = (self.per_second * TICK_S).floor().max(1.0) / self.per_second;
        let number = (score - OFFSET_S) / tick;
        score < self.last + tick / 2.0 && (number - number.round()).abs() < 0.001
    }
}

/// Appends the question for the moments of a queue: one HGET. [`read`] reads the reply.
pub fn ask(keys: Keyspace, queue: &str, requests: &mut Requests) {
    requests.command(&[b"HGET", keys.realm(queue).paces().as_bytes(), queue.as_bytes()]);
}

/// Reads the reply to [`ask`]; `None`: no moment is taken, or an earlier version has not said at which pace.
///
/// # Errors
/// [`Error::Redis`], for example because the key is spoilt; [`Error::Unexpected`].
pub fn read(reply: &Reply) -> Result<Option<Moments>, Error> {
    let parts = reply.as_nil_or_bulk()?.and_then(|text| {
        let mut parts = std::str::from_utf8(text).ok()?.split(' ');
        let last: f64 = parts.next()?.parse().ok()?;
        Some(Moments { last, per_second: parts.nth(1)?.parse().ok()? })
    });
    Ok(parts.filter(|moments| (PACE_MIN..=PACE_MAX).contains(&moments.per_second)))
}
