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
