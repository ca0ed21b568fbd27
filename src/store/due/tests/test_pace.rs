//! Queues whose due jobs have a pace.

use super::*;

fn length(setup: &Setup, queue: &str) -> usize {
    let length = setup.redis.run(&[b"LLEN", JIGGLER.queue(queue).as_bytes()]);
    length.as_integer().unwrap() as usize
}

/// The scores of a set, in order.
fn scores(setup: &Setup, set: &str) -> Vec<f64> {
    let texts = setup.redis.strings(&[b"ZRANGE", set.as_bytes(), b"0", b"-1", b"WITHSCORES"]);
    texts.chunks(2).map(|pair| pair[1].parse().unwrap()).collect()
}

fn now_of(setup: &Setup) -> f64 {
    let time = setup.redis.strings(&[b"TIME"]);
    time[0].parse::<f64>().unwrap() + time[1].parse::<f64>().unwrap() / 1e6
}

#[test]
fn a_herd_of_a_queue_with_a_pace_is_put_off_to_moments_that_keep_it() {
    let mut setup = Setup::new();
    let (set, paces) = (JIGGLER.names().scheduled, JIGGLER.names().paces);
    // Of tens of seconds, so that the test is over before they are; 40 a second are four each tenth of one.
    setup.paces = vec![Pace { queue: "mail".to_owned(), per_second: 40.0 }];
    for number in 0..400 {
        setup.add(set, "1000000000", format!(r#"{{"queue":"mail","n":{number}}}"#).as_bytes());
    }
    for number in 0..50 {
        setup.add(set, "1000000001", format!(r#"{{"queue":"img","n":{number}}}"#).as_bytes());
    }
    let began = now_of(&setup);
    // In one look of 450 entries, all but a few of which are put off.
    let due = setup.look(false);
    let ended = now_of(&setup);
    assert_eq!(length(&setup, "img"), 50, "a queue without a pace is not held up");
    let moved = length(&setup, "mail");
    let most = 4 * (1 + ((ended - began) / 0.1).ceil() as usize);
    assert!((4..=most).contains(&moved), "{moved} at once, {most} allowed");
    let later = scores(&setup, set);
    assert_eq!(later.len() + moved, 400);
    assert!(later.iter().all(|at| *at > began && *at < ended + 10.2), "{later:?}");
    assert!(
        later.windows(5).all(|five| five[4] - five[0] > 0.099),
        "no more than four each tenth of a second"
    );
    assert!(later[later.len() - 1] - later[0] < 10.0, "and no fewer: {later:?}");
    assert!(due.next_ms.is_some_and(|ms| ms <= 100), "{due:?}");
    // What comes later gets moments behind these.
    setup.add(set, "1000000002", br#"{"queue":"mail","n":400}"#);
    setup.look(false);
    let last = scores(&setup, set).pop().unwrap();
    assert!(last >= later[later.len() - 1], "{last}");
    let left_s: i64 = setup.redis.run(&[b"TTL", paces.as_bytes()]).as_integer().unwrap();
    assert!((55..75).contains(&left_s), "the moments are kept until they are over: {left_s}");
    // A job goes at its moment, whatever comes meanwhile.
    let (first, before) = (scores(&setup, set)[0], scores(&setup, set).len());
    while now_of(&setup) < first {
        std::thread::yield_now();
    }
    let due = setup.look(false);
    assert!(due.moved >= 1, "{due:?}");
    assert_eq!(scores(&setup, set).len() + due.moved as usize, before);
}

#[test]
fn jobs_that_missed_their_moments_keep_the_pace_and_other_paces_forget_the_old() {
    let mut setup = Setup::new();
    let set = JIGGLER.names().retries;
    setup.paces = vec![Pace { queue: "mail".to_owned(), per_second: 1.0 }];
    let now = now_of(&setup);
    // Moments of long ago, as after an outage.
    for number in 0..20_u32 {
        let at = (now - 100.0).floor() + f64::from(number) + 0.0377;
        setup.add(set, &format!("{at:.17}"), format!(r#"{{"queue":"mail","n":{number}}}"#).as_bytes());
    }
    setup.look(false);
    let later = scores(&setup, set);
    assert!(later.len() >= 18 && later.windows(2).all(|two| two[1] - two[0] > 0.99), "{later:?}");
    // A hundred times as fast: the moments of the slow pace do not hold.
    setup.paces[0].per_second = 100.0;
    setup.add(set, "1000000000", br#"{"queue":"mail","n":99}"#);
    setup.look(false);
    assert!(*scores(&setup, set).last().unwrap() < now + 40.0);
    // As little as one in a quarter of an hour.
    setup.redis.run(&[b"FLUSHALL"]);
    setup.paces[0].per_second = 0.001;
    for number in 0..3 {
        setup.add(set, "1000000000", format!(r#"{{"queue":"mail","n":{number}}}"#).as_bytes());
    }
    setup.look(false);
    let later = scores(&setup, set);
    assert!((later[1] - later[0] - 1_000.0).abs() < 0.01, "{later:?}");
}

#[test]
fn a_spoilt_key_of_paces_is_named_and_holds_up_nothing() {
    let mut setup = Setup::new();
    let (set, paces) = (JIGGLER.names().scheduled, JIGGLER.names().paces);
    setup.paces = vec![Pace { queue: "mail".to_owned(), per_second: 10.0 }];
    setup.redis.run(&[b"SET", paces.as_bytes(), b"x"]);
    for number in 0..3 {
        setup.add(set, "1000000000", format!(r#"{{"queue":"mail","n":{number}}}"#).as_bytes());
    }
    let due = setup.look(false);
    assert_eq!((due.broken.as_str(), due.moved + scores(&setup, set).len() as u64), (paces, 3));
    assert!(due.moved >= 1);
    assert_eq!(setup.redis.run(&[b"GET", paces.as_bytes()]).as_bulk().unwrap(), b"x");
}
