//! What somebody wants to have done: read from an address or a form, asked in words, and which role it takes.

use serde_json::value::RawValue;

use super::ask::{Ask, AskError, address};
use super::place;
use super::wanted::Wanted;
use super::words::{Text, count};
use crate::acts::pause::Pausable;
use crate::acts::periodic::Edit;
use crate::limits::{CRON_NAME_BYTES_MAX, JID_BYTES_MAX, JOB_NAME_BYTES_MAX, PAGE_SKIP_MAX};
use crate::store::entries::{Place, Set};
use crate::store::steer::SteerRequest;
use crate::web::access::Role;
use crate::wire::{ListName, QueueName};

mod effect;

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
    /// A job is pushed as a new one, with these arguments or its own; then the old one may be deleted. It was seen so many
    /// entries from the newest.
    Again { set: Set, id: String, near: u64, args: Option<String>, removes: bool },
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
    Again,
    Run,
    Remove,
}

const WORDS: [(&str, Word); 12] = [
    ("retry", Word::Jobs(Verb::Retry)),
    ("kill", Word::Jobs(Verb::Kill)),
    ("delete", Word::Jobs(Verb::Delete)),
    ("pause", Word::Pause),
    ("resume", Word::Resume),
    ("clear", Word::Clear),
    ("quiet", Word::Steer(SteerRequest::Quiet)),
    ("stop", Word::Steer(SteerRequest::Stop)),
    ("cancel", Word::Cancel),
    ("again", Word::Again),
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
            Word::Again => Self::again(ask)?,
            Word::Cancel => Self::Cancel { jid: bounded("id", "the id of a job", JID_BYTES_MAX)? },
        })
    }

    fn again(ask: &Ask) -> Result<Self, AskError> {
        let wrong = |name, allowed: String| AskError::Value { name, allowed };
        let Some(Place::Set(set)) = place::read(ask)? else {
            return Err(wrong("place", "retries, scheduled or dead".to_owned()));
        };
        let id = ask.text("id").ok_or_else(|| wrong("id", "the id of a job".to_owned()))?;
        let args = ask.text("args").map(|text| match serde_json::from_str::<&RawValue>(text) {
            Ok(json) if json.get().starts_with('[') => Ok(json.get().to_owned()),
            Ok(_) => Err(wrong("args", "a JSON array".to_owned())),
            Err(error) => Err(wrong("args", format!("a JSON array: {error}"))),
        });
        Ok(Self::Again {
            set,
            id: id.to_owned(),
            near: ask.number("near", PAGE_SKIP_MAX)?.unwrap_or(0),
            args: args.transpose()?,
            removes: ask.text("remove").is_some(),
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

    /// What it was read from, in one way of writing it, but for what its form asks for besides.
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
            Self::Again { set, id, near, .. } => {
                all.extend(of_place(&Place::Set(*set)));
                all.push(("id", id.clone()));
                all.push(("near", if *near == 0 { String::new() } else { near.to_string() }));
            }
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
            Self::Again { .. } => "again",
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
            Self::Job { verb: Verb::Delete, .. }
            | Self::All { verb: Verb::Delete, .. }
            | Self::Clear(_)
            | Self::Again { removes: true, .. } => Role::Admin,
            Self::Steer { request: SteerRequest::Quiet, .. } => Role::Operate,
            Self::Steer { .. } | Self::Periodic { edit: Edit::Remove | Edit::Add { .. }, .. } => Role::Admin,
            Self::Periodic { .. } => Role::Operate,
            Self::Job { .. }
            | Self::All { .. }
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Cancel { .. }
            | Self::Again { .. } => Role::Operate,
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
            Self::Again { id, args, removes, .. } => format!(
                "enqueue job {} again{}{}",
                shown(id),
                if args.is_some() { ", with arguments as given" } else { "" },
                if *removes { ", and delete the old one" } else { "" }
            ),
            Self::Periodic { name, .. } => {
                format!("{} periodic job {}", self.word(), Text::cell(name).shown)
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
            Self::Again { set, .. } => page(&Place::Set(*set)),
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
            ("do=again&place=dead&id=j1&near=7", Role::Operate, "enqueue job j1 again"),
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
    fn to_delete_the_old_one_as_well_takes_the_role_for_it() {
        let again = |more: &str| read(&format!("do=again&place=dead&id=j&args=%5B+1+%5D{more}")).unwrap();
        let (kept, removed) = (again(""), again("&remove=1"));
        assert_eq!((kept.role(), removed.role()), (Role::Operate, Role::Admin));
        assert_eq!(
            removed.order(None),
            "enqueue job j again, with arguments as given, and delete the old one"
        );
        // One token is good for whatever the form says.
        assert_eq!(kept.parameters(), removed.parameters());
        assert!(matches!(kept, Deed::Again { args: Some(args), .. } if args == "[ 1 ]"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (query, said) in [
            (
                "",
                "parameter do: give retry, kill, delete, pause, resume, clear, quiet, stop, cancel, again, run, remove",
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
            ("do=again&place=queue&queue=q&id=j", "parameter place: give retries, scheduled or dead"),
            ("do=again&place=dead", "parameter id"),
            ("do=again&place=dead&id=j&args={}", "parameter args: give a JSON array"),
            ("do=again&place=dead&id=j&args=[1", "parameter args: give a JSON array: EOF while parsing"),
            ("do=again&place=dead&id=j&args=[1],2", "parameter args: give a JSON array: trailing characters"),
            ("do=run", "parameter periodic: give the name of a periodic job"),
            ("do=remove&name=x", "parameter periodic"),
        ] {
            let error = read(query).unwrap_err().to_string();
            assert!(error.contains(said), "{query}: {error}");
        }
    }
}
