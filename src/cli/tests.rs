//! Command lines as users type them, and the orders they turn into.

use std::time::Duration;

use super::*;
use crate::{
    acts::{
        action::{Action, Excess},
        prune::What,
    },
    admin::{
        Confirmation,
        act::{Act, Target},
        bulk::Bulk,
        enqueue::Due,
    },
    config::{Mode, Origin, Queues},
    limits::{DEAD_JOBS_MAX, DEAD_TIMEOUT, ENQUEUE_COUNT_MAX, JOBS_LIMIT, RETRIES_MAX},
    store::{
        entries::{Order, Place, Set},
        operate::DeadSetCaps,
    },
    view::filter::{Filter, NamePattern},
    wire::QueueName,
};

mod test_flags;

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
    assert_eq!((config.unused_note(), config.runners[0].shown().as_str()), (None, "./app.rb"));
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
    assert_eq!(worker(&["--shutdown-timeout", "9"]), worker(&["-t", "9"]));
    for flag in ["-v", "--verbose"] {
        assert_eq!(worker(&[flag]), worker(&["-v"]));
    }
    assert_eq!(worker(&["-q", "a,b", "-q", "c"]).queues, worker(&["-q", "a,b,c"]).queues);
    for (flag, said) in [
        ("-V", VERSION),
        ("--version", VERSION),
        ("-h", "--shutdown-timeout"),
        ("--help", "--shutdown-timeout"),
    ] {
        let Err(Error::Arguments(text)) = parse_line(&[flag]) else { panic!("{flag} runs something") };
        assert!(!text.use_stderr() && text.to_string().contains(said), "{flag}: {text}");
    }
}

#[test]
fn enqueue_keeps_the_arguments_as_they_were_written() {
    let args = r#"[12345678901234567890123, 1.0e+21, {"a":[null]}]"#;
    let line = ["Resize", args, "--queue", "img", "--count", "5", "--in", "1.5", "--retries", "3"];
    let order = enqueue(&line).unwrap().options;
    assert_eq!(order.args, args);
    assert_eq!((order.name.as_str(), order.queue), ("Resize", QueueName::new("img").unwrap()));
    assert_eq!(
        (order.count, order.due, order.retries),
        (5, Some(Due::In(Duration::from_millis(1500))), Some(3))
    );

    let EnqueueOrder { options: plain, redis_url } =
        enqueue(&["Noop", "--redis-url", "redis://flag"]).unwrap();
    assert_eq!((plain.args.as_str(), plain.count, plain.due, plain.retries), ("[]", 1, None, None));
    assert_eq!((plain.jid, plain.members, plain.ids), (None, Vec::new(), false));
    assert_eq!(
        (plain.queue, redis_url.unwrap().url.to_string()),
        (QueueName::default(), "redis://flag:6379/0".to_owned())
    );
}

