//! What `packaging/build.rs` learns about the commit: in a repository, in a published crate, in neither.
#![expect(clippy::unwrap_used, reason = "part of a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

#[path = "../../packaging/build.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "its main is for cargo, which reads what it prints")]
mod build;

#[track_caller]
fn git(root: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").current_dir(root).args(identity).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

#[test]
fn a_repository_names_its_commit_and_what_changes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert_eq!((build::checked_out(root), build::moves_with_head(root)), (None, Vec::new()));
    git(root, &["init", "--quiet", "--initial-branch", "main"]);
    git(root, &["commit", "--quiet", "--allow-empty", "--message", "one"]);
    let commit = build::checked_out(root).unwrap();
    assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
    let watched: Vec<_> = build::moves_with_head(root);
    assert!(watched.iter().all(|path| path.is_file()), "{watched:?}");
    let contents = || watched.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>();
    let before = contents();
    git(root, &["commit", "--quiet", "--allow-empty", "--message", "two"]);
    assert_ne!(contents(), before, "no watched file has changed");
    assert_ne!(build::checked_out(root).unwrap(), commit);
    // A crate that was unpacked inside some other repository.
    let inner = root.join("vendor/jiggler-uring");
    fs::create_dir_all(&inner).unwrap();
    assert_eq!(build::checked_out(&inner), None);
}

#[test]
fn a_published_crate_names_the_commit_it_was_packaged_from() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(build::packaged(folder.path()), None);
    let commit = "b3c52fa3e7c9374679525def946f22934f935d4d";
    let info = format!("{{\n  \"git\": {{\n    \"sha1\": \"{commit}\"\n  }},\n  \"path_in_vcs\": \"\"\n}}");
    fs::write(folder.path().join(".cargo_vcs_info.json"), info).unwrap();
    assert_eq!(build::packaged(folder.path()).as_deref(), Some(commit));
}
