//! Flags before and after a command, variables, and what picks out jobs.

use super::*;
use crate::acts::pause::{PauseChange, PauseEnd};
use crate::{admin::pause::PauseAction, admin::show::Wanted, config::LogLevel};

#[test]
fn the_flags_that_find_redis_stand_before_or_after_the_command() {
    let url = |line: &[&str]| match parse_line(line).unwrap() {
        Invocation::Summary(order) => order.redis_url.unwrap().url.to_string(),
        Invocation::Process(process_orders::ProcessOrder::Doctor { config, .. }) => {
            config.redis_url.unwrap().url.to_string()
        }
        other => panic!("{line:?} became {other:?}"),
    };
    assert_eq!(url(&["--redis-url", "redis://flag", "summary"]), "redis://flag:6379/0");
    assert_eq!(
        url(&["--redis-url", "redis://first", "summary", "--redis-url", "redis://h"]),
        "redis://h:6379/0"
    );
    assert_eq!(url(&["-e", "staging", "--redis-url=redis://flag", "doctor"]), "redis://flag:6379/0");
    match parse_line(&["--cores", "3", "doctor", "-c", "7"]).unwrap() {
        Invocation::Process(process_orders::ProcessOrder::Doctor { config, .. }) => {
            assert_eq!((config.cores, config.concurrency), (Some(3), Some(7)));
        }
        other => panic!("it became {other:?}"),
    }
    check_refused(&[
        (&["--cores", "2", "summary"], "'--cores' cannot be used with 'summary'"),
        (&["-q", "img", "enqueue", "N"], "'--queue' cannot be used with 'enqueue'"),
        (&["-v", "jobs", "dead"], "'--verbose' cannot be used with 'jobs'"),
        (&["--redis-url", "redis://flag", "man"], "cannot be used with 'man'"),
        (&["--redis-url", "http://h", "summary"], "--redis-url"),
    ]);
}

#[test]
fn every_option_has_a_variable_and_a_flag_wins_over_it() {
    let variables = |name: &str| {
        let value = match name {
            "JIGGLER_CORES" => "2",
            "JIGGLER_QUEUES" => "payments:3,mails",
            "JIGGLER_VERBOSE" => "1",
            "JIGGLER_STATS_INTERVAL" => "3",
            "JIGGLER_REDIS_URL" => "redis://ours",
            "REDIS_URL" => "redis://theirs",
            "JIGGLER_MODE" => "",
            _ => return None,
        };
        Some(value.into())
    };
    let load = |line: &[&str]| {
        let args = std::iter::once("jiggler-uring").chain(line.iter().copied()).map(OsString::from);
        match parse(args, &variables).unwrap() {
            Invocation::Work(config) => config,
            other => panic!("it became {other:?}"),
        }
    };
    let decided = load(&["--cores", "3"]);
    assert_eq!((decided.cores, decided.queues.as_slice().len()), (Some(3), 2));
    assert_eq!((decided.stats_interval, decided.mode), (Duration::from_secs(3), Mode::AtLeastOnce));
    assert_eq!(decided.log_level, LogLevel::Debug);
    let url = decided.redis_url.unwrap();
    assert_eq!(
        (url.url.to_string().as_str(), url.origin),
        ("redis://ours:6379/0", Origin::Variable("JIGGLER_REDIS_URL"))
    );
    assert_eq!(load(&[]).cores, Some(2));
}

#[test]
fn show_and_progress_name_one_job_and_jobs_take_what_failed() {
    match parse_line(&["show", "j", "-q", "img", "--examine", "7", "--json"]).unwrap() {
        Invocation::Show(order) => {
            let queue = Some("img".parse().unwrap());
            assert_eq!(order.wanted, Wanted { jid: "j".to_owned(), queue, examine_max: 7 });
            assert!(order.json);
        }
        other => panic!("it became {other:?}"),
    }
    match parse_line(&["progress", "j"]).unwrap() {
        Invocation::Progress(order) => assert_eq!((order.jid.as_str(), order.json), ("j", false)),
        other => panic!("it became {other:?}"),
    }
    let line = ["jobs", "dead", "--class", "Net::*", "--error", "timed out", "--older", "2h", "--group"];
    match parse_line(&line).unwrap() {
        Invocation::Jobs(JobsOrder { query, .. }) => {
            assert_eq!(query.filter.class, Some(NamePattern::Prefix("Net::".to_owned())));
            assert_eq!(query.filter.error.as_deref(), Some("timed out"));
            assert_eq!((query.older, query.groups), (Some(Duration::from_secs(7_200)), true));
        }
        other => panic!("it became {other:?}"),
    }
    check_refused(&[
        (&["show"], "<JID>"),
        (&["progress", ""], "1 to 256 bytes"),
        (&["jobs", "scheduled", "--older", "2h"], "only failed jobs say how old they are"),
        (&["jobs", "dead", "--group", "--page", "2"], "cannot be used with"),
        (&["jobs", "dead", "--error", ""], "1 to 256 bytes"),
    ]);
}

#[test]
fn a_pause_ends_at_a_time_or_after_a_span() {
    for (flag, value, end) in [
        ("--for", "1h30m", PauseEnd::In(Duration::from_secs(5_400))),
        ("--until", "1795299800.5", PauseEnd::At(1_795_299_800.5)),
    ] {
        match parse_line(&["pause", "queue", "img", flag, value]).unwrap() {
            Invocation::Pause(PauseOrder {
                action: PauseAction::Change(PauseChange::Pause { until, .. }),
                ..
            }) => assert_eq!(until, Some(end)),
            other => panic!("it became {other:?}"),
        }
    }
    check_refused(&[(&["pause", "queue", "a", "--for", "2h", "--until", "5"], "cannot be used with")]);
}
