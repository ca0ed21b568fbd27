//! Replays what the fuzzers start from and what they have found: each case through the same function that is fuzzed.
//!
//! Plain `cargo test` needs neither a fuzzer nor its compiler flags for this. `make fuzz` searches for more; a case
//! it finds goes, with a descriptive name, into `tests/fuzz/found/<target>/` and stays there.

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A target and the function that checks its promises.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 8] = [
    ("resp", targets::resp::run),
    ("replies", targets::replies::run),
    ("payload", targets::payload::run),
    ("amend", targets::amend::run),
    ("config", targets::config::run),
    ("cron", targets::cron::run),
    ("url", targets::url::run),
    ("keys", targets::keys::run),
];

/// A corpus is where a search starts, not where it ends: it stays small enough to be read.
const CORPUS_BYTES_MAX: u64 = 300 * 1024;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name)
}

/// Files of a folder, in order; none if the folder does not exist.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs every case of a target; a panic names the file.
fn replay(target: &str) {
    let (_, run) = TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let corpus = files(&folder("corpus").join(target));
    assert!(!corpus.is_empty(), "{target} has no corpus");
    for file in corpus.into_iter().chain(files(&folder("found").join(target))) {
        let data = fs::read(&file).unwrap();
        let result = std::panic::catch_unwind(|| run(&data));
        assert!(result.is_ok(), "{} fails; the reason is above", file.display());
    }
}

#[test]
fn resp_is_read_alike_however_it_is_split() {
    replay("resp");
}

#[test]
fn replies_of_any_shape_are_read_or_refused() {
    replay("replies");
}

#[test]
fn payloads_are_read_as_serde_json_reads_them() {
    replay("payload");
}

#[test]
fn amended_payloads_keep_every_other_byte() {
    replay("amend");
}

#[test]
fn configurations_are_refused_with_their_line_or_mean_the_same_again() {
    replay("config");
}

#[test]
fn schedules_of_any_text_are_refused_or_go_forward() {
    replay("cron");
}

#[test]
fn urls_never_show_a_password() {
    replay("url");
}

#[test]
fn keys_that_are_read_can_be_written_again() {
    replay("keys");
}

#[test]
fn every_target_has_a_fuzzer_a_corpus_and_a_dictionary_and_the_corpus_is_small() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    for (of, suffix) in [("corpus", ""), ("fuzzers", ".rs"), ("dictionaries", ".dict")] {
        let found = files(&folder(of)).into_iter().map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.strip_suffix(suffix).unwrap().to_owned()
        });
        assert_eq!(found.collect::<BTreeSet<_>>(), names, "{of}");
    }
    let found = files(&folder("found"))
        .into_iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    assert!(
        found.collect::<BTreeSet<_>>().is_subset(&names),
        "a found case of an unknown target is never replayed"
    );
    let bytes: u64 = names
        .iter()
        .flat_map(|name| files(&folder("corpus").join(name)))
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(
        bytes <= CORPUS_BYTES_MAX,
        "{bytes} bytes of corpus, at most {CORPUS_BYTES_MAX}: leave smaller files"
    );
}
