//! What somebody wants to have done: read from an address or a form, asked in words, and which role it takes.

use super::ask::{Ask, AskError, address};
use super::place;
use super::wanted::Wanted;
use super::words::{Text, count};
use crate::acts::pause::Pausable;
use crate::acts::periodic::Edit;
use crate::limits::{CRON_NAME_BYTES_MAX, JID_BYTES_MAX, JOB_NAME_BYTES_MAX};
use crate::store::entries::{Place, Set};
use crate::store::steer::SteerRequest;
use crate::web::access::Role;
use crate::wire::{ListName, QueueName};

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    /// To one job, in the first of these places that has it.
    Job { verb: Verb, places: Vec<Place>, id: String },
    /// To all jobs of a set that are wanted.
    All { verb: Verb, set: Set, wanted: Wanted },
    /// No more jobs of it are taken.
    Pause(Pausable),
    /// They are again.
    Resume(Pausable),
    /// All waiting jobs of a queue go.
    Clear(ListName),
    /// A process is asked for something.
    Steer { uuid: String, request: SteerRequest },
    /// A running job is ended.
    Cancel { jid: String },
    /// A periodic job is changed, or pushed now. Never added.
    Periodic { edit: Edit, name: String },
}

/// What is done to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Retry,
    Kill,
    Delete,
}

#[derive(Clone, Copy)]
enum Word {
    Jobs(Verb),
    Pause,
    Resume,
    Clear,
    Steer(SteerRequest),
    Cancel,
    Run,
    Remove,
}

const WORDS: [(&str, Word); 11] = [
    ("retry", Word::Jobs(Verb::Retry)),
    ("kill", Word::Jobs(Verb::Kill)),
    ("delete", Word::Jobs(Verb::Delete)),
    ("pause", Word::Pause),
    ("resume", Word::Resume),
    ("clear", Word::Clear),
    ("quiet", Word::Steer(SteerRequest::Quiet)),
    ("stop", Word::Steer(SteerRequest::Stop)),
    ("cancel", Word::Cancel),
    ("run", Word::Run),
    ("remove", Word::Remove),
];

/// How many jobs it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Many {
    /// So many, now.
    Exactly(u64),
    /// So many of those counted so far.
    AtLeast(u64),
}

