//! The rules themselves: each finds the mistake it is for, at its line, and lets the same in tests pass.

use super::circles::{broken_circle, broken_fields};
use super::keys::{broken_keys, broken_script};
use super::members::{broken_members, members};
use super::*;

fn check(broken: &[String], expected: &[&str]) {
    assert_eq!(broken.len(), expected.len(), "{broken:?}");
    for (text, start) in broken.iter().zip(expected) {
        assert!(text.starts_with(start), "{text:?} does not start with {start:?}");
    }
}

const TESTS: &str =
    "#[cfg(test)]\nmod tests {\n    use crate::server::run;\n    const A: &str = \"LPUSH\";\n}\n";

#[test]
fn upward_and_sideways_imports() {
    let text = "//! x\nuse crate::{\n    limits::A,\n    wire::{self, keys::B as C, *},\n    server::{D, E},\n};\n\
                fn f() { crate::web::g(super::super::control::h()) }\n\
                // crate::server\nconst X: &str = \"crate::cli\";\n";
    let source = Source::new("src/shard/fetch.rs", &format!("{text}{TESTS}"));
    let start = "src/shard/fetch.rs:";
    let expected =
        [format!("{start}2: `shard` (layer 5) imports `server`"), format!("{start}2"), format!("{start}7")];
    let mut broken = broken_layers(&source);
    broken.sort();
    let sideways = broken.iter().filter(|text| text.contains("sibling")).count();
    assert_eq!((broken.len(), sideways), (4, 2), "{broken:?}");
    assert!(expected.iter().all(|part| broken.iter().any(|text| text.starts_with(part))), "{broken:?}");
}

#[test]
fn layers_of_modules_inside_a_folder() {
    let codec = Source::new(
        "src/resp/decode.rs",
        "use super::reply::Reply;\nuse crate::{net::Connection, resp::Reply};\n",
    );
    check(&broken_layers(&codec), &["src/resp/decode.rs:2: `resp` (layer 1) imports `net` (layer 2)"]);
    let conn =
        Source::new("src/net/conn/read.rs", "use super::super::sentinel::S;\nuse crate::resp::url::U;\n");
    check(&broken_layers(&conn), &[]);
}

#[test]
fn modules_and_names_without_a_layer() {
    check(&broken_layers(&Source::new("src/new.rs", "")), &["src/new.rs:1: module `new` has no layer"]);
    let source = Source::new("src/server/mod.rs", "use crate::Registry;\n");
    check(&broken_layers(&source), &["src/server/mod.rs:1: `Registry` is not a module"]);
}

#[test]
fn commands_and_keys_outside_their_layer() {
    let text = "const A: &str = \"LPUSH\";\nconst B: &[u8] = b\"GET\\r\\n\";\nconst C: &str = r#\"SETTINGS\"#;\n\
                const D: &str = \"jiggler:list:\"; // \"ZADD\"\n";
    let source = Source::new("src/admin/mod.rs", &format!("{text}{TESTS}"));
    check(
        &broken_commands(&source),
        &["src/admin/mod.rs:1: Redis command LPUSH", "src/admin/mod.rs:2: Redis command GET"],
    );
    check(&broken_keys(&source), &["src/admin/mod.rs:4"]);
    check(&broken_commands(&Source::new("src/store/queue.rs", text)), &[]);
    check(&broken_commands(&Source::new("src/embedded/probe.rs", "const A: &[u8] = b\"PING\\r\\n\";")), &[]);
}

#[test]
fn a_dialect_that_is_chosen_where_it_should_be_handed_down() {
    let text = "use crate::wire::{Dialect, keys::JIGGLER};\n// Dialect\nfn f(dialects: &[Keyspace]) {}\n";
    let places = ["src/control/poller.rs:1: `Dialect`", "src/control/poller.rs:1: `JIGGLER`"];
    check(&broken_keys(&Source::new("src/control/poller.rs", &format!("{text}{TESTS}"))), &places);
    check(&broken_keys(&Source::new("src/server/launch.rs", text)), &["src/server/launch.rs:1: `JIGGLER`"]);
    check(&broken_keys(&Source::new("src/wire/keys.rs", text)), &[]);
}

#[test]
fn keys_that_a_script_spells() {
    let text = "-- '<index>:s'\nlocal list = index .. ':' .. ARGV[1]\nlocal held = index .. ':s'\n\
                local count = '{' .. queue .. '}:n:' .. jid\nlocal set = 'jiggler:x'\n";
    let places = ["src/store/scripts/x.lua:3:", "src/store/scripts/x.lua:4:", "src/store/scripts/x.lua:5:"];
    check(&broken_script(&Source::new("src/store/scripts/x.lua", text)), &places);
}

