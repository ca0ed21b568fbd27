//! What a process publishes of itself: heartbeat, lease, figures of its shards.

use super::scripts::{Script, Scripts};
use crate::resp::Requests;
use crate::wire::keys;

/// Appends the question what the server is: the server section of `INFO`. The reply is its text.
pub fn ask_server_info(requests: &mut Requests) {
    requests.command(&[b"INFO", b"server"]);
}

/// Appends the heartbeat: one `SET` with a time to live. The reply is `OK`.
pub fn heartbeat(key: &str, value: &str, ttl_s: u64, requests: &mut Requests) {
    let mut command = requests.begin(5);
    command.arg(b"SET").arg(key.as_bytes()).arg(value.as_bytes()).arg(b"EX").arg_u64(ttl_s);
}

/// Appends what the gem does at its first heartbeat: both counters exist from then on. Two integers answer.
pub fn touch_counters(requests: &mut Requests) {
    for key in [keys::PROCESSED, keys::FAILURES] {
        requests.command(&[b"INCRBY", key.as_bytes(), b"0"]);
    }
}

/// Appends the figures of this process's shards under our own key, with a time to live. The reply is `OK`.
pub fn figures(uuid: &str, value: &str, ttl_s: u64, requests: &mut Requests) {
    heartbeat(&keys::process(uuid), value, ttl_s, requests);
}

/// Appends the renewal of a lease by Redis's clock. The reply is the end of the lease in Unix milliseconds.
pub fn renew_lease(scripts: &Scripts, member: &str, length_ms: u64, requests: &mut Requests) {
    let mut command = scripts.begin(Script::Lease, 1, 2, requests);
    command.arg(keys::LEASES.as_bytes()).arg(member.as_bytes()).arg_u64(length_ms);
}

/// Appends the end of a process: its heartbeat and figures go, and its lease if `give_up_lease` (it holds no job).
/// Two or three integers answer.
pub fn farewell(
    heartbeat_key: &str,
    uuid: &str,
    lease_member: Option<&str>,
    requests: &mut Requests,
) -> usize {
    requests.command(&[b"DEL", heartbeat_key.as_bytes()]);
    requests.command(&[b"DEL", keys::process(uuid).as_bytes()]);
    if let Some(member) = lease_member {
        requests.command(&[b"ZREM", keys::LEASES.as_bytes(), member.as_bytes()]);
    }
    2 + usize::from(lease_member.is_some())
}
