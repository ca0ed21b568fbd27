//! The `pace:` of the configuration file: how many due jobs of a queue are moved to it a second, at most.
//!
//! ```yaml
//! pace:
//!   mail: 50            # of a herd that is due at once, 50 a second
//!   reports: 0.1        # one in ten seconds
//! ```

use std::path::Path;

use saphyr::MarkedYaml;

use super::by_queue::by_queue;
use super::error::Error;
use super::periodic::text;
use crate::balance::Pace;
use crate::limits::{PACE_MAX, PACE_MIN};

/// The key of the mapping.
pub(super) const KEY: &str = "pace";

/// Reads the mapping.
///
/// # Errors
/// The first queue whose pace is refused, with its line.
pub(super) fn read(path: &Path, node: &MarkedYaml<'_>) -> Result<Vec<Pace>, Error> {
    let paces = by_queue(path, node, (KEY, "jobs a second"), pace)?;
    Ok(paces.into_iter().map(|(queue, per_second, _)| Pace { queue, per_second }).collect())
}

fn pace(node: &MarkedYaml<'_>) -> Result<f64, String> {
    let wrong = || format!("a number of jobs a second from {PACE_MIN} to {PACE_MAX} is expected");
    let pace: f64 = text(node).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    if (PACE_MIN..=PACE_MAX).contains(&pace) { Ok(pace) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::super::test_file::config;
    use super::*;

    #[test]
    fn paces_are_read_by_queue_whichever_queues_are_served() {
        let paces = config("queues: [mail]\npace:\n  mail: 50\n  reports: 0.1\n").unwrap().paces;
        let pace = |queue: &str, per_second| Pace { queue: queue.to_owned(), per_second };
        assert_eq!(paces, [pace("mail", 50.0), pace("reports", 0.1)]);
        assert_eq!(config("pace:\n").unwrap().paces, []);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (paces, reason) in [
            ("5", "line 2, key `pace`: a mapping of queues to jobs a second is expected"),
            ("{mail: fast}", "key `pace.mail`: a number of jobs a second from 0.001 to 10000 is expected"),
            ("{mail: 0}", "a number of jobs a second from 0.001"),
            ("{mail: 20000}", "to 10000"),
            ("{mail: nan}", "a number of jobs a second"),
        ] {
            let error = config(&format!("queues: [mail]\npace: {paces}\n")).unwrap_err();
            assert!(error.contains("x.yml line 2") && error.contains(reason), "{paces}: {error}");
        }
    }
}
