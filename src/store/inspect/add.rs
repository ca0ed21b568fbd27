//! Adding what was read to a summary: of one key, or of another node.

use super::{InspectError, Process, Summary};
use crate::resp::{self, RedisErrorKind, Reply, Value};
use crate::wire::figures;
use crate::wire::keys::{self, ListKey};
use crate::wire::realm::{RealmKey, parse_realm_key};

/// What a key of a realm is that is counted.
pub(super) fn keys_of_realms(key: &[u8]) -> Option<RealmKey> {
    parse_realm_key(std::str::from_utf8(key).ok()?).map(|(_, what)| what)
}

impl Summary {
    /// Adds what another node has.
    pub fn add(&mut self, other: Self) {
        self.retry_jobs += other.retry_jobs;
        self.dead_jobs += other.dead_jobs;
        self.scheduled_jobs += other.scheduled_jobs;
        self.failures += other.failures;
        self.processed += other.processed;
        self.queues.extend(other.queues);
        self.processes.extend(other.processes);
        self.unreadable_keys.extend(other.unreadable_keys);
        self.realms.extend(other.realms);
    }

    pub(super) fn add_count(&mut self, key: &str, what: RealmKey, reply: &Reply) -> Result<(), InspectError> {
        let (sum, count) = match what {
            RealmKey::Retries => (&mut self.retry_jobs, size(key, reply)?),
            RealmKey::Scheduled => (&mut self.scheduled_jobs, size(key, reply)?),
            RealmKey::Dead => (&mut self.dead_jobs, size(key, reply)?),
            RealmKey::Processed => (&mut self.processed, counter(key, reply)?),
            RealmKey::Failures => (&mut self.failures, counter(key, reply)?),
        };
        *sum += count;
        self.realms.extend(parse_realm_key(key).map(|(queue, _)| queue.to_owned()));
        Ok(())
    }

    pub(super) fn add_process(&mut self, key: &[u8], value: &Value<'_>) -> Result<(), InspectError> {
        let key = String::from_utf8_lossy(key).into_owned();
        let Some(value) = value.as_nil_or_bulk().map_err(at(&key))? else {
            // Expired between SCAN and MGET: no living process any more.
            return Ok(());
        };
        match Process::read(&key, value) {
            Some(process) => _ = self.processes.insert(key, process),
            None => _ = self.unreadable_keys.insert(key),
        }
        Ok(())
    }

    /// Whatever else may lie under that key says nothing.
    pub(super) fn add_figures(&mut self, key: &str, value: &Value<'_>) {
        if let (Value::Bulk(json), Some(process)) = (value, self.processes.get_mut(key)) {
            process.figures = figures::parse(json).ok();
        }
    }

    pub(super) fn add_queue(&mut self, key: &[u8], reply: &Reply) -> Result<(), InspectError> {
        let key = String::from_utf8_lossy(key);
        let Some(ListKey::Queue { queue }) = keys::parse_list(&key) else { return Ok(()) };
        match reply.value() {
            // The list went and something else took its name between SCAN and LLEN.
            Value::Error(error) if error.kind() == RedisErrorKind::WrongType => {}
            _ => {
                self.queues.insert(queue.to_owned(), size(&key, reply)?);
            }
        }
        Ok(())
    }
}

pub(super) fn size(key: &str, reply: &Reply) -> Result<u64, InspectError> {
    let size = reply.as_integer().map_err(at(key))?;
    u64::try_from(size).map_err(|_| at(key)(reply.value().instead_of("a size")))
}

/// A counter nobody has written yet is 0.
pub(super) fn counter(key: &str, reply: &Reply) -> Result<u64, InspectError> {
    let Some(text) = reply.as_nil_or_bulk().map_err(at(key))? else { return Ok(0) };
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| at(key)(reply.value().instead_of("a decimal counter")))
}

pub(super) fn at(what: &str) -> impl Fn(resp::Error) -> InspectError {
    move |cause| InspectError::Reply { what: what.to_owned(), cause }
}
