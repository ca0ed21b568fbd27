//! What a server really refuses, as opposed to what a prelude refuses in its place.

use super::cases::Case;
use super::{Lab, holds};

/// One state of a server in which it refuses commands of a script.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// The caller's user may not run this command.
    Withdrawn(String),
    /// It is a replica: everything that writes is refused.
    ReadOnly,
    /// Its memory is full: everything that may need more is refused.
    OutOfMemory,
    /// This key has a type that no script of ours expects: made by this command.
    Spoilt(String, &'static [&'static str]),
}

/// How keys are spoilt.
const SPOILERS: [&[&str]; 2] = [&["SET", "KEY", "x"], &["HSET", "KEY", "odd", "x"]];

impl Refusal {
    /// Everything that `case` can meet, given the commands its script runs.
    pub(super) fn all(case: &Case, commands: Vec<String>) -> Vec<Self> {
        let mut keys: Vec<&str> = case.keys.split_whitespace().chain(["qa"]).collect();
        keys.sort_unstable();
        keys.dedup();
        let spoilt =
            keys.into_iter().flat_map(|key| SPOILERS.map(|spoiler| Self::Spoilt(key.to_owned(), spoiler)));
        let withdrawn = commands.into_iter().map(Self::Withdrawn);
        withdrawn.chain([Self::ReadOnly, Self::OutOfMemory]).chain(spoilt).collect()
    }

    fn begin(&self, lab: &mut Lab) {
        match self {
            Self::Withdrawn(command) => lab.run_ok(&["ACL", "SETUSER", "weak", &format!("-{command}")]),
            // Nobody listens there.
            Self::ReadOnly => lab.run_ok(&["REPLICAOF", "127.0.0.1", "1"]),
            Self::OutOfMemory => lab.run_ok(&["CONFIG", "SET", "maxmemory", "1"]),
            Self::Spoilt(key, spoiler) => {
                lab.run_ok(&["DEL", key]);
                let words: Vec<&str> =
                    spoiler.iter().map(|&word| if word == "KEY" { key } else { word }).collect();
                lab.run_ok(&words);
            }
        }
    }

    fn end(&self, lab: &mut Lab) {
        match self {
            Self::Withdrawn(command) => lab.run_ok(&["ACL", "SETUSER", "weak", &format!("+{command}")]),
            Self::ReadOnly => lab.run_ok(&["REPLICAOF", "NO", "ONE"]),
            Self::OutOfMemory => lab.run_ok(&["CONFIG", "SET", "maxmemory", "0"]),
            // An index to which a batch was added meanwhile still names it.
            Self::Spoilt(key, ["HSET", ..]) if lab.is_hash(key) => lab.run_ok(&["HDEL", key, "odd"]),
            Self::Spoilt(key, _) => lab.run_ok(&["DEL", key]),
        }
    }
}

/// Two calls while the server refuses, and one afterwards: what is wrong then.
pub(super) fn check(
    lab: &mut Lab,
    case: &Case,
    refusal: &Refusal,
    wanted: &super::State,
) -> Result<(), String> {
    lab.prepare(case);
    let before = lab.state();
    refusal.begin(lab);
    // The jobs of the key that was spoilt are gone with it.
    let spoilt = matches!(refusal, Refusal::Spoilt(..)).then(|| lab.state());
    let jobs: Vec<&str> = case
        .jobs
        .iter()
        .copied()
        .filter(|job| spoilt.as_ref().is_none_or(|left| holds(left, job) || !holds(&before, job)))
        .collect();
    for _ in 0..2 {
        lab.call_plainly(case, case.args);
        // A job that was in no key before, such as one of an outbox, need not be in any while it is refused.
        let kept: Vec<&str> = jobs.iter().copied().filter(|job| holds(&before, job)).collect();
        lab.account(&kept).map_err(|wrong| format!("{} {refusal:?} {wrong}", case.name))?;
    }
    refusal.end(lab);
    lab.call_plainly(case, case.again.unwrap_or(case.args));
    let state = lab.state();
    // What was in a spoilt key is missing, such as the number of the last job that an outbox has pushed: only what is
    // lost can be told.
    let wrong = match spoilt {
        Some(_) => jobs.iter().find(|job| !holds(&state, job)).map(|job| format!("loses {job}: {state:?}")),
        None => (state != *wanted).then(|| format!("leaves {state:?}, not {wanted:?}")),
    };
    wrong.map_or(Ok(()), |wrong| Err(format!("{} after {refusal:?} {wrong}", case.name)))
}
