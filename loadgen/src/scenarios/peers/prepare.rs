//! Finds or builds what a peer needs: interpreters from the system, libraries into the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Peer;
use crate::worker::workspace_root;

/// How many characters of a failed command's last line are shown.
const REASON_CHARS: usize = 300;

/// Extension of the copy of the installed manifest.
const INSTALLED: &str = "installed";

/// A peer that can be run.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    /// Name and version.
    pub(super) title: String,
    program: PathBuf,
    /// Precede the command.
    arguments: Vec<PathBuf>,
}

impl Ready {
    /// The program without a command, logging nowhere but to its outputs.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env("NODE_ENV", "production").env("RUST_LOG", "error");
        command
    }
}

/// Makes a peer ready, or reports what is missing and how to get it.
pub(super) fn prepare(peer: Peer) -> Result<Ready, String> {
    match peer {
        Peer::Sidekiq => sidekiq(),
        Peer::RustySidekiq => rust("rusty-sidekiq", peer),
        Peer::ApalisRedis => rust("apalis-redis", peer),
        Peer::Bullmq => bullmq(),
        Peer::Dramatiq => dramatiq(),
    }
}

fn sidekiq() -> Result<Ready, String> {
    let script = "require 'sidekiq'; puts \"Sidekiq #{Sidekiq::VERSION} (Ruby #{RUBY_VERSION})\"";
    let title = output(Command::new("ruby").args(["-e", script])).map_err(|reason| {
        format!("apt install ruby-sidekiq, or gem install sidekiq -v '~> 6.5' ({reason})")
    })?;
    Ok(Ready { title, program: "ruby".into(), arguments: vec![sources().join("sidekiq/noop.rb")] })
}

fn rust(binary: &str, peer: Peer) -> Result<Ready, String> {
    let target = cache();
    output(
        Command::new("cargo")
            .args(["build", "--release", "--quiet", "--locked", "--bin", binary, "--target-dir"])
            .arg(&target)
            .arg("--manifest-path")
            .arg(sources().join("Cargo.toml")),
    )
    .map_err(|reason| format!("cargo could not build it: is crates.io reachable? ({reason})"))?;
    let program = target.join("release").join(binary);
    Ok(Ready { title: format!("{} (Rust)", peer.setting().name), program, arguments: Vec::new() })
}

fn bullmq() -> Result<Ready, String> {
    let node = output(Command::new("node").arg("--version"))
        .map_err(|reason| format!("node is missing: apt install nodejs npm ({reason})"))?;
    let folder = copied("bullmq", &["package.json", "noop.mjs"])?;
    let manifest = folder.join("package.json");
    if !is_installed(&manifest) {
        let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"];
        output(Command::new("npm").args(install).current_dir(&folder))
            .map_err(|reason| format!("npm could not fetch it ({reason})"))?;
        note_installed(&manifest)?;
    }
    let title = format!("{} (Node {})", Peer::Bullmq.setting().name, node.trim_start_matches('v'));
    Ok(Ready { title, program: "node".into(), arguments: vec![folder.join("noop.mjs")] })
}

fn dramatiq() -> Result<Ready, String> {
    let folder = copied("dramatiq", &["requirements.txt", "noop.py"])?;
    let python = folder.join("venv/bin/python");
    let manifest = folder.join("requirements.txt");
    if !is_installed(&manifest) {
        output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("venv")))
            .map_err(|reason| format!("python3 with venv is missing: apt install python3-venv ({reason})"))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        output(Command::new(&python).args(install).arg(&manifest))
            .map_err(|reason| format!("pip could not fetch it ({reason})"))?;
        note_installed(&manifest)?;
    }
    let version = output(Command::new(&python).arg("--version"))?;
    let title = format!("{} ({version})", Peer::Dramatiq.setting().name);
    Ok(Ready { title, program: python, arguments: vec![folder.join("noop.py")] })
}

/// The peers' sources in the repository.
fn sources() -> PathBuf {
    workspace_root().join("loadgen/peers")
}

/// What is built and downloaded goes to the target directory, which is never committed.
fn cache() -> PathBuf {
    workspace_root().join("target/peers")
}

/// A folder of the cache with these files of a peer in their present form.
fn copied(peer: &str, files: &[&str]) -> Result<PathBuf, String> {
    let folder = cache().join(peer);
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    for file in files {
        fs::copy(sources().join(peer).join(file), folder.join(file)).map_err(failed)?;
    }
    Ok(folder)
}

/// Whether what the manifest requests in its present form has already been fetched.
fn is_installed(manifest: &Path) -> bool {
    let fetched = fs::read(manifest.with_extension(INSTALLED));
    fetched.is_ok_and(|fetched| fs::read(manifest).is_ok_and(|wanted| wanted == fetched))
}

fn note_installed(manifest: &Path) -> Result<(), String> {
    fs::copy(manifest, manifest.with_extension(INSTALLED))
        .map(drop)
        .map_err(|error| format!("{}: {error}", manifest.display()))
}

/// What a program prints, or the last line of its errors if it fails.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{name}: {}", last.trim().chars().take(REASON_CHARS).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_changed_is_not_installed() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("package.json");
        fs::write(&manifest, "1").unwrap();
        assert!(!is_installed(&manifest));
        note_installed(&manifest).unwrap();
        assert!(is_installed(&manifest));
        fs::write(&manifest, "2").unwrap();
        assert!(!is_installed(&manifest));
    }

    #[test]
    fn a_program_that_fails_is_known_by_its_last_words() {
        let script = "echo first >&2; echo last words >&2; echo >&2; exit 1";
        assert_eq!(output(Command::new("sh").args(["-c", script])), Err("sh: last words".to_owned()));
        assert_eq!(output(Command::new("echo").arg("1.0")), Ok("1.0".to_owned()));
        assert!(output(&mut Command::new("/nonexistent")).is_err());
    }
}