#[test]
fn enqueue_takes_a_moment_an_id_and_members() {
    let line = ["N", "--at", "2026-12-24T18:00:00Z", "--jid", "mine", "--member", "tenant=acme"];
    let more = ["--member", "deep={\"a\":[1.0e+21]}", "--member", "empty=", "--ids"];
    let options = enqueue(&[&line[..], &more].concat()).unwrap().options;
    assert_eq!((options.due, options.jid.as_deref()), (Some(Due::At(1_798_135_200.0)), Some("mine")));
    let members: Vec<(&str, &str)> =
        options.members.iter().map(|member| (&*member.name, &*member.json)).collect();
    assert_eq!(members, [("tenant", "\"acme\""), ("deep", "{\"a\":[1.0e+21]}"), ("empty", "\"\"")]);
    assert!(options.ids);
    assert_eq!(
        enqueue(&["N", "--in", "1h30m"]).unwrap().options.due,
        Some(Due::In(Duration::from_secs(5_400)))
    );
    check_refused(&[
        (&["enqueue", "N", "--in", "5m", "--at", "1795299901"], "cannot be used with"),
        (&["enqueue", "N", "--jid", "j", "--count", "2"], "cannot be used with"),
        (&["enqueue", "--bulk", "f", "--member", "a=1"], "cannot be used with"),
        (&["enqueue", "N", "--member", "tenant"], "NAME=VALUE"),
        (&["enqueue", "N", "--member", "=1"], "NAME=VALUE"),
        (&["enqueue", "N", "--in", "5 minutes"], "units such as 90s, 5m"),
        (&["enqueue", "N", "--at", "tomorrow"], "2026-12-24T18:00:00Z"),
    ]);
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
    check(&["Noop", "--count", "0"], "a whole number from 1 to");
    check(&["Noop", "--count", &(ENQUEUE_COUNT_MAX + 1).to_string()], "a whole number from 1 to");
    check(&["Noop", "--retries", &(RETRIES_MAX + 1).to_string()], "from 0 to 1000");
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

/// Each of these lines is rejected, with a text that contains the part.
fn check_refused(lines: &[(&[&str], &str)]) {
    for (line, part) in lines {
        let error = parse_line(line).unwrap_err().to_string();
        assert!(error.contains(part), "{line:?}: {error}");
    }
}

#[test]
fn a_bulk_is_a_file_or_standard_input_and_defaults_for_its_lines() {
    let bulk = |line: &[&str]| match parse_line(&[&["enqueue"], line].concat()).unwrap() {
        Invocation::EnqueueBulk(order) => order.bulk,
        other => panic!("{line:?} became {other:?}"),
    };
    let plain = bulk(&["--bulk", "jobs.jsonl"]);
    let queue = QueueName::default();
    let expected =
        Bulk { file: Some("jobs.jsonl".into()), name: None, queue, retries: None, due: None, spread: None };
    assert_eq!(plain, expected);
    let full =
        bulk(&["Resize", "--bulk", "-", "-q", "img", "--retries", "2", "--in", "3", "--spread", "10m"]);
    let expected = Bulk {
        file: None,
        name: Some("Resize".to_owned()),
        queue: QueueName::new("img").unwrap(),
        retries: Some(2),
        due: Some(Due::In(Duration::from_secs(3))),
        spread: Some(Duration::from_secs(600)),
    };
    assert_eq!(full, expected);
    check_refused(&[
        (&["enqueue", "N", "[]", "--bulk", "f"], "cannot be used with"),
        (&["enqueue", "--bulk", "f", "--count", "2"], "cannot be used with"),
        (&["enqueue", "--bulk"], "a value is required"),
    ]);
}

#[test]
fn jobs_names_a_place_and_a_part_of_it() {
    let jobs = |line: &[&str]| match parse_line(&[&["jobs"], line].concat()).unwrap() {
        Invocation::Jobs(order) => order,
        other => panic!("{line:?} became {other:?}"),
    };
    let plain = jobs(&["retries"]);
    assert_eq!((&plain.query.place, plain.json), (&Place::Set(Set::Retries), false));
    assert_eq!((plain.query.skip, plain.query.limit, plain.query.order), (0, JOBS_LIMIT, Order::Newest));
    let page = jobs(&["--json", "queue", "img", "--page", "3", "--limit", "10", "--oldest"]);
    assert_eq!(page.query.place, Place::Queue("img".parse().unwrap()));
    assert_eq!(
        (page.query.skip, page.query.limit, page.query.order, page.json),
        (20, 10, Order::Oldest, true)
    );
    let found = jobs(&["dead", "--name", "A::*", "--jid", "j", "--skip", "7", "--examine", "9"]).query;
    let name = Some(NamePattern::Prefix("A::".to_owned()));
    assert_eq!(found.filter, Filter { name, ..Filter::jid("j") });
    assert_eq!((found.skip, found.examine_max), (7, 9));
    check_refused(&[
        (&["jobs"], "<PLACE>"),
        (&["jobs", "retry"], "possible values: queue, retries, scheduled, dead"),
        (&["jobs", "queue"], "<QUEUE>"),
        (&["jobs", "queue", "escaped:\\y"], "two hexadecimal digits"),
        (&["jobs", "queue", "a:in_progress:b"], "a Ruby server runs"),
        (&["jobs", "dead", "img"], "only `jobs queue` takes a name"),
        (&["jobs", "dead", "--page", "0"], "from 1 to"),
        (&["jobs", "dead", "--limit", "1001"], "from 1 to 1000"),
        (&["jobs", "dead", "--page", "2", "--name", "N"], "cannot be used with"),
        (&["jobs", "dead", "--jid", ""], "1 to 256 bytes"),
    ]);
}

#[test]
fn an_act_names_one_job_or_all_of_a_set() {
    let act = |line: &[&str]| match parse_line(line).unwrap() {
        Invocation::Act(order) => order.act,
        other => panic!("{line:?} became {other:?}"),
    };
    let job = |action, places: &[Place], confirmation| Act {
        action,
        target: Target::Job { jid: "j".to_owned(), places: places.to_vec() },
        confirmation,
    };
    let sets = Set::ALL.map(Place::Set);
    assert_eq!(act(&["retry", "j"]), job(Action::Retry(None), &sets, Confirmation::Given));
    assert_eq!(
        act(&["retry", "j", "--from", "dead"]),
        job(Action::Retry(None), &sets[2..], Confirmation::Given)
    );
    let live = Action::Retry(Some("live".parse().unwrap()));
    assert_eq!(act(&["retry", "j", "--queue", "live"]), job(live, &sets, Confirmation::Given));
    let caps = DeadSetCaps { jobs_max: DEAD_JOBS_MAX, timeout_s: DEAD_TIMEOUT.as_secs() };
    assert_eq!(act(&["kill", "j"]), job(Action::Kill(caps, Excess::Refuse), &sets[..2], Confirmation::Ask));
    let trims = job(Action::Kill(caps, Excess::Trim), &sets[..2], Confirmation::Ask);
    assert_eq!(act(&["kill", "j", "--trim"]), trims);
    assert_eq!(act(&["delete", "j", "--yes"]), job(Action::Delete, &sets, Confirmation::Given));
    let img = [Place::Queue("img".parse().unwrap())];
    assert_eq!(act(&["delete", "j", "--queue", "img"]), job(Action::Delete, &img, Confirmation::Ask));
    let all = act(&["retry", "--all", "dead", "--name", "N"]);
    let name = Some(NamePattern::Exact("N".to_owned()));
    assert_eq!(all.target, Target::All { set: Set::Dead, name });
    check_refused(&[
        (&["retry"], "<JID>"),
        (&["retry", "--all"], "retries, scheduled, dead"),
        (&["retry", "--all", "queue"], "possible values: retries, scheduled, dead"),
        (&["retry", "j", "--all", "dead"], "cannot be used with"),
        (&["retry", "j", "--name", "N"], "cannot be used with"),
        (&["kill", "--all", "dead"], "what is dead cannot be killed"),
        (&["kill", "j", "--from", "dead"], "give retries or scheduled"),
        (&["delete", "j", "--queue", "img", "--from", "dead"], "cannot be used with"),
    ]);
}

#[test]
fn prune_names_what_to_delete() {
    let prune = |line: &[&str]| match parse_line(&[&["prune"], line].concat()).unwrap() {
        Invocation::Prune(order) => (order.what, order.confirmation),
        other => panic!("{line:?} became {other:?}"),
    };
    assert_eq!(prune(&["queue", "img"]), (What::Queue("img".parse().unwrap()), Confirmation::Ask));
    assert_eq!(prune(&["dead", "--yes"]), (What::Set(Set::Dead), Confirmation::Given));
    assert_eq!(prune(&["all"]).0, What::All);
    check_refused(&[
        (&["prune"], "<WHAT>"),
        (&["prune", "everything"], "possible values: queue, queues, retries"),
        (&["prune", "queue"], "<QUEUE>"),
        (&["prune", "dead", "img"], "only `prune queue` takes a name"),
    ]);
}

/// A minus before digits is not an option.
#[test]
fn a_negative_number_is_refused_as_a_number() {
    let check = |line: &[&str], part: &str| {
        let error = parse_line(line).unwrap_err().to_string();
        assert!(error.contains(part), "{line:?}: {error}");
    };
    check(&["--cores", "-1"], "`-1` is not allowed");
    check(&["-c", "-1"], "`-1` is not allowed");
    check(&["enqueue", "N", "--in", "-5"], "from 0 to");
    check(&["enqueue", "N", "--count", "-1"], "give a whole number from 1 to");
    check(&["enqueue", "N", "--retries", "many"], "give a whole number from 0 to");
    check(&["jobs", "dead", "--limit", "-1"], "give a whole number from 1 to");
    check(&["top", "--interval", "-1"], "from 0.1 to 60");
    check(&["quiet"], "quiet [OPTIONS] --all");
}
