//! Pages behind a reverse proxy under a path of its own, whether it takes that path off or passes it on.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use super::acts::{ADMIN, form, roles};
use super::{PAGES, add, alone};
use crate::harness::Redis;
use crate::harness::html::Html;
use crate::harness::http::{Answer, ask};
use crate::harness::redis::DEAD;
use crate::harness::wait::wait_until;

const AT: &str = "/ops/jobs";

/// What the proxy does with the path.
#[derive(Clone, Copy)]
enum Path {
    Kept,
    TakenOff,
}

/// A proxy that knows nothing but what is below [`AT`], and names the server behind it as the host, as proxies do
/// unless they are told otherwise.
fn proxy(server: SocketAddr, path: Path) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || pass_on(client, server, path));
        }
    });
    address
}

fn pass_on(mut client: TcpStream, server: SocketAddr, path: Path) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?.replace("Host: shop.example", &format!("Host: {server}"));
    let (method, rest) = head.split_once(' ')?;
    let Some(below) = rest.strip_prefix(AT) else {
        return client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok();
    };
    let head = match path {
        Path::Kept => head.clone(),
        Path::TakenOff if below.starts_with('/') => format!("{method} {below}"),
        Path::TakenOff => format!("{method} /{below}"),
    };
    let mut upstream = TcpStream::connect(server).ok()?;
    upstream.write_all(head.as_bytes()).ok()?;
    let (mut from_client, mut to_server) = (client.try_clone().ok()?, upstream.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    let _ended = std::io::copy(&mut upstream, &mut client);
    client.shutdown(Shutdown::Both).ok()
}

fn browse(proxy: SocketAddr, path: &str, fields: &str) -> Answer {
    let head = "Accept: text/html\r\nHost: shop.example\r\nConnection: close\r\n";
    ask(proxy, &format!("GET {path} HTTP/1.1\r\n{head}{ADMIN}{fields}\r\n"))
}

/// Where a browser at this path goes by a relative address.
fn resolved(path: &str, to: &str) -> String {
    let folder = &path[..=path.split('?').next().unwrap().rfind('/').unwrap()];
    format!("{folder}{}", to.strip_prefix("./").unwrap_or(to))
}

fn location(answer: &Answer) -> &str {
    answer.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap()
}

#[test]
fn every_link_form_event_and_redirect_stays_under_the_path_of_a_proxy() {
    let redis = Redis::start();
    let file = roles();
    let jobs: Vec<String> = (0..6).map(|number| format!(r#"{{"name":"Mail","jid":"j{number}"}}"#)).collect();
    let jobs: Vec<(f64, &str)> = jobs.iter().map(|job| (1.0, job.as_str())).collect();
    add(&redis, DEAD, &jobs);
    for (way, args) in [(Path::Kept, ["--web-prefix", "/ops/jobs/"].as_slice()), (Path::TakenOff, &[])] {
        let file = file.path();
        let args: Vec<&str> = ["--web-auth", &file].into_iter().chain(args.iter().copied()).collect();
        let web = alone(&redis, &args);
        let proxy = proxy(web.web_address(), way);
        if matches!(way, Path::Kept) {
            let bare = browse(proxy, AT, "");
            assert_eq!((bare.status, location(&bare)), (308, "/ops/jobs/"), "{}", bare.head);
        }
        let mut seen = BTreeSet::new();
        for page in PAGES {
            let path = format!("{AT}{page}");
            let answer = browse(proxy, &path, "");
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            let html = Html::read(&answer.body);
            let kinds = ["href", "src", "action"];
            let all =
                html.elements.iter().flat_map(|(_, all)| kinds.iter().filter_map(|kind| all.get(*kind)));
            for to in all.filter(|to| !to.starts_with('#')).map(|to| resolved(&path, to)) {
                if !seen.insert(to.clone()) {
                    continue;
                }
                // A job is not found without its id, nor a queue; forms are not asked for.
                let found = browse(proxy, &to, "").status;
                let is_form = ["/job", "/act", "/halt", "/queue"].iter().any(|form| to.ends_with(form));
                assert!(is_form || [200, 303].contains(&found), "{path} leads to {to}: {found}");
            }
        }
        let theme = browse(proxy, &format!("{AT}/theme?to=dark&back=dead%3Fskip%3D50"), "");
        let to = resolved(&format!("{AT}/theme"), location(&theme));
        assert_eq!((theme.status, browse(proxy, &to, "").status), (303, 200), "{to}");
        let job = jobs.len() - redis.count(DEAD) as usize;
        let asked = format!("{AT}/act?do=delete&place=dead&id=j{job}");
        let (action, fields) = form(&Html::read(&browse(proxy, &asked, "").body)).unwrap();
        let action = resolved(&asked, action.trim_start_matches('/'));
        // As a browser sends it.
        let head = format!(
            "Host: shop.example\r\nOrigin: null\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n{ADMIN}Content-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{fields}",
            fields.len()
        );
        let done = ask(proxy, &format!("POST {action} HTTP/1.1\r\n{head}"));
        assert_eq!(done.status, 303, "{}", done.body);
        let task = resolved(&action, location(&done));
        wait_until("it is done", || browse(proxy, &task, "").body.contains("of the dead set was deleted."));
        let mut tab = TcpStream::connect(proxy).unwrap();
        let head = format!(
            "GET {} HTTP/1.1\r\nHost: shop.example\r\n{ADMIN}\r\n",
            resolved(&format!("{AT}/"), "live")
        );
        tab.write_all(head.as_bytes()).unwrap();
        let mut events = String::new();
        while !events.contains("data: {") {
            let mut some = [0; 1_024];
            let read = tab.read(&mut some).unwrap();
            assert!(read > 0, "the stream has ended: {events}");
            events.push_str(std::str::from_utf8(&some[..read]).unwrap());
        }
        // A request that comes without the proxy needs no path.
        assert_eq!(web.get("/health/live").status, 200);
    }
}
