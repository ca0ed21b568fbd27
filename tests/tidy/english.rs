//! Shapes of sentences that no native writes, in comments, texts and documents.
//!
//! The list has the worst of those that this tree once had; it grows with what reviewers stumble over.

use std::fs;

use super::{everything, report, root, source};

/// What may not stand anywhere, in lower case, as whole words; and what to write.
const SHAPES: &[(&str, &str)] = &[
    ("is none to", "\"is not one to\", or say what it is"),
    ("there is none of", "\"there is no\""),
    ("it is none", "\"it is not one\", with the noun"),
    ("that is none", "\"that is not one\", with the noun"),
    ("which is none", "\"which is not one\", with the noun"),
    ("and is none", "\"but is not one\", with the noun"),
    ("what is none", "\"anything else\""),
    ("is none any more", "\"is no longer\""),
    ("none any more", "\"no longer\""),
    ("nothing any more", "\"no longer\""),
    ("is older than the last time", "name the event"),
    ("must bear to be", "\"must be safe to\""),
    ("bears to be", "\"is safe to\""),
    ("whoever", "\"the caller\", \"any process that\", \"anyone who\""),
    ("whomever", "\"anyone\""),
    ("looks for himself", "\"looks for itself\""),
    ("by himself", "\"by itself\", \"alone\""),
    ("at the begin", "\"at the start\""),
    ("the begin of", "\"the start of\""),
    ("gone on with", "\"continued\""),
    ("goes on with", "\"continues\""),
    ("would else", "\"would otherwise\""),
    ("must else", "\"must otherwise\""),
    ("all else", "\"everything else\""),
    ("is told of", "\"hears of\", \"learns of\""),
    ("has to do with", "\"concerns\""),
];

/// Files besides the sources that people read.
const DOCUMENTS: &[&str] =
    &["README.md", "CHANGELOG.md", "Makefile", "packaging/README.md", "perf/README.md", "loadgen/README.md"];

/// A line as it reads: without the marks of a comment.
fn words(line: &str) -> String {
    let text = line.trim().trim_start_matches(['/', '!', '#', '-', '*', '>', ' ']);
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn holds(text: &str, shape: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(shape)
        .any(|(at, _)| !text[..at].ends_with(is_word) && !text[at + shape.len()..].starts_with(is_word))
}

pub(super) fn broken_english(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<String> = text.lines().map(words).collect();
    let mut broken = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        // A sentence goes over more than one line.
        let next = lines.get(index + 1).map_or("", String::as_str);
        let both = format!("{line} {next}");
        for (shape, instead) in SHAPES {
            if holds(line, shape) || holds(&both, shape) && !holds(next, shape) {
                broken.push(format!("{path}:{}: \"{shape}\" is foreign English: write {instead}", index + 1));
            }
        }
    }
    broken
}

#[test]
fn the_english_is_plain() {
    let own = |path: &str| path.starts_with("tests/tidy/");
    let scripts = source::files(root(), "src", "lua");
    let sources = everything().into_iter().chain(scripts).filter(|source| !own(&source.path));
    let mut broken: Vec<String> =
        sources.flat_map(|source| broken_english(&source.path, &source.text)).collect();
    for path in DOCUMENTS {
        let text = fs::read_to_string(root().join(path)).expect(path);
        broken.extend(broken_english(path, &text));
    }
    report(broken);
}