#[test]
fn members_that_are_spelt_outside_the_schema() {
    let schema = [Source::new(
        "src/job/schema/x.rs",
        "const A: &str = \"jid\";\nconst B: &str = \",\\\"jid\\\":\";\n",
    )];
    let known = members(&schema);
    assert_eq!(known.iter().copied().collect::<Vec<_>>(), ["jid"]);
    let text = "const A: &str = \"jid\";\nconst B: &str = \"{\\\"jid\\\":1}\";\nconst C: &str = r#\"{\"jid\":1}\"#;\n\
                const D: &str = \"the jid is\";\nlet e = Parser::default();\n";
    let checked = |path: &str| broken_members(&Source::new(path, &format!("{text}{TESTS}")), &known);
    let at = |line: usize| format!("src/acts/x.rs:{line}:");
    let expected = [at(1), at(2), at(3), at(5)];
    check(&checked("src/acts/x.rs"), &expected.each_ref().map(String::as_str));
    check(&checked("src/admin/x.rs"), &["src/admin/x.rs:5:"]);
    check(&checked("src/job/schema/y.rs"), &[]);
}

#[test]
fn unsafe_without_reason_but_not_the_word_in_text() {
    let text = "#![deny(unsafe_code)]\nfn f() { /* unsafe */ g(\"unsafe\", 'u', '\"', \"unsafe\") }\n\
                fn h<'a>() { unsafe {} }\n";
    let start = "src/x.rs:3: unsafe";
    check(&broken_unsafe(&Source::new("src/x.rs", text), &[]), &[start, start]);
    let argued = Source::new("src/x.rs", "// SAFETY: it is.\nunsafe impl A for B {}\n");
    check(&broken_unsafe(&argued, &["src/x.rs"]), &[]);
}

#[test]
fn long_lines_and_hidden_imports() {
    let text = format!("//! {}\nfn f() {{\n    use std::io;\n    todo!()\n}}\n", "x".repeat(COLUMNS_MAX));
    check(&broken_lines(&Source::new("src/x.rs", &text)), &["src/x.rs:1:", "src/x.rs:4:", "src/x.rs:3:"]);
}

#[test]
fn literals_and_comments_of_every_kind() {
    let source = Source::new(
        "src/x.rs",
        "let a = r##\"x\"#y\"##; let b = \"\\\"\"; /* /* a */ b */ let c = '\\''; // d\nlet e = b\"f\";",
    );
    let literals: Vec<(usize, &str)> =
        source.literals.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(literals, [(1, "x\"#y"), (1, "\\\""), (2, "f")]);
    assert!(
        !source.code.contains("/*") && !source.code.contains('d') && source.code.contains("let c"),
        "{}",
        source.code
    );
}

#[test]
fn circles_of_imports_inside_a_folder_and_open_cells() {
    let file = |name: &str, text: &str| Source::new(&format!("src/shard/{name}.rs"), text);
    let below = file("below", "use crate::wire::W;\n");
    let straight = [
        file("mod", "mod a;\n"),
        file("a", "use super::{below, b::B};\n"),
        file("b", "use super::below::C;\n"),
        below,
    ];
    assert_eq!(broken_circle(&straight, "shard"), None);
    let around = [
        file("a", "use super::{below, b::B};\n"),
        file("b", "\nuse super::c::C;\n"),
        file("c", "use super::a::A;\n"),
    ];
    let found: Vec<String> = broken_circle(&around, "shard").into_iter().collect();
    check(&found, &["src/shard/c.rs:1: a circle of imports: `a` -> `b` -> `c` -> `a`"]);
    // A file that imports from the folder's own file is in a circle with it: that one names every file.
    let found: Vec<String> =
        broken_circle(&[file("mod", ""), file("a", "use super::A;\n")], "shard").into_iter().collect();
    check(&found, &["src/shard/mod.rs:1: a circle of imports: `a` -> `mod` -> `a`"]);
    let open = file(
        "a",
        "pub(super) struct A {\n    pub(super) at: usize,\n    pub(super) b: Cell<u8>,\n    c: Cell<u8>,\n}\n",
    );
    check(&broken_fields(&open, "shard"), &["src/shard/a.rs:3: an open field"]);
}
