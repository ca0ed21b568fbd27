//! What goes back to its queue by several calls, because it has many bytes.

use super::*;
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
