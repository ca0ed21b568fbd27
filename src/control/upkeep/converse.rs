//! What programs of others expect of a process beside its heartbeat: the counters of the day, and that it does what their
//! operators ask of it.

use std::rc::Rc;

use super::super::link::ControlLink;
use super::super::state::Control;
use super::super::steering;
use super::Upkeep;
use crate::net::Error;
use crate::resp::{self, Reply};
use crate::store::metrics::Minute;
use crate::store::process::{self, Told};
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
        let metrics = self.metrics.due(control, process::metrics_for(&presence), control.now()).await;
        let told = Told { counts: control.uncounted(), now: control.now(), expiring: control.expiring() };
        // Before it is known: counting some less after a lost line is better than counting them again with each beat.
        control.note_counted(told.counts);
        let replies = link
            .replies(|_, requests| process::converse(&presence, told, metrics.as_ref(), requests))
            .await?;
        control.note_expiring(told.expires());
        let asked = process::read_asked(&presence, &replies)?;
        if let Some(signal) = asked.signal {
            // Not part of the beat, which is dropped when the time of a stop is over.
            steering::obey_aside(control, signal);
        }
        if let Some(paused) = asked.paused {
            control.note_paused_by_others(paused);
        }
        self.judge(replies)
    }

    /// What is left to tell at the end. Noted before it is known: what is said again must not count it twice.
    pub(super) fn last_words(&mut self, control: &Control, presence: &Presence) -> (Told, Option<Minute>) {
        let told = Told { counts: control.uncounted(), now: control.now(), expiring: control.expiring() };
        control.note_counted(told.counts);
        (told, self.metrics.last(control, process::metrics_for(presence), told.now))
    }

    /// The first error of these replies. A spoilt key is none: it is named once, and the rest of the beat has been written.
    pub(super) fn judge(&mut self, replies: Vec<Reply>) -> Result<(), Error> {
        for reply in replies {
            match reply.into_result() {
                Err(resp::Error::Redis(error)) if error.is_of_spoilt_key() => {
                    if !std::mem::replace(&mut self.has_complained, true) {
                        let keys = self.shown.presence().map(|presence| presence.heartbeat_key().to_owned());
                        let register = self.control.options.keys.register();
                        let register =
                            register.map(|register| [register.queues, register.processes].join(" or "));
                        tracing::error!(
                            reason = %error,
                            heartbeat = keys,
                            register,
                            "a key is spoilt that tells other programs of this process; everything else keeps running"
                        );
                    }
                }
                result => _ = result?,
            }
        }
        Ok(())
    }
}

/// Removes the form in which the process showed itself before, over the connection that wrote it. If that fails it expires.
pub(super) async fn leave(mut link: ControlLink, before: &Presence) {
    let _gone = link.call(|_, requests| process::farewell(before, Told::default(), None, requests)).await;
}
