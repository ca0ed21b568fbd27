//! What goes back to its queue by several calls, because it has many bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;
use jiggler_uring::internal::job::{BadPayload, bury_in_parts};
use jiggler_uring::internal::limits::HAND_BACK_BYTES_MAX;

#[test]
fn what_goes_back_goes_part_by_part_in_its_order_if_it_has_many_bytes() {
    let mut setup = Setup::new();
    let queue = setup.queue();
    let jobs: Vec<Vec<u8>> = (0..5).map(|fill| vec![b'a' + fill; HAND_BACK_BYTES_MAX / 2]).collect();
    let fill = |setup: &mut Setup, list: &[u8]| {
        for job in &jobs {
            setup.run(&[b"RPUSH", list, job]);
        }
    };
    let back = |setup: &mut Setup| {
        let reply = setup.run(&[b"LRANGE", &queue.list, b"0", b"-1"]);
        let firsts: Vec<u8> = reply.as_array().unwrap().map(|job| job.as_bulk().unwrap()[0]).collect();
        setup.run(&[b"DEL", &queue.list]);
        firsts
    };
    fill(&mut setup, &queue.batch(BatchName::Turn(1)));
    setup.run(&[b"HSET", &queue.index, b"1", b"5"]);
    let mut number = 2;
    let mut counts = Vec::new();
    while counts.last().is_none_or(|count| *count < 0) {
        counts.push(setup.reconcile(number, BatchName::Turn(1), &Known::default()).unwrap());
        number += 1;
    }
    assert_eq!(counts.iter().map(|count| count.abs()).sum::<i64>(), 5, "{counts:?}");
    assert!(counts.len() > 2, "{counts:?}");
    assert_eq!(back(&mut setup), b"edcba");
    fill(&mut setup, &queue.wait_list);
    let mut counts = Vec::new();
    while counts.last().is_none_or(|count| *count < 0) {
        counts.push(setup.leave(number).unwrap());
        number += 1;
    }
    assert_eq!(counts.iter().map(|count| count.abs()).sum::<i64>(), 5, "{counts:?}");
    assert!(counts.len() > 2, "{counts:?}");
    assert_eq!(back(&mut setup), b"edcba");
}

/// As the shard does it, with smaller parts.
#[test]
fn a_payload_whose_base64_no_entry_holds_is_buried_in_parts_at_once_and_they_make_up_its_bytes() {
    let mut setup = Setup::new();
    let queue = setup.queue();
    let raw: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    setup.run(&[b"RPUSH", &queue.oversize, &raw]);
    let reason = BadPayload::TooLarge { bytes: raw.len(), max: 9 };
    let entries = bury_in_parts(&raw, &reason, "a", 1e9, 6_000);
    assert_eq!(entries.len(), 2);
    assert_eq!(setup.bury_all(raw.len() + 1, &entries), 0, "not the payload that was read");
    assert_eq!(setup.number(&[b"EXISTS", b"jiggler:set:dead"]), 0);
    assert_eq!(setup.bury_all(raw.len(), &entries), 1);
    assert_eq!(setup.number(&[b"EXISTS", &queue.oversize]), 0);
    assert_eq!(
        setup.run(&[b"GET", JIGGLER.names().failures.as_bytes()]).as_bulk().unwrap(),
        b"1",
        "one failed"
    );
    let mut parts: Vec<Value> = setup
        .strings(&[b"ZRANGE", b"jiggler:set:dead", b"0", b"-1"])
        .iter()
        .map(|entry| serde_json::from_slice(entry).unwrap())
        .collect();
    parts.sort_by_key(|part| part["part"].as_u64());
    let bytes = parts.iter().flat_map(|part| STANDARD.decode(part["raw_base64"].as_str().unwrap()).unwrap());
    assert_eq!(bytes.collect::<Vec<u8>>(), raw);
}
