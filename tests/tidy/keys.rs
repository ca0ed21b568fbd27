//! Only the wire layer spells keys, and few places choose how.

use super::source::{self, Source};
use super::{in_places, lines_with, report, root, src};

/// Where the dialect is chosen: where a process, a command or a client starts. Everything else receives the result.
const DIALECT_PLACES: &[&str] = &[
    "src/wire/",
    // What else a dialect decides.
    "src/job/schema.rs",
    // A process, and what is checked before it starts.
    "src/server/launch.rs",
    "src/boot/",
    "src/doctor/",
    // A command.
    "src/server/carry_out.rs",
    "src/admin/database.rs",
    // A client that a program creates.
    "src/client/",
    // What flags and files say.
    "src/config/",
    "src/cli/",
    // A worker on a real Redis inside a test.
    "src/testing/redis/",
    // A shard for measurements.
    "src/shard/dispatch.rs",
];

pub(crate) fn broken_keys(source: &Source) -> Vec<String> {
    if source.path.starts_with("src/wire/") {
        return Vec::new();
    }
    let literals = source.product_literals().filter(|(_, text)| text.contains("jiggler:"));
    let spelt = literals
        .map(|(line, _)| format!("{}:{line}: a Redis key is spelt here: ask the Keyspace", source.path));
    let chosen = |word, places: &'static [&str]| {
        let lines = lines_with(source, word).filter(move |_| !in_places(&source.path, places));
        lines.map(move |line| {
            format!("{}:{line}: `{word}` is named here: take a Keyspace from above", source.path)
        })
    };
    spelt.chain(chosen("Dialect", DIALECT_PLACES)).chain(chosen("JIGGLER", &[])).collect()
}

/// A key in a script, or a part of one that follows a colon, as in `':w'`. Scripts may only append the number of a batch.
pub(crate) fn broken_script(script: &Source) -> Vec<String> {
    let spells = |code: &str| {
        let part = |(at, _)| code[at + 2..].starts_with(|c: char| c.is_ascii_lowercase());
        code.contains("jiggler:") || ["':", "}:"].iter().any(|colon| code.match_indices(colon).any(part))
    };
    let lines =
        script.text.lines().enumerate().filter(|(_, line)| line.split("--").next().is_some_and(spells));
    let said = "a script spells a key: pass it in KEYS, or take its end from `names_for_lua`";
    lines.map(|(index, _)| format!("{}:{}: {said}", script.path, index + 1)).collect()
}

#[test]
fn keys_are_spelt_only_in_the_wire_layer() {
    let sources = src();
    let sources = sources.iter().filter(|source| !source.is_test());
    let scripts = source::files(root(), "src", "lua");
    report(sources.flat_map(broken_keys).chain(scripts.iter().flat_map(broken_script)));
}
