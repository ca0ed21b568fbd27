//! The `slots:` of the configuration file: what queues are to have, under a balance that gives slots to queues.
//!
//! ```yaml
//! balance: adaptive
//! slots:
//!   mail: {target: 5}           # its jobs are to start within 5 s
//!   bulk: {max: 20}
//!   reports: {min: 2, max: 4}
//! ```

use std::path::Path;

use saphyr::MarkedYaml;

use super::by_queue::by_queue;
use super::error::{Error, Origin};
use super::periodic::{fields, text};
use super::types::{Balance, Queues};
use crate::balance::Wish;
use crate::foreign::Foreign;
use crate::limits::{BALANCE_TARGET_MAX_S, CONCURRENCY_MAX};

/// The key of the mapping.
pub(super) const KEY: &str = "slots";

/// What one queue is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueWish {
    /// Its name.
    pub(crate) queue: String,
    /// What it is to have.
    pub(crate) wish: Wish,
    /// Where that is said.
    origin: Origin,
}

impl QueueWish {
    /// What is said of which queue, wherever that is.
    pub(super) fn said(&self) -> (&str, Wish) {
        (&self.queue, self.wish)
    }
}

/// Reads the mapping.
///
/// # Errors
/// The first queue whose wish is refused, with its line.
pub(super) fn read(path: &Path, node: &MarkedYaml<'_>) -> Result<Vec<QueueWish>, Error> {
    let wishes = by_queue(path, node, (KEY, "min, max and target"), wish)?;
    Ok(wishes.into_iter().map(|(queue, wish, origin)| QueueWish { queue, wish, origin }).collect())
}

fn wish(node: &MarkedYaml<'_>) -> Result<Wish, String> {
    let fields = fields(node).ok_or("a mapping is expected here, of min, max and target")?;
    let mut wish = Wish::default();
    for (key, value) in fields {
        let slots = |key: &str| {
            let wrong = || format!("`{key}` is a whole number of slots from 1 to {CONCURRENCY_MAX}");
            let slots: usize = text(value).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
            if (1..=CONCURRENCY_MAX).contains(&slots) { Ok(slots) } else { Err(wrong()) }
        };
        match key.strip_prefix(':').unwrap_or(&key) {
            "min" => wish.slots_min = slots("min")?,
            "max" => wish.slots_max = Some(slots("max")?),
            "target" => {
                let wrong =
                    || format!("`target` is a number of seconds above 0, at most {BALANCE_TARGET_MAX_S}");
                let seconds: f64 = text(value).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
                let is_allowed = seconds > 0.0 && seconds <= BALANCE_TARGET_MAX_S as f64;
                wish.target_s = Some(if is_allowed { seconds } else { return Err(wrong()) });
            }
            other => {
                return Err(format!("unknown key `{}`; allowed: min, max, target", Foreign::text(other)));
            }
        }
    }
    if let Some(most) = wish.slots_max.filter(|most| *most < wish.slots_min) {
        return Err(format!("`min` is {}, which is more than `max`, {most}", wish.slots_min));
    }
    Ok(wish)
}

/// Checks that they mean something here.
///
/// # Errors
/// The first that does not.
pub(super) fn check(wishes: &[QueueWish], balance: Balance, queues: &Queues) -> Result<(), Error> {
    for QueueWish { queue, origin, .. } in wishes {
        let refused = |reason: String| Err(Error::BadValue { origin: origin.clone(), reason });
        if matches!(balance, Balance::Strict | Balance::Weighted) {
            let reason = "queues have slots of their own only with balance even, adaptive or adaptive-io";
            return refused(reason.to_owned());
        }
        if !queues.as_slice().iter().any(|served| served.name.as_str() == queue) {
            return refused("this queue is not among those that are served".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::test_file::config;
    use super::*;

    #[test]
    fn wishes_are_read_by_queue() {
        let text = "balance: adaptive\nqueues: [mail, bulk, reports]\nslots:\n  mail: {target: 2.5}\n  reports: {min: 2, max: 4}\n";
        let wishes = config(text).unwrap().slots;
        let of = |at: usize| (&*wishes[at].queue, wishes[at].wish);
        assert_eq!(wishes.len(), 2);
        assert_eq!(of(0), ("mail", Wish { target_s: Some(2.5), ..Wish::default() }));
        assert_eq!(of(1), ("reports", Wish { slots_min: 2, slots_max: Some(4), target_s: None }));
        assert_eq!(config("balance: even\nslots:\n").unwrap().slots, []);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (slots, reason) in [
            ("5", "line 2, key `slots`: a mapping of queues"),
            ("{mail: 5}", "key `slots.mail`: a mapping is expected here, of min, max and target"),
            ("{mail: {max: 0}}", "`max` is a whole number of slots from 1"),
            ("{mail: {min: 3, max: 2}}", "`min` is 3, which is more than `max`, 2"),
            ("{mail: {target: 0}}", "`target` is a number of seconds above 0"),
            ("{mail: {target: nan}}", "`target` is a number of seconds above 0"),
            ("{mail: {most: 1}}", "unknown key `most`; allowed: min, max, target"),
            ("{other: {max: 1}}", "key `slots.other`: this queue is not among those that are served"),
        ] {
            let error = config(&format!("balance: even\nslots: {slots}\nqueues: [mail]\n")).unwrap_err();
            assert!(error.contains("x.yml line 2") && error.contains(reason), "{slots}: {error}");
        }
        let strict = config("queues: [mail]\nslots: {mail: {max: 1}}\n").unwrap_err();
        assert!(strict.contains("only with balance even, adaptive or adaptive-io"), "{strict}");
    }
}
