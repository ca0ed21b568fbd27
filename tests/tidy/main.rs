//! The rules of this repository that a compiler cannot check, each as a test over the sources.
//!
//! The layers of the design, where Redis commands, keys, glommio, sleeps and `unsafe` may appear, the size and the
//! head of files. A failure names file, line and remedy. The tables at the top of this file are the rules: a new edge
//! or an exception changes its table in the same commit, where a reviewer sees it.

mod circles;
mod commit;
mod documents;
mod english;
mod keys;
mod members;
mod packaging;
mod public_api;
mod rights;
mod rules_see;
mod source;
mod supply_chain;

use std::path::Path;

use source::Source;

/// The layer of each module; the longest prefix counts. A module imports its own layer and lower ones.
const LAYERS: &[(&str, u8)] = &[
    // L0 base
    ("balance", 0),
    ("event", 0),
    ("foreign", 0),
    ("small_file", 0),
    ("limits", 0),
    ("time", 0),
    ("ids", 0),
    ("stats", 0),
    ("shutdown", 0),
    // L1 formats: pure
    ("job", 1),
    ("wire", 1),
    ("resp", 1),
    // L2 sockets, and waiting with a limit
    ("net", 2),
    ("timeout", 2),
    // L3 the only place that names Redis commands
    ("store", 3),
    // L4 api
    ("client", 4),
    ("cron", 4),
    ("handler", 4),
    ("io", 4),
    ("mesh", 4),
    ("view", 4),
    ("acts", 4),
    // L5 runtime
    ("shard", SIBLINGS),
    ("control", SIBLINGS),
    ("admin", SIBLINGS),
    ("web", SIBLINGS),
    ("runner", SIBLINGS),
    // L6 process
    ("cli", 6),
    ("config", 6),
    ("server", 6),
    ("builtin", 6),
    ("boot", 6),
    ("doctor", 6),
    // Documentation only.
    ("architecture", 6),
    ("embedded", 6),
    ("logging", 6),
    ("testing", 6),
];

/// The layer whose modules do not import each other: they meet in `mesh`.
const SIBLINGS: u8 = 5;

/// Words that are Redis commands when a string literal begins with them.
const REDIS_COMMANDS: &str = "\
    APPEND ASKING AUTH BITFIELD BLMOVE BLPOP BRPOP BRPOPLPUSH BZPOPMIN CLIENT CLUSTER CONFIG COPY DBSIZE DECRBY DEL \
    EVAL EVALSHA EXEC EXISTS EXPIRE FCALL FLUSHALL FLUSHDB GET GETEX HDEL HELLO HGET HGETALL HINCRBY HKEYS HSET INCR INCRBY \
    INFO KEYS LINDEX LLEN LMOVE LMPOP LPOP LPOS LPUSH LRANGE LREM LTRIM MGET MULTI PEXPIRE PING PSUBSCRIBE PUBLISH RENAME \
    RPOP ROLE RPOPLPUSH RPUSH SADD SCAN SCRIPT SELECT SENTINEL SET SETEX SHUTDOWN SMEMBERS SMISMEMBER SORT SREM SSCAN \
    SUBSCRIBE TIME TYPE UNLINK WAIT WATCH XADD XREADGROUP ZADD ZCARD ZPOPMIN ZRANGE ZRANGEBYSCORE ZREM ZREMRANGEBYRANK \
    ZREMRANGEBYSCORE ZSCAN ZSCORE";

/// Where commands may be named outside `store`, and which: those that open a connection, and those that need none.
const COMMAND_PLACES: &[(&str, &[&str])] = &[
    ("src/net/handshake.rs", &["AUTH", "CLIENT", "HELLO", "INFO", "PING", "ROLE", "SELECT"]),
    ("src/net/sentinel.rs", &["SENTINEL"]),
    // Whether anyone answers in RESP.
    ("src/net/probe.rs", &["PING"]),
    ("src/net/cluster.rs", &["CLUSTER"]),
    ("src/net/cluster/route.rs", &["ASKING", "EVAL", "EVALSHA"]),
    // Before there is any connection layer: does a private server answer, and please end.
    ("src/embedded/probe.rs", &["PING", "SHUTDOWN"]),
    // HTTP's GET.
    ("src/web/", &["GET"]),
];

/// Where glommio may be named: replacing it, or using the raw ring, must stay a small change.
const GLOMMIO_PLACES: &[&str] = &[
    "src/net/conn.rs",
    "src/net/conn/",
    "src/net/connect.rs",
    "src/timeout.rs",
    "src/client/line.rs",
    "src/mesh",
    "src/shard/",
    "src/control/",
    "src/server",
    "src/handler/",
    "src/io/",
    // Tasks of the shard whose children these are.
    "src/runner/",
    "src/builtin/",
    // Runs handlers, so it needs an executor for them.
    "src/testing/",
];

