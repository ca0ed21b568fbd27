//! What the tests of this folder read of the text of a file, which is called `x.yml`.

use std::path::Path;

use super::yaml::Document;
use super::{Config, Raw};

/// What it says, over the defaults.
pub(super) fn raw(text: &str) -> Result<Raw, String> {
    let document = Document::parse(Path::new("x.yml"), text).map_err(|error| error.to_string())?;
    Ok(document.for_environment("production").over(Raw::defaults().unwrap()))
}

/// What is decided.
pub(super) fn config(text: &str) -> Result<Config, String> {
    Config::decide(raw(text)?).map_err(|error| error.to_string())
}
