//! What the parts of a url say apart from where: user, password, database, TLS; and percent-encoding.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

use super::{
    error::UrlError,
    place::{Credentials, Place, TlsFiles},
};

/// What the user part, path and query say together.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<u32>,
    pub(super) tls: TlsFiles,
    pub(super) sentinel_username: Option<String>,
    pub(super) sentinel_password: Option<String>,
}

impl Parts {
    pub(super) fn take_user_part(&mut self, user_part: Option<&str>) -> Result<(), UrlError> {
        let Some(user_part) = user_part else { return Ok(()) };
        let (username, password) = user_part.split_once(':').map_or((user_part, None), |(u, p)| (u, Some(p)));
        if !username.is_empty() {
            self.username = Some(decode_text(username, "user")?);
        }
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            self.password = Some(decode_text(password, "password")?);
        }
        Ok(())
    }

    pub(super) fn take_database(&mut self, text: &str) -> Result<(), UrlError> {
        // Digits only: `parse` alone would accept a sign.
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let number = number.ok_or(UrlError::BadDatabase)?;
        set_once(&mut self.database, number, "database")
    }

    pub(super) fn take_query(&mut self, query: &str) -> Result<(), UrlError> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "db" => self.take_database(value)?,
                "user" => set_once(&mut self.username, decode_text(value, "user")?, "user")?,
                "password" => set_once(&mut self.password, decode_text(value, "password")?, "password")?,
                "ca_file" => set_once(&mut self.tls.ca_file, decode_path(value, "ca_file")?, "ca_file")?,
                "cert_file" => {
                    set_once(&mut self.tls.cert_file, decode_path(value, "cert_file")?, "cert_file")?;
                }
                "key_file" => set_once(&mut self.tls.key_file, decode_path(value, "key_file")?, "key_file")?,
                "server_name" => {
                    set_once(&mut self.tls.server_name, decode_text(value, "server_name")?, "server_name")?;
                }
                "sentinel_user" => {
                    let user = decode_text(value, "sentinel_user")?;
                    set_once(&mut self.sentinel_username, user, "sentinel_user")?;
                }
                "sentinel_password" => {
                    let password = decode_text(value, "sentinel_password")?;
                    set_once(&mut self.sentinel_password, password, "sentinel_password")?;
                }
                _ => return Err(UrlError::UnknownParameter),
            }
        }
        Ok(())
    }

    /// Rejects what has no meaning for this url.
    pub(super) fn check(&self, place: &Place, encrypts: bool, scheme: &'static str) -> Result<(), UrlError> {
        if !encrypts && let Some(part) = self.tls.parameters().next() {
            return Err(UrlError::NotEncrypted { part, scheme });
        }
        let for_sentinels = self.sentinel_username.is_some() || self.sentinel_password.is_some();
        if for_sentinels && !matches!(place, Place::Sentinels(_)) {
            return Err(UrlError::NoSentinels { scheme });
        }
        Ok(())
    }
}

/// `None` if neither was given.
pub(super) fn credentials(username: Option<String>, password: Option<String>) -> Option<Credentials> {
    match (username, password) {
        (None, None) => None,
        (username, password) => {
            Some(Credentials { username, password: password.unwrap_or_default(), file: None })
        }
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, part: &'static str) -> Result<(), UrlError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(UrlError::Twice { part }),
    }
}

fn decode_path(text: &str, part: &'static str) -> Result<PathBuf, UrlError> {
    let bytes = percent_decode(text).filter(|bytes| !bytes.is_empty() && !bytes.contains(&0));
    bytes.map(|bytes| PathBuf::from(OsString::from_vec(bytes))).ok_or(UrlError::BadEncoding { part })
}

pub(super) fn decode_text(text: &str, part: &'static str) -> Result<String, UrlError> {
    let bytes = percent_decode(text).ok_or(UrlError::BadEncoding { part })?;
    String::from_utf8(bytes).map_err(|_| UrlError::BadEncoding { part })
}

/// `None` for a `%` without two hex digits after it.
pub(crate) fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    Some(decoded)
}
