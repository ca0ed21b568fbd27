//! `jiggler-uring doctor [--json]`: whether a worker can run here, and run well: each check with its finding and advice.
//!
//! It builds on the checks that a worker makes at its start ([`crate::boot`]), and adds what a worker would not refuse to
//! start over but an operator should know. [`machine`] looks at this process's kernel, limits and cores, [`redis`] at the
//! server,
//! `runners` at the applications of other languages. It changes nothing in Redis, and in this
//! process only the soft limit of locked memory.
//!
//! A check fails if a worker could not work that way; what may cost jobs, time or sleep is a warning.

pub(crate) mod machine;
pub(crate) mod redis;
mod runners;

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::admin::Format;
use crate::cli::Failure;
use crate::config::{Config, Variables};
use crate::foreign::{Foreign, neutral};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// It could not be made; no fault is known.
    Skipped,
    /// A worker runs, at a price.
    Warning,
    /// A worker cannot run this way.
    Failed,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Its outcome.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do; `None` if there is nothing to do.
    pub advice: Option<String>,
}

impl Check {
    /// All is well.
    pub(crate) fn ok(name: &'static str, found: impl Display) -> Self {
        Self { name, status: Status::Ok, found: found.to_string(), advice: None }
    }

    /// Nothing could be found out.
    pub(crate) fn skipped(name: &'static str, found: impl Display) -> Self {
        Self { name, status: Status::Skipped, found: found.to_string(), advice: None }
    }

    /// It has a price.
    pub(crate) fn warning(name: &'static str, found: impl Display, advice: impl Display) -> Self {
        let (found, advice) = (found.to_string(), Some(advice.to_string()));
        Self { name, status: Status::Warning, found, advice }
    }

    /// It must be changed.
    pub(crate) fn failed(name: &'static str, found: impl Display, advice: impl Display) -> Self {
        let (found, advice) = (found.to_string(), Some(advice.to_string()));
        Self { name, status: Status::Failed, found, advice }
    }

    /// An error of the boot checks, which itself says what to do.
    fn refused(name: &'static str, error: &dyn std::error::Error) -> Self {
        let mut found = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            found.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Self { name, status: Status::Failed, found, advice: None }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    checks: &'a [Check],
}

/// Makes every check for a worker of this configuration and writes the results.
///
/// # Errors
/// [`Failure::Run`] if a check failed or the output cannot be written.
pub(crate) fn examine(
    config: &Config,
    variables: Variables<'_>,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut checks = machine::checks(config);
    checks.extend(redis::checks(config, variables));
    checks.extend(runners::checks(config));
    let failed = checks.iter().filter(|check| check.status == Status::Failed).count();
    match format {
        Format::Json => {
            serde_json::to_writer(&mut *out, &Report { ok: failed == 0, checks: &checks })
                .map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Format::Text => write_text(&checks, out)?,
    }
    out.flush()?;
    match failed {
        0 => Ok(()),
        1 => Err(Failure::Run("1 check failed".into())),
        failed => Err(Failure::Run(format!("{failed} checks failed").into())),
    }
}

fn write_text(checks: &[Check], out: &mut dyn Write) -> io::Result<()> {
    for Check { name, status, found, advice } in checks {
        let status = match status {
            Status::Ok => "ok",
            Status::Skipped => "skipped",
            Status::Warning => "warning",
            Status::Failed => "FAILED",
        };
        writeln!(out, "{status:<8} {name:<14} {}", Foreign::text(&found.replace('\n', " ")))?;
        if let Some(advice) = advice {
            writeln!(out, "{:<24}to do: {}", "", neutral(advice))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_says_what_was_found_and_what_to_do() {
        let checks =
            [Check::ok("kernel", "6.1.0"), Check::warning("persistence", "no file", "set `appendonly yes`")];
        let mut out = Vec::new();
        write_text(&checks, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "ok       kernel         6.1.0\nwarning  persistence    no file\n                        \
             to do: set `appendonly yes`\n"
        );
    }
}
