//! A PostgreSQL of our own: temporary directory, free port on loopback; never the user's.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{User, chown, geteuid};
use tempfile::TempDir;

use crate::child::Child;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::placement::Placement;
use crate::redis_server::free_port;

/// Where Debian keeps the programs, one folder per version.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";

/// PostgreSQL refuses to run as root; its package creates this user.
const USER: &str = "postgres";

/// Connections on top of those of the jobs: its own and a few to spare.
const SPARE_CONNECTIONS: u64 = 20;

/// How long the server may take to accept connections.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause between two checks of a starting server.
const START_POLL: Duration = Duration::from_millis(50);

/// In the log of a server that accepts connections.
const READY: &str = "database system is ready to accept connections";

const LOG: &str = "postgres.log";

/// A running private PostgreSQL. Dropping it stops the server and removes its directory.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    // Invariant: declared before `directory`, so that the server ends before its files are removed.
    child: Child,
    port: u16,
    version: String,
    directory: TempDir,
}

impl PostgresServer {
    /// Starts a server for that many connections on Redis's CPUs.
    ///
    /// # Errors
    /// PostgreSQL is missing or does not start, or an interrupt.
    pub(crate) fn start(
        programs: Option<&Path>,
        connections: u64,
        placement: &Placement,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let programs = find(programs)?;
        let owner = owner()?;
        let directory = tempfile::Builder::new()
            .prefix("loadgen-postgres-")
            .tempdir()
            .map_err(|error| Error::system("creating a temporary directory", error))?;
        if let Some(owner) = &owner {
            chown(directory.path(), Some(owner.uid), Some(owner.gid))
                .map_err(|errno| Error::system("giving a folder to PostgreSQL's user", errno))?;
        }
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(directory.path());
            if let Some(owner) = &owner {
                command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
            }
            command
        };
        let version = make_cluster(command("initdb"), &directory.path().join("data"))?;
        let port = free_port()?;
        let mut server = command("postgres");
        server
            .arg("-D")
            .arg(directory.path().join("data"))
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"])
            .arg(directory.path())
            .args(["-c", &format!("max_connections={}", connections + SPARE_CONNECTIONS)])
            .args(["-c", "fsync=off", "-c", "shared_buffers=16MB"]);
        placement.enter_redis()?;
        let child = Child::spawn("private PostgreSQL", server, &directory.path().join(LOG));
        placement.enter_worker()?;
        let mut server = Self { child: child?, port, version, directory };
        server.wait_until_ready(interrupt)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, interrupt: &Interrupt) -> Result<(), Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        let log = self.directory.path().join(LOG);
        loop {
            interrupt.check()?;
            let text = fs::read_to_string(&log)
                .map_err(|error| Error::system(format!("reading {}", log.display()), error))?;
            if text.contains(READY) && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            if self.child.ended()?.is_some() || Instant::now() > deadline {
                return Err(Error::HelperStart { name: "private PostgreSQL", log: self.child.log_tail() });
            }
            thread::sleep(START_POLL);
        }
    }

    /// The connection string.
    pub(crate) fn config(&self) -> String {
        format!("host=127.0.0.1 port={} user={USER} dbname=postgres sslmode=disable", self.port)
    }

    /// Name and version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Shuts the server down cleanly.
    ///
    /// # Errors
    /// It did not end in time and was killed.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.child.terminate(STOP_TIMEOUT).map(drop)
    }
}

/// Creates the files of an empty server and returns the version that created them.
fn make_cluster(mut initdb: Command, data: &Path) -> Result<String, Error> {
    let output = initdb
        .args([
            "--auth",
            "trust",
            "--no-sync",
            "--locale",
            "C",
            "--encoding",
            "UTF8",
            "--username",
            USER,
            "-D",
        ])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::system("starting initdb", error))?;
    if !output.status.success() {
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::HelperStart { name: "initdb", log });
    }
    let file = data.join("PG_VERSION");
    let version = fs::read_to_string(&file)
        .map_err(|error| Error::system(format!("reading {}", file.display()), error))?;
    Ok(format!("PostgreSQL {}", version.trim()))
}

/// The user to switch to if this process is root.
fn owner() -> Result<Option<User>, Error> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    match User::from_name(USER) {
        Ok(Some(user)) => Ok(Some(user)),
        Ok(None) => Err(Error::PostgresMissing),
        Err(errno) => Err(Error::system(format!("looking for the user {USER}"), errno)),
    }
}

/// The folder of initdb and postgres.
fn find(chosen: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(chosen) = chosen {
        return if holds_programs(chosen) {
            Ok(chosen.to_owned())
        } else {
            Err(Error::ProgramMissing(chosen.join("initdb")))
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .find(|folder| holds_programs(folder))
        .or_else(|| newest(Path::new(DEBIAN_FOLDER)))
        .ok_or(Error::PostgresMissing)
}

fn newest(folder: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let found = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        holds_programs(&programs).then_some((version, programs))
    });
    found.max().map(|(_, programs)| programs)
}

fn holds_programs(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_wins_and_one_without_programs_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        for (version, programs) in [("9", true), ("15", true), ("17", false)] {
            let bin = folder.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            if programs {
                fs::write(bin.join("initdb"), "").unwrap();
                fs::write(bin.join("postgres"), "").unwrap();
            }
        }
        assert_eq!(newest(folder.path()), Some(folder.path().join("15/bin")));
    }

    #[test]
    fn a_missing_server_names_the_package() {
        assert!(Error::PostgresMissing.to_string().contains("apt install postgresql"));
        assert!(find(Some(Path::new("/nonexistent"))).is_err());
    }
}
