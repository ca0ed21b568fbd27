//! A real PostgreSQL for one test: own directory, own port, ended with the test.
//!
//! Its programs are where Debian and others put them (`/usr/lib/postgresql/*/bin`) or on the PATH. It refuses to run
//! as root, so then it runs as the user `postgres` that its package creates.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "part of tests, of which each uses a part; a server that cannot be started fails them"
)]

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::wait::look_again;

/// How long creating and starting a server may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The database's user and password.
pub(crate) const PASSWORD: &str = "geheim-4711";

/// Ended, by its id, when dropped.
pub(crate) struct PostgresServer {
    child: Child,
    directory: TempDir,
    port: u16,
    flags: Vec<String>,
    bin: PathBuf,
}

impl PostgresServer {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more settings, as `name=value`.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let bin = programs();
        give_away(directory.path());
        let password = directory.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        give_away(&password);
        let data = directory.path().join("data");
        let made = unprivileged(&bin.join("initdb"), directory.path())
            .args([
                "--username=app",
                "--auth=scram-sha-256",
                "--no-sync",
                "--no-instructions",
                "--encoding=UTF8",
            ])
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(&data)
            .output()
            .expect("initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let flags: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let (child, port) = launch(&bin, directory.path(), &flags, None);
        Self { child, directory, port, flags, bin }
    }

    /// A client's configuration, over TCP.
    pub(crate) fn config(&self) -> String {
        format!("host=127.0.0.1 port={} user=app password={PASSWORD} dbname=postgres", self.port)
    }

    /// The same over the unix socket.
    pub(crate) fn unix_config(&self) -> String {
        let directory = self.directory.path().display();
        format!("host={directory} port={} user=app password={PASSWORD} dbname=postgres", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it is and may write.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Restarts it with TLS, using this certificate and key.
    pub(crate) fn encrypt(&mut self, certificate: &str, key: &str) {
        self.kill();
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.directory.path().join("data").join(name);
            std::fs::write(&path, text).unwrap();
            give_away(&path);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        self.flags.push("ssl=on".to_owned());
        self.start_again();
    }

    /// Ends it as a crash would, and waits for its end.
    pub(crate) fn kill(&mut self) {
        let mut end = Command::new("kill");
        // Immediate shutdown: its children end with it, which they would not if it were killed.
        let sent = end.args(["-QUIT", &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        self.child.wait().unwrap();
    }

    /// Restarts it on the same port and files, after its end.
    pub(crate) fn start_again(&mut self) {
        (self.child, self.port) = launch(&self.bin, self.directory.path(), &self.flags, Some(self.port));
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// Starts it on a free port, or on this one, and waits until it accepts connections.
fn launch(bin: &Path, directory: &Path, settings: &[String], port: Option<u16>) -> (Child, u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // If something else takes a free port before the server does, the server ends and we try again.
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = port.unwrap_or_else(free);
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let mut server = unprivileged(&bin.join("postgres"), directory);
        server.arg("-D").arg(directory.join("data")).args(["-p", &port.to_string(), "-F"]);
        server.arg("-k").arg(directory).args(["-c", "listen_addresses=127.0.0.1"]);
        for setting in settings {
            server.args(["-c", setting]);
        }
        let mut child = server.stdout(Stdio::null()).stderr(log).spawn().expect("postgres");
        while child.try_wait().unwrap().is_none() {
            let ready = Command::new(bin.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
                .status()
                .expect("pg_isready");
            if ready.success() {
                return (child, port);
            }
            assert!(Instant::now() < deadline, "postgres does not answer: {}", logged(directory));
            look_again();
        }
        assert!(Instant::now() < deadline, "postgres ends at once: {}", logged(directory));
    }
}

fn logged(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("log")).unwrap_or_default()
}

fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|bin| bin.join("initdb").exists())
    };
    versions.pop().or_else(on_path).expect("initdb of PostgreSQL: make deps installs it")
}

/// The user that servers run as if we are root.
fn server_user() -> Option<(u32, u32)> {
    let root =
        std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0).unwrap();
    root.then(|| {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let user = users.lines().find_map(|line| line.strip_prefix("postgres:")).expect("a user postgres");
        let mut fields = user.split(':').skip(1).map(|field| field.parse::<u32>().unwrap());
        (fields.next().unwrap(), fields.next().unwrap())
    })
}

fn give_away(path: &Path) {
    if let Some((user, group)) = server_user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
    if path.is_dir() {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn unprivileged(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null()).env("LC_ALL", "C");
    if let Some((user, group)) = server_user() {
        command.uid(user).gid(group);
    }
    command
}
