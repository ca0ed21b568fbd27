//! Inside these folders imports go one way, and no other file writes to a file's state.

use std::collections::BTreeMap;

use super::{Source, report, src};

/// Folders of one room each: no file imports one that imports it, directly or indirectly.
const FOLDERS: &[&str] =
    &["acts", "admin", "control", "handler", "io", "job", "resp", "shard", "store", "view", "web", "wire"];

/// Folders in which no mutable field is open.
const OWNED: &[&str] = &["shard"];

/// What each file of a folder imports of it, by name, with the line of the first such import.
type Imports<'a> = BTreeMap<&'a str, BTreeMap<&'a str, usize>>;

/// The name of a file of the folder; `mod` is the folder's own.
fn file<'a>(source: &'a Source, folder: &str) -> Option<&'a str> {
    let name = source.path.strip_prefix(&format!("src/{folder}/"))?.strip_suffix(".rs")?;
    Some(name.strip_suffix("/mod").unwrap_or(name).split('/').next().unwrap_or(name))
}

fn imports<'a>(sources: &'a [Source], folder: &str) -> Imports<'a> {
    let files: Vec<&str> = sources.iter().filter_map(|source| file(source, folder)).collect();
    let mut imports: Imports<'_> = files.iter().map(|file| (*file, BTreeMap::new())).collect();
    // The folder's own file names every other, so a file that imports it closes a circle.
    imports.insert("mod", files.iter().filter(|file| **file != "mod").map(|file| (*file, 1)).collect());
    for source in sources {
        let Some(own) = file(source, folder) else { continue };
        for (line, path) in source.crate_paths() {
            if path.first().is_none_or(|first| first != folder) {
                continue;
            }
            let target =
                path.get(1).and_then(|name| files.iter().find(|file| *file == name)).unwrap_or(&"mod");
            if *target != own {
                imports.entry(own).or_default().entry(target).or_insert(line);
            }
        }
    }
    imports
}

/// A circle of imports inside a folder, if there is any.
pub(crate) fn broken_circle(sources: &[Source], folder: &str) -> Option<String> {
    let mut imports = imports(sources, folder);
    // A file that imports none of the remaining ones is in no circle. In the end each file left imports another one
    // left.
    loop {
        let before = imports.len();
        let left: Vec<&str> = imports.keys().copied().collect();
        for targets in imports.values_mut() {
            targets.retain(|target, _| left.contains(target));
        }
        imports.retain(|_, targets| !targets.is_empty());
        if imports.len() == before {
            break;
        }
    }
    let mut way = vec![*imports.keys().next()?];
    loop {
        let (next, _) = imports.get(way.last()?)?.first_key_value()?;
        if let Some(start) = way.iter().position(|file| file == next) {
            let (from, line) = (way.last()?, imports.get(way.last()?)?.get(next)?);
            let circle = [&way[start..], &[*next]].concat().join("` -> `");
            return Some(format!(
                "src/{folder}/{from}.rs:{line}: a circle of imports: `{circle}`: move what both need into a file below them"
            ));
        }
        way.push(next);
    }
}

/// Fields that any file of the folder could write to.
pub(crate) fn broken_fields(source: &Source, folder: &str) -> Vec<String> {
    if file(source, folder).is_none() {
        return Vec::new();
    }
    let opens = |line: &str| {
        line.trim_start().starts_with("pub")
            && ![" fn ", " struct ", " type "].iter().any(|other| line.contains(other))
            && ["Cell<", "Event,"].iter().any(|changing| line.contains(changing))
    };
    let broken = source.product_lines().filter(|(_, line)| opens(line));
    broken
        .map(|(line, _)| {
            format!("{}:{line}: an open field that changes: keep it private, and give it a verb", source.path)
        })
        .collect()
}

#[test]
fn imports_inside_a_room_go_one_way_and_its_state_has_owners() {
    let sources: Vec<Source> = src().into_iter().filter(|source| !source.is_test()).collect();
    for folder in FOLDERS {
        report(broken_circle(&sources, folder));
    }
    for folder in OWNED {
        report(sources.iter().flat_map(|source| broken_fields(source, folder)));
    }
}