/// Files that may block a thread in a sleep, each for its reason.
const SLEEP_PLACES: &[&str] = &[
    // Waits for a child process to answer or end, before and after the executors live.
    "src/embedded/server.rs",
    // A command that waits until another process has become quiet or left.
    "src/admin/steer.rs",
    // A command that waits until the processes have said what they run.
    "src/admin/show.rs",
    // Gives the processes the same time, and measures how fast a queue moves.
    "src/admin/why.rs",
    // Reads the worker's state through the command line, alongside the worker.
    "packaging/first-run/",
    // The one helper that polls for a state with a deadline, in tests; and the tool that measures from outside.
    "tests/support/wait.rs",
    "loadgen/",
];

/// Files that may hold `unsafe`, each block with a SAFETY line.
const UNSAFE_PLACES: &[&str] = &[
    // A child that dies with its parent: only code between fork and exec can ask the kernel for that.
    "loadgen/src/child.rs",
];

/// Most lines of a file without its inline tests. Split it before that.
const LINES_MAX: usize = 400;

/// Most characters of a line: the formatter breaks code at 110 and leaves comments alone. A line that is long because
/// of its one long literal is let through: broken, it could not be searched for.
const COLUMNS_MAX: usize = 125;

/// A literal of this many characters may make its line too long.
const LITERAL_CHARS_LONG: usize = 60;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn src() -> Vec<Source> {
    let sources = source::files(root(), "src", "rs");
    assert!(!sources.is_empty(), "no sources found below {}", root().display());
    sources
}

fn everything() -> Vec<Source> {
    ["src", "derive", "tests", "benches", "examples", "loadgen", "packaging"]
        .iter()
        .flat_map(|dir| source::files(root(), dir, "rs"))
        .collect()
}

fn report(broken: impl IntoIterator<Item = String>) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "{} broken rules:\n{}", broken.len(), broken.join("\n"));
}

fn in_places(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

/// The layer of a module path, and the entry of the table it falls under.
fn layer(path: &[String]) -> Option<(u8, &'static str)> {
    let name = path.join("::");
    let covers = |module: &str| name == module || name.starts_with(&format!("{module}::"));
    LAYERS
        .iter()
        .filter(|(module, _)| covers(module))
        .max_by_key(|(module, _)| module.len())
        .map(|(m, l)| (*l, *m))
}

fn broken_layers(source: &Source) -> Vec<String> {
    let module = source.module();
    let Some((own, own_name)) = layer(&module) else {
        // lib.rs and main.rs are above all layers.
        let known = module.is_empty();
        let text =
            format!("{}:1: module `{}` has no layer: add it to LAYERS", source.path, module.join("::"));
        return if known { Vec::new() } else { vec![text] };
    };
    let mut broken = Vec::new();
    for (line, target) in source.crate_paths() {
        let place = format!("{}:{line}", source.path);
        let Some(first) = target.first() else { continue };
        let Some((other, other_name)) = layer(&target) else {
            broken.push(format!(
                "{place}: `{first}` is not a module with a layer: import from the module that defines it"
            ));
            continue;
        };
        let top = |name: &str| name.split("::").next().unwrap_or_default().to_owned();
        if other > own {
            broken.push(format!(
                "{place}: `{own_name}` (layer {own}) imports `{other_name}` (layer {other}): move what is shared \
                 down, or hand it in from above"
            ));
        } else if own == SIBLINGS && other == SIBLINGS && top(own_name) != top(other_name) {
            broken.push(format!(
                "{place}: `{own_name}` imports its sibling `{other_name}`: let them meet in `mesh` or a lower layer"
            ));
        }
    }
    broken
}

#[test]
fn modules_import_only_their_own_layer_and_lower_ones() {
    report(src().iter().filter(|source| !source.is_test()).flat_map(broken_layers));
}

fn broken_commands(source: &Source) -> Vec<String> {
    if source.path.starts_with("src/store/") {
        return Vec::new();
    }
    let allowed: Vec<&str> = COMMAND_PLACES
        .iter()
        .filter(|(place, _)| source.path.starts_with(place))
        .flat_map(|(_, c)| *c)
        .copied()
        .collect();
    let command = |literal: &str| {
        let word = literal.split(|c: char| !c.is_ascii_uppercase()).next().unwrap_or_default().to_owned();
        let whole = literal.len() == word.len() || literal[word.len()..].starts_with([' ', '\\']);
        (whole
            && REDIS_COMMANDS.split(' ').any(|command| command == word)
            && !allowed.contains(&word.as_str()))
        .then_some(word)
    };
    let broken = source.product_literals().filter_map(|(line, literal)| Some((line, command(literal)?)));
    broken
        .map(|(line, word)| {
            format!("{}:{line}: Redis command {word}: only src/store/ names commands", source.path)
        })
        .collect()
}

#[test]
fn redis_commands_are_named_only_in_the_store() {
    report(src().iter().filter(|source| !source.is_test()).flat_map(broken_commands));
}

/// Lines of code outside of tests that contain `word` as a separate word.
fn lines_with<'a>(source: &'a Source, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let holds = move |line: &str| {
        line.match_indices(word).any(|(start, _)| {
            !line[..start].ends_with(part_of_word) && !line[start + word.len()..].starts_with(part_of_word)
        })
    };
    source.product_lines().filter(move |(_, line)| holds(line)).map(|(number, _)| number)
}

