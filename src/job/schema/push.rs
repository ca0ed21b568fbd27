//! What a push writes.

use std::fmt;

use super::{Schema, jiggler, sidekiq};
use crate::ids::{self, Jid, LongJid};

/// What stands before the value of each member that a push writes, in their order.
#[derive(Debug)]
pub(crate) struct PushText {
    pub(crate) name: &'static str,
    pub(crate) args: &'static str,
    pub(crate) retries: &'static str,
    pub(crate) jid: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) traceparent: &'static str,
    pub(crate) retry_queue: &'static str,
}

/// A new job id.
#[derive(Clone, Copy)]
pub(crate) enum NewJid {
    Short(Jid),
    Long(LongJid),
}

impl NewJid {
    /// Its digits.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Short(jid) => jid.as_str(),
            Self::Long(jid) => jid.as_str(),
        }
    }
}

impl fmt::Display for NewJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Schema {
    /// What stands before the values of a payload that is pushed.
    #[must_use]
    pub(crate) const fn written(self) -> &'static PushText {
        match self {
            Self::Jiggler => &jiggler::WRITTEN,
            Self::Sidekiq(_) => &sidekiq::WRITTEN,
        }
    }

    /// Whether a payload that is pushed names its queue: one that does not is of the default queue, or lies in its own.
    #[must_use]
    pub(crate) const fn writes_queue(self, is_later: bool, is_default: bool) -> bool {
        match self {
            Self::Jiggler => is_later && !is_default,
            Self::Sidekiq(_) => true,
        }
    }

    /// The member that a push writes where a job leaves the number of its retries to the worker; `None`: none.
    #[must_use]
    pub(crate) const fn open_retries(self) -> Option<&'static str> {
        match self {
            Self::Jiggler => None,
            Self::Sidekiq(_) => Some(sidekiq::OPEN_RETRIES),
        }
    }

    /// Appends the times that a push writes, if any: that of the job and, unless it is for later, that of the push. `now` is
    /// asked for Unix time.
    pub(crate) fn write_push_times(self, is_later: bool, now: impl FnOnce() -> f64, payload: &mut Vec<u8>) {
        if let Self::Sidekiq(unit) = self {
            sidekiq::write_push_times(unit.time(now()), is_later, payload);
        }
    }

    /// A new job id: 16 hex digits, or Sidekiq's 24.
    #[must_use]
    pub(crate) fn new_jid(self) -> NewJid {
        match self {
            Self::Jiggler => NewJid::Short(ids::jid()),
            Self::Sidekiq(_) => NewJid::Long(ids::long_jid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::MemberNames;
    use crate::wire::Dialect;

    #[test]
    fn what_is_written_before_a_value_spells_the_name_of_its_member() {
        for schema in Dialect::ALL.map(Schema::of) {
            let written = schema.written();
            let MemberNames { name, args, retries, jid, queue, traceparent, retry_queue, .. } =
                schema.names();
            assert_eq!(written.name, format!("{{\"{name}\":"));
            for (written, member) in [
                (written.args, args),
                (written.retries, retries),
                (written.jid, jid),
                (written.queue, queue),
                (written.traceparent, traceparent),
                (written.retry_queue, retry_queue),
            ] {
                assert_eq!(written, format!(",\"{member}\":"));
            }
        }
    }
}
