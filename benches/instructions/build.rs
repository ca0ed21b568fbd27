//! Records which compiler builds the counted code: another compiler gives other counts.

use std::env;
use std::process::Command;

fn main() {
    let compiler = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(compiler).arg("--version").output();
    let version =
        version.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
    println!("cargo::rustc-env=COUNTED_COMPILER={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
