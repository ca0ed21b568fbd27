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

/// What the wire layer spells: keys of ours, and what follows the braces of those beside a queue.
pub(crate) fn spelt_keys(source: &Source) -> Vec<String> {
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_ascii_lowercase() || matches!(c, ':' | '_')).collect::<String>()
    };
    let mut found = Vec::new();
    for (_, text) in source.product_literals() {
        if text.starts_with("jiggler:uring:") {
            found.push(word(text));
        }
        let beside = text.match_indices("}:").map(|(at, _)| word(&text[at + 2..]));
        found.extend(beside.filter(|word| !word.is_empty()).map(|word| format!("}}:{word}")));
        // What a realm passes to `beside_queue`.
        if source.path.ends_with("/realm.rs") && !text.is_empty() && word(text) == *text {
            found.extend(text.split(':').next().map(str::to_owned));
        }
    }
    found
}

/// An operator who finds a key finds it there too.
#[test]
fn the_table_of_keys_shows_every_key_that_is_spelt() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let table = readme.split("### Keys in Redis").nth(1).unwrap().split("\n#").next().unwrap();
    let keys: Vec<String> = src()
        .iter()
        .filter(|source| source.path.starts_with("src/wire/") && !source.is_test())
        // Under the names of channels nothing is kept.
        .filter(|source| !source.path.ends_with("/channels.rs"))
        .flat_map(spelt_keys)
        .collect();
    assert!(
        keys.len() > 20 && keys.iter().any(|key| key == "}:freed"),
        "the search has gone blind: {keys:?}"
    );
    let missing: Vec<&String> =
        keys.iter().filter(|key| !table.contains(key.trim_end_matches(':'))).collect();
    assert_eq!(missing, [""; 0], "README.md, Keys in Redis");
}
