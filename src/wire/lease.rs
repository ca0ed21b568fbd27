//! The member of the lease set that identifies a process, and its parts.
//!
//! Not for the set itself ([`Realm::leases`](super::Realm)), nor for how long a lease lasts (`limits`).

/// The member of the lease set that identifies a process: `<uuid>:<shards>:<queue>,<queue>,…`. It gives a reaper every
/// in-flight key the process may have.
#[must_use]
pub fn lease_member(uuid: &str, shards: usize, queues: &[&str]) -> String {
    format!("{uuid}:{shards}:{}", queues.join(","))
}

/// What a member of the lease set says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease<'k> {
    /// The process: 12 hex digits.
    pub uuid: &'k str,
    /// How many shards it has.
    pub shards: usize,
    /// The queues it serves, as configured.
    pub queues: Vec<&'k str>,
}

/// Reads a member that [`lease_member`] wrote; `None` if it has another form.
#[must_use]
pub fn parse_lease_member(member: &str) -> Option<Lease<'_>> {
    let mut parts = member.splitn(3, ':');
    let (uuid, shards, queues) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let queues: Vec<&str> = queues.split(',').collect();
    let sane = !uuid.is_empty() && queues.iter().all(|queue| !queue.is_empty());
    sane.then_some(Lease { uuid, shards, queues })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_names_what_a_reaper_needs() {
        let member = lease_member("06c7221317f9", 2, &["img", "default"]);
        let lease = Lease { uuid: "06c7221317f9", shards: 2, queues: vec!["img", "default"] };
        assert_eq!(parse_lease_member(&member), Some(lease));
        for other in ["", "06c7221317f9", "06c7221317f9:x:img", "06c7221317f9:2:", ":2:img", "a:1:b,,c"] {
            assert_eq!(parse_lease_member(other), None, "{other}");
        }
    }
}
