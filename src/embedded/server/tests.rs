//! A real server, started, shared, abandoned and ended. Each test has its own state directory.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use super::*;

struct Place {
    _root: tempfile::TempDir,
    dir: StateDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        // The socket must not be reachable before the directory is closed to others: it does not exist yet.
        let dir = StateDir::at(root.path().join("state dir"));
        Self { _root: root, dir }
    }

    fn acquire(&self) -> Embedded {
        Embedded::acquire(&self.dir, &installed()).unwrap()
    }
}

fn installed() -> PathBuf {
    program(&|name| std::env::var_os(name)).expect("the tests need redis-server or valkey-server on PATH")
}

/// Sends one inline command and returns the reply as text.
fn say(socket: &Path, command: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

/// Socket, log and locks belong to the owner, in a directory that belongs to the owner.
#[test]
fn nobody_else_reaches_the_private_server_or_reads_its_files() {
    let place = Place::new();
    let server = place.acquire();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.dir.path()), 0o700);
    assert_eq!(mode(server.socket()), 0o700);
    for file in [place.dir.log(), place.dir.gate(), place.dir.users()] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    server.release(None).unwrap();
}

#[test]
fn a_private_server_is_durable_has_no_port_and_ends_with_its_last_user() {
    let place = Place::new();
    let first = place.acquire();
    assert!(first.started_here());
    for (key, value) in [
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("port", "0"),
        ("maxmemory-policy", "noeviction"),
    ] {
        let reply = say(first.socket(), &format!("CONFIG GET {key}"));
        assert!(reply.contains(&format!("\r\n{value}\r\n")), "{key}: {reply}");
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(place.dir.path()), mode(first.socket())), (0o700, 0o700));

    let second = place.acquire();
    assert!(!second.started_here(), "one server for all");
    assert!(say(first.socket(), "SET job kept").contains("+OK"));
    assert_eq!(first.release(None).unwrap(), Released::InUse);
    assert!(say(second.socket(), "GET job").contains("kept"));
    let socket = second.socket().to_owned();
    // The starter of the server has lost its Child; the last user ends it through the socket.
    assert_eq!(second.release(None).unwrap(), Released::Ended);
    assert_eq!(probe::ask(&socket), Answer::Nobody);

    let again = place.acquire();
    assert!(again.started_here());
    assert!(
        say(again.socket(), "GET job").contains("kept"),
        "the append-only file keeps jobs over a restart"
    );
    assert_eq!(again.release(None).unwrap(), Released::Ended);
}

#[test]
fn a_server_that_outlived_its_starter_is_used_again_and_ended() {
    let place = Place::new();
    let mut killed = place.acquire();
    assert!(say(killed.socket(), "SET job kept").contains("+OK"));
    // What kill -9 does to the starter: its locks are freed, and the server is not told anything.
    let (mut child, socket) = (killed.child.take().unwrap(), killed.socket().to_owned());
    killed.released = true;
    drop(killed);
    let next = place.acquire();
    assert!(!next.started_here());
    assert!(say(&socket, "GET job").contains("kept"));
    assert_eq!(next.release(None).unwrap(), Released::Ended);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_share_that_is_dropped_on_the_way_out_of_an_error_ends_the_server() {
    let place = Place::new();
    let embedded = place.acquire();
    let socket = embedded.socket().to_owned();
    drop(embedded);
    assert_eq!(probe::ask(&socket), Answer::Nobody);
}

#[test]
fn workers_that_start_together_share_one_server() {
    let place = Place::new();
    let all: Vec<Embedded> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| place.acquire())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(all.iter().filter(|embedded| embedded.started_here()).count(), 1);
    let ended = all.into_iter().map(|embedded| embedded.release(None).unwrap());
    assert_eq!(ended.filter(|released| *released == Released::Ended).count(), 1);
}

#[test]
fn the_server_has_a_process_group_of_its_own() {
    let place = Place::new();
    let embedded = place.acquire();
    let group = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The fields after the name in parentheses: state, parent, process group.
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(2).unwrap().to_owned();
        fields.parse::<u32>().unwrap()
    };
    let child = embedded.child.as_ref().unwrap().id();
    assert_eq!(group(child), child);
    assert_ne!(group(child), group(std::process::id()));
    embedded.release(None).unwrap();
}

#[test]
fn a_server_that_cannot_start_shows_its_log() {
    let place = Place::new();
    place.dir.create().unwrap();
    fs::create_dir(place.dir.path().join("appendonlydir")).unwrap();
    fs::write(place.dir.path().join("appendonlydir/appendonly.aof.manifest"), "nonsense\n").unwrap();
    let error = Embedded::acquire(&place.dir, &installed()).unwrap_err();
    let Error::Died { tail, .. } = &error else { panic!("{error:?}") };
    assert!(tail.to_lowercase().contains("manifest"), "{error}");

    let error = Embedded::acquire(&place.dir, Path::new("/nonexistent/redis-server")).unwrap_err();
    assert!(matches!(error, Error::Spawn { .. }), "{error:?}");
}

#[test]
fn the_program_is_looked_for_on_the_path() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("valkey-server");
    fs::write(&path, "").unwrap();
    let find = || program(&|name| (name == "PATH").then(|| root.path().into()));
    assert_ne!(find(), Some(path.clone()), "a file that is no program is passed over");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(&path, root.path().join("redis-server")).unwrap();
    assert_eq!(find(), Some(root.path().join("redis-server")));
    assert_eq!(program(&|_| None), None);
}