#[test]
fn glommio_is_named_in_few_files() {
    let mut broken = Vec::new();
    for source in src().iter().filter(|source| !source.is_test() && !in_places(&source.path, GLOMMIO_PLACES))
    {
        for line in lines_with(source, "glommio") {
            broken.push(format!(
                "{}:{line}: glommio is named here: go through a file of GLOMMIO_PLACES",
                source.path
            ));
        }
    }
    report(broken);
}

#[test]
fn no_thread_sleeps_for_a_guess() {
    let mut broken = Vec::new();
    for source in everything().iter().filter(|source| !in_places(&source.path, SLEEP_PLACES)) {
        for (index, line) in source.code.lines().enumerate() {
            if line.contains("thread::sleep") {
                let place = format!("{}:{}", source.path, index + 1);
                broken.push(format!(
                    "{place}: a sleep blocks its thread: wait for a signal, or poll in tests/support"
                ));
            }
        }
    }
    report(broken);
}

fn broken_unsafe(source: &Source, places: &[&str]) -> Vec<String> {
    let text: Vec<&str> = source.text.lines().collect();
    let mut broken = Vec::new();
    for line in lines_with(source, "unsafe") {
        if !in_places(&source.path, places) {
            broken.push(format!(
                "{}:{line}: unsafe: use a safe wrapper, or argue for UNSAFE_PLACES",
                source.path
            ));
        }
        let above = text[..line].iter().rev().take(6);
        if !above.into_iter().any(|line| line.contains("SAFETY:")) {
            broken.push(format!("{}:{line}: unsafe without a `SAFETY:` line right above it", source.path));
        }
    }
    broken
}

#[test]
fn unsafe_code_is_rare_and_justified() {
    report(everything().iter().flat_map(|source| broken_unsafe(source, UNSAFE_PLACES)));
}

#[test]
fn files_open_with_what_they_are_for_and_stay_short() {
    let mut broken = Vec::new();
    for source in everything() {
        if !source.text.starts_with("//! ") {
            broken.push(format!(
                "{}:1: open with `//!`: what the file is responsible for, and what it is not",
                source.path
            ));
        }
        let lines = source.tests_from() - 1;
        if lines > LINES_MAX {
            broken.push(format!(
                "{}:{lines}: {lines} lines, at most {LINES_MAX}: split it by noun",
                source.path
            ));
        }
    }
    report(broken);
}

fn broken_lines(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let place = format!("{}:{}", source.path, index + 1);
        let columns = line.chars().count();
        let by_literal =
            |(at, text): &(usize, String)| *at == index + 1 && text.chars().count() >= LITERAL_CHARS_LONG;
        if columns > COLUMNS_MAX && !line.contains("://") && !source.literals.iter().any(by_literal) {
            broken.push(format!("{place}: {columns} columns, at most {COLUMNS_MAX}: break the line"));
        }
        for word in ["TODO", "FIXME", "XXX", "HACK"] {
            // This file has to name them.
            if line.contains(word) && source.path != "tests/tidy/main.rs" {
                broken.push(format!("{place}: {word}: finish it, or say plainly what is missing and why"));
            }
        }
    }
    for (line, code) in source.code.lines().enumerate() {
        if code.contains("todo!(") || code.contains("unimplemented!(") {
            broken.push(format!("{}:{}: unfinished code: finish it or leave it out", source.path, line + 1));
        }
    }
    for (line, code) in source.product_lines() {
        if code.starts_with("    ")
            && code.trim_start().starts_with("use ")
            && source.path.starts_with("src/")
        {
            broken.push(format!(
                "{}:{line}: an import inside a function: move it to the top of the file",
                source.path
            ));
        }
    }
    broken
}

#[test]
fn lines_are_readable_and_finished() {
    report(everything().iter().flat_map(broken_lines));
}
