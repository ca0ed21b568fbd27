//! Configuration files of tests.

use std::io::Write;

use tempfile::NamedTempFile;

/// A file that lives as long as this value.
pub(crate) struct ConfigFile(NamedTempFile);

impl ConfigFile {
    pub(crate) fn path(&self) -> String {
        self.0.path().display().to_string()
    }
}

/// A file with this text.
pub(crate) fn config_file(text: &str) -> ConfigFile {
    let mut file = NamedTempFile::with_suffix(".yml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    ConfigFile(file)
}
