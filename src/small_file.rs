//! Reading a small file as a whole: configuration, passwords, certificates.
//!
//! Only a file with an end is read. A named pipe would block a start or a connect until something is written to it, and a
//! device for ever, so they are refused at once. What the shell makes of `<(command)`, and standard input, are pipes that
//! were asked for: they are read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use crate::limits::SECRET_FILE_BYTES_MAX;

/// The byte order mark that some editors write at the start of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// All bytes of the file, or one more than `bytes_max` of a larger one.
///
/// # Errors
/// The system's error, or that it is not a regular file.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed distinguishes a file of exactly the maximum size from a larger one.
    open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes without the byte order mark that some editors write. Whether they are UTF-8 shows when they are decoded.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Whether the bytes start like UTF-16, which Windows calls Unicode.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

/// The password in a file: its text without the line end that editors leave.
///
/// # Errors
/// Why it contains none, without showing any of the contents.
pub(crate) fn secret(path: &Path) -> Result<String, String> {
    let bytes = read(path, SECRET_FILE_BYTES_MAX).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(format!("it has more than {SECRET_FILE_BYTES_MAX} bytes, too many for a password"));
    }
    if is_utf16(&bytes) {
        return Err("it is UTF-16; save it as UTF-8".to_owned());
    }
    let text = std::str::from_utf8(without_mark(&bytes)).map_err(|_| "it is not valid UTF-8".to_owned())?;
    let password = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() || password.contains(['\n', '\r']) {
        return Err("it must hold one line, the password".to_owned());
    }
    Ok(password.to_owned())
}

/// Like [`secret`], for a file that was read before. A pipe's contents are gone after the first reading, so only a
/// regular file is read.
///
/// # Errors
/// As [`secret`], and for any other kind of file.
pub(crate) fn secret_again(path: &Path) -> Result<String, String> {
    if is_descriptor(path) {
        return Err("it is read once".to_owned());
    }
    secret(path)
}

fn open(path: &Path) -> io::Result<File> {
    if is_descriptor(path) {
        return File::open(path);
    }
    // Opening a pipe without a writer would block as well.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let kind = file.metadata()?.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(file),
        () if kind.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {what}; give a regular file, /dev/stdin or <(command)"),
    ))
}

/// A file that this process already has open.
fn is_descriptor(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_has_no_end_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = read(&pipe, 10).unwrap_err();
        assert!(error.to_string().contains("named pipe"), "{error}");
        let error = read(Path::new("/dev/zero"), 10).unwrap_err();
        assert!(error.to_string().contains("a device"), "{error}");
        assert_eq!(read(directory.path(), 10).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_file_is_read_up_to_one_byte_more_than_allowed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0123456789").unwrap();
        assert_eq!(read(file.path(), 10).unwrap(), b"0123456789");
        assert_eq!(read(file.path(), 5).unwrap(), b"012345");
    }

    #[test]
    fn what_this_process_has_open_is_read_though_it_is_a_pipe() {
        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"secret").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        assert_eq!(read(Path::new(&path), 10).unwrap(), b"secret");
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_text() {
        assert_eq!(without_mark("\u{feff}a".as_bytes()), b"a");
        assert_eq!(without_mark(b"a"), b"a");
        assert!(is_utf16(b"\xff\xfea\0") && !is_utf16(b"a"));
    }
}
