//! What programs of others expect of a process beside its heartbeat: the counters of the day, and that it does what their
//! operators ask of it.

use std::rc::Rc;

use super::super::link::ControlLink;
use super::super::state::Control;
use super::super::steering;
use super::Upkeep;
use crate::net::Error;
use crate::store::process::{self, DayCounts};
use crate::wire::Presence;

impl Upkeep {
    /// Tells and asks it, after a heartbeat: in a call of its own, because it is not safe to repeat.
    pub(super) async fn converse(&mut self, control: &Rc<Control>) -> Result<(), Error> {
        let (Some(presence), Some((link, _))) = (self.shown.presence(), &mut self.link) else {
            return Ok(());
        };
        if !process::converses(&presence) {
            return Ok(());
        }
        let (counts, now) = (control.uncounted(), control.now());
        let replies = link.call(|_, requests| process::converse(&presence, counts, now, requests)).await?;
        control.note_counted(counts);
        if let Some(signal) = replies.first().map(process::read_asked).transpose()?.flatten() {
            // Not part of the beat, which is dropped when the time of a stop is over.
            steering::obey_aside(control, signal);
        }
        Ok(())
    }
}

/// Removes the form in which the process showed itself before, over the connection that wrote it. If that fails it expires.
pub(super) async fn leave(mut link: ControlLink, before: &Presence) {
    let _gone = link.call(|_, requests| process::farewell(before, DayCounts::default(), 0.0, requests)).await;
}
