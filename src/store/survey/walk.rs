//! Whether a survey has to walk over all keys, and noting in the register what it has found then.

use super::{Asked, Pace, Scan, Survey, SurveyError, at};
use crate::limits::REGISTER_LOOK_KEPT;
use crate::resp::{RedisErrorKind, Reply, Requests, Value};
use crate::store::register::{self, Kind};
use crate::wire::keys::Register;

/// Why a survey walks over all keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkReason<'s> {
    /// Nobody has noted yet what there is.
    First,
    /// It was asked to.
    Asked,
    /// A key of the register cannot be read: the key, and what Redis says.
    Unreadable(&'s str),
}

/// What is known of a walk.
#[derive(Debug)]
pub(super) struct Walk {
    register: &'static Register,
    /// Whether it walks whatever others have noted.
    is_asked_for: bool,
    /// Whether someone has walked, as the last look has read it.
    was_done: bool,
    /// What keeps the register from being read.
    unreadable: Option<String>,
    /// Whether this survey was to note what it has found: it does so once.
    has_noted: bool,
}

impl Walk {
    pub(super) const fn new(register: &'static Register) -> Self {
        Self { register, is_asked_for: false, was_done: false, unreadable: None, has_noted: false }
    }

    /// Whether what is named is all that there is.
    const fn is_spared(&self) -> bool {
        self.was_done && !self.is_asked_for && self.unreadable.is_none()
    }

    /// Notes that a key of the register cannot be read, if that is what the reply says: someone has stored something else
    /// under it, or this user may not read it. `false` if it says anything else.
    pub(super) fn bars(&mut self, key: &str, reply: &Reply) -> bool {
        let Value::Error(error) = reply.value() else { return false };
        let bars = matches!(error.kind(), RedisErrorKind::WrongType | RedisErrorKind::NoPerm);
        if bars && self.unreadable.is_none() {
            self.unreadable = Some(format!("{key}: {}", error.to_owned()));
        }
        bars
    }
}

impl Survey {
    /// It walks over all keys whatever the register names, and notes what it finds.
    #[must_use]
    pub fn through_all_keys(mut self) -> Self {
        if let Some(walk) = &mut self.walk {
            walk.is_asked_for = true;
        }
        self
    }

    /// Why it walks over all keys of a database of more than a page, which may take a while, or of any if the register
    /// cannot be read; `None` if it does not.
    #[must_use]
    pub fn walks(&self) -> Option<WalkReason<'_>> {
        let walk = self.walk.as_deref().filter(|walk| !walk.is_spared())?;
        if let Some(reason) = &walk.unreadable {
            return Some(WalkReason::Unreadable(reason));
        }
        let is_midway = self.scans.iter().any(|scan| scan.walks() && scan.is_midway());
        is_midway.then_some(if walk.is_asked_for { WalkReason::Asked } else { WalkReason::First })
    }

    /// Whether it has come to the end of a walk that it has to note.
    pub(super) fn owes_notes(&self) -> bool {
        let Some(walk) = self.walk.as_deref() else { return false };
        let mut walks = self.scans.iter().filter(|scan| scan.walks());
        !walk.is_spared()
            && !walk.has_noted
            && walk.unreadable.is_none()
            && walks.clone().all(Scan::came_round)
            && (walk.is_asked_for || walks.any(Scan::was_long))
    }

    /// Appends the question whether someone has walked, while that matters, and the notes of this walk.
    pub(super) fn write_walk(&mut self, requests: &mut Requests) {
        let owes_notes = self.owes_notes();
        let now = self.now();
        let Some(walk) = &mut self.walk else { return };
        if self.scans.iter().any(|scan| scan.walks() && scan.continues(self.pace == Pace::Again)) {
            register::ask_walked(walk.register, requests);
            self.asked.push(Asked::Walked);
        }
        if !owes_notes {
            return;
        }
        walk.has_noted = true;
        let processes: Vec<&[u8]> = self.processes.found.keys().map(Vec::as_slice).collect();
        let prefix = self.keys.names().list_prefix.as_bytes();
        let queues: Vec<&[u8]> =
            self.queues.found.keys().filter_map(|key| key.strip_prefix(prefix)).collect();
        let named = register::name(walk.register, Kind::Processes, &processes, now, requests)
            + register::name(walk.register, Kind::Queues, &queues, now, requests);
        register::note_walked(walk.register, now, REGISTER_LOOK_KEPT, requests);
        self.asked.extend((0..=named).map(|_| Asked::Named));
    }

    pub(super) fn accept_walked(&mut self, reply: &Reply) -> Result<(), SurveyError> {
        if let Some(walk) = &mut self.walk
            && !walk.bars(walk.register.walked, reply)
        {
            walk.was_done = register::read_walked(reply).map_err(at(walk.register.walked))?;
        }
        Ok(())
    }

    /// What is named is known without a walk: one that does not end with its first page is given up.
    pub(super) fn give_up_walks(&mut self) {
        if self.walk.as_deref().is_some_and(Walk::is_spared) {
            self.scans.iter_mut().filter(|scan| scan.walks() && scan.is_midway()).for_each(Scan::retire);
        }
    }
}
