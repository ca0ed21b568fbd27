//! What is configured about Redis in addition to its url: files and names for TLS, passwords in files. Laid over the url
//! here.
//!
//! A secret is read from its file and goes into the url, which shows none; errors and notes name the file. It is read
//! again at each connect (`net`), so that a password may be changed while a program runs.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    error::{Error, Origin},
    types::GivenUrl,
};
use crate::{
    resp::{Place, RedisUrl, url::TlsFiles},
    small_file,
};

/// Whether every user on the machine may read a file.
const READABLE_BY_ALL: u32 = 0o004;

/// Whether its group may.
const READABLE_BY_GROUP: u32 = 0o040;

/// A value and the place that gave it.
type Given<T> = Option<(T, Origin)>;

/// The options of one source, each set or not.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RedisParts {
    pub(super) password_file: Given<PathBuf>,
    pub(super) ca_file: Given<PathBuf>,
    pub(super) cert_file: Given<PathBuf>,
    pub(super) key_file: Given<PathBuf>,
    pub(super) server_name: Given<String>,
    pub(super) sentinel_password_file: Given<PathBuf>,
}

impl RedisParts {
    /// These where they are set, otherwise those of `lower`.
    pub(super) fn over(self, lower: Self) -> Self {
        Self {
            password_file: self.password_file.or(lower.password_file),
            ca_file: self.ca_file.or(lower.ca_file),
            cert_file: self.cert_file.or(lower.cert_file),
            key_file: self.key_file.or(lower.key_file),
            server_name: self.server_name.or(lower.server_name),
            sentinel_password_file: self.sentinel_password_file.or(lower.sentinel_password_file),
        }
    }

    /// The url with all of this in it.
    ///
    /// # Errors
    /// [`Error::BadValue`] for anything without meaning for this url, for a password given twice, and for a file that
    /// cannot be read or contains no password.
    pub(super) fn lay_over(self, given: Option<GivenUrl>) -> Result<Option<GivenUrl>, Error> {
        let Some(GivenUrl { mut url, origin, dialect }) = given else {
            return match self.first() {
                None => Ok(None),
                Some(part) => refused(part, "no redis url to use it with; give --redis-url or REDIS_URL"),
            };
        };
        if url.tls().is_none()
            && let Some(part) = self.first_of_tls()
        {
            return refused(part, &format!("{url} does not encrypt; write rediss://"));
        }
        if let Some((path, place)) = self.password_file {
            if url.credentials().is_some_and(|credentials| !credentials.password.is_empty()) {
                return refused(&place, &format!("the url ({origin}) has a password too; keep one of them"));
            }
            let password = secret(&path, &place)?;
            url = url.with_password_of(path, password);
        }
        if let Some((path, place)) = self.sentinel_password_file {
            match url.place() {
                Place::Sentinels(sentinels)
                    if sentinels.credentials().is_some_and(|c| !c.password.is_empty()) =>
                {
                    let reason = format!("the url ({origin}) has a sentinel password too; keep one of them");
                    return refused(&place, &reason);
                }
                Place::Sentinels(_) => {
                    let password = secret(&path, &place)?;
                    url = url.with_sentinel_password_of(path, password);
                }
                Place::Server(_) | Place::Cluster(_) => {
                    return refused(&place, &format!("{url} names no sentinels; write redis+sentinel://"));
                }
            }
        }
        let over = TlsFiles {
            ca_file: self.ca_file.map(|(path, _)| path),
            cert_file: self.cert_file.map(|(path, _)| path),
            key_file: self.key_file.map(|(path, _)| path),
            server_name: self.server_name.map(|(name, _)| name),
        };
        Ok(Some(GivenUrl { url: url.with_tls(over), origin, dialect }))
    }

    /// Warnings about secrets that others can see.
    pub(super) fn notes(&self, given: Option<&GivenUrl>) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(given) =
            given.filter(|given| matches!(given.origin, Origin::Flag(_)) && has_password(&given.url))
        {
            notes.push(format!(
                "{} holds a password, which every user of this machine can read in the list of processes; use REDIS_URL or \
                 --redis-password-file",
                given.origin
            ));
        }
        let key_of_url = given.and_then(|given| given.url.tls()?.key_file.as_ref());
        let own =
            |part: &'static str, file: &Given<PathBuf>| file.as_ref().map(|(path, _)| (part, path.clone()));
        let files = [
            own("password file", &self.password_file),
            own("sentinel password file", &self.sentinel_password_file),
            own("key file", &self.key_file).or_else(|| key_of_url.map(|path| ("key file", path.clone()))),
        ];
        for (what, path) in files.into_iter().flatten() {
            // A file that cannot be examined is reported by the code that reads it.
            if let Some(readers) = std::fs::metadata(&path).ok().and_then(|data| other_readers(&data)) {
                notes.push(format!("the {what} {0} can be read by {readers}: chmod 600 {0}", path.display()));
            }
        }
        notes
    }

    fn first_of_tls(&self) -> Option<&Origin> {
        let files = [&self.ca_file, &self.cert_file, &self.key_file];
        let file = files.into_iter().flatten().next().map(|(_, origin)| origin);
        file.or(self.server_name.as_ref().map(|(_, origin)| origin))
    }

    fn first(&self) -> Option<&Origin> {
        let secrets = [&self.password_file, &self.sentinel_password_file];
        secrets.into_iter().flatten().next().map(|(_, origin)| origin).or(self.first_of_tls())
    }
}

/// Who may read a file in addition to its owner, if that is too many. Root giving a group read access is how service
/// managers and containers pass a secret to a process.
fn other_readers(data: &Metadata) -> Option<&'static str> {
    match data.mode() {
        mode if mode & READABLE_BY_ALL != 0 => Some("every user of this machine"),
        mode if mode & READABLE_BY_GROUP != 0 && data.uid() != 0 => Some("its group"),
        _ => None,
    }
}

fn has_password(url: &RedisUrl) -> bool {
    let of_sentinels = match url.place() {
        Place::Sentinels(sentinels) => sentinels.credentials(),
        Place::Server(_) | Place::Cluster(_) => None,
    };
    [url.credentials(), of_sentinels]
        .into_iter()
        .flatten()
        .any(|credentials| !credentials.password.is_empty())
}

fn refused<T>(origin: &Origin, reason: &str) -> Result<T, Error> {
    Err(Error::BadValue { origin: origin.clone(), reason: reason.to_owned() })
}

/// The password in a file.
fn secret(path: &Path, origin: &Origin) -> Result<String, Error> {
    small_file::secret(path).map_err(|reason| Error::BadValue {
        origin: origin.clone(),
        reason: format!("{}: {reason}", path.display()),
    })
}

#[cfg(test)]
#[path = "redis/tests.rs"]
mod tests;