impl Deed {
    /// # Errors
    /// [`AskError::Value`]: what is asked for makes no sense, or names nothing.
    pub(super) fn read(ask: &Ask) -> Result<Self, AskError> {
        let wrong = |name, allowed: &str| AskError::Value { name, allowed: allowed.to_owned() };
        let words = || WORDS.map(|(word, _)| word).join(", ");
        let word =
            ask.choice("do", &WORDS)?.ok_or_else(|| AskError::Value { name: "do", allowed: words() })?;
        let bounded = |name: &'static str, what: &str, bytes_max: usize| {
            let text = ask.text(name).filter(|text| text.len() <= bytes_max);
            text.map(str::to_owned).ok_or_else(|| wrong(name, what))
        };
        let periodic = |edit| {
            let name = bounded("periodic", "the name of a periodic job", CRON_NAME_BYTES_MAX)?;
            Ok(Self::Periodic { edit, name })
        };
        let is_periodic = ask.text("periodic").is_some();
        Ok(match word {
            Word::Pause if is_periodic => periodic(Edit::Pause)?,
            Word::Resume if is_periodic => periodic(Edit::Resume)?,
            Word::Run => periodic(Edit::Run)?,
            Word::Remove => periodic(Edit::Remove)?,
            Word::Jobs(verb) => Self::of_jobs(verb, ask)?,
            Word::Pause => Self::Pause(pausable(ask)?),
            Word::Resume => Self::Resume(pausable(ask)?),
            Word::Clear => Self::Clear(place::queue(ask)?),
            Word::Steer(request) => {
                Self::Steer { uuid: bounded("process", "the id of a process", JID_BYTES_MAX)?, request }
            }
            Word::Cancel => Self::Cancel { jid: bounded("id", "the id of a job", JID_BYTES_MAX)? },
        })
    }

    fn of_jobs(verb: Verb, ask: &Ask) -> Result<Self, AskError> {
        let wrong = |name, allowed: &str| AskError::Value { name, allowed: allowed.to_owned() };
        let place = place::read(ask)?;
        match (&place, verb) {
            (Some(Place::Queue(_)), Verb::Retry | Verb::Kill) => {
                return Err(wrong("do", "delete: a job that waits in a queue runs anyway"));
            }
            (Some(Place::Set(Set::Dead)), Verb::Kill) => {
                return Err(wrong("do", "retry or delete: these jobs are dead already"));
            }
            _ => {}
        }
        if let Some(id) = ask.text("id") {
            let sets = Set::ALL.into_iter().filter(|set| verb != Verb::Kill || *set != Set::Dead);
            let places = place.map_or_else(|| sets.map(Place::Set).collect(), |place| vec![place]);
            return Ok(Self::Job { verb, places, id: id.to_owned() });
        }
        match place {
            Some(Place::Set(set)) => Ok(Self::All { verb, set, wanted: Wanted::read(ask)? }),
            _ => Err(wrong("place", "retries, scheduled or dead, or the id of a job")),
        }
    }

    /// What it was read from, in one way of writing it.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let of_place = |place: &Place| {
            let (word, queue) = place::parameters(place);
            vec![("place", word.to_owned()), ("queue", queue.into_owned())]
        };
        let mut all = vec![("do", self.word().to_owned())];
        match self {
            Self::Job { places, id, .. } => {
                if let [place] = places.as_slice() {
                    all.extend(of_place(place));
                }
                all.push(("id", id.clone()));
            }
            Self::All { set, wanted, .. } => {
                all.extend(of_place(&Place::Set(*set)));
                all.extend(wanted.parameters().map(|(name, value)| (name, value.to_owned())));
            }
            Self::Pause(Pausable::Queue(name)) | Self::Resume(Pausable::Queue(name)) => {
                all.push(("queue", name.clone()));
            }
            Self::Pause(Pausable::Class(name)) | Self::Resume(Pausable::Class(name)) => {
                all.push(("name", name.clone()));
            }
            Self::Clear(queue) => all.push(("queue", queue.exact().into_owned())),
            Self::Steer { uuid, .. } => all.push(("process", uuid.clone())),
            Self::Cancel { jid } => all.push(("id", jid.clone())),
            Self::Periodic { name, .. } => all.push(("periodic", name.clone())),
        }
        all.retain(|(_, value)| !value.is_empty());
        all
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Job { verb, .. } | Self::All { verb, .. } => verb.word(),
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Clear(_) => "clear",
            Self::Steer { request: SteerRequest::Quiet, .. } => "quiet",
            Self::Steer { .. } => "stop",
            Self::Cancel { .. } => "cancel",
            Self::Periodic { edit, .. } => match edit {
                Edit::Pause => "pause",
                Edit::Resume => "resume",
                Edit::Run => "run",
                Edit::Remove | Edit::Add { .. } => "remove",
            },
        }
    }

    /// The least role that may have it done.
    pub(super) const fn role(&self) -> Role {
        match self {
            Self::Job { verb: Verb::Delete, .. } | Self::All { verb: Verb::Delete, .. } | Self::Clear(_) => {
                Role::Admin
            }
            Self::Steer { request: SteerRequest::Quiet, .. } => Role::Operate,
            Self::Steer { .. } | Self::Periodic { edit: Edit::Remove | Edit::Add { .. }, .. } => Role::Admin,
            Self::Periodic { .. } => Role::Operate,
            Self::Job { .. } | Self::All { .. } | Self::Pause(_) | Self::Resume(_) | Self::Cancel { .. } => {
                Role::Operate
            }
        }
    }

    /// Whether jobs are gone for good, or many are moved: what is noted before it begins, too.
    pub(super) const fn is_large(&self) -> bool {
        matches!(self, Self::All { .. } | Self::Clear(_))
    }

    /// What is done, as an order: "delete 31,204 dead jobs named Mail".
    pub(super) fn order(&self, many: Option<Many>) -> String {
        let shown = |text: &str| Text::id(text).shown;
        match self {
            Self::Job { verb, id, .. } => match verb {
                Verb::Retry => format!("retry job {}", shown(id)),
                Verb::Kill => format!("move job {} to the dead set", shown(id)),
                Verb::Delete => format!("delete job {}", shown(id)),
            },
            Self::All { verb, set, wanted } => {
                let which = match set {
                    Set::Retries => format!("{} of the retry set", jobs(many, "")),
                    Set::Scheduled => jobs(many, "scheduled "),
                    Set::Dead => jobs(many, "dead "),
                };
                let wanted = wanted.said();
                match verb {
                    Verb::Retry => format!("retry {which}{wanted}"),
                    Verb::Kill => format!("move {which}{wanted} to the dead set"),
                    Verb::Delete => format!("delete {which}{wanted}"),
                }
            }
            Self::Pause(what) => format!("pause {}", named(what)),
            Self::Resume(what) => format!("resume {}", named(what)),
            Self::Clear(queue) => {
                format!("delete {} of queue {}", jobs(many, "waiting "), Text::cell(&queue.to_string()).shown)
            }
            Self::Steer { uuid, request: SteerRequest::Quiet } => {
                format!("make process {} quiet", shown(uuid))
            }
            Self::Steer { uuid, .. } => format!("stop process {}", shown(uuid)),
            Self::Cancel { jid } => format!("cancel job {}", shown(jid)),
            Self::Periodic { name, .. } => {
                format!("{} periodic job {}", self.word(), Text::cell(name).shown)
            }
        }
    }

    /// What that means.
    pub(super) const fn effect(&self) -> &'static str {
        match self {
            Self::Job { verb, .. } => match verb {
                Verb::Retry => "It leaves its set and goes to its queue at once.",
                Verb::Kill => {
                    "It goes to the dead set, with the reason that an operator has killed it. It can be retried."
                }
                Verb::Delete => "It is gone for good.",
            },
            Self::All { verb, .. } => match verb {
                Verb::Retry => "Each goes to its queue at once.",
                Verb::Kill => {
                    "The dead set must have room for them: none of its jobs is pushed out. They can be retried."
                }
                Verb::Delete => "They are gone for good.",
            },
            Self::Pause(Pausable::Queue(_)) => {
                "No worker takes jobs from it until it is resumed; those that run go on. A Ruby server does not heed it."
            }
            Self::Pause(Pausable::Class(_)) => {
                "Its jobs wait in the retry set, some seconds at a time, and lose no attempt, until it is resumed. \
                 A Ruby server does not heed it."
            }
            Self::Resume(_) => "Workers take its jobs again.",
            Self::Clear(_) => "They are gone for good. Jobs that run are not touched.",
            Self::Steer { request: SteerRequest::Quiet, .. } => {
                "It finishes the jobs that it runs and takes no more. Only a restart makes it take jobs again."
            }
            Self::Steer { .. } => {
                "It takes no more jobs, waits for those that it runs up to its own timeout, hands back the rest, and ends."
            }
            Self::Periodic { edit, .. } => match edit {
                Edit::Pause => "Its ticks pass without a push until it is resumed; what was pushed runs.",
                Edit::Resume => "It is pushed again from its next tick on.",
                Edit::Run => {
                    "Its job is pushed now, besides its ticks, whether it is paused or its last run lives."
                }
                Edit::Remove | Edit::Add { .. } => {
                    "It is pushed no more. One that code or a configuration file declares comes back when a process starts."
                }
            },
            Self::Cancel { .. } => {
                "The worker that runs it ends it at its next await, and it goes to the dead set. If it has ended by then, \
                 nothing happens."
            }
        }
    }

    /// The page from which it was asked for.
    pub(super) fn back(&self) -> String {
        let page = |place: &Place| match place {
            Place::Set(set) => set.word().to_owned(),
            Place::Queue(queue) => address("queue", &[("queue", &queue.exact())]),
        };
        match self {
            Self::Job { places, .. } => page(&places[0]),
            Self::All { set, wanted, .. } => address(set.word(), &wanted.parameters()),
            Self::Pause(_) | Self::Resume(_) => "queues".to_owned(),
            Self::Clear(queue) => page(&Place::Queue(queue.clone())),
            Self::Steer { .. } => "processes".to_owned(),
            Self::Cancel { .. } => "busy".to_owned(),
            Self::Periodic { .. } => "periodic".to_owned(),
        }
    }
}

