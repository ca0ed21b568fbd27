//! Rust sources as the rules of `tidy` see them: code without comments and strings, string literals with their lines,
//! paths into the crate.
//!
//! A scanner, not a parser: it knows comments, string and character literals, `use` trees and module paths, nothing
//! more.
#![expect(clippy::unwrap_used, reason = "part of a test: a source that cannot be read fails it")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// The text, unchanged.
    pub(crate) text: String,
    /// The text with the inside of comments and literals blanked; lines and columns are the same.
    pub(crate) code: String,
    /// String literals: line from 1, and what is between the quotes.
    pub(crate) literals: Vec<(usize, String)>,
}

impl Source {
    /// A file with this path and text.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, literals) = Scanner::new(text).run();
        Self { path: path.to_owned(), text: text.to_owned(), code, literals }
    }

    /// Whether the whole file is test code: outside of src, a test module, or a helper of those (`own_redis.rs`).
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        !self.path.starts_with("src/") || name.ends_with("tests.rs") || name.starts_with("test_")
    }

    /// The line (from 1) at which the inline test module begins; one past the end if there is none.
    pub(crate) fn tests_from(&self) -> usize {
        let lines: Vec<&str> = self.code.lines().collect();
        let begins = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].trim().starts_with("mod ");
        lines.windows(2).position(begins).map_or(lines.len() + 1, |index| index + 1)
    }

    /// Lines of code, numbered from 1, without the inline test module.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line)).take(self.tests_from() - 1)
    }

    /// Literals outside of the inline test module.
    pub(crate) fn product_literals(&self) -> impl Iterator<Item = &(usize, String)> {
        let end = self.tests_from();
        self.literals.iter().filter(move |(line, _)| *line < end)
    }

    /// The path of this file's module: `["resp", "conn"]` for src/resp/conn.rs; empty for lib.rs and main.rs.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    }

    /// Every path into the crate outside of tests: its line, and its segments from the crate's root.
    pub(crate) fn crate_paths(&self) -> Vec<(usize, Vec<String>)> {
        let end = self.tests_from();
        let mut found = Vec::new();
        for (word, supers) in [("crate::", None), ("super::", Some(self.module()))] {
            for (start, _) in self.code.match_indices(word) {
                let before = self.code[..start].chars().next_back();
                // The second `super::` of a path belongs to the first.
                if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                    continue;
                }
                let line = self.code[..start].matches('\n').count() + 1;
                if line >= end {
                    continue;
                }
                let mut rest = &self.code[start + word.len()..];
                let mut root = supers.clone().unwrap_or_default();
                root.pop();
                while let Some(next) = rest.strip_prefix("super::") {
                    root.pop();
                    rest = next;
                }
                expand(rest, &root, &mut found, line);
            }
        }
        found
    }
}

/// Collects the paths of a `use` tree (or a plain path) that begins with `text`, and returns what follows it.
fn expand<'a>(
    text: &'a str,
    prefix: &[String],
    found: &mut Vec<(usize, Vec<String>)>,
    line: usize,
) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start();
            if let Some(behind) = rest.strip_prefix('}') {
                return behind;
            }
            let behind = expand(rest, prefix, found, line).trim_start();
            let behind = behind.strip_prefix(',').unwrap_or(behind);
            if behind.len() == rest.len() {
                return behind; // Not a tree after all: stop instead of looping forever.
            }
            rest = behind;
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name == "self" {
        found.push((line, prefix.to_vec()));
        return rest.strip_prefix('*').unwrap_or(rest);
    }
    let path: Vec<String> = prefix.iter().cloned().chain([name.to_owned()]).collect();
    if let Some(rest) = rest.strip_prefix("::") {
        return expand(rest, &path, found, line);
    }
    found.push((line, path));
    let alias = rest.trim_start().strip_prefix("as ").map(str::trim_start);
    alias.map_or(rest, |alias| alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Every file below `dir` with one of the endings, sorted by path. A missing directory has no files.
pub(crate) fn files(root: &Path, dir: &str, ending: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root.join(dir), ending, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        Source::new(&name, &fs::read_to_string(&path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

fn collect(dir: &Path, ending: &str, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, ending, paths);
        } else if path.extension().is_some_and(|found| found == ending) {
            paths.push(path);
        }
    }
}

/// Splits a text into code and literals.
struct Scanner {
    chars: Vec<char>,
    at: usize,
    line: usize,
    code: String,
    literals: Vec<(usize, String)>,
}

impl Scanner {
    fn new(text: &str) -> Self {
        Self { chars: text.chars().collect(), at: 0, line: 1, code: String::new(), literals: Vec::new() }
    }

    fn run(mut self) -> (String, Vec<(usize, String)>) {
        while let Some(c) = self.peek(0) {
            let word_before = self.code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.blank_while(|scanner| scanner.peek(0) != Some('\n')),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string_until(|_| true, true),
                ('r', Some('"' | '#')) if !word_before => self.raw_or_keep(1),
                ('b' | 'c', Some('r')) if !word_before => self.raw_or_keep(2),
                ('\'', Some('\\')) => self.character(),
                ('\'', Some(_)) if self.peek(2) == Some('\'') => self.character(),
                _ => self.keep(),
            }
        }
        (self.code, self.literals)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn advance(&mut self, shown: Option<char>) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(c == '\n');
        self.code.push(if c == '\n' { c } else { shown.unwrap_or(c) });
        Some(c)
    }

    fn keep(&mut self) {
        self.advance(None);
    }

    fn blank_while(&mut self, inside: impl Fn(&Self) -> bool) {
        while self.peek(0).is_some() && inside(self) {
            self.advance(Some(' '));
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (None, _) => return,
                _ => {
                    self.advance(Some(' '));
                    continue;
                }
            }
            self.advance(Some(' '));
            self.advance(Some(' '));
            if depth == 0 {
                return;
            }
        }
    }

    fn raw_or_keep(&mut self, prefix: usize) {
        let hashes = (0..).take_while(|n| self.peek(prefix + n) == Some('#')).count();
        if self.peek(prefix + hashes) != Some('"') {
            return self.keep();
        }
        for _ in 0..prefix + hashes {
            self.advance(Some(' '));
        }
        self.string_until(|scanner| (1..=hashes).all(|n| scanner.peek(n) == Some('#')), false);
        for _ in 0..hashes {
            self.advance(Some(' '));
        }
    }

    fn string_until(&mut self, closes: impl Fn(&Self) -> bool, escapes: bool) {
        let line = self.line;
        self.keep();
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            if c == '"' && closes(self) {
                self.keep();
                break;
            }
            if c == '\\' && escapes {
                text.extend(self.advance(Some(' ')));
            }
            text.extend(self.advance(Some(' ')));
        }
        self.literals.push((line, text));
    }

    fn character(&mut self) {
        self.keep();
        if self.peek(0) == Some('\\') {
            self.advance(Some(' '));
            self.advance(Some(' '));
        }
        self.blank_while(|scanner| scanner.peek(0) != Some('\''));
        self.keep();
    }
}
