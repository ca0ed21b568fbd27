//! Where the private server's files are, and that only their owner can reach them.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::Error;
use crate::{config::Variables, limits::UNIX_SOCKET_PATH_BYTES_MAX};

const NAME: &str = "jiggler-uring";

/// Only the owner reads, writes and enters.
const OWNER_ONLY: u32 = 0o700;

/// The directory of the private server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateDir(PathBuf);

impl StateDir {
    /// `$XDG_STATE_HOME/jiggler-uring`, or else `~/.local/state/jiggler-uring`, or else for root /var/lib/jiggler-uring.
    ///
    /// # Errors
    /// [`Error::NoStateDir`] if none of the three applies.
    pub(crate) fn locate(variables: Variables<'_>) -> Result<Self, Error> {
        Self::locate_as(variables, is_root())
    }

    fn locate_as(variables: Variables<'_>, root: bool) -> Result<Self, Error> {
        // The XDG rules: a relative path is to be ignored.
        let absolute = |name: &str| variables(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute("XDG_STATE_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".local/state")))
            .or_else(|| root.then(|| PathBuf::from("/var/lib")))
            .map(|parent| Self(parent.join(NAME)))
            .ok_or(Error::NoStateDir)
    }

    /// A directory chosen by the caller.
    #[must_use]
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Creates the directory if it is missing, for its owner only.
    ///
    /// # Errors
    /// [`Error::State`].
    pub(crate) fn create(&self) -> Result<(), Error> {
        self.check_owner()?;
        let create = || -> io::Result<()> {
            if let Some(parent) = self.0.parent() {
                fs::create_dir_all(parent)?;
            }
            match DirBuilder::new().mode(OWNER_ONLY).create(&self.0) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            // This is about a directory that was already there.
            fs::set_permissions(&self.0, Permissions::from_mode(OWNER_ONLY))
        };
        create().map_err(|source| Error::State { path: self.0.clone(), source })
    }

    /// Refuses a directory of another user: root could use it as well, and would trust what is in it.
    ///
    /// # Errors
    /// [`Error::State`].
    pub(crate) fn check_owner(&self) -> Result<(), Error> {
        // One that is missing belongs to nobody.
        let Ok(data) = fs::metadata(&self.0) else { return Ok(()) };
        let (owner, own) = (data.uid(), rustix::process::geteuid().as_raw());
        if owner == own {
            return Ok(());
        }
        let source = io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "it belongs to the user of id {owner}, and this process runs as {own}; run as that user, or name another \
                 directory with XDG_STATE_HOME, or a server with --redis-url"
            ),
        );
        Err(Error::State { path: self.0.clone(), source })
    }

    /// The directory itself.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The server's socket.
    ///
    /// # Errors
    /// [`Error::SocketPathTooLong`].
    pub(crate) fn socket(&self) -> Result<PathBuf, Error> {
        let path = self.0.join("redis.sock");
        match path.as_os_str().len() > UNIX_SOCKET_PATH_BYTES_MAX {
            true => Err(Error::SocketPathTooLong { path }),
            false => Ok(path),
        }
    }

    /// The server's log.
    #[must_use]
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("redis.log")
    }

    /// Held exclusively while a server is looked for, started or ended.
    #[must_use]
    pub(crate) fn gate(&self) -> PathBuf {
        self.0.join("gate.lock")
    }

    /// Held shared by every process that uses the server.
    #[must_use]
    pub(crate) fn users(&self) -> PathBuf {
        self.0.join("users.lock")
    }
}

/// Whether this process runs as root, that is, whether root owns its entry in /proc.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_follows_xdg_then_home_then_root() {
        let locate = |xdg: Option<&str>, home: Option<&str>, root: bool| {
            let variables = |name: &str| match name {
                "XDG_STATE_HOME" => xdg.map(Into::into),
                "HOME" => home.map(Into::into),
                _ => None,
            };
            StateDir::locate_as(&variables, root).map(|dir| dir.path().display().to_string())
        };
        assert_eq!(locate(Some("/s"), Some("/h"), false).unwrap(), "/s/jiggler-uring");
        assert_eq!(locate(Some("relative"), Some("/h"), true).unwrap(), "/h/.local/state/jiggler-uring");
        assert_eq!(locate(None, Some("/h"), false).unwrap(), "/h/.local/state/jiggler-uring");
        assert_eq!(locate(None, None, true).unwrap(), "/var/lib/jiggler-uring");
        assert!(matches!(locate(None, Some(""), false), Err(Error::NoStateDir)));
    }

    #[test]
    fn the_directory_is_closed_to_others_even_if_it_was_open() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::at(parent.path().join("a/b/jiggler-uring"));
        let mode = || fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777;
        dir.create().unwrap();
        assert_eq!(mode(), 0o700);
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        dir.create().unwrap();
        assert_eq!(mode(), 0o700);
    }

    #[test]
    fn a_directory_of_another_user_is_refused_even_to_root() {
        if !is_root() {
            return;
        }
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::at(parent.path().join("jiggler-uring"));
        dir.create().unwrap();
        std::os::unix::fs::chown(dir.path(), Some(65_534), Some(65_534)).unwrap();
        for result in [dir.create(), dir.check_owner()] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(&dir.path().display().to_string()), "{error}");
        }
    }

    #[test]
    fn a_socket_path_is_bounded_at_what_the_kernel_takes() {
        let suffix = "/redis.sock".len();
        for (bytes, valid) in [(107, true), (108, false)] {
            let dir = StateDir::at(format!("/{}", "d".repeat(bytes - suffix - 1)).into());
            match dir.socket() {
                Ok(path) => assert!(valid && path.as_os_str().len() == bytes),
                Err(error) => assert!(!valid && error.to_string().contains("XDG_STATE_HOME"), "{error}"),
            }
        }
    }
}
