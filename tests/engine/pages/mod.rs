//! Pages for people, read as a browser reads them: they say what is so. What is hostile is in [`hostile`], what
//! they do in [`acts`].

mod acts;
mod again;
mod api;
mod hostile;
mod live;
mod past;
mod periodic;
mod prefix;

use std::path::Path;

use crate::harness::html::Html;
use crate::harness::http::{Answer, ask};
use crate::harness::redis::{DEAD, RETRIES, SCHEDULED};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, command};
use crate::internal::limits::{PAGE_EXAMINED_MAX, PAGE_ROWS_MAX};

const PAGES: [&str; 13] = [
    "/",
    "/queues",
    "/classes",
    "/errors",
    "/history",
    "/processes",
    "/busy",
    "/periodic",
    "/retries",
    "/scheduled",
    "/dead",
    "/queue?queue=default",
    "/audit",
];

/// A server of pages without shards.
#[track_caller]
fn alone(redis: &Redis, args: &[&str]) -> Worker {
    let program = Path::new(env!("CARGO_BIN_EXE_jiggler-uring"));
    let url = redis.url();
    Worker::spawn(
        command(program).args(["web", "--web", "127.0.0.1:0", "--redis-url", url.as_str()]).args(args),
    )
}

/// What a browser gets.
#[track_caller]
fn browse(server: &Worker, path: &str) -> Answer {
    browse_with(server, path, "")
}

#[track_caller]
fn browse_with(server: &Worker, path: &str, fields: &str) -> Answer {
    let head =
        "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nHost: localhost\r\nConnection: close\r\n";
    ask(server.web_address(), &format!("GET {path} HTTP/1.1\r\n{head}{fields}\r\n"))
}

/// A page that is answered with this status.
#[track_caller]
fn page_with(server: &Worker, path: &str, status: u16) -> Html {
    let answer = browse(server, path);
    assert_eq!(answer.status, status, "{path}: {}", answer.body);
    assert!(answer.body.len() < 300_000, "{path} has {} bytes", answer.body.len());
    Html::read(&answer.body)
}

#[track_caller]
fn page(server: &Worker, path: &str) -> Html {
    page_with(server, path, 200)
}

/// The path of the only link to a job.
#[track_caller]
fn only_job(html: &Html) -> String {
    let links = html.links("job?");
    assert_eq!(links.len(), 1, "{links:?}");
    format!("/{}", links[0])
}

fn add(redis: &Redis, set: &str, entries: &[(f64, &str)]) {
    for chunk in entries.chunks(1_000) {
        let mut args = vec!["ZADD".to_owned(), set.to_owned()];
        args.extend(chunk.iter().flat_map(|(score, entry)| [score.to_string(), (*entry).to_owned()]));
        redis.run(&args);
    }
}

