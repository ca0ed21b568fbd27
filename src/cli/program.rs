//! Which program this is: the stock one, or one with its own jobs, name and version.
//!
//! Set once, before the command line is read; `--help`, `--version`, the log and the figures of the process show it.

use std::sync::OnceLock;

use super::VERSION;

/// The program, as its author has named it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// Its name; `None`: the name of its file.
    pub name: Option<String>,
    /// Its version; `None`: it has none of its own.
    pub version: Option<String>,
}

/// How it is shown on the command line.
#[derive(Debug)]
struct Shown {
    name: String,
    version: String,
}

static PROGRAM: OnceLock<Program> = OnceLock::new();

/// The stock program's name.
pub(super) const STOCK: &str = "jiggler-uring";

impl Program {
    /// Makes this the program of the process; the first call counts.
    pub(crate) fn enter(self) {
        let _first = PROGRAM.set(self);
    }

    /// Name and version in one text, such as `billing 1.4.2`; `None` if the author has given neither.
    pub(crate) fn title() -> Option<String> {
        match PROGRAM.get()? {
            Self { name: None, version: None } => None,
            Self { version: None, .. } => Some(name().to_owned()),
            Self { version: Some(version), .. } => Some(format!("{} {version}", name())),
        }
    }
}

/// The name to show.
pub(super) fn name() -> &'static str {
    &shown().name
}

/// The version to show: the program's own, with that of the engine, or that of the engine alone.
pub(super) fn version() -> &'static str {
    &shown().version
}

/// A help text that speaks of this program.
pub(super) fn own(text: &str) -> String {
    if name() == STOCK {
        text.to_owned()
    } else {
        text.replace(&format!("{STOCK} "), &format!("{} ", name()))
    }
}

fn shown() -> &'static Shown {
    static SHOWN: OnceLock<Shown> = OnceLock::new();
    SHOWN.get_or_init(|| {
        let Program { name, version } = PROGRAM.get().cloned().unwrap_or_default();
        let name = match (name, PROGRAM.get()) {
            (Some(name), _) => name,
            (None, Some(_)) => file_name().unwrap_or_else(|| STOCK.to_owned()),
            (None, None) => STOCK.to_owned(),
        };
        let version = match version {
            Some(version) => format!("{version} ({STOCK} {VERSION})"),
            None if name == STOCK => VERSION.to_owned(),
            None => format!("({STOCK} {VERSION})"),
        };
        Shown { name, version }
    })
}

/// The name of the program's file.
fn file_name() -> Option<String> {
    let path = std::env::args_os().next()?;
    Some(std::path::Path::new(&path).file_name()?.to_string_lossy().into_owned())
}
