//! Payloads that are larger than a handler gets: where they wait, and how they are buried.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;
use jiggler_uring::internal::job::{BadPayload, Schema, bury_in_parts};

#[test]
fn a_payload_above_the_limit_waits_in_the_oversize_list_and_one_at_the_limit_is_fetched() {
    let mut setup = Setup::new();
    let (largest, larger) = (vec![b'x'; PAYLOAD_BYTES_MAX], vec![b'y'; PAYLOAD_BYTES_MAX + 1]);
    setup.push(&largest);
    setup.push(&larger);
    setup.push(b"small");
    let fetched = setup.fetch(1, 5).fetched;
    assert_eq!((fetched[0].payloads.len(), fetched[0].oversize), (1, 1));
    assert!(fetched[0].payloads[0] == largest);
    assert_eq!(setup.list(&setup.queue().list.clone()), [b"small"], "beyond the budget of a batch");
    assert!(setup.list(&setup.queue().oversize.clone()) == [larger]);
    assert_eq!(setup.list(&setup.queue().batch(BatchName::Turn(1))).len(), 1);
}

#[test]
fn an_oversize_payload_is_buried_once() {
    let mut setup = Setup::new();
    let oversize = setup.queue().oversize;
    setup.run(&[b"RPUSH", &oversize, b"abcd", b"abcdef"]);
    assert_eq!(setup.bury(3, b"entry"), 0, "not the payload that was read");
    assert_eq!(setup.bury(4, b"entry 1"), 1);
    assert_eq!(setup.bury(4, b"entry 1"), 0, "buried already");
    assert_eq!(setup.bury(6, b"entry 2"), 1);
    assert_eq!(setup.number(&[b"EXISTS", &oversize]), 0);
    assert_eq!(setup.number(&[b"ZCARD", JIGGLER.names().dead.as_bytes()]), 2);
    assert_eq!(setup.run(&[b"GET", JIGGLER.names().failures.as_bytes()]).as_bulk().unwrap(), b"2");
}

/// As the shard does it, with smaller parts.
#[test]
fn a_payload_whose_base64_no_entry_holds_is_buried_in_parts_at_once_and_they_make_up_its_bytes() {
    let mut setup = Setup::new();
    let queue = setup.queue();
    let raw: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    setup.run(&[b"RPUSH", &queue.oversize, &raw]);
    let reason = BadPayload::TooLarge { bytes: raw.len(), max: 9 };
    let entries = bury_in_parts(Schema::Jiggler, &raw, &reason, "a", 1e9, 6_000);
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
