//! Files over the ring: reading, writing, appending.
//!
//! ```
//! use jiggler_uring::io::fs::{self, AppendFile};
//! use jiggler_uring::{Ctx, JobResult};
//!
//! struct App {
//!     journal: AppendFile, // one per core and file, opened by the factory
//! }
//!
//! async fn record(ctx: Ctx<App>, event: String) -> JobResult {
//!     ctx.state().journal.append(format!("{event}\n").as_bytes()).await?;
//!     Ok(())
//! }
//!
//! async fn convert(from: String, to: String) -> JobResult {
//!     let text = fs::read(&from).await?;
//!     fs::write(&to, text.to_ascii_uppercase()).await?;
//!     Ok(())
//! }
//! # drop((record, convert));
//! ```
//!
//! Reads and writes go through the page cache. A call that has answered is in the kernel's hands: it survives the end of
//! this process, not the loss of power; [`Durability::Synced`] says otherwise for appends.
//!
//! Not here: locks, directories, watching files.

mod append;

use std::io;
use std::path::{Path, PathBuf};

use glommio::GlommioError;
use glommio::io::{BufferedFile, OpenOptions};
use thiserror::Error;

pub use self::append::{AppendFile, Durability};
use crate::limits::io::{FILE_BYTES_MAX, FILE_PIECE_BYTES};

/// A file could not be used. What was wrong may pass (a full disk) or not (no such directory).
#[derive(Debug, Error)]
#[error("{action} {}", path.display())]
#[non_exhaustive]
pub struct Error {
    /// What was tried: `open`, `read`, `write`, `append to`, `sync` or `close`.
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

impl Error {
    fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    fn of_glommio(action: &'static str, path: &Path, error: GlommioError<()>) -> Self {
        Self::new(action, path, kernels_word(error))
    }
}

/// Reads a whole file.
///
/// # Errors
/// [`Error`](struct@Error); of kind `FileTooLarge` beyond [`FILE_BYTES_MAX`].
///
/// # Cancel-safety
/// Safe.
pub async fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, Error> {
    let path = path.as_ref();
    let failed = |error| Error::of_glommio("read", path, error);
    let file = OpenOptions::new()
        .read(true)
        .buffered_open(path)
        .await
        .map_err(|error| Error::of_glommio("open", path, error))?;
    let mut bytes = Vec::new();
    loop {
        let more = file.read_at(bytes.len() as u64, FILE_PIECE_BYTES).await.map_err(failed)?;
        if more.is_empty() {
            break;
        }
        if bytes.len() + more.len() > FILE_BYTES_MAX {
            let what = format!("it has more than the {FILE_BYTES_MAX} bytes that are read as a whole");
            return Err(Error::new("read", path, io::Error::new(io::ErrorKind::FileTooLarge, what)));
        }
        bytes.extend_from_slice(&more);
    }
    file.close().await.map_err(|error| Error::of_glommio("close", path, error))?;
    Ok(bytes)
}

/// Writes a whole file: it is made, or emptied first. Others see it grow; whoever must not see half of it writes another
/// file and renames that.
///
/// # Errors
/// [`Error`](struct@Error); a part may have been written.
///
/// # Cancel-safety
/// A dropped write may have written a part.
pub async fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
    let path = path.as_ref();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    put(path, &options, "write", bytes.as_ref(), FILE_PIECE_BYTES).await
}

/// Appends to a file, which is made if it is not there. One look-up, one write and one close: [`AppendFile`] is for doing
/// it often.
///
/// The bytes come after all that was in the file, whoever else appends to it, and stand together.
///
/// # Errors
/// [`Error`](struct@Error); a part may have been written if the disk is full.
///
/// # Cancel-safety
/// A dropped append may have been done or not.
pub async fn append(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
    let path = path.as_ref();
    put(path, &append_options(), "append to", bytes.as_ref(), usize::MAX).await
}

async fn put(
    path: &Path,
    options: &OpenOptions,
    action: &'static str,
    bytes: &[u8],
    piece_bytes_max: usize,
) -> Result<(), Error> {
    let file = options.buffered_open(path).await.map_err(|error| Error::of_glommio("open", path, error))?;
    let (_, result) = write_all(&file, bytes, piece_bytes_max).await;
    result.map_err(|error| Error::new(action, path, error))?;
    // A network file system may say only here that it has no room.
    file.close().await.map_err(|error| Error::of_glommio("close", path, error))
}

fn append_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    options
}

/// Writes all bytes in pieces of at most `piece_bytes_max`, from the start of the file, or behind its end if it was opened
/// for appending. How many were written, whatever came in between.
async fn write_all(file: &BufferedFile, bytes: &[u8], piece_bytes_max: usize) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        let length = (bytes.len() - written).min(piece_bytes_max);
        // A copy, for the kernel owns the bytes while it writes them.
        let piece = bytes[written..written + length].to_vec();
        match file.write_at(piece, written as u64).await {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) => return (written, Err(kernels_word(error))),
        }
    }
    (written, Ok(()))
}

/// Without the path, which our own errors name.
fn kernels_word(error: GlommioError<()>) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.into(),
    }
}
