//! What the library offers, name by name, against `tests/data/public-api.txt`: nothing becomes public, or stops being so,
//! without a reviewer seeing the line.
//!
//! Read from the output of `cargo doc`: the list of all items, and the anchors of methods, variants and fields on
//! their pages. `UPDATE_PUBLIC_API=1 cargo test --test tidy public_api` rewrites the file.
#![expect(clippy::unwrap_used, reason = "a test: what fails, fails it")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::root;

/// Anchors that are part of the API, and how the listing shows them.
const ANCHORS: &[(&str, &str)] = &[
    ("tymethod.", "::"),
    ("method.", "::"),
    ("variant.", "::"),
    ("structfield.", "."),
    ("associatedconstant.", "::"),
    ("associatedtype.", "::"),
];

/// The folder of the documentation, written by cargo with all features.
fn documentation() -> PathBuf {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["doc", "--no-deps", "--all-features", "--lib", "--locked", "--quiet", "-p", "jiggler-uring"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo doc: {}", String::from_utf8_lossy(&output.stderr));
    target.join("doc/jiggler_uring")
}

/// The values of an attribute in a page, in order.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!("{attribute}=\"");
    page.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// `client/struct.Client.html` as `client::Client`.
fn path_of(link: &str) -> Option<(String, String)> {
    let link = link.strip_suffix(".html")?;
    let (folder, file) = link.rsplit_once('/').unwrap_or(("", link));
    let (kind, name) = file.split_once('.')?;
    let folder = folder.replace('/', "::");
    let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}::{name}") };
    Some((kind.to_owned(), path))
}

/// One line for each item, and for each of its own members; those of blanket implementations belong to the language.
fn listing(folder: &Path) -> BTreeSet<String> {
    let all = std::fs::read_to_string(folder.join("all.html")).unwrap();
    let index = std::fs::read_to_string(folder.join("index.html")).unwrap();
    let at_the_top = values(&index, "id").into_iter().filter_map(|anchor| anchor.strip_prefix("reexport."));
    let mut lines: BTreeSet<String> = at_the_top.map(|name| format!("use {name}")).collect();
    for link in values(&all, "href") {
        let Some((kind, path)) = path_of(link) else { continue };
        let Ok(page) = std::fs::read_to_string(folder.join(link)) else { continue };
        lines.insert(format!("{kind} {path}"));
        let own = page.split("id=\"trait-implementations\"").next().unwrap_or_default();
        for anchor in values(own, "id") {
            for (start, joint) in ANCHORS {
                if let Some(member) = anchor.strip_prefix(start)
                    && !member.contains('.')
                {
                    lines.insert(format!("{kind} {path}{joint}{member}"));
                }
            }
        }
    }
    lines
}

#[test]
fn the_public_api_is_the_one_agreed_on() {
    let file = root().join("tests/data/public-api.txt");
    let found = listing(&documentation());
    assert!(
        found.contains("use Client") && found.contains("struct client::Client::enqueue"),
        "nothing was read: {found:?}"
    );
    if std::env::var_os("UPDATE_PUBLIC_API").is_some() {
        let text: String = found.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&file, text).unwrap();
    }
    let agreed = std::fs::read_to_string(&file).unwrap_or_default();
    let agreed: BTreeSet<String> = agreed.lines().map(str::to_owned).collect();
    let new: Vec<_> = found.difference(&agreed).collect();
    let gone: Vec<_> = agreed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "the public API has changed; new: {new:#?}, gone: {gone:#?}\nif intended: UPDATE_PUBLIC_API=1 cargo test --test tidy \
         public_api, and a line in CHANGELOG.md"
    );
}
