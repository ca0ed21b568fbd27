//! From the files of a url to settings of rustls, kept per thread until a file changes.

use std::{
    cell::RefCell,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::ClientConfig;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};

use super::{
    TlsError,
    roots::{RootsError, certificates, read_bounded, roots},
};
use crate::{limits::TLS_CONFIGS_KEPT_MAX, resp::url::TlsFiles};

/// Identifies the contents of a file: device, inode, size, and when it was changed, as far as the file system reports it.
/// `None` for a file that cannot be inspected; reading it then reports what is wrong.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

struct Kept {
    files: TlsFiles,
    stamps: [Stamp; 3],
    config: Arc<ClientConfig>,
}

thread_local! {
    /// Invariant: at most [`TLS_CONFIGS_KEPT_MAX`], the newest last.
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// The settings for these files. The first call on a thread reads them and, where no file names an authority, the
/// system's roots, which takes a few milliseconds; later calls only check whether a file has changed.
///
/// # Errors
/// [`TlsError`] with the file.
pub(super) fn config_for(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let stamps = [&files.ca_file, &files.cert_file, &files.key_file].map(|path| stamp(path.as_deref()));
    let kept = KEPT.with_borrow(|kept| {
        let same = kept.iter().find(|kept| kept.files == *files && kept.stamps == stamps);
        same.map(|kept| Arc::clone(&kept.config))
    });
    if let Some(config) = kept {
        return Ok(config);
    }
    let config = Arc::new(read(files)?);
    KEPT.with_borrow_mut(|kept| {
        kept.retain(|kept| kept.files != *files);
        if kept.len() == TLS_CONFIGS_KEPT_MAX {
            kept.remove(0);
        }
        kept.push(Kept { files: files.clone(), stamps, config: Arc::clone(&config) });
    });
    Ok(config)
}

fn stamp(path: Option<&Path>) -> Stamp {
    let data = fs::metadata(path?).ok()?;
    Some((data.dev(), data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
}

fn read(files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    let trusted = roots(files.ca_file.as_deref(), files.ca_file.is_none()).map_err(|error| match error {
        RootsError::File { path, reason } => TlsError::File { what: "the CA file", path, reason },
        RootsError::None => TlsError::NoRoots,
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Failed { host: "redis".to_owned(), reason: error.to_string() })?
        .with_root_certificates(trusted);
    let (cert_file, key_file) = match (&files.cert_file, &files.key_file) {
        (None, None) => return Ok(builder.with_no_client_auth()),
        (Some(cert_file), Some(key_file)) => (cert_file, key_file),
        (Some(_), None) => return Err(TlsError::HalfAnIdentity { given: "cert_file", missing: "key_file" }),
        (None, Some(_)) => return Err(TlsError::HalfAnIdentity { given: "key_file", missing: "cert_file" }),
    };
    let file = |what, path: &PathBuf, reason| TlsError::File { what, path: path.clone(), reason };
    let chain =
        certificates(cert_file).map_err(|reason| file("the client certificate", cert_file, reason))?;
    let key = private_key(key_file).map_err(|reason| file("the client key", key_file, reason))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        let reason = format!("it is not the key for the certificate in {} ({error})", cert_file.display());
        file("the client key", key_file, reason)
    })
}

/// Says what is wrong with a key without showing a byte of it.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read_bounded(path).map_err(|error| error.to_string())?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        "it holds no private key in PEM form (PKCS#8, PKCS#1 or SEC1, without a passphrase)".to_owned()
    })
}
