//! The keys and payloads of a dialect, for tests that are written in those of jiggler: what does not depend on the dialect
//! is tested in both with the same words.

use std::borrow::Cow;

use jiggler_uring::internal::wire::Dialect;

/// Keys of jiggler, or what they begin with, and those of Sidekiq.
const KEYS: [(&str, &str); 8] = [
    ("jiggler:list:", "queue:"),
    ("jiggler:set:retries", "retry"),
    ("jiggler:set:scheduled", "schedule"),
    ("jiggler:set:dead", "dead"),
    ("jiggler:set:queues", "queues"),
    ("jiggler:stats:processed_counter", "stat:processed"),
    ("jiggler:stats:failures_counter", "stat:failed"),
    ("jiggler:uring:", "jiggler-uring:"),
];

/// What stands for no retries in Sidekiq, where none named means 25.
const NO_RETRIES: &str = ",\"retry\":0}";

/// What a test says, as it is in Redis.
pub(crate) fn there(dialect: Dialect, word: &[u8]) -> Cow<'_, [u8]> {
    let Ok(text) = std::str::from_utf8(word) else { return word.into() };
    if dialect == Dialect::Jiggler {
        return word.into();
    }
    if let Some(rest) = text.strip_prefix("{\"name\":") {
        let job = format!("{{\"class\":{rest}").replace("\"retries\":", "\"retry\":");
        if job.contains("\"retry\":") {
            return job.into_bytes().into();
        }
        return format!("{}{NO_RETRIES}", job.strip_suffix('}').unwrap()).into_bytes().into();
    }
    if let Some(rest) = text.strip_prefix("jiggler:svr:") {
        // By the uuid, which ends the identity of a process.
        let uuid = rest.split(':').next().unwrap();
        return format!("*:*:{}", if uuid == "*" { "????????????" } else { uuid }).into_bytes().into();
    }
    let brace = if text.starts_with('{') { "{" } else { "" };
    let found = KEYS.iter().find_map(|(ours, theirs)| {
        Some(format!("{brace}{theirs}{}", text.strip_prefix(&format!("{brace}{ours}"))?))
    });
    match found {
        Some(key) => key.into_bytes().into(),
        None => word.into(),
    }
}

/// What is in Redis, as a test says it.
pub(crate) fn here(dialect: Dialect, text: String) -> String {
    if dialect == Dialect::Jiggler {
        return text;
    }
    if let Some(rest) = text.strip_prefix("{\"class\":") {
        let job = format!("{{\"name\":{rest}");
        let job = job.strip_suffix(NO_RETRIES).map(|job| format!("{job}}}")).unwrap_or(job);
        return job.replace("\"retry\":", "\"retries\":");
    }
    let brace = if text.starts_with('{') { "{" } else { "" };
    let found = KEYS.iter().find_map(|(ours, theirs)| {
        Some(format!("{brace}{ours}{}", text.strip_prefix(&format!("{brace}{theirs}"))?))
    });
    found.unwrap_or(text)
}
