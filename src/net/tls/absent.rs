//! A placeholder for a TLS session in a build without TLS: it cannot be constructed.

use std::io::{self, Write};

use super::TlsError;
use crate::resp::url::TlsFiles;

/// Has no values.
pub(in crate::net) enum Session {}

impl Session {
    pub(in crate::net) fn new(_: &TlsFiles, _: &str) -> Result<Self, TlsError> {
        Err(TlsError::NotBuilt)
    }

    pub(in crate::net) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(in crate::net) fn wants_write(&self) -> bool {
        match *self {}
    }

    pub(in crate::net) fn encrypt(&mut self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(in crate::net) fn write_out(&mut self, _: &mut impl Write) -> io::Result<usize> {
        match *self {}
    }

    pub(in crate::net) fn decrypt(&mut self, _: &[u8], _: impl FnMut(&[u8])) -> Result<(), TlsError> {
        match *self {}
    }
}
