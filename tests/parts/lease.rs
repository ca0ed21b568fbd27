//! The renewal of a lease, against a real Redis: a fenced process learns of it, dead ones are named, and nothing is
//! asked for that cannot have happened (P3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::own_redis::OwnRedis;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{Reply, Requests};
use jiggler_uring::internal::store::process::{self, Holder, LeaseTimes, Renewal};
use jiggler_uring::internal::store::scripts::Scripts;
use jiggler_uring::internal::store::turn::QueueKeys;
use jiggler_uring::internal::wire::keys::JIGGLER;

const LENGTH_MS: u64 = 20_000;

const NOTHING_KNOWN: LeaseTimes = LeaseTimes { ends_ms: 0, none_ends_until_ms: 0 };

struct Setup {
    _redis: OwnRedis,
    conn: BlockingConnection,
    scripts: Scripts,
    index: QueueKeys,
}

impl Setup {
    fn new() -> Self {
        let (redis, conn, scripts) = OwnRedis::with_scripts();
        Self { _redis: redis, conn, scripts, index: QueueKeys::new(JIGGLER, "a", "me", 0) }
    }

    fn run(&mut self, args: &[&[u8]]) -> Reply {
        let mut requests = Requests::new();
        requests.command(args);
        self.conn.call_one(&requests).unwrap()
    }

    fn renew(&mut self, times: LeaseTimes) -> Renewal {
        let mut requests = Requests::new();
        let holder = Holder { member: "me", index: &self.index };
        process::renew_lease(&self.scripts, holder, times, LENGTH_MS, 2, &mut requests);
        let (clock, renewal) = process::read_lease(&self.conn.call_one(&requests).unwrap()).unwrap();
        let host = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(
            host.abs_diff(clock) < Duration::from_secs(60),
            "whatever it comes to, it tells the time: {clock:?}"
        );
        renewal
    }

    fn lease(&mut self, member: &str, ends_ms: u64) {
        self.run(&[
            b"ZADD",
            JIGGLER.names().leases.as_bytes(),
            ends_ms.to_string().as_bytes(),
            member.as_bytes(),
        ]);
    }

    fn fence(&mut self) {
        let index = self.index.index.clone();
        self.run(&[b"SET", &index, b"fenced"]);
    }

    fn holds_a_lease(&mut self) -> bool {
        let reply = self.run(&[b"ZSCORE", JIGGLER.names().leases.as_bytes(), b"me"]);
        reply.as_nil_or_bulk().unwrap().is_some()
    }
}

#[track_caller]
fn renewed(renewal: Renewal) -> (LeaseTimes, Vec<Vec<u8>>) {
    let Renewal::Renewed { times, ended } = renewal else { unreachable!("{renewal:?}") };
    (times, ended)
}

#[test]
fn processes_with_an_expired_lease_are_named_longest_first_and_again_until_they_are_gone() {
    let mut setup = Setup::new();
    for (member, ends_ms) in [("third", 3_000), ("first", 1_000), ("second", 2_000)] {
        setup.lease(member, ends_ms);
    }
    let mut times = NOTHING_KNOWN;
    for _ in 0..2 {
        let (told, ended) = renewed(setup.renew(times));
        assert_eq!(ended, [b"first".to_vec(), b"second".to_vec()], "two at most");
        assert_eq!(told.none_ends_until_ms, 0);
        times = told;
    }
}

#[test]
fn no_expired_lease_is_asked_for_until_there_can_be_one() {
    let mut setup = Setup::new();
    let (alone, ended) = renewed(setup.renew(NOTHING_KNOWN));
    assert!(ended.is_empty());
    assert_eq!(alone.none_ends_until_ms, alone.ends_ms, "any later process has a lease at least as long");
    let other_ends = alone.ends_ms - 5_000;
    setup.lease("other", other_ends);
    let (told, _) = renewed(setup.renew(NOTHING_KNOWN));
    assert_eq!(told.none_ends_until_ms, other_ends);
    // Written by hand, as no process does it: not asked for now, and named as soon as it is.
    setup.lease("other", 1_000);
    let (told, ended) = renewed(setup.renew(told));
    assert!(ended.is_empty() && told.none_ends_until_ms == other_ends);
    let lapsed = LeaseTimes { none_ends_until_ms: 1, ..told };
    assert_eq!(renewed(setup.renew(lapsed)).1, [b"other".to_vec()]);
}

#[test]
fn a_fenced_process_gets_no_lease() {
    let mut setup = Setup::new();
    setup.fence();
    assert_eq!(setup.renew(NOTHING_KNOWN), Renewal::Fenced, "over a new connection");
    let lapsed = LeaseTimes { ends_ms: 1, none_ends_until_ms: 0 };
    assert_eq!(setup.renew(lapsed), Renewal::Fenced, "after its lease had ended");
    // By its own reckoning its lease should still hold, yet it is gone: someone saw another time on the clock.
    let far = LeaseTimes { ends_ms: u64::from(u32::MAX) * 1_000, none_ends_until_ms: 0 };
    assert_eq!(setup.renew(far), Renewal::Fenced, "it was released");
    assert!(!setup.holds_a_lease());
}

#[test]
fn a_shard_that_left_cleanly_costs_the_others_no_lease() {
    let mut setup = Setup::new();
    let index = setup.index.index.clone();
    setup.run(&[b"SET", &index, b"left"]);
    renewed(setup.renew(NOTHING_KNOWN));
    assert!(setup.holds_a_lease());
}
