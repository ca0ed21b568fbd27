//! `/api/v1`: what commands print with `--json`, over HTTP, as its description says.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{add, alone};
use crate::harness::http::{Answer, ask};
use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json, output_of};
use crate::internal::limits::PAGE_ROWS_MAX;

/// An answer with this status, which is JSON.
#[track_caller]
fn api_with(server: &Worker, path: &str, status: u16) -> Value {
    let answer = server.get(path);
    assert_eq!(answer.status, status, "{path}: {}", answer.body);
    is_json(&answer)
}

#[track_caller]
fn is_json(answer: &Answer) -> Value {
    let head = answer.head.to_lowercase();
    assert!(head.contains("content-type: application/json") && head.contains("no-store"), "{head}");
    json(&answer.body)
}

#[track_caller]
fn api(server: &Worker, path: &str) -> Value {
    api_with(server, path, 200)
}

/// Why it is refused.
#[track_caller]
fn error(server: &Worker, path: &str, status: u16) -> String {
    let refused = api_with(server, path, status);
    assert_eq!(refused.as_object().unwrap().len(), 1, "{refused}");
    refused["error"].as_str().unwrap().to_owned()
}

/// What a command prints with `--json`.
#[track_caller]
fn printed(redis: &Redis, args: &[&str]) -> Value {
    let output = output_of(&[args, &["--json", "--redis-url", &redis.url()]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    json(output.stdout)
}

/// The shape of a value: its members, and that of the first of its elements.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(elements) => elements.first().map(shape).into_iter().collect(),
        _ => Value::Null,
    }
}

/// Checks that a value has all that its description requires, as far down as it describes it.
#[track_caller]
fn check(described: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(place) => described.pointer(place.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    };
    // A null of a member that may be null.
    let required = schema["required"].as_array().filter(|_| !value.is_null());
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        assert!(value.get(name).is_some(), "{at} has no member {name}: {value}");
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            check(described, schema, value, &format!("{at}.{name}"));
        }
    }
    for (number, value) in value.as_array().into_iter().flatten().enumerate() {
        check(described, &schema["items"], value, &format!("{at}[{number}]"));
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => return,
        one => vec![one.clone()],
    };
    let is_one = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{at}: what is {other}?"),
    };
    assert!(types.iter().any(is_one), "{at} is not {types:?}: {value}");
}

