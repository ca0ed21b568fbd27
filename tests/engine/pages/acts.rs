//! What people have done by pages: asked first, done once, by those who may, and noted.

use std::time::{Duration, Instant};

use super::hostile::Stopped;
use super::{add, alone, browse_with, page, page_with};
use crate::harness::html::Html;
use crate::harness::http::{Answer, ask};
use crate::harness::redis::{DEAD, RETRIES, SCHEDULED};
use crate::harness::wait::{wait_for, wait_until};
use crate::harness::{ConfigFile, Redis, Worker, config_file};

const READ: &str = "Authorization: Bearer 0f3b6c52a97e41d0\r\n";
pub(super) const OPERATE: &str = "Authorization: Bearer 0f3b6c52a97e41d1\r\n";
pub(super) const ADMIN: &str = "Authorization: Bearer 0f3b6c52a97e41d2\r\n";

/// A file with a token for each role.
pub(super) fn roles() -> ConfigFile {
    config_file("0f3b6c52a97e41d0 read\n0f3b6c52a97e41d1 operate\n0f3b6c52a97e41d2 admin\n")
}

#[track_caller]
pub(super) fn guarded(redis: &Redis, file: &ConfigFile) -> Worker {
    alone(redis, &["--web-auth", &file.path()])
}

/// The fields of the form of a page that would change something, if it has one.
pub(super) fn form(html: &Html) -> Option<(String, String)> {
    let at = html
        .elements
        .iter()
        .position(|(name, all)| name == "form" && all.get("method").is_some_and(|method| method == "post"))?;
    let mut fields = form_urlencoded::Serializer::new(String::new());
    for (_, all) in html.elements[at..].iter().filter(|(name, _)| name == "input") {
        fields.append_pair(&all["name"], all.get("value").map_or("", String::as_str));
    }
    Some((format!("/{}", html.elements[at].1["action"]), fields.finish()))
}

pub(super) fn send(server: &Worker, path: &str, fields: &str, head: &str) -> Answer {
    let length = fields.len();
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let head =
        format!("Host: localhost\r\nConnection: close\r\n{kind}\r\nContent-Length: {length}\r\n{head}");
    ask(server.web_address(), &format!("POST {path} HTTP/1.1\r\n{head}\r\n{fields}"))
}

/// The page that asks, with all counted.
#[track_caller]
pub(super) fn asked(server: &Worker, query: &str, who: &str) -> Html {
    let mut path = format!("/act?{query}");
    loop {
        let answer = browse_with(server, &path, who);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let html = Html::read(&answer.body);
        match refresh(&html) {
            Some(next) => path = format!("/{}", next.split_once("url=").unwrap().1),
            None => return html,
        }
    }
}

/// When a page loads itself again, and from where.
fn refresh(html: &Html) -> Option<String> {
    let mut all = html.elements.iter().filter(|(_, all)| all.contains_key("http-equiv"));
    all.next().map(|(_, all)| all["content"].clone())
}

#[track_caller]
pub(super) fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    let line = answer.head.lines().find(|line| line.to_lowercase().starts_with("location: ")).unwrap();
    format!("/{}", &line["location: ".len()..])
}

/// Agrees to it, and returns what it came to.
#[track_caller]
fn agree(server: &Worker, html: &Html, who: &str) -> Html {
    let (path, fields) = form(html).unwrap_or_else(|| panic!("nothing to agree to: {}", html.text));
    let task = location(&send(server, &path, &fields, who));
    wait_for("it is over", || {
        let html = Html::read(&browse_with(server, &task, who).body);
        refresh(&html).is_none().then_some(html)
    })
}

#[track_caller]
fn done(server: &Worker, query: &str, who: &str) -> String {
    agree(server, &asked(server, query, who), who).text
}

#[track_caller]
pub(super) fn check(server: &Worker, query: &str, who: &str, said: &str) {
    let text = done(server, query, who);
    assert!(text.contains(said), "{query}: {text}");
}

