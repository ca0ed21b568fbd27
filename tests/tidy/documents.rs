//! What users and newcomers read is right: examples use what a program has, and the map shows every module.

use std::fs;

use super::{everything, lines_with, root};

/// An example shows what a program can use; glommio is a dependency of ours, not of theirs.
#[test]
fn examples_use_only_what_the_library_offers() {
    for source in everything().iter().filter(|source| source.path.starts_with("examples/")) {
        let lines: Vec<usize> =
            ["glommio", "internal"].iter().flat_map(|word| lines_with(source, word)).collect();
        assert_eq!(lines, [0; 0], "{}: use `jiggler_uring::io`", source.path);
    }
}

#[test]
fn the_map_shows_every_module() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let architecture = fs::read_to_string(root().join("src/architecture.rs")).unwrap();
    let map = architecture.split("# The map").nth(1).unwrap().split("# Words").next().unwrap();
    let modules = library.lines().filter_map(|line| {
        line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "))?.strip_suffix(';')
    });
    // Servers for the tests inside the crate.
    let helpers = ["own_redis", "redis_server", "wait"];
    let missing: Vec<&str> =
        modules.filter(|name| !helpers.contains(name) && !map.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0], "src/architecture.rs, The map");
}
