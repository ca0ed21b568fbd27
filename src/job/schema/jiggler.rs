//! The members of a job payload, spelt as the gem `jiggler` 0.1.0 spells them, and ours beside them.

use std::time::Duration;

use super::{Envelope, MemberNames, PushText};

const NAME: &str = "name";
const ARGS: &str = "args";
const RETRIES: &str = "retries";
const JID: &str = "jid";
const STARTED_AT: &str = "started_at";
const ATTEMPT: &str = "attempt";

pub(super) const NAMES: MemberNames = MemberNames {
    name: NAME,
    args: ARGS,
    retries: RETRIES,
    jid: JID,
    // Not what it says: a run that begins writes nothing.
    first_failed_at: STARTED_AT,
    error_message: "error_message",
    error_class: "error_class",
    retry_at: "retry_at",
    attempt: ATTEMPT,
    queue: "queue",
    retried_at: "retried_at",
    traceparent: "traceparent",
    retry_queue: "retry_queue",
    left_since: "left_since",
    left_until: "left_until",
    enqueued_at: "enqueued_at",
};

pub(super) const WRITTEN: PushText = PushText {
    name: "{\"name\":",
    args: ",\"args\":",
    retries: ",\"retries\":",
    jid: ",\"jid\":",
    queue: ",\"queue\":",
    traceparent: ",\"traceparent\":",
    retry_queue: ",\"retry_queue\":",
};

/// The members that a producer cannot choose freely: each has a meaning, and is written elsewhere.
pub(super) const RESERVED: [&str; 15] = [
    NAMES.name,
    NAMES.args,
    NAMES.retries,
    NAMES.jid,
    NAMES.first_failed_at,
    NAMES.error_message,
    NAMES.error_class,
    NAMES.retry_at,
    NAMES.attempt,
    NAMES.queue,
    NAMES.retried_at,
    NAMES.traceparent,
    NAMES.retry_queue,
    NAMES.left_since,
    NAMES.left_until,
];

/// n⁴ + 15 s.
pub(super) fn pause(attempt: u32) -> Duration {
    Duration::from_secs(u64::from(attempt).saturating_pow(4).saturating_add(15))
}

/// See [`Envelope::slot`].
pub(super) fn slot<'e, V>(envelope: &'e mut Envelope<V>, key: &str) -> Option<&'e mut Option<V>> {
    Some(match key {
        NAME => &mut envelope.name,
        ARGS => &mut envelope.args,
        RETRIES => &mut envelope.retries,
        JID => &mut envelope.jid,
        ATTEMPT => &mut envelope.attempt,
        STARTED_AT => &mut envelope.first_failed_at,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_before_a_value_spells_the_name_of_its_member() {
        let MemberNames { name, args, retries, jid, queue, traceparent, retry_queue, .. } = NAMES;
        assert_eq!(WRITTEN.name, format!("{{\"{name}\":"));
        for (written, member) in [
            (WRITTEN.args, args),
            (WRITTEN.retries, retries),
            (WRITTEN.jid, jid),
            (WRITTEN.queue, queue),
            (WRITTEN.traceparent, traceparent),
            (WRITTEN.retry_queue, retry_queue),
        ] {
            assert_eq!(written, format!(",\"{member}\":"));
        }
    }
}
