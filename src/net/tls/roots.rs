//! Which authorities to trust: those of the system, of a file, or both.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use thiserror::Error;

use crate::limits::TLS_FILE_BYTES_MAX;
use crate::small_file;

/// No authority is trusted.
#[derive(Debug, Error)]
pub(crate) enum RootsError {
    #[error("read the certificates in {}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("no trusted certificate authority was found")]
    None,
}

/// The authorities of `ca_file` if there is one, and those of the system if requested.
pub(crate) fn roots(ca_file: Option<&Path>, system: bool) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    if system {
        // Single files that cannot be read matter only if nothing else is found.
        let (_added, _ignored) =
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(path) = ca_file {
        let failed = |reason| RootsError::File { path: path.to_owned(), reason };
        for certificate in certificates(path).map_err(failed)? {
            let failed = |error: rustls::Error| failed(error.to_string());
            roots.add(certificate).map_err(failed)?;
        }
    }
    if roots.is_empty() { Err(RootsError::None) } else { Ok(roots) }
}

/// All certificates of a file in PEM form, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read_bounded(path).map_err(|error| error.to_string())?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if found.is_empty() => Err("it holds no certificate".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("it is not PEM: {error}")),
    }
}

/// The bytes of a file that is small, or an error.
pub(super) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = small_file::read(path, TLS_FILE_BYTES_MAX)?;
    if bytes.len() as u64 > TLS_FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "it has more than {TLS_FILE_BYTES_MAX} bytes: is this the right file?"
        )));
    }
    Ok(bytes)
}