#[test]
fn the_overview_says_whether_anything_is_wrong_and_why() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    assert!(page(&web, "/").text.contains("No process runs. No job waits."));
    redis.push("mail", &[r#"{"name":"Mail"}"#, r#"{"name":"Mail"}"#]);
    wait_until("the backlog is seen", || {
        page(&web, "/").text.contains("No process runs, and 2 jobs wait in 1 queue.")
    });
    let worker = Worker::start(&redis, &["-q", "default", "--web", "127.0.0.1:0"]);
    wait_until("what nobody serves is seen", || {
        page(&web, "/").text.contains("2 jobs wait in “mail”, which no process serves.")
    });
    assert!(page(&worker, "/").text.contains("which no process serves"), "beside a worker as well as alone");
    redis.run(&["DEL", "jiggler:list:mail"]);
    wait_until("all is well", || {
        page(&web, "/").text.contains("No job waits: 1 process with 10 slots serves 1 queue.")
    });
    redis.push("default", &[r#"{"name":"Noop"}"#, r#"{"name":"Noop"}"#]);
    wait_until("rates are known", || {
        let text = page(&web, "/").text;
        text.contains("a second of late") && text.contains("Processed2 ")
    });
}

#[test]
fn every_page_is_whole_and_sent_with_what_keeps_browsers_from_more_than_showing_it() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    for path in PAGES {
        let answer = browse(&web, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let head = answer.head.to_lowercase();
        for field in [
            "content-type: text/html; charset=utf-8",
            "content-security-policy: default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; \
             img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "x-frame-options: deny",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(head.contains(field), "{path}: {field} is not in {head}");
        }
        let html = Html::read(&answer.body);
        let current: Vec<_> =
            html.elements.iter().filter(|(_, all)| all.contains_key("aria-current")).collect();
        assert!(!current.is_empty() && html.text.contains("as of "), "{path}");
    }
    for (path, said) in [
        ("/dead", "No dead jobs. Jobs land here when their retries are used up."),
        ("/queue?queue=mail", "No jobs wait here."),
        ("/processes", "No process."),
        ("/busy", "No running jobs here."),
        ("/periodic", "No periodic jobs here."),
    ] {
        assert!(page(&web, path).text.contains(said), "{path}");
    }
    let style = browse(&web, "/style.css");
    assert!(style.head.contains("text/css") && style.body.contains("prefers-color-scheme"));
    assert!(!style.body.contains("url(") && !style.body.contains("@import"));
    assert!(page_with(&web, "/nothing", 404).text.contains("There is no page at this address."));
    assert!(web.get("/nothing").head.contains("text/plain"));
    // Programs are told what there is for them.
    assert!(web.get("/").head.contains("text/plain"));
    let theme = browse(&web, "/theme?to=dark&back=dead%3Fskip%3D50");
    assert_eq!(theme.status, 303);
    let head = theme.head.to_lowercase();
    assert!(head.contains("location: dead?skip=50") && head.contains("set-cookie: theme=dark;"), "{head}");
    let astray = browse(&web, "/theme?to=dark&back=%2F%2Fevil.example").head.to_lowercase();
    assert!(astray.contains("location: ./\r\n"), "{astray}");
    let dark = browse_with(&web, "/dead", "Cookie: theme=dark\r\n").body;
    assert!(dark.contains(r#"<html lang="en" data-theme="dark">"#), "{dark}");
}

#[test]
fn queues_are_listed_with_who_serves_them_and_found_by_a_part_of_their_names() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    let worker = Worker::start(&redis, &["-q", "served,idle"]);
    for number in 0..60 {
        redis.push(&format!("q{number:02}"), &["a"]);
    }
    redis.push("long", &["a", "b", "c"]);
    wait_until("all is seen", || {
        let html = page(&web, "/queues");
        html.text.contains("1 to 50 of 63 queues") && html.rows.len() == 1 + PAGE_ROWS_MAX
    });
    let html = page(&web, "/queues");
    assert_eq!(html.rows[1][..2], ["long", "3"], "the longest is first");
    assert_eq!(html.row("long")[4], "nobody");
    let rest = page(&web, &format!("/{}", html.next().unwrap()));
    assert_eq!((rest.rows.len(), rest.next()), (1 + 13, None));
    assert_eq!(rest.row("idle")[4], "1 process");
    assert_eq!(rest.row("idle")[5], "0 of 10");
    let found = page(&web, "/queues?part=q0&order=name");
    let names: Vec<&String> = found.rows.iter().skip(1).map(|row| &row[0]).collect();
    assert_eq!((names.len(), names[0].as_str()), (10, "q00"));
    assert!(page(&web, "/queues?part=nothing").text.contains("No queue has such a name."));
    drop(worker);
}

#[test]
fn processes_and_what_they_run_are_listed() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["--web", "127.0.0.1:0", "--tag", "blue", "-t", "30"]);
    redis.push("default", &[r#"{"name":"Sleep","args":[60],"jid":"0d655a187e214821"}"#]);
    let uuid = redis.uuid();
    wait_until("it is named", || page(&worker, "/busy").text.contains("Sleep"));
    let busy = page(&worker, "/busy");
    let row = busy.row("0d655a187e214821");
    assert_eq!((row[1].as_str(), row[4].as_str(), row[6].as_str()), ("Sleep", uuid.as_str(), "0"));
    let job = page(&worker, &only_job(&busy));
    assert!(job.text.contains("Sleep runs in process"), "{}", job.text);
    let processes = page(&worker, "/processes");
    let row = processes.row(&uuid);
    assert_eq!((row[1].as_str(), row[2].as_str(), row[3].as_str()), ("running", "1 of 10", "default"));
    assert!(row[6].contains("blue") && row[7].ends_with(" MiB"), "{row:?}");
    worker.signal("TSTP");
    wait_until("it is seen to be quiet", || page(&worker, "/processes").row(&uuid)[1].starts_with("quiet"));
    worker.kill();
    let web = alone(&redis, &[]);
    wait_until("its death is seen", || page(&web, "/processes").row(&uuid)[1].contains("dead: silent for"));
    assert!(page(&web, "/").text.contains("is not well: dead: silent for"));
}

#[test]
fn jobs_are_listed_page_by_page_and_found_by_name_error_and_age() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    let now = crate::internal::time::unix_now();
    let payload = |number: usize| {
        let (name, class) = if number == 7 { ("Rare", "Net::Timeout") } else { ("Mail::Send", "Oops") };
        format!(
            r#"{{"name":"{name}","args":[{number}],"retries":3,"jid":"j{number:04}","error_class":"{class}","error_message":"no {number}","attempt":2}}"#
        )
    };
    let total = PAGE_EXAMINED_MAX as usize + 500;
    let payloads: Vec<String> = (0..total).map(payload).collect();
    let entries: Vec<(f64, &str)> =
        payloads.iter().enumerate().map(|(at, text)| (now - (total - at) as f64, text.as_str())).collect();
    add(&redis, DEAD, &entries);
    add(&redis, RETRIES, &[(now + 3_600.0, payloads[3].as_str())]);
    add(&redis, SCHEDULED, &[(now + 7_200.0, r#"{"name":"Later","jid":"s1","queue":"img"}"#)]);

    let first = page(&web, "/dead");
    assert!(first.text.contains("1 to 50 of 5,500 jobs in the dead set"), "{}", first.text);
    assert_eq!((first.rows.len(), first.rows[1][0].as_str()), (1 + PAGE_ROWS_MAX, "j5499"));
    assert_eq!(first.rows[1][4..], ["Oops: no 5499", "[5499]"]);
    let second = page(&web, &format!("/{}", first.next().unwrap()));
    assert_eq!(second.rows[1][0], "j5449");
    let oldest = page(&web, "/dead?order=oldest");
    assert_eq!(oldest.rows[1][0], "j0000");
    let last = page(&web, "/dead?order=oldest&skip=5490");
    assert_eq!((last.rows.len(), last.next()), (11, None));

    for filter in ["name=Rare", "class=Net%3A%3A*", "error=no+7"] {
        let part = page(&web, &format!("/dead?{filter}"));
        if filter != "error=no+7" {
            assert!(part.text.contains("No such job among those that were examined"), "{}", part.text);
            assert!(part.text.contains("0 found in the 5,000 examined of 5,500 jobs"), "{}", part.text);
        }
        let mut rows = part.rows.clone();
        let mut next = part.next();
        while let Some(address) = next {
            let more = page(&web, &format!("/{address}"));
            rows.extend(more.rows.clone());
            next = more.next();
        }
        assert!(rows.iter().any(|row| row[0] == "j0007"), "{filter}");
    }
    let old = page(&web, "/dead?older=1h");
    let of_an_hour =
        old.rows.iter().skip(1).all(|row| row[3].contains(" min ago") || row[3].contains(" h ago"));
    assert!(old.rows.len() == 1 + PAGE_ROWS_MAX && of_an_hour, "{:?}", old.rows);

    let retries = page(&web, "/retries");
    assert_eq!(retries.row("j0003")[1..6], ["Mail::Send", "default", "2 of 3", "in 60 min", "Oops: no 3"]);
    let scheduled = page(&web, "/scheduled");
    assert_eq!(scheduled.row("s1")[1..4], ["Later", "img", "in 2 h"]);
    // A job is found from its row, and by its id alone where it is among the newest.
    let job = page(&web, &only_job(&retries));
    assert!(job.text.contains("the retry set") && job.text.contains("2 of 3 used"), "{}", job.text);
    assert!(page(&web, "/job?id=j5000").text.contains("the dead set"));
    let far = page_with(&web, "/job?id=j0002", 404);
    let on = far.links("place=dead");
    assert!(far.text.contains("5,000 of 5,500 entries examined") && on.len() == 1, "{}", far.text);
    assert!(page(&web, &format!("/{}", on[0])).text.contains("no 2"));
}