/// Something of everything.
fn furnish(redis: &Redis) {
    redis.push("mail", &[r#"{"name":"Mail","args":[1],"jid":"0d655a187e214821"}"#, "no job"]);
    add(
        redis,
        DEAD,
        &[
            (2.5, r#"{"name":"Gone","args":[{"token":"s3cret"}],"jid":"dead1","error_class":"E"}"#),
            (1.5, r#"{"name":"Gone","args":[12345678901234567890123],"jid":"dead2","error_class":"F"}"#),
        ],
    );
    add(redis, RETRIES, &[(4e9, r#"{"name":"Again","jid":"again","retries":3,"attempt":1}"#)]);
    order(redis, &["pause", "queue", "mail"]);
    order(redis, &["cron", "add", "yearly", "@yearly", "Report", "[1]", "--queue", "mail"]);
}

#[track_caller]
fn order(redis: &Redis, args: &[&str]) {
    let done = output_of(&[args, &["--redis-url", &redis.url()]].concat());
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn every_described_path_answers_as_described_and_as_the_command_prints() {
    let redis = Redis::start();
    furnish(&redis);
    let worker = Worker::start(&redis, &["-q", "default", "--web", "127.0.0.1:0"]);
    wait_until("the worker is seen", || api(&worker, "/api/v1/processes")["processes"][0]["ok"] == true);
    let described = api(&worker, "/api/v1/openapi.json");
    for (path, operations) in described["paths"].as_object().unwrap() {
        assert_eq!(operations.as_object().unwrap().keys().collect::<Vec<_>>(), ["get"], "{path}");
        let operation = &operations["get"];
        let mut asked = path.clone();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "path" {
                let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
                asked = asked.replace(&name, parameter["example"].as_str().unwrap());
            }
        }
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{path}");
        check(&described, schema, &api(&worker, &asked), &asked);
    }
    assert_eq!(api(&worker, "/api/v1/queues"), printed(&redis, &["queues"]));
    for place in ["retries", "scheduled"] {
        assert_eq!(api(&worker, &format!("/api/v1/jobs/{place}")), printed(&redis, &["jobs", place]));
    }
    assert_eq!(api(&worker, "/api/v1/jobs/queue?queue=mail"), printed(&redis, &["jobs", "queue", "mail"]));
    for jid in ["again", "0d655a187e214821"] {
        assert_eq!(api(&worker, &format!("/api/v1/jobs/id/{jid}")), printed(&redis, &["show", jid]));
    }
    assert_eq!(api(&worker, "/api/v1/pauses"), printed(&redis, &["pause", "--list"]));
    for (path, command) in [
        ("dead", &["dead"][..]),
        ("dead?class=E", &["dead", "--class", "E"]),
        ("queue?queue=mail", &["queue", "mail"]),
    ] {
        let expected = printed(&redis, &[&["jobs"], command, &["--group"]].concat());
        assert_eq!(api(&worker, &format!("/api/v1/groups/{path}")), expected);
    }
    for jid in ["again", "dead1"] {
        let (one, other) = (api(&worker, &format!("/api/v1/why/{jid}")), printed(&redis, &["why", jid]));
        assert_eq!((&one["place"], &one["queue"]), (&other["place"], &other["queue"]));
        assert_eq!(one["reasons"][0]["what"], other["reasons"][0]["what"]);
        assert_eq!(shape(&one), shape(&other), "{jid}");
    }
    let waiting = api(&worker, "/api/v1/why/0d655a187e214821");
    assert_eq!((&waiting["nth"], &waiting["of"]), (&1.into(), &2.into()), "{waiting}");
    assert_eq!(waiting["reasons"][0]["what"], "queue-paused");
    // They change with each heartbeat.
    for (path, command) in [("summary", "summary"), ("processes", "processes")] {
        let (one, other) = (api(&worker, &format!("/api/v1/{path}")), printed(&redis, &[command]));
        assert_eq!(shape(&one), shape(&other), "{path}");
    }
    let counts = api(&worker, "/api/v1/summary");
    assert_eq!((&counts["dead_jobs_count"], &counts["queues"]["mail"]), (&2.into(), &2.into()));
}

#[test]
fn payloads_are_exact_but_for_secrets_and_pages_and_filters_are_those_of_the_command() {
    let redis = Redis::start();
    furnish(&redis);
    let web = alone(&redis, &[]);
    let body = web.get("/api/v1/jobs/dead").body;
    assert!(body.contains("12345678901234567890123") && !body.contains("s3cret"), "{body}");
    let mut expected = printed(&redis, &["jobs", "dead"]);
    expected["jobs"][0]["job"]["args"][0]["token"] = "[hidden]".into();
    assert_eq!(json(&body), expected);
    let found = api(&web, "/api/v1/jobs/dead?class=F&order=oldest");
    assert_eq!(
        (found["jobs"].as_array().unwrap().len(), &found["jobs"][0]["job"]["jid"]),
        (1, &"dead2".into())
    );
    let many: Vec<String> =
        (0..PAGE_ROWS_MAX).map(|number| format!(r#"{{"name":"N","jid":"{number}"}}"#)).collect();
    redis.push("many", &many);
    redis.push("many", &many);
    let first = api(&web, "/api/v1/jobs/queue?queue=many");
    assert_eq!((&first["total"], &first["next_skip"]), (&(2 * PAGE_ROWS_MAX).into(), &PAGE_ROWS_MAX.into()));
    let rest = api(&web, &format!("/api/v1/jobs/queue?queue=many&skip={}", first["next_skip"]));
    assert_eq!((rest["jobs"].as_array().unwrap().len(), &rest["next_skip"]), (PAGE_ROWS_MAX, &Value::Null));
}

#[test]
fn the_past_is_that_of_the_command() {
    let redis = Redis::start();
    for hours_ago in [2, 3, 40] {
        super::past::keep(&redis, hours_ago);
    }
    let web = alone(&redis, &[]);
    for (query, args) in [
        ("", &["--since", "24h"][..]),
        ("?since=172800&by=hour&class=Ma*", &["--since", "48h", "--by", "hour", "--class", "Ma*"]),
        ("?since=172800&queue=other", &["--since", "48h", "--queue", "other"]),
    ] {
        let shown = api(&web, &format!("/api/v1/history{query}"));
        assert_eq!(shown, printed(&redis, &[&["history"], args].concat()), "{query}");
    }
    let all = api(&web, "/api/v1/history?since=172800");
    assert_eq!((all["by"].as_str(), all["slices"].as_array().unwrap().len()), (Some("hour"), 3));
}

#[test]
fn periodic_jobs_are_those_of_the_command_page_by_page_without_secrets() {
    let redis = Redis::start();
    redis.run(&["HSET", "jiggler:uring:cron:entries", "broken", "{"]);
    let args = r#"[{"token":"s3cret"},12345678901234567890123]"#;
    order(&redis, &["cron", "add", "yearly", "@yearly", "Report", args, "--queue", "mail"]);
    order(&redis, &["cron", "run", "yearly"]);
    let web = alone(&redis, &[]);
    let body = web.get("/api/v1/cron").body;
    assert!(body.contains("12345678901234567890123") && !body.contains("s3cret"), "{body}");
    let mut expected = printed(&redis, &["cron", "list"]);
    assert_eq!(expected["entries"][1]["last"]["outcome"], "queued", "{expected}");
    expected["entries"][1]["entry"]["args"][0]["token"] = "[hidden]".into();
    let page = json(&body);
    assert_eq!(page["entries"], expected["entries"]);
    assert_eq!((&page["total"], &page["next_skip"]), (&2.into(), &Value::Null));
    for number in 0..PAGE_ROWS_MAX {
        redis.run(&["HSET", "jiggler:uring:cron:entries", &format!("z{number:02}"), "{"]);
    }
    let first = api(&web, "/api/v1/cron");
    assert_eq!(
        (first["entries"].as_array().unwrap().len(), &first["next_skip"]),
        (PAGE_ROWS_MAX, &50.into())
    );
    let rest = api(&web, "/api/v1/cron?skip=50");
    let names: Vec<_> = rest["entries"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert_eq!((names, &rest["next_skip"]), (vec![&Value::from("z48"), &Value::from("z49")], &Value::Null));
    assert_eq!(api(&web, "/api/v1/cron?skip=99")["entries"], Value::Array(Vec::new()));
    redis.run(&["DEL", "jiggler:uring:cron:entries"]);
    redis.run(&["SET", "jiggler:uring:cron:entries", "x"]);
    assert!(error(&web, "/api/v1/cron", 503).contains("WRONGTYPE"));
}

#[test]
fn what_is_not_answered_says_why_in_json() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    for path in ["/api", "/api/v1", "/api/v1/nothing", "/api/v1/jobs/dead/x"] {
        assert!(error(&web, path, 404).contains("/api/v1/openapi.json"), "{path}");
    }
    for (path, part) in [
        ("/api/v1/jobs/nowhere", "parameter place: give retries, scheduled, dead, queue"),
        ("/api/v1/jobs/queue", "parameter queue: give the name of a queue"),
        ("/api/v1/jobs/dead?skip=-1", "parameter skip: give a whole number"),
        ("/api/v1/jobs/dead?older=2y", "parameter older: give 10m"),
        ("/api/v1/jobs/scheduled?error=x", "parameter error is not one of skip, order, name, args, from"),
        ("/api/v1/history?since=-1", "parameter since: give a whole number"),
        ("/api/v1/history?by=week", "parameter by: give minute, hour, day"),
        ("/api/v1/pauses?x=1", "parameter x is not one of none"),
        ("/api/v1/groups/dead?limit=9", "parameter limit is not one of skip, order"),
        ("/api/v1/summary?fleet=1", "parameter fleet is not one of none"),
    ] {
        let said = error(&web, path, 400);
        assert!(said.contains(part), "{path}: {said}");
    }
    let send = |method: &str| {
        let head = "Host: localhost\r\nConnection: close\r\n\r\n";
        ask(web.web_address(), &format!("{method} /api/v1/queues HTTP/1.1\r\n{head}"))
    };
    for method in ["POST", "DELETE", "PUT", "OPTIONS"] {
        let refused = send(method);
        assert_eq!(refused.status, 405, "{method}");
        assert!(refused.head.to_lowercase().contains("allow: get, head"), "{}", refused.head);
        assert!(is_json(&refused)["error"].is_string());
    }
    let head = send("HEAD");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let stopped = super::hostile::Stopped::of(&redis);
    wait_until("what was read is no longer fresh", || web.get("/api/v1/queues").status == 503);
    for path in ["/api/v1/summary", "/api/v1/processes", "/api/v1/jobs/dead"] {
        let began = Instant::now();
        assert!(error(&web, path, 503).starts_with("redis: "), "{path}");
        assert!(began.elapsed() < Duration::from_secs(2), "{path}");
    }
    assert_eq!(web.get("/api/v1/openapi.json").status, 200, "it is not in redis");
    drop(stopped);
    wait_until("Redis is back", || web.get("/api/v1/summary").status == 200);
}

#[test]
fn a_job_is_found_where_it_is_or_runs_and_otherwise_the_answer_says_where_it_is_not() {
    let redis = Redis::start();
    furnish(&redis);
    let file = config_file("stats_interval: 1\n");
    let worker = Worker::start(&redis, &["-q", "default", "--web", "127.0.0.1:0", "-C", &file.path()]);
    let dead = api(&worker, "/api/v1/jobs/id/dead1");
    assert_eq!(
        (&dead["place"], &dead["found"]["job"]["args"][0]["token"]),
        (&"dead".into(), &"[hidden]".into())
    );
    assert_eq!(api(&worker, "/api/v1/jobs/id/dead%31?place=dead"), dead);
    let waiting = api(&worker, "/api/v1/jobs/id/0d655a187e214821?place=queue&queue=mail");
    assert!(waiting["queue_paused"]["at"].is_number(), "{waiting}");
    let handle = printed(&redis, &["jobs", "queue", "mail"]);
    assert!(handle["jobs"][0]["no_job"].is_string() || handle["jobs"][1]["no_job"].is_string());
    redis.run(&["SET", "jiggler:uring:progress:again", r#"{"done":3,"total":9,"note":"n","at":1.5}"#]);
    assert_eq!(api(&worker, "/api/v1/jobs/id/again")["progress"]["done"], 3);
    redis.push("default", &[r#"{"name":"Sleep","args":[60],"jid":"5d655a187e214821"}"#]);
    wait_until("it runs", || {
        let answer = worker.get("/api/v1/jobs/id/5d655a187e214821");
        answer.status == 200 && json(&answer.body)["running"][0]["name"] == "Sleep"
    });
    let runs = api(&worker, "/api/v1/why/5d655a187e214821");
    assert!(runs["place"].is_null() && runs["name"] == "Sleep", "{runs}");
    assert!(runs["reasons"][0]["text"].as_str().unwrap().contains("it is running since"), "{runs}");
    assert!(error(&worker, "/api/v1/why/nobody", 404).contains("no job nobody"));
    let said = error(&worker, "/api/v1/jobs/id/nobody", 404);
    for part in ["no job nobody", "the dead set (2 of 2 entries examined)", "queue mail (2 of 2"] {
        assert!(said.contains(part), "{said}");
    }
    let said = error(&worker, "/api/v1/jobs/id/dead1?place=retries", 404);
    assert!(!said.contains("mail"), "{said}");
    assert!(
        error(&worker, "/api/v1/jobs/id/again?skip=1", 400).contains("parameter skip: give a place with it")
    );
    assert!(error(&worker, "/api/v1/jobs/id/%zz", 400).contains("parameter jid"));
}

#[test]
fn those_who_may_not_read_are_refused_in_json() {
    const TOKEN: &str = "0f3b6c52a97e41d8";
    let redis = Redis::start();
    let file = config_file(&format!("{TOKEN} read\n"));
    let web = alone(&redis, &["--web-auth", &file.path()]);
    for path in ["/api/v1/summary", "/api/v1/openapi.json", "/api/v1/nothing"] {
        assert!(error(&web, path, 401).contains("--web-auth"), "{path}");
    }
    let fields = format!("Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n");
    let answer = ask(web.web_address(), &format!("GET /api/v1/summary HTTP/1.1\r\n{fields}"));
    assert_eq!(answer.status, 200, "who may read, may read this");
}