/// A link to the page that asks whether something is to be done.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) href: String,
    pub(super) label: &'static str,
}

impl Way {
    /// To what somebody with this role may do; `None`: that takes more.
    pub(super) fn to(role: Role, deed: &Deed, label: &'static str) -> Option<Self> {
        if role < deed.role() {
            return None;
        }
        let parameters = deed.parameters();
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, &**value)).collect();
        let href = address("act", &parameters);
        // Without one, what it is for has a name that no address has.
        (!href.is_empty()).then_some(Self { href, label })
    }
}

impl Verb {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Kill => "kill",
            Self::Delete => "delete",
        }
    }
}

fn jobs(many: Option<Many>, kind: &str) -> String {
    let (one, more) = (format!("{kind}job"), format!("{kind}jobs"));
    match many {
        None => format!("all {more}"),
        Some(Many::Exactly(jobs)) => count(jobs, &one, &more),
        Some(Many::AtLeast(jobs)) => format!("at least {}", count(jobs, &one, &more)),
    }
}

fn named(what: &Pausable) -> String {
    let name = Text::cell(what.name()).shown;
    match what {
        Pausable::Queue(_) => format!("queue {name}"),
        Pausable::Class(_) => format!("class {name}"),
    }
}

fn pausable(ask: &Ask) -> Result<Pausable, AskError> {
    if let Some(name) = ask.text("queue") {
        let wrong = |error| AskError::Value { name: "queue", allowed: format!("another name: {error}") };
        let name = QueueName::new(name).map_err(wrong)?;
        return Ok(Pausable::Queue(name.as_str().to_owned()));
    }
    let is_name = |name: &&str| name.len() <= JOB_NAME_BYTES_MAX && !name.chars().any(char::is_control);
    let name = ask.text("name").filter(is_name);
    let wrong = || AskError::Value { name: "name", allowed: "the name of a job, or a queue".to_owned() };
    Ok(Pausable::Class(name.ok_or_else(wrong)?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Deed, AskError> {
        Deed::read(&Ask::read(query).unwrap())
    }

    #[test]
    fn deeds_are_read_said_and_written_again() {
        for (query, role, order) in [
            ("do=retry&place=dead&id=j1", Role::Operate, "retry job j1"),
            ("do=kill&id=j1", Role::Operate, "move job j1 to the dead set"),
            ("do=delete&place=queue&queue=mail&id=j1", Role::Admin, "delete job j1"),
            ("do=delete&place=dead&name=Mail", Role::Admin, "delete 31,204 dead jobs named Mail"),
            ("do=retry&place=retries", Role::Operate, "retry 31,204 jobs of the retry set"),
            ("do=kill&place=scheduled", Role::Operate, "move 31,204 scheduled jobs to the dead set"),
            ("do=pause&queue=mail", Role::Operate, "pause queue mail"),
            ("do=resume&name=Mail", Role::Operate, "resume class Mail"),
            ("do=clear&queue=mail", Role::Admin, "delete 31,204 waiting jobs of queue mail"),
            ("do=quiet&process=06c7", Role::Operate, "make process 06c7 quiet"),
            ("do=stop&process=06c7", Role::Admin, "stop process 06c7"),
            ("do=cancel&id=j1", Role::Operate, "cancel job j1"),
            ("do=run&periodic=nightly", Role::Operate, "run periodic job nightly"),
            ("do=pause&periodic=nightly", Role::Operate, "pause periodic job nightly"),
            ("do=resume&periodic=nightly", Role::Operate, "resume periodic job nightly"),
            ("do=remove&periodic=nightly", Role::Admin, "remove periodic job nightly"),
        ] {
            let deed = read(query).unwrap();
            assert_eq!((deed.role(), &*deed.order(Some(Many::Exactly(31_204)))), (role, order), "{query}");
            let parameters = deed.parameters();
            let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(address("act", &parameters), format!("act?{query}"));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (query, said) in [
            (
                "",
                "parameter do: give retry, kill, delete, pause, resume, clear, quiet, stop, cancel, run, remove",
            ),
            ("do=dance", "parameter do: give retry"),
            ("do=retry&place=queue&queue=mail&id=j", "a job that waits in a queue runs anyway"),
            ("do=kill&place=dead&id=j", "these jobs are dead already"),
            ("do=delete&place=queue&queue=mail", "parameter place: give retries, scheduled or dead"),
            ("do=delete", "parameter place"),
            ("do=pause", "parameter name: give the name of a job, or a queue"),
            ("do=pause&queue=a%3Ab", "parameter queue: give another name"),
            ("do=clear", "parameter queue"),
            ("do=stop", "parameter process"),
            ("do=cancel", "parameter id"),
            ("do=run", "parameter periodic: give the name of a periodic job"),
            ("do=remove&name=x", "parameter periodic"),
        ] {
            let error = read(query).unwrap_err().to_string();
            assert!(error.contains(said), "{query}: {error}");
        }
    }
}
