//! Adding to the metrics of Sidekiq's pages: sums of a minute for all classes together, a histogram for each.
//!
//! A hash of sums costs four commands with those of its script, whatever the number of classes; a class costs two. The gem
//! has six for a class and hash, and two.

use std::collections::BTreeMap;

use crate::resp::Requests;
use crate::wire::sidekiq_metrics::{ClassRuns, Spelling};

/// The script that adds to sums: called by its text, because it runs once a minute.
const SCRIPT: &str = include_str!("scripts/metrics.lua");

/// The script's source.
#[must_use]
pub const fn source() -> &'static str {
    SCRIPT
}

/// What ran in one minute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Minute {
    /// A Unix time in it.
    pub at: f64,
    /// For which pages.
    pub spellings: &'static [Spelling],
    /// By class.
    pub runs: BTreeMap<Box<str>, ClassRuns>,
}

/// Appends it. Not safe to repeat. Each is answered by an integer or an array of them.
pub fn add(minute: &Minute, requests: &mut Requests) {
    let Minute { at, spellings, runs } = minute;
    if runs.is_empty() {
        return;
    }
    let sums: Vec<(String, u64)> = runs
        .iter()
        .flat_map(|(class, runs)| runs.sums().into_iter().map(move |sum| named(class, sum)))
        .collect();
    for spelling in *spellings {
        for (key, ttl_s) in spelling.sums(*at) {
            let mut command = requests.begin(4 + 2 * sums.len());
            command.arg(b"EVAL").arg(SCRIPT.as_bytes()).arg_u64(1).arg(key.as_bytes());
            for (field, more) in &sums {
                command.arg(field.as_bytes()).arg_u64(*more);
            }
            drop(command);
            requests.begin(3).arg(b"EXPIRE").arg(key.as_bytes()).arg_u64(ttl_s);
        }
        for (class, runs) in runs.iter().filter(|(_, runs)| runs.buckets().next().is_some()) {
            add_histogram(&spelling.histogram(class, *at), runs, requests);
        }
    }
}

fn named(class: &str, (end, number): (&str, u64)) -> (String, u64) {
    ([class, end].concat(), number)
}

/// Adds to counters of 16 bits, which stay at their largest number.
fn add_histogram(key: &str, runs: &ClassRuns, requests: &mut Requests) {
    let mut command = requests.begin(4 + 4 * runs.buckets().count());
    command.arg(b"BITFIELD").arg(key.as_bytes()).arg(b"OVERFLOW").arg(b"SAT");
    for (bucket, count) in runs.buckets() {
        command.arg(b"INCRBY").arg(b"u16").arg(format!("#{bucket}").as_bytes()).arg_u64(count);
    }
    drop(command);
    requests.begin(3).arg(b"EXPIRE").arg(key.as_bytes()).arg_u64(crate::limits::METRICS_MINUTE_TTL_S);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_redis::OwnRedis;
    use crate::resp::{Error, Reply};
    use crate::wire::sidekiq_metrics::MetricsFor;

    fn minute(executed: u64) -> Minute {
        let mut runs = ClassRuns { executed, ms: 16, ..ClassRuns::default() };
        runs.took[1] = executed;
        let spellings = MetricsFor::Both.spellings();
        Minute { at: 1_793_848_029.5, spellings, runs: [("A".into(), runs)].into() }
    }

    fn write(redis: &OwnRedis, minute: &Minute) -> Vec<Reply> {
        let mut requests = Requests::new();
        add(minute, &mut requests);
        redis.connect().call(&requests).unwrap()
    }

    #[test]
    fn sums_add_up_and_counters_of_histograms_stay_at_their_largest_number() {
        let redis = OwnRedis::start();
        for executed in [2, 70_000] {
            write(&redis, &minute(executed)).into_iter().for_each(|reply| _ = reply.into_result().unwrap());
        }
        for key in ["j|20261105|3:7", "j|261105|3:07", "j|261105|3:0"] {
            let flat = redis.strings(&[b"HGETALL", key.as_bytes()]);
            assert_eq!(flat, ["A|ms", "32", "A|p", "70002"], "{key}");
        }
        for key in ["A-05-03:7", "h|A-5-3:7"] {
            let bytes = redis.run(&[b"GET", key.as_bytes()]);
            assert_eq!(bytes.as_bulk().unwrap(), [0, 0, 255, 255], "{key}");
            assert!(redis.run(&[b"TTL", key.as_bytes()]).as_integer().unwrap() > 28_000);
        }
        assert!(redis.run(&[b"TTL", b"j|261105|3:0"]).as_integer().unwrap() > 259_000);
        assert!(redis.run(&[b"TTL", b"j|261105|3:07"]).as_integer().unwrap() < 28_801);
    }

    #[test]
    fn a_spoilt_hash_is_left_as_it_is_and_the_others_are_written() {
        let redis = OwnRedis::start();
        redis.run(&[b"HSET", b"j|261105|3:07", b"A|p", b"many"]);
        redis.run(&[b"SET", b"j|261105|3:0", b"x"]);
        let replies = write(&redis, &minute(1));
        let is_refused = |reply: Reply| matches!(reply.into_result(), Err(Error::Redis(error)) if error.is_of_spoilt_key());
        assert_eq!(replies.into_iter().map(is_refused).filter(|refused| *refused).count(), 2);
        assert_eq!(redis.strings(&[b"HGETALL", b"j|261105|3:07"]), ["A|p", "many"]);
        assert_eq!(redis.strings(&[b"HGETALL", b"j|20261105|3:7"]), ["A|ms", "16", "A|p", "1"]);
    }
}