#[test]
fn a_job_is_retried_killed_and_deleted_from_its_page_and_all_is_noted() {
    for redis in Redis::of_each_dialect() {
        let is_sidekiq = redis.flags().contains(&"sidekiq");
        let (dead, retries, audit) = match is_sidekiq {
            true => ("dead", "retry", "jiggler-uring:audit"),
            false => (DEAD, RETRIES, "jiggler:uring:audit"),
        };
        let file = roles();
        let web = alone(&redis, &[&redis.flags()[..], &["--web-auth", &file.path()]].concat());
        let member = if is_sidekiq { "class" } else { "name" };
        let job = |jid: &str| format!(r#"{{"{member}":"Mail","args":[],"queue":"mail","jid":"{jid}"}}"#);
        add(&redis, dead, &[(1.0, &job("d1")), (2.0, &job("d2"))]);
        add(&redis, retries, &[(5e9, &job("r1"))]);
        let shown = Html::read(&browse_with(&web, "/job?place=dead&id=d1", ADMIN).body);
        let ways = shown.links("act?do=");
        assert!(ways.iter().any(|way| way == "act?do=retry&place=dead&id=d1"), "{ways:?}");
        let html = asked(&web, "do=retry&place=dead&id=d1", ADMIN);
        assert!(html.text.contains("Retry job d1?"), "{}", html.text);
        assert_eq!(redis.count(dead), 2, "asking changes nothing");
        let said = agree(&web, &html, ADMIN).text;
        assert!(said.contains("Job d1 (Mail) of the dead set was retried."), "{said}");
        assert!(said.contains("No process serves queue mail: 1 job waits until one does."), "{said}");
        check(&web, "do=retry&place=dead&id=d1", ADMIN, "It is not in the dead set: it was taken");
        check(
            &web,
            "do=kill&place=retries&id=r1",
            ADMIN,
            "Job r1 (Mail) of the retry set was moved to the dead set.",
        );
        check(&web, "do=delete&place=dead&id=d2", ADMIN, "Job d2 (Mail) of the dead set was deleted.");
        assert_eq!((redis.count(dead), redis.count(retries)), (1, 0));
        let log = Html::read(&browse_with(&web, "/audit", ADMIN).body);
        assert_eq!(log.rows[1][1..5], ["the token of line 3", "delete job d2", "done", "1"]);
        assert_eq!(log.rows.len(), 1 + 4);
        assert_eq!(redis.list(&["LRANGE", audit, "0", "-1"]).len(), 4);
        wait_until("the log tells as well", || web.lines("web: acted").len() == 4);
    }
}

#[test]
fn all_that_match_are_counted_first_and_then_acted_on_once() {
    let redis = Redis::start();
    let file = roles();
    let web = guarded(&redis, &file);
    let job = |number: usize| {
        let name = if number.is_multiple_of(3) { "Mail" } else { "Other" };
        format!(r#"{{"name":"{name}","jid":"j{number}","queue":"q","error_class":"E","error_message":"m"}}"#)
    };
    let jobs: Vec<String> = (0..9_000).map(job).collect();
    let entries: Vec<(f64, &str)> =
        jobs.iter().enumerate().map(|(at, job)| (at as f64, job.as_str())).collect();
    add(&redis, DEAD, &entries);
    add(&redis, SCHEDULED, &entries[..300]);
    let part = Html::read(&browse_with(&web, "/act?do=delete&place=dead&name=Mail", ADMIN).body);
    assert!(part.text.contains("Delete at least 1,666 dead jobs named Mail?"), "{}", part.text);
    assert!(part.text.contains("of 5,000 of 9,000 examined") && form(&part).is_none(), "{}", part.text);
    let html = asked(&web, "do=delete&place=dead&name=Mail", ADMIN);
    assert!(html.text.contains("Delete 3,000 dead jobs named Mail?"), "{}", html.text);
    assert!(html.text.contains("They are gone for good."));
    let said = agree(&web, &html, ADMIN).text;
    assert!(said.contains("3,000 jobs of the dead set were deleted."), "{said}");
    assert_eq!(redis.count(DEAD), 6_000);
    // The same form again does nothing, and leads to the same result.
    add(&redis, DEAD, &[(1.0, r#"{"name":"Mail","jid":"new"}"#)]);
    assert!(agree(&web, &html, ADMIN).text.contains("3,000 jobs of the dead set were deleted."));
    assert_eq!(redis.count(DEAD), 6_001);
    let log = Html::read(&browse_with(&web, "/audit", ADMIN).body);
    assert_eq!(log.rows[1][2..5], ["delete all dead jobs named Mail", "done", "3,000"]);
    assert_eq!(log.rows[2][2..5], ["delete all dead jobs named Mail", "began", "0"]);

    let empty = asked(&web, "do=delete&place=dead&name=Nobody", ADMIN);
    assert!(empty.text.contains("There is nothing to do") && form(&empty).is_none(), "{}", empty.text);
    check(
        &web,
        "do=kill&place=scheduled&name=Mail",
        ADMIN,
        "100 jobs of the scheduled set were moved to the dead set.",
    );
    check(&web, "do=retry&place=scheduled", ADMIN, "200 jobs of the scheduled set were retried.");
    assert_eq!((redis.queue("q").len(), redis.count(SCHEDULED), redis.count(DEAD)), (200, 0, 6_101));
    // It keeps 10,000 entries: more are not moved than have room.
    add(&redis, SCHEDULED, &entries);
    check(&web, "do=kill&place=scheduled", ADMIN, "The dead set has 6,101 entries and keeps 10000");
    assert_eq!((redis.count(SCHEDULED), redis.count(DEAD)), (9_000, 6_101));
}

#[test]
fn queues_and_classes_are_paused_with_a_reason_resumed_and_cleared() {
    let redis = Redis::start();
    let file = roles();
    let web = guarded(&redis, &file);
    redis.push("mail", &["a", "b"]);
    wait_until("it is seen", || browse_with(&web, "/queues", ADMIN).body.contains("act?do=pause"));
    let (path, fields) = form(&asked(&web, "do=pause&queue=mail", OPERATE)).unwrap();
    location(&send(&web, &path, &fields.replace("why=", "why=a+%3Cbug%3E"), OPERATE));
    wait_until("the pause is shown", || {
        let html = Html::read(&browse_with(&web, "/queues", ADMIN).body);
        let row = html.row("mail");
        row[4].contains("by the token of line 2: a <bug>") && row[6] == "Resume"
    });
    assert!(redis.text("jiggler:uring:paused").unwrap().contains("a <bug>"));
    check(&web, "do=pause&name=Mail", OPERATE, "The class Mail is paused.");
    check(&web, "do=pause&name=Mail", OPERATE, "The class Mail is paused.");
    wait_until("the class is shown", || browse_with(&web, "/queues", ADMIN).body.contains("Paused classes"));
    check(&web, "do=resume&queue=mail", OPERATE, "The queue mail runs again.");
    check(&web, "do=resume&queue=mail", OPERATE, "The queue mail was not paused.");
    check(&web, "do=resume&name=Mail", OPERATE, "The class Mail runs again.");
    assert_eq!(redis.text("jiggler:uring:paused"), None);
    let html = asked(&web, "do=clear&queue=mail", ADMIN);
    assert!(html.text.contains("Delete 2 waiting jobs of queue mail?"), "{}", html.text);
    assert!(agree(&web, &html, ADMIN).text.contains("2 jobs of queue mail were deleted."));
    assert!(redis.queue("mail").is_empty());
    let long = format!("{fields}&why={}", "x".repeat(301)).replace("&why=&", "&");
    assert_eq!(send(&web, &path, &long, OPERATE).status, 400);
}

#[test]
fn a_running_job_is_cancelled_and_its_process_made_quiet_and_stopped() {
    let redis = Redis::start();
    let file = roles();
    let web = guarded(&redis, &file);
    let mut worker = Worker::start(&redis, &["-t", "30"]);
    redis.push("default", &[r#"{"name":"Sleep","args":[60],"jid":"0d655a187e214821"}"#]);
    wait_until("it is named, and may be cancelled", || {
        browse_with(&web, "/busy", OPERATE).body.contains("act?do=cancel&#38;id=0d655a187e214821")
    });
    check(&web, "do=cancel&id=0d655a187e214821", OPERATE, "1 worker was asked to end it.");
    wait_until("it is dead", || redis.count(DEAD) == 1);
    let uuid = redis.uuid();
    check(&web, &format!("do=quiet&process={uuid}"), OPERATE, "It is quiet.");
    check(&web, &format!("do=stop&process={uuid}"), ADMIN, "It has left.");
    assert_eq!(worker.wait_for_end().code(), Some(0));
    check(&web, "do=stop&process=nobody", ADMIN, "It is not there: it has left.");
}

#[test]
fn roles_are_checked_where_it_is_asked_and_where_it_is_done() {
    let redis = Redis::start();
    let file = roles();
    let web = guarded(&redis, &file);
    add(&redis, DEAD, &[(1.0, r#"{"name":"Mail","jid":"j"}"#)]);
    redis.push("mail", &["x"]);
    let of_admins = [
        "do=delete&place=dead&id=j",
        "do=delete&place=dead",
        "do=delete&place=queue&queue=mail&id=j",
        "do=clear&queue=mail",
        "do=stop&process=p",
        "do=remove&periodic=p",
        "do=again&place=dead&id=j&remove=1",
    ];
    let of_operators = [
        "do=retry&place=dead&id=j",
        "do=retry&place=dead",
        "do=kill&place=retries&id=j",
        "do=kill&place=retries",
        "do=pause&queue=mail",
        "do=pause&name=Mail",
        "do=resume&queue=mail",
        "do=quiet&process=p",
        "do=cancel&id=j",
        "do=again&place=dead&id=j",
        "do=run&periodic=p",
        "do=pause&periodic=p",
        "do=resume&periodic=p",
    ];
    let before = redis.keys("*");
    let local = alone(&redis, &[]);
    let read_only = alone(&redis, &["--web-auth", &file.path(), "--web-read-only"]);
    let check = |server: &Worker, query: &str, who: &str, may: bool| {
        let asked = browse_with(server, &format!("/act?{query}"), who);
        assert_eq!(asked.status, if may { 200 } else { 403 }, "{query} {who}: {}", asked.body);
        let said = if may { "is not one that this server has just shown" } else { "takes the role" };
        let sent = send(server, "/act", &format!("{query}&token=0123"), who);
        assert_eq!(sent.status, if may { 409 } else { 403 }, "{query} {who}: {}", sent.body);
        assert!(sent.body.contains(said), "{query} {who}: {}", sent.body);
    };
    for query in of_admins.iter().chain(&of_operators) {
        let is_admins = of_admins.contains(query);
        check(&web, query, READ, false);
        check(&web, query, OPERATE, !is_admins);
        check(&web, query, ADMIN, true);
        check(&read_only, query, ADMIN, false);
        // Without names nothing is done that cannot be undone.
        check(&local, query, "", !is_admins);
        assert_eq!(send(&web, "/act", query, "").status, 401, "{query}");
    }
    for page in ["/dead", "/queues", "/queue?queue=mail", "/job?id=j", "/processes"] {
        let html = Html::read(&browse_with(&web, page, READ).body);
        assert!(html.links("act?").is_empty(), "{page}: what a reader may not do is not offered");
    }
    assert_eq!(redis.keys("*"), before, "nothing was done");
}

#[test]
fn a_form_counts_only_from_a_page_that_was_shown_to_the_one_who_sends_it() {
    let redis = Redis::start();
    let file = roles();
    let web = guarded(&redis, &file);
    add(&redis, DEAD, &[(1.0, r#"{"name":"Mail","jid":"j"}"#), (2.0, r#"{"name":"Mail","jid":"k"}"#)]);
    let (path, fields) = form(&asked(&web, "do=delete&place=dead&id=j", ADMIN)).unwrap();
    let other = fields.replace("id=j", "id=k");
    let refused = |fields: &str, head: &str, status: u16| {
        let answer = send(&web, &path, fields, head);
        assert_eq!(answer.status, status, "{fields} {head}: {}", answer.body);
    };
    for site in ["cross-site", "same-site", "none", ""] {
        refused(&fields, &format!("{ADMIN}Sec-Fetch-Site: {site}\r\n"), 403);
    }
    refused(&fields, &format!("{ADMIN}Origin: http://evil.example\r\n"), 403);
    refused(&fields, &format!("{ADMIN}Origin: http://localhost:1\r\n"), 403);
    refused(&other, ADMIN, 409);
    refused("do=delete&place=dead&id=j", ADMIN, 409);
    refused(&fields.replace("token=", "token=0"), ADMIN, 409);
    refused(&"x=1&".repeat(60_000), ADMIN, 413);
    refused(&"x=1&".repeat(500), ADMIN, 400);
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let answer = ask(web.web_address(), &format!("POST /act HTTP/1.1\r\nHost: localhost\r\n{ADMIN}{json}"));
    assert_eq!(answer.status, 415, "{}", answer.body);
    let head = format!("POST /act HTTP/1.1\r\nHost: evil.example\r\n{ADMIN}");
    let answer = ask(web.web_address(), &format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n"));
    assert_eq!(answer.status, 421);
    // Nothing that is only asked for changes anything, whatever it says.
    assert_eq!(browse_with(&web, &format!("/act?{fields}"), ADMIN).status, 200);
    assert_eq!(redis.count(DEAD), 2);
    for head in ["Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n", "Origin: http://localhost\r\n", ""] {
        assert_eq!(send(&web, &path, &fields, &format!("{ADMIN}{head}")).status, 303, "{head}");
    }
    wait_until("it is gone", || redis.count(DEAD) == 1);
}

#[test]
fn what_is_under_way_is_shown_with_its_page_closed_and_can_be_stopped() {
    let redis = Redis::start();
    let file = roles();
    let web = guarded(&redis, &file);
    let jobs: Vec<String> =
        (0..1_000).map(|number| format!(r#"{{"name":"Mail","jid":"j{number}"}}"#)).collect();
    let entries: Vec<(f64, &str)> = jobs.iter().map(|job| (1.0, job.as_str())).collect();
    add(&redis, DEAD, &entries);
    // What is known of the fleet is good for a second, in which Redis stops.
    let (task, stopped) = wait_for("it has begun", || {
        let (path, fields) = form(&asked(&web, "do=delete&place=dead", ADMIN)).unwrap();
        let stopped = Stopped::of(&redis);
        let answer = send(&web, &path, &fields, ADMIN);
        (answer.status == 303).then(|| (location(&answer), stopped))
    });
    let began = Instant::now();
    let html = Html::read(&browse_with(&web, &task, OPERATE).body);
    assert!(html.text.contains("Under way: delete all dead jobs"), "{}", html.text);
    assert!(refresh(&html).is_some());
    let log = browse_with(&web, "/audit", ADMIN);
    assert!(log.body.contains("Under way: ") && log.body.contains("delete all dead jobs"), "{}", log.body);
    assert!(form(&Html::read(&browse_with(&web, &task, READ).body)).is_none(), "a reader may not stop it");
    let (halt, fields) = form(&html).unwrap();
    assert_eq!(send(&web, &halt, &fields, READ).status, 403);
    assert_eq!(send(&web, &halt, &fields.replace("token=", "token=0"), OPERATE).status, 409);
    assert_eq!(send(&web, &halt, &fields, OPERATE).status, 303);
    assert!(began.elapsed() < Duration::from_secs(8), "Redis is waited for no longer than ten seconds");
    drop(stopped);
    wait_until("it was stopped", || {
        browse_with(&web, &task, ADMIN).body.contains("It was stopped; what was done is done.")
    });
    assert_eq!(redis.count(DEAD), 1_000);
    let log = Html::read(&browse_with(&web, "/audit", ADMIN).body);
    assert_eq!(log.rows[1][2..5], ["delete all dead jobs", "stopped", "0"]);
    let gone = Html::read(&browse_with(&web, "/task?id=999", ADMIN).body);
    assert!(gone.text.contains("This server keeps no such thing"), "{}", gone.text);
}

#[test]
fn what_makes_no_sense_is_said_and_the_audit_log_is_bounded() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    for (query, said) in [
        ("", "parameter do: give retry, kill, delete"),
        ("do=retry&place=queue&queue=q&id=j", "a job that waits in a queue runs anyway"),
        ("do=pause&queue=%3Cscript%3E%20a%3Ab", "parameter queue: give another name"),
        ("do=delete&place=dead&name=%1B", "parameter name: give characters that are all visible"),
    ] {
        let html = page_with(&web, &format!("/act?{query}"), 400);
        assert!(html.text.contains(said), "{query}: {}", html.text);
    }
    assert!(page(&web, "/audit").text.contains("Nothing was done by these pages yet."));
    let entry = r#"{"at":1,"who":"<script>\u202e","order":"x","outcome":"done","done":1}"#;
    redis.run(&["LPUSH", "jiggler:uring:audit", entry, "no entry", "[]"]);
    let html = page(&web, "/audit");
    assert_eq!(html.rows.len(), 2, "{:?}", html.rows);
    assert_eq!(html.rows[1][1], "<script>\\u{202e}");
    redis.run(&["SET", "jiggler:uring:audit", "spoilt"]);
    assert!(page_with(&web, "/audit", 503).text.contains("WRONGTYPE"));
    redis.run(&["DEL", "jiggler:uring:audit"]);
}
