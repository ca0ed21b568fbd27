//! The table of Redis rights is exactly what the store calls: a right that nothing needs is one too many, and a
//! missing one stops a careful administrator's worker.

use std::collections::BTreeSet;

use jiggler_uring::internal::store::rights;

use super::{REDIS_COMMANDS, root, source, src};

/// Commands for which a user needs no right, or which it calls only if it may, and words that are also options of
/// commands.
const NO_RIGHT: &[&str] = &["AUTH", "HELLO", "CLIENT", "MEMORY", "SCRIPT", "COMMAND", "CONFIG"];

/// Called only for operators, by commands that run as their user: [`rights`] names them next to the table.
const OF_OPERATORS: &[&str] = &["PTTL", "SSCAN", "SMEMBERS"];

/// Named by the connection layer or by subcommand, so the word search below does not find them.
const BY_OTHER_WORDS: &[&str] = &[
    "SCRIPT|LOAD",
    "CLIENT|ID",
    "CLIENT|UNBLOCK",
    "CLIENT|SETNAME",
    "CLIENT|TRACKING",
    "MEMORY|USAGE",
    "PUBSUB|CHANNELS",
];

/// The commands that scripts call.
fn in_scripts() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for script in source::files(root(), "src", "lua") {
        for (at, _) in script.text.match_indices("call('") {
            let word: String = script.text[at + 6..].chars().take_while(char::is_ascii_uppercase).collect();
            found.insert(word);
        }
    }
    found
}

/// The commands that the store sends: literals that are one.
fn in_code() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in src().iter().filter(|source| source.path.starts_with("src/store/") && !source.is_test()) {
        for (_, word) in source.product_literals() {
            // TYPE is an option of SCAN too; scripts call the command.
            if word != "TYPE" && REDIS_COMMANDS.split(' ').any(|command| command == word) {
                found.insert(word.clone());
            }
        }
    }
    found
}

#[test]
fn the_table_of_rights_is_what_the_store_calls() {
    let mut called = in_scripts();
    called.extend(in_code());
    called.retain(|command| ![NO_RIGHT, OF_OPERATORS].concat().contains(&command.as_str()));
    called.extend(BY_OTHER_WORDS.iter().map(|command| (*command).to_owned()));
    let table: BTreeSet<String> = [rights::WORKER, rights::REGISTRIES, rights::OPTIONAL]
        .concat()
        .iter()
        .map(|call| call.split(' ').next().unwrap_or_default().to_ascii_uppercase())
        .collect();
    let missing: Vec<_> = called.difference(&table).collect();
    let needless: Vec<_> = table.difference(&called).collect();
    assert!(
        missing.is_empty() && needless.is_empty(),
        "src/store/rights.rs: WORKER lacks {missing:?}, and has {needless:?}, which nothing calls"
    );
}
