//! What the compiler reports for functions that are not handlers: it names the rule, in our words.
//!
//! Each file of `tests/signatures/` is compiled against the library that cargo built for this test. Its `//~ ` lines
//! are phrases the compiler's message must contain; a file without them must compile. Whole messages are not
//! compared: they change with the compiler.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Where cargo puts its output, including this test.
fn built() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The most recently built library, which is the one for this test.
fn library() -> PathBuf {
    let made =
        |path: &PathBuf| path.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let files = std::fs::read_dir(built()).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libjiggler_uring-") && name.ends_with(".rlib")
    };
    files.filter(named).max_by_key(made).unwrap()
}

/// What the compiler reports for a file: whether it compiles, and its message without line breaks.
fn compile(source: &Path, library: &Path) -> (bool, String) {
    let out = tempfile::tempdir().unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--color", "never"])
        .arg("--extern")
        .arg(format!("jiggler_uring={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", built().display()))
        .arg("--out-dir")
        .arg(out.path())
        .arg(source)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_wrong_signature_is_explained_in_our_words() {
    let library = library();
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let phrases: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("//~ ")).collect();
        let (compiles, said) = compile(&path, &library);
        assert_eq!(compiles, phrases.is_empty(), "{}: {said}", path.display());
        for phrase in phrases {
            assert!(said.contains(phrase), "{}: `{phrase}` is missing in: {said}", path.display());
        }
        count += 1;
    }
    assert_eq!(count, 17);
}
