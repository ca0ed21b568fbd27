//! Which job started in which process, according to the lines the jobs wrote.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use crate::error::Error;

/// Every start, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    starts: Vec<(u32, String)>,
}

impl Account {
    /// Reads the file in its present state; a last line that is still being written does not count yet.
    ///
    /// # Errors
    /// The file cannot be read or holds something else.
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(file)
            .map_err(|error| Error::system(format!("reading {}", file.display()), error))?;
        Self::parse(&text).ok_or_else(|| {
            Error::WrongOutcome(format!("{} has a line that does not record a start", file.display()))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let start = |line: &str| {
            let (pid, jid) = line.split_once(' ')?;
            Some((pid.parse().ok()?, jid.to_owned()))
        };
        Some(Self { starts: whole.lines().map(start).collect::<Option<_>>()? })
    }

    /// Jobs that process `pid` started.
    pub(super) fn started(&self, pid: u32) -> u64 {
        self.of(pid).len() as u64
    }

    /// Jobs of the killed process that another one started.
    pub(super) fn again(&self, killed: u32) -> usize {
        self.of(killed).len() - self.lost(killed)
    }

    /// Jobs of the killed process that no other one started.
    pub(super) fn lost(&self, killed: u32) -> usize {
        let after = self.after(killed);
        self.of(killed).iter().filter(|jid| !after.contains_key(*jid)).count()
    }

    /// Jobs that processes other than the killed one started more than once.
    pub(super) fn duplicated(&self, killed: u32) -> usize {
        self.after(killed).values().filter(|starts| **starts > 1).count()
    }

    fn of(&self, pid: u32) -> HashSet<&str> {
        self.starts.iter().filter(|(by, _)| *by == pid).map(|(_, jid)| jid.as_str()).collect()
    }

    fn after(&self, killed: u32) -> HashMap<&str, usize> {
        let mut starts = HashMap::new();
        for (_, jid) in self.starts.iter().filter(|(by, _)| *by != killed) {
            *starts.entry(jid.as_str()).or_default() += 1;
        }
        starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_is_accounted_for_by_jid() {
        let account = Account::parse("7 a\n7 b\n7 c\n8 a\n8 b\n9 b\n7 unfin").unwrap();
        assert_eq!(account.started(7), 3);
        assert_eq!((account.again(7), account.lost(7), account.duplicated(7)), (2, 1, 1));
    }

    #[test]
    fn a_file_without_a_whole_line_holds_no_start_and_another_file_is_refused() {
        assert_eq!(Account::parse("7 a"), Some(Account::default()));
        assert_eq!(Account::parse("seven a\n"), None);
    }
}
