//! A build without the server of metrics: asking for it is a mistake.

use super::launch_error::LaunchError;
use crate::cli::Failure;
use crate::config::Config;
use crate::control::ControlOptions;
use crate::mesh::{CountsReader, ShardEnd};

/// Has no values.
pub(super) enum Web {}

/// Has no values.
pub(super) enum Running {}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[error("this program is built without its cargo feature `web`, which serves metrics and probes")]
struct NotBuilt;

impl Web {
    pub(super) fn bind(config: &Config) -> Result<Option<Self>, Failure> {
        if config.web.is_some() { Err(Failure::usage(NotBuilt)) } else { Ok(None) }
    }

    pub(super) fn start_beside(
        &self,
        _: &ControlOptions,
        _: Vec<CountsReader>,
    ) -> Result<Running, LaunchError> {
        match *self {}
    }
}

impl Running {
    pub(super) fn end(self) {
        match self {}
    }
}

pub(super) fn link(_: Option<&Web>, end: ShardEnd, _: &mut Vec<CountsReader>) -> ShardEnd {
    end
}

pub(super) fn alone(_: Config) -> Result<(), Failure> {
    Err(Failure::usage(NotBuilt))
}
