//! Burying due jobs that name a queue which no worker may be given: moved there, they would lie where nobody takes them.
//!
//! They go to the dead set as other payloads do that are of no use: inside an entry that tells the reason and carries the
//! exact bytes, and names the queue that they name, as far as it is text. The poller finds them.

use super::link::ControlLink;
use super::state::Control;
use crate::job::{BadPayload, bury_unparsable};
use crate::net::Error;
use crate::store::due::{self, Unservable};
use crate::store::entries::Set;
use crate::store::operate::{self, DeadSetCaps};
use crate::wire::{DEFAULT_QUEUE, QueueName};

/// Buries them, one call for each set.
pub(super) async fn bury(
    control: &Control,
    duty: usize,
    link: &mut ControlLink,
    jobs: &[Unservable],
) -> Result<(), Error> {
    let (options, schema) = (&control.duties[duty].options, control.options.schema);
    let settings = control.settings.get();
    let caps = DeadSetCaps { jobs_max: settings.dead_jobs_max, timeout_s: settings.dead_timeout.as_secs() };
    let now = options.clock.now();
    for set in [Set::Retries, Set::Scheduled] {
        let of_set: Vec<&Unservable> = jobs.iter().filter(|job| job.set == set).collect();
        let Some(first) = of_set.first() else { continue };
        let replies = link
            .call(|scripts, requests| {
                // Without a name that is text: where a worker would look for a job that names none.
                let default = options.realm.queue().unwrap_or(DEFAULT_QUEUE);
                let queue = |job: &Unservable| {
                    std::str::from_utf8(&job.name).map_or_else(|_| default.to_owned(), str::to_owned)
                };
                let entry =
                    |job: &Unservable| bury_unparsable(schema, &job.job, &reason(job), &queue(job), now);
                let condemned = of_set.iter().map(|job| (*job, entry(job))).collect();
                due::bury(scripts, set, condemned, caps, requests);
            })
            .await?;
        let killed = operate::read_killed(replies.first().ok_or(Error::Closed)?)?;
        let buried = killed.moved.iter().filter(|moved| **moved).count();
        let reason = reason(first);
        tracing::warn!(jobs = buried, %set, %reason, "due jobs that no worker may be given go to the dead set");
    }
    Ok(())
}

/// Why no worker may be given a job.
fn reason(job: &Unservable) -> BadPayload {
    let detail = match std::str::from_utf8(&job.name) {
        Ok(name) => match QueueName::new(name) {
            Err(error) => error.to_string(),
            // The script goes by the same rules.
            Ok(name) => format!("{name:?}"),
        },
        Err(_) => "its name is not valid UTF-8".to_owned(),
    };
    BadPayload::UnservableQueue { detail }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_reason_names_the_rule_that_the_name_breaks() {
        let check = |name: &'static [u8], part: &str| {
            let name = Bytes::from_static(name);
            let text = reason(&Unservable { set: Set::Scheduled, name, job: Bytes::new() }).to_string();
            assert!(text.contains(part), "{text}");
        };
        check(b"a:b", "queue name \"a:b\" contains ':'");
        check(b"in_progress", "reserves");
        check(b"a\xff", "not valid UTF-8");
    }
}
