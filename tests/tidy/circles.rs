//! Inside these folders imports point one way: a file can be read, and changed, with only those below it in mind.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;
use super::{report, src};

/// Folders without a circle. A file and the folder of its submodules count as one.
const FOLDERS: &[&str] = &["control"];

/// What each module directly inside `folder` imports of its siblings.
fn arrows(sources: &[Source], folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let inside = |path: &[String]| {
        (path.first().map(String::as_str) == Some(folder)).then(|| path.get(1).cloned()).flatten()
    };
    let names: BTreeSet<String> = sources.iter().filter_map(|source| inside(&source.module())).collect();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let module = source.module();
        let Some(own) = inside(&module) else { continue };
        for (_, target) in source.crate_paths() {
            // A path that ends at the folder names something that its `mod.rs` re-exports.
            if target.first().map(String::as_str) != Some(folder) {
                continue;
            }
            let name = target.get(1).filter(|name| names.contains(*name)).cloned();
            let name = name.unwrap_or_else(|| "mod".to_owned());
            if name != own {
                arrows.entry(own.clone()).or_default().insert(name);
            }
        }
    }
    // `mod.rs` re-exports all of them.
    if arrows.values().any(|targets| targets.contains("mod")) {
        arrows.insert("mod".to_owned(), names);
    }
    arrows
}

/// A way from a module back to itself, if there is one.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        arrows: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        let last = way.last()?.clone();
        for next in arrows.get(&last).into_iter().flatten() {
            if let Some(start) = way.iter().position(|module| module == next) {
                return Some([&way[start..], std::slice::from_ref(next)].concat());
            }
            if !done.contains(next) {
                way.push(next.clone());
                if let Some(found) = walk(arrows, way, done) {
                    return Some(found);
                }
                way.pop();
            }
        }
        done.insert(last);
        None
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|start| walk(arrows, &mut vec![start.clone()], &mut done))
}

fn broken(sources: &[Source], folder: &str) -> Option<String> {
    let way = circle(&arrows(sources, folder))?;
    Some(format!(
        "src/{folder}/: {} import each other in a circle: move what they share below them",
        way.join(" -> ")
    ))
}

#[test]
fn imports_inside_a_folder_make_no_circle() {
    let sources = src();
    report(FOLDERS.iter().filter_map(|folder| broken(&sources, folder)));
}

#[test]
fn the_rule_sees_circles_of_files_and_those_through_mod() {
    let check = |files: &[(&str, &str)], expected: Option<&str>| {
        let sources: Vec<Source> = files
            .iter()
            .map(|(name, text)| Source::new(&format!("src/control/{name}.rs"), &format!("//! A.\n{text}\n")))
            .collect();
        let found = broken(&sources, "control");
        assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
        if let (Some(found), Some(expected)) = (found, expected) {
            assert!(found.contains(expected), "{found}");
        }
    };
    check(&[("a", "use super::b::B;"), ("b", "use crate::limits::L;")], None);
    check(
        &[("a", "use super::b::B;"), ("b", "use super::c::C;"), ("c", "use super::a;")],
        Some("a -> b -> c -> a"),
    );
    check(&[("a", "use super::Control;"), ("mod", "mod a;")], Some("a -> mod -> a"));
    // Submodules count as their file.
    check(
        &[("a", "use super::b::B;"), ("b", "mod d;"), ("b/d", "use super::super::a::A;")],
        Some("a -> b -> a"),
    );
    check(&[("a", "mod d;"), ("a/d", "use super::A;")], None);
}
