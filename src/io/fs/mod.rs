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
//! Reads and writes go through the page cache. Once a call has returned, its data is in the kernel's hands: it
//! survives the end of this process, but not a power failure, unless an append asks for [`Durability::Synced`].
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

/// A file could not be used. The cause may pass (a full disk) or not (no such directory).
#[derive(Debug, Error)]
#[error("{action} {}", path.display())]
#[non_exhaustive]
pub struct Error {
    /// What was attempted: `open`, `read`, `write`, `append to`, `sync` or `close`.
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The kernel's error.
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
            let what = format!("it is larger than the {FILE_BYTES_MAX} bytes that can be read at once");
            return Err(Error::new("read", path, io::Error::new(io::ErrorKind::FileTooLarge, what)));
        }
        bytes.extend_from_slice(&more);
    }
    file.close().await.map_err(|error| Error::of_glommio("close", path, error))?;
    Ok(bytes)
}

/// Writes a whole file, which is created or truncated first. Others see it grow; to avoid showing a partial file,
/// write another file and rename that.
///
/// # Errors
/// [`Error`](struct@Error); part of the file may have been written.
///
/// # Cancel-safety
/// A dropped write may have written part of the file.
pub async fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
    let path = path.as_ref();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    put(path, &options, "write", bytes.as_ref(), FILE_PIECE_BYTES).await
}

/// Appends to a file, which is created if it does not exist. It costs one lookup, one write and one close: to append
/// often, use [`AppendFile`].
///
/// The bytes are contiguous and come after everything that was in the file, no matter who else appends to it.
///
/// # Errors
/// [`Error`](struct@Error); part may have been written if the disk is full.
///
/// # Cancel-safety
/// A dropped append may or may not have happened.
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
    // A network file system may report only here that it has no room.
    file.close().await.map_err(|error| Error::of_glommio("close", path, error))
}

fn append_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    options
}

/// Writes all bytes in pieces of at most `piece_bytes_max`, from the start of the file, or after its end if it was
/// opened for appending. Returns how many were written, whatever happened on the way.
async fn write_all(file: &BufferedFile, bytes: &[u8], piece_bytes_max: usize) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        let length = (bytes.len() - written).min(piece_bytes_max);
        // A copy, because the kernel owns the bytes while it writes them.
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
