//! Random identities: job ids and process uuids.
//!
//! Responsible for their length and alphabet, which are the gem's. Not for uniqueness beyond chance: 8 random bytes
//! make two equal ids likely only after some five billion jobs.

use std::cell::RefCell;
use std::fmt;

use fastrand::Rng;

/// A job id: 16 hex digits, 8 random bytes.
pub(crate) type Jid = HexId<16>;

/// A job id of Sidekiq: 24 hex digits, 12 random bytes.
pub(crate) type LongJid = HexId<24>;

/// A process uuid: 12 hex digits, 6 random bytes. New at each start.
pub(crate) type ProcessUuid = HexId<12>;

/// `N` random lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HexId<const N: usize> {
    /// Invariant: lower-case hex digits only, hence valid UTF-8.
    digits: [u8; N],
}

/// A new job id.
#[must_use]
pub(crate) fn jid() -> Jid {
    HexId::random()
}

/// A new job id of Sidekiq.
#[must_use]
pub(crate) fn long_jid() -> LongJid {
    HexId::random()
}

/// A new process uuid.
#[must_use]
pub(crate) fn process_uuid() -> ProcessUuid {
    HexId::random()
}

impl<const N: usize> HexId<N> {
    /// Draws a new id from this thread's generator.
    #[must_use]
    pub(crate) fn random() -> Self {
        thread_local! {
            static GENERATOR: RefCell<Rng> = RefCell::new(seeded());
        }
        let mut digits = [0; N];
        GENERATOR.with_borrow_mut(|generator| {
            for chunk in digits.chunks_mut(16) {
                let bits = generator.u64(..);
                for (place, digit) in chunk.iter_mut().enumerate() {
                    *digit = b"0123456789abcdef"[(bits >> (4 * place) & 0xf) as usize];
                }
            }
        });
        Self { digits }
    }

    /// The digits.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        // The digits are ASCII by construction, so the empty text is never what comes out.
        std::str::from_utf8(&self.digits).unwrap_or_default()
    }
}

/// Seeds from the kernel; where that fails (a sandbox without the call), from what the standard library's hasher
/// gathers, so that forked or restarted processes still differ.
fn seeded() -> Rng {
    let mut seed = [0; 8];
    match getrandom::fill(&mut seed) {
        Ok(()) => Rng::with_seed(u64::from_ne_bytes(seed)),
        Err(_) => Rng::new(),
    }
}

impl<const N: usize> AsRef<str> for HexId<N> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> fmt::Display for HexId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for HexId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn ids_are_lower_case_hex_of_the_gems_length() {
        for _ in 0..1_000 {
            let (jid, uuid) = (jid(), process_uuid());
            assert_eq!((jid.as_str().len(), uuid.as_str().len()), (16, 12));
            let mut digits = jid.as_str().bytes().chain(uuid.as_str().bytes());
            assert!(digits.all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{jid} {uuid}");
        }
    }

    #[test]
    fn ids_differ_within_and_across_threads() {
        let threads: Vec<_> =
            (0..4).map(|_| thread::spawn(|| (0..10_000).map(|_| jid()).collect::<Vec<_>>())).collect();
        let ids: Vec<Jid> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 40_000);
    }

    #[test]
    fn every_digit_takes_every_value() {
        let mut seen = vec![HashSet::new(); 16];
        for _ in 0..2_000 {
            for (place, digit) in jid().as_str().bytes().enumerate() {
                seen[place].insert(digit);
            }
        }
        assert!(seen.iter().all(|digits| digits.len() == 16), "{seen:?}");
    }

    #[test]
    fn ids_pad_and_print_as_text() {
        let id = process_uuid();
        assert_eq!(format!("{id:>14}"), format!("  {}", id.as_str()));
        assert_eq!(format!("{id:?}"), id.as_str());
    }
}
