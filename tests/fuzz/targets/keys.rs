//! Keys, queue names and heartbeats written by others: what is read can be written again and reads the same.

use jiggler_uring::internal::limits::QUEUE_NAME_BYTES_MAX;
use jiggler_uring::internal::wire::keys::{JIGGLER, ListKey};
use jiggler_uring::internal::wire::{QueueName, heartbeat_key, lease};

/// Checks one text, as a key of each kind and as a part of one.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for prefix in ["", JIGGLER.names().list_prefix, heartbeat_key::SERVER_PREFIX] {
        let key = [prefix, text].concat();
        check_list(&key);
        check_heartbeat(&key);
    }
    check_lease(text);
    check_queue_name(text);
}

fn check_list(key: &str) {
    match JIGGLER.parse_list(key) {
        None => assert!(!key.starts_with(JIGGLER.names().list_prefix)),
        Some(ListKey::Queue { queue }) => assert_eq!(JIGGLER.queue(queue), key),
        Some(ListKey::InProgress { queue, uuid }) => {
            assert_eq!(JIGGLER.gem_in_progress(queue, uuid), key);
            assert_ne!(JIGGLER.queue(queue), key, "a list would be moved onto itself");
        }
    }
}

fn check_heartbeat(key: &str) {
    let Some(parts) = heartbeat_key::parse_heartbeat(key) else { return };
    assert_eq!(heartbeat_key::server_uuid(key), Some(parts.uuid));
    // Not always the same text: a number may be written in more than one way.
    assert_eq!(heartbeat_key::parse_heartbeat(&heartbeat_key::heartbeat(&parts)), Some(parts));
    let queues = heartbeat_key::split_queues(parts.queues);
    assert_eq!(heartbeat_key::split_queues(&heartbeat_key::join_queues(&queues)), queues);
}

fn check_lease(member: &str) {
    let Some(lease) = lease::parse_lease_member(member) else { return };
    let again = lease::lease_member(lease.uuid, lease.shards, &lease.queues);
    assert_eq!(lease::parse_lease_member(&again), Some(lease));
}

/// An accepted name survives the journey through every key that contains it.
fn check_queue_name(text: &str) {
    let Ok(name) = QueueName::new(text) else { return };
    let queue = name.as_str();
    assert!(queue == text && queue.len() <= QUEUE_NAME_BYTES_MAX);
    assert_eq!(JIGGLER.parse_list(&JIGGLER.queue(queue)), Some(ListKey::Queue { queue }));
    let uuid = "06c7221317f9";
    let in_progress = JIGGLER.gem_in_progress(queue, uuid);
    assert_eq!(JIGGLER.parse_list(&in_progress), Some(ListKey::InProgress { queue, uuid }));
    let member = lease::lease_member(uuid, 3, &[queue, "b"]);
    let lease = lease::parse_lease_member(&member).unwrap();
    assert_eq!((lease.uuid, lease.shards, lease.queues), (uuid, 3, vec![queue, "b"]));
    let served = [heartbeat_key::ServedQueue { name: queue, priority: Some(7) }];
    assert_eq!(heartbeat_key::split_queues(&heartbeat_key::join_queues(&served)), served);
}
