//! Tells the program which commit it is built from, for `--version`.
//!
//! It comes from, in this order: the variable `JIGGLER_URING_COMMIT`, for builders without a repository (a container, a
//! distribution); the file that `cargo package` leaves in a published crate; git. A build without any of these works and
//! names no commit. Nor does a debug build: otherwise each commit would recompile everything for developers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Digits of a commit that are shown: enough to be unique.
const DIGITS: usize = 12;

/// Sets the commit from outside.
const VARIABLE: &str = "JIGGLER_URING_COMMIT";

fn main() {
    println!("cargo::rerun-if-changed=packaging/build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let given = env::var(VARIABLE).ok().filter(|commit| !commit.is_empty());
    let commit = match given {
        None if !release => None,
        None => {
            for path in moves_with_head(&root) {
                println!("cargo::rerun-if-changed={}", path.display());
            }
            packaged(&root).or_else(|| checked_out(&root))
        }
        given => given,
    };
    let shown = match commit {
        Some(commit) => format!("{version} ({})", commit.chars().take(DIGITS).collect::<String>()),
        None if release => version,
        None => format!("{version} (debug build)"),
    };
    println!("cargo::rustc-env=JIGGLER_URING_VERSION={shown}");
}

/// The commit a published crate was packaged from.
pub(crate) fn packaged(root: &Path) -> Option<String> {
    let info = fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = info.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    commit.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| commit.to_owned())
}

/// The commit that is checked out, if `root` is the top of a repository and not just a directory inside one.
pub(crate) fn checked_out(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    let same = fs::canonicalize(top).ok()? == fs::canonicalize(root).ok()?;
    same.then(|| git(root, &["rev-parse", "HEAD"])).flatten()
}

/// Files of the repository, at least one of which changes when another commit is checked out or made. Only existing ones:
/// cargo would rebuild every time for a missing one.
pub(crate) fn moves_with_head(root: &Path) -> Vec<PathBuf> {
    let mut names = vec!["HEAD".to_owned(), "logs/HEAD".to_owned(), "packed-refs".to_owned()];
    names.extend(git(root, &["symbolic-ref", "--quiet", "HEAD"]));
    let paths = names.iter().filter_map(|name| git(root, &["rev-parse", "--git-path", name]));
    paths.map(|path| root.join(path)).filter(|path| path.exists()).collect()
}

/// One line of git's output; `None` if there is no git, no repository, or one that git does not trust.
fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root).args(args).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}
