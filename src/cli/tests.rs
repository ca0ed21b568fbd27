//! Command lines as users type them, and the orders they become.

use std::time::Duration;

use super::*;
use crate::{
    config::{Mode, Origin, Queues},
    limits::{ENQUEUE_COUNT_MAX, RETRIES_MAX},
    wire::QueueName,
};

fn parse_line(line: &[&str]) -> Result<Invocation, Error> {
    let args = std::iter::once("jiggler-uring").chain(line.iter().copied()).map(OsString::from);
    parse(args, &|name| (name == "REDIS_URL").then(|| "redis://variable".into()))
}

fn worker(line: &[&str]) -> Config {
    match parse_line(line).unwrap() {
        Invocation::Work(config) => *config,
        other => panic!("{line:?} became {other:?}"),
    }
}

fn enqueue(line: &[&str]) -> Result<EnqueueOrder, Error> {
    match parse_line(&[&["enqueue"], line].concat())? {
        Invocation::Enqueue(order) => Ok(order),
        other => panic!("{line:?} became {other:?}"),
    }
}

#[test]
fn no_subcommand_runs_the_worker_with_every_flag() {
    let line = "--cores 3 -c 40 -q a:2,b -q c -t 7 -e staging --mode at-most-once --redis-url redis://flag -v \
                --log-format json -r ./app.rb";
    let config = worker(&line.split_whitespace().collect::<Vec<_>>());
    assert_eq!((config.cores, config.concurrency), (Some(3), Some(40)));
    assert_eq!(config.queues, Queues::new(Queues::parse_list("a:2,b,c").unwrap()).unwrap());
    assert_eq!((config.timeout, config.environment.as_str()), (Duration::from_secs(7), "staging"));
    assert_eq!(config.mode, Mode::AtMostOnce);
    assert_eq!(config.redis_url.as_ref().unwrap().origin, Origin::Flag("redis-url"));
    assert_eq!(config.unused_note().unwrap(), "not used by jiggler-uring: --require");
    assert_eq!(worker(&[]), Config { redis_url: worker(&[]).redis_url, ..Config::default() });
}

/// The flags of the gem's program, each in every spelling that a process file may have.
#[test]
fn every_flag_of_the_gem_is_taken() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let spellings: [(&str, &str, &str); 6] = [
        ("-c", "--concurrency", "7"),
        ("-e", "--environment", "staging"),
        ("-q", "--queue", "a,b"),
        ("-r", "--require", "./app.rb"),
        ("-t", "--timeout", "9"),
        ("-C", "--config", path),
    ];
    for (short, long, value) in spellings {
        let short_line = worker(&[short, value]);
        for line in [&[&*format!("{short}{value}")][..], &[long, value], &[&*format!("{long}={value}")]] {
            assert_eq!(worker(line), short_line, "{line:?}");
        }
    }
    for flag in ["-v", "--verbose"] {
        assert_eq!(worker(&[flag]), worker(&["-v"]));
    }
    assert_eq!(worker(&["-q", "a,b", "-q", "c"]).queues, worker(&["-q", "a,b,c"]).queues);
    for (flag, said) in
        [("-V", VERSION), ("--version", VERSION), ("-h", "--timeout"), ("--help", "--timeout")]
    {
        let Err(Error::Arguments(text)) = parse_line(&[flag]) else { panic!("{flag} runs something") };
        assert!(!text.use_stderr() && text.to_string().contains(said), "{flag}: {text}");
    }
}

#[test]
fn enqueue_keeps_the_arguments_as_they_were_written() {
    let args = r#"[12345678901234567890123, 1.0e+21, {"a":[null]}]"#;
    let line = ["Resize", args, "--queue", "img", "--count", "5", "--in", "1.5", "--retries", "3"];
    let order = enqueue(&line).unwrap();
    assert_eq!(order.args, args);
    assert_eq!((order.name.as_str(), order.queue), ("Resize", QueueName::new("img").unwrap()));
    assert_eq!((order.count, order.delay, order.retries), (5, Some(Duration::from_millis(1500)), 3));

    let plain = enqueue(&["Noop", "--redis-url", "redis://flag"]).unwrap();
    assert_eq!((plain.args.as_str(), plain.count, plain.delay, plain.retries), ("[]", 1, None, 0));
    assert_eq!(
        (plain.queue, plain.redis_url.unwrap().url.to_string()),
        (QueueName::default(), "redis://flag:6379/0".to_owned())
    );
}

#[test]
fn enqueue_refuses_what_would_become_a_bad_job() {
    let check = |line: &[&str], part: &str| {
        let error = enqueue(line).unwrap_err().to_string();
        assert!(error.contains(part), "{line:?}: {error}");
    };
    check(&[], "NAME");
    check(&[""], "1 to 256 bytes");
    check(&["Noop", "{}"], "JSON array");
    check(&["Noop", "[1"], "not valid JSON");
    check(&["Noop", "[] []"], "not valid JSON");
    check(&["Noop", "--queue", "a:b"], "':'");
    check(&["Noop", "--count", "0"], "1..=");
    check(&["Noop", "--count", &(ENQUEUE_COUNT_MAX + 1).to_string()], "1..=");
    check(&["Noop", "--retries", &(RETRIES_MAX + 1).to_string()], "0..=1000");
    check(&["Noop", "--in=-1"], "seconds from 0");
    check(&["Noop", "--in", "NaN"], "seconds from 0");
}

#[test]
fn summary_finds_redis_by_flag_variable_and_file() {
    let find = |line: &[&str]| match parse_line(line).unwrap() {
        Invocation::Summary(order) => (order.json, order.redis_url.unwrap().url.to_string()),
        other => panic!("{line:?} became {other:?}"),
    };
    assert_eq!(find(&["summary"]), (false, "redis://variable:6379/0".to_owned()));
    assert_eq!(
        find(&["summary", "--json", "--redis-url", "redis://flag"]),
        (true, "redis://flag:6379/0".to_owned())
    );
    assert!(parse_line(&["summary", "--cores", "2"]).is_err());
}

#[test]
fn cancel_names_one_job() {
    match parse_line(&["cancel", "0d655a187e214821"]).unwrap() {
        Invocation::Cancel(order) => {
            assert_eq!(order.jid, "0d655a187e214821");
            assert_eq!(order.redis_url.unwrap().url.to_string(), "redis://variable:6379/0");
        }
        other => panic!("it became {other:?}"),
    }
    for line in [&["cancel"][..], &["cancel", ""], &["cancel", "a", "b"], &["cancel", "a\nb"]] {
        assert!(parse_line(line).is_err(), "{line:?}");
    }
}
