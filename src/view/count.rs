//! Numbers of things, in words: one job, two jobs.

/// So many of them: `1 job`, `2 jobs`.
pub(crate) fn count(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// So many jobs.
pub(crate) fn jobs(number: u64) -> String {
    count(number, "job", "jobs")
}

/// So many entries.
pub(crate) fn entries(number: u64) -> String {
    count(number, "entry", "entries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2].map(jobs), ["0 jobs", "1 job", "2 jobs"]);
        assert_eq!([0, 1, 2].map(entries), ["0 entries", "1 entry", "2 entries"]);
        assert_eq!(count(1, "job was", "jobs were"), "1 job was");
    }
}
