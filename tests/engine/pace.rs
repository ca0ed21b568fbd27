//! Herds that do not come at once: `enqueue --spread`, and the pace of a queue's due jobs.

use std::time::{Duration, Instant};

use crate::harness::cluster::Cluster;
use crate::harness::redis::SCHEDULED;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Redis, Worker, config_file, output_of};
use crate::poller::{add, redis_now};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_herd_of_a_queue_with_a_pace_runs_at_that_pace_and_holds_up_no_other_queue() {
    for redis in Redis::of_each_dialect() {
        let config = config_file("pace: {mail: 20}\n");
        let _worker = Worker::start(&redis, &["-q", "mail,img", "-C", &config.path()]);
        for (queue, jobs) in [("mail", 60), ("img", 200)] {
            for number in 0..jobs {
                let job =
                    format!(r#"{{"name":"Sleep","args":[0],"jid":"{queue}-{number:05}","queue":"{queue}"}}"#);
                add(&redis, SCHEDULED, "1000000000", job.as_bytes());
            }
        }
        let began = Instant::now();
        wait_until("the other queue is served", || redis.processed() >= 200);
        wait_within(PATIENCE, "the herd has run", || (redis.processed() == 260).then_some(()));
        // Two each tenth of a second, the first two at once; when they were all added is not known exactly.
        assert!(began.elapsed() >= Duration::from_millis(2_000), "{:?}", began.elapsed());
        assert_eq!(redis.count(SCHEDULED), 0);
    }
}

#[test]
fn in_a_cluster_each_queue_has_its_own_pace() {
    let cluster = Cluster::start(2);
    let queues = cluster.queues();
    let config = config_file(&format!("pace: {{'{}': 10}}\n", queues[0]));
    let url = cluster.url();
    let args = ["-q", &queues.join(","), "--cores", "1", "-C", &config.path()];
    let mut worker = Worker::launch(&url, &args);
    for queue in &queues {
        let arg = ["enqueue", "Noop", "--in", "1s", "--count", "20", "-q", queue, "--redis-url", &url];
        let output = output_of(&arg);
        assert!(output.status.success(), "{output:?}");
    }
    let processed = |at: usize| {
        let text = cluster.primaries[at].text(&format!("{{jiggler:list:{}}}:processed", queues[at]));
        text.map_or(0, |text| text.parse::<u64>().unwrap())
    };
    wait_within(PATIENCE, "the queue without a pace has run", || (processed(1) == 20).then_some(()));
    let began = Instant::now();
    let done = processed(0);
    wait_within(PATIENCE, "the other has run", || (processed(0) == 20).then_some(()));
    // One each tenth of a second.
    let expected = Duration::from_millis(100) * (20_u64.saturating_sub(done + 2)) as u32;
    assert!(began.elapsed() >= expected, "{done} had run, the rest took {:?}", began.elapsed());
    worker.stop();
}

#[test]
fn jobs_of_a_bulk_are_spread_over_the_time_that_is_named() {
    let redis = Redis::start();
    let file = config_file(&"[]\n".repeat(1_200));
    let (path, url) = (file.path(), redis.url());
    let before = redis_now(&redis);
    let lines: [&[&str]; 2] = [
        &["enqueue", "Noop", "--bulk", &path, "--in", "1h", "--spread", "20m"],
        &["enqueue", "Noop", "--count", "500", "--spread", "20m"],
    ];
    for (line, from, jobs) in [(lines[0], 3_600.0, 1_200), (lines[1], 0.0, 500)] {
        let output = output_of(&[line, &["--redis-url", &url]].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("over 1200 s from"), "{output:?}");
        let after = redis_now(&redis);
        let dues: Vec<f64> = redis.set(SCHEDULED).into_iter().map(|(_, due)| due).collect();
        assert_eq!(dues.len(), jobs);
        let (first, last) = (dues[0], dues[jobs - 1]);
        assert!(first >= before + from && last <= after + from + 1_200.0, "{first} to {last}");
        let gaps = dues.windows(2).map(|two| two[1] - two[0]).fold(0.0, f64::max);
        assert!(gaps < 12.0, "as evenly as can be: {gaps}");
        redis.run(&["DEL", SCHEDULED]);
    }
}
