//! Which jobs of a place are wanted: the filters of its page, and of what is done to all that match.

use std::time::Duration;

use super::ask::{Ask, AskError};
use super::words::Text;
use crate::acts::look::Query;
use crate::store::entries::{Order, Place, Set};
use crate::view::filter::{Filter, NamePattern};

/// Ages of failed jobs to choose from: the word, what it is called, and seconds.
pub(super) const OLDERS: [(&str, &str, u64); 6] = [
    ("10m", "10 min", 600),
    ("1h", "1 h", 3_600),
    ("6h", "6 h", 21_600),
    ("1d", "1 d", 86_400),
    ("7d", "7 d", 604_800),
    ("30d", "30 d", 2_592_000),
];

/// As it is given; empty: any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(super) name: String,
    pub(super) class: String,
    pub(super) error: String,
    pub(super) older: String,
    /// A part of the arguments.
    pub(super) args: String,
    /// The queue, in a set.
    pub(super) from: String,
}

impl Wanted {
    /// # Errors
    /// [`AskError::Value`].
    pub(crate) fn read(ask: &Ask) -> Result<Self, AskError> {
        let text = |name| ask.visible(name).map(str::to_owned);
        ask.choice("older", &OLDERS.map(|(word, ..)| (word, ())))?;
        Ok(Self {
            name: text("name")?,
            class: text("class")?,
            error: text("error")?,
            older: text("older")?,
            args: text("args")?,
            from: text("from")?,
        })
    }

    /// Whether any job is wanted.
    pub(super) fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// What it was read from.
    pub(super) fn parameters(&self) -> [(&'static str, &str); 6] {
        [
            ("name", &self.name),
            ("class", &self.class),
            ("error", &self.error),
            ("older", &self.older),
            ("args", &self.args),
            ("from", &self.from),
        ]
    }

    /// The look for such jobs of a place. Only failed ones have an error, and say how old they are.
    pub(crate) fn query(&self, place: &Place, skip: u64, limit: usize, examine_max: u64) -> Query {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let pattern = |text: &String| given(text).map(|text| NamePattern::parse(&text));
        let fails = matches!(place, Place::Set(Set::Retries | Set::Dead));
        let older = OLDERS.iter().find(|(word, ..)| *word == self.older);
        Query {
            place: place.clone(),
            filter: Filter {
                name: pattern(&self.name),
                jid: None,
                class: pattern(&self.class).filter(|_| fails),
                error: given(&self.error).filter(|_| fails),
                args: given(&self.args),
                queue: given(&self.from).filter(|_| matches!(place, Place::Set(_))),
                before: None,
            },
            skip,
            limit,
            examine_max,
            order: Order::Newest,
            older: older.filter(|_| fails).map(|(_, _, seconds)| Duration::from_secs(*seconds)),
            groups: false,
        }
    }

    /// In words, with a blank before: " named Mail, with an error of class Net::*".
    pub(super) fn said(&self) -> String {
        let shown = |text: &str| Text::cell(text).shown;
        let mut parts = Vec::new();
        if !self.name.is_empty() {
            parts.push(format!("named {}", shown(&self.name)));
        }
        if !self.class.is_empty() {
            parts.push(format!("with an error of class {}", shown(&self.class)));
        }
        if !self.error.is_empty() {
            parts.push(format!("whose error contains “{}”", shown(&self.error)));
        }
        if !self.args.is_empty() {
            parts.push(format!("whose arguments contain “{}”", shown(&self.args)));
        }
        if !self.from.is_empty() {
            parts.push(format!("for queue {}", shown(&self.from)));
        }
        if let Some((_, said, _)) = OLDERS.iter().find(|(word, ..)| *word == self.older) {
            parts.push(format!("older than {said}"));
        }
        if parts.is_empty() { String::new() } else { format!(" {}", parts.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_read_said_and_asked_for_again() {
        let ask =
            Ask::read("name=Mail&class=Net%3A%3A*&error=timed+out&older=1d&args=ann&from=q&skip=50").unwrap();
        let wanted = Wanted::read(&ask).unwrap();
        assert_eq!(
            wanted.said(),
            " named Mail, with an error of class Net::*, whose error contains “timed out”, whose arguments contain \
             “ann”, for queue q, older than 1 d"
        );
        let again = super::super::ask::address("dead", &wanted.parameters());
        let again = Wanted::read(&Ask::read(again.split_once('?').unwrap().1).unwrap()).unwrap();
        assert_eq!(again, wanted);
        let failed = wanted.query(&Place::Set(Set::Dead), 7, 50, 5_000);
        assert!(failed.filter.class.is_some() && failed.older == Some(Duration::from_secs(86_400)));
        let scheduled = wanted.query(&Place::Set(Set::Scheduled), 0, 50, 5_000);
        assert!(
            scheduled.filter.class.is_none() && scheduled.filter.error.is_none() && scheduled.older.is_none()
        );
        assert!(Wanted::read(&Ask::read("older=2y").unwrap()).is_err());
        assert!(Wanted::default().is_any() && Wanted::default().said().is_empty());
    }
}
