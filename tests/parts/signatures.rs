//! What the compiler says of functions that are no handlers: it names the rule, in words of ours.
//!
//! Each file of `tests/signatures/` is compiled against the library as cargo has built it for this test. `//~ ` lines in it
//! are phrases the compiler's message must hold; a file without them must compile. Whole messages are not compared: they
//! change with the compiler.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Where cargo puts what it builds: that of this test itself.
fn built() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The library as it was built last, which is for this test.
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

/// What a compiler says of a file: whether it compiles, and its words, their line breaks gone.
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
fn a_wrong_signature_is_explained_in_words_of_ours() {
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
    assert_eq!(count, 9);
}
