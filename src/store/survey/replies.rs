//! What a survey makes of the replies to its questions.

use super::super::{paused, server};
use super::count::{self, KeySize};
use super::scan::{Kind, Scan};
use super::{Asked, Pace, Process, Survey, SurveyError, at};
use crate::limits::SURVEY_KEYS_MAX;
use crate::resp::{RedisErrorKind, Reply, Value};
use crate::wire::{
    figures, heartbeat_key,
    keys::ListKey,
    realm::{parse_cron_key, parse_realm_key},
};

impl Survey {
    /// Takes the replies to the last [`Self::write`], all of them, in order.
    ///
    /// # Errors
    /// [`SurveyError`]; the survey must be started over.
    pub fn accept(&mut self, replies: &[Reply]) -> Result<(), SurveyError> {
        let asked = std::mem::take(&mut self.asked);
        if asked.len() != replies.len() {
            return Err(SurveyError::WrongReplies { commands: asked.len(), replies: replies.len() });
        }
        asked.into_iter().zip(replies).try_for_each(|(asked, reply)| self.accept_one(asked, reply))?;
        self.give_up_walks();
        let now = self.now();
        self.processes.read_mut().for_each(|process| process.note_death(now));
        Ok(())
    }

    fn accept_one(&mut self, asked: Asked, reply: &Reply) -> Result<(), SurveyError> {
        match asked {
            Asked::Clock(asked) => match server::clock(reply) {
                Ok(told) => _ = self.clock.learn(asked, told),
                // Ages are then told by the clock of this host.
                Err(_) => self.clock.note_refused(),
            },
            Asked::Count(key, what) => {
                *self.counts.of(what) = count::read(what, key, reply)?.unwrap_or(0);
            }
            // Whatever else is stored there pauses nothing.
            Asked::Paused => self.paused = paused::read(reply).unwrap_or_default().still(self.now()),
            Asked::PausedByOthers => self.paused.queues.extend(paused::read_of_others(reply)),
            Asked::Walked => self.accept_walked(reply)?,
            // A user who may only look leaves no notes.
            Asked::Named => {}
            Asked::Page(number) => self.accept_page(number, reply)?,
            Asked::Heartbeats(page) => {
                let values = reply.as_array().map_err(at(heartbeat_key::SERVER_PREFIX))?;
                for (key, value) in page.into_iter().zip(values) {
                    self.accept_heartbeat(key, &value)?;
                }
            }
            Asked::Heartbeat(key) => self.accept_heartbeat(key, &reply.value())?,
            Asked::Figures(page) => {
                let values = reply.as_array().map_err(at(self.keys.names().process_prefix))?;
                for (key, value) in page.iter().zip(values) {
                    self.accept_figures(key, &value);
                }
            }
            Asked::FiguresOf(key) => self.accept_figures(&key, &reply.value()),
            Asked::Length(key) => self.accept_length(key, reply)?,
            Asked::Size(key) => self.accept_size(&key, reply)?,
        }
        Ok(())
    }

    fn accept_heartbeat(&mut self, key: Vec<u8>, value: &Value<'_>) -> Result<(), SurveyError> {
        let text = String::from_utf8_lossy(&key);
        let process = if self.keys.names().registries.is_some() {
            let fields = value.as_array().map_err(at(&text))?;
            let fields: Result<Vec<_>, _> = fields
                .map(|field| match field {
                    Value::Bulk(text) => Ok(Some(text)),
                    other => other.as_nil_or_bulk(),
                })
                .collect();
            Process::read_hash(&text, &fields.map_err(at(&text))?)
        } else {
            // Nil: it expired, or its process left.
            value.as_nil_or_bulk().map_err(at(&text))?.and_then(|value| Process::read(&text, value))
        };
        self.processes.set(key, process);
        Ok(())
    }

    /// Anything else under that key is ignored.
    fn accept_figures(&mut self, key: &[u8], value: &Value<'_>) {
        if let (Value::Bulk(json), Some(process)) = (value, self.processes.get_mut(key)) {
            process.figures = figures::parse(json).ok();
        }
    }

    /// An empty queue is no longer a key; one that returns is found anew.
    fn accept_length(&mut self, key: Vec<u8>, reply: &Reply) -> Result<(), SurveyError> {
        let jobs = match reply.value() {
            // The list is gone and something else took its name.
            Value::Error(error) if error.kind() == RedisErrorKind::WrongType => None,
            _ => count::size(&String::from_utf8_lossy(&key), reply)?,
        };
        self.queues.set(key, jobs);
        Ok(())
    }

    fn accept_size(&mut self, key: &str, reply: &Reply) -> Result<(), SurveyError> {
        let Some(size) = self.sizes.get_mut(key) else { return Ok(()) };
        match count::read(size.what, key, reply)? {
            read @ Some(_) => size.size = read,
            None => _ = self.sizes.remove(key),
        }
        Ok(())
    }

    fn accept_page(&mut self, number: usize, reply: &Reply) -> Result<(), SurveyError> {
        let scan = &mut self.scans[number];
        if scan.is_of_register()
            && let Some(walk) = &mut self.walk
            && walk.bars(scan.pattern(), reply)
        {
            scan.retire();
            self.scans.iter_mut().filter(|scan| scan.walks()).for_each(Scan::revive);
            return Ok(());
        }
        let page = scan.accept(reply)?;
        let scan = &self.scans[number];
        let (kind, is_named) = (scan.kind(), !scan.walks());
        for element in page.step_by(scan.step()) {
            let key = scan.key(self.keys, element.as_bulk().map_err(at(scan.pattern()))?);
            let text = String::from_utf8_lossy(&key);
            match kind {
                Kind::Heartbeats
                    if self.keys.names().registries.is_some()
                        || heartbeat_key::parse_heartbeat(&text).is_some() =>
                {
                    self.processes.note(key, is_named);
                }
                // For the operator. In a survey without end they would pile up.
                Kind::Heartbeats if self.pace == Pace::Once => _ = self.unreadable.insert(text.into_owned()),
                Kind::Heartbeats => {}
                Kind::Lists => {
                    if let Some(ListKey::Queue { .. }) = self.keys.parse_list(&text) {
                        self.queues.note(key, is_named);
                    }
                }
                Kind::InFlight => {
                    if let Some(queue) = parse_cron_key(self.keys, &text) {
                        self.periodic.insert(queue.to_owned());
                    } else if let Some((_, what)) = parse_realm_key(self.keys, &text) {
                        self.sizes.entry(text.into_owned()).or_insert(KeySize { what, size: None });
                    }
                }
            }
        }
        if is_named && !scan.is_midway() {
            match kind {
                Kind::Heartbeats => self.processes.came_round(),
                Kind::Lists => self.queues.came_round(),
                Kind::InFlight => {}
            }
        }
        let pattern = self.scans[number].pattern().to_owned();
        let processes = self.processes.found.len() + self.unreadable.len();
        let found = [processes, self.queues.found.len(), self.sizes.len(), self.periodic.len()];
        if found.iter().any(|keys| *keys > SURVEY_KEYS_MAX) {
            return Err(SurveyError::TooManyKeys { pattern });
        }
        Ok(())
    }
}
