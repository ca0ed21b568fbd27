//! The thread that looks at Redis, so that keys still work while Redis is slow or away.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel};
use std::thread;
use std::time::Duration;

use super::Message;
use crate::admin::{Database, Error, nodes};
use crate::limits::TOP_PATIENCE;
use crate::net::blocking::{BlockingConnection, BlockingOptions};
use crate::store::survey::{Scope, Survey};
use crate::view::state::{Rates, State};

/// The thread runs while this is kept, and at most one look longer.
pub(super) struct Reader {
    _kept: std::sync::mpsc::Sender<()>,
}

impl Reader {
    /// Starts it. The first state is sent when everything has been seen, or after this many looks.
    pub(super) fn start(
        db: &Database,
        interval: Duration,
        first_looks: usize,
        out: SyncSender<Message>,
    ) -> Self {
        let (kept, dropped) = channel();
        let db = db.clone();
        thread::spawn(move || {
            let mut session =
                Session { db, interval, first_looks, rates: Rates::default(), open: Vec::new() };
            session.run(&out, &dropped);
        });
        Self { _kept: kept }
    }
}

struct Session {
    db: Database,
    interval: Duration,
    first_looks: usize,
    rates: Rates,
    /// Each server: in a cluster, its primaries.
    open: Vec<(BlockingConnection, Survey)>,
}

impl Session {
    fn run(&mut self, out: &SyncSender<Message>, dropped: &Receiver<()>) {
        loop {
            let message = match self.look() {
                Ok(state) => Message::State(Box::new(state)),
                Err(error) => {
                    self.open.clear();
                    Message::Away(error)
                }
            };
            if out.send(message).is_err() {
                return;
            }
            match dropped.recv_timeout(self.interval) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }

    fn look(&mut self) -> Result<State, Error> {
        // A slot has moved, or a replica has taken over: query the nodes again.
        if !self.open.is_empty() && self.see().is_err() {
            self.open.clear();
        }
        if self.open.is_empty() {
            self.open()?;
        }
        let surveys: Vec<&Survey> = self.open.iter().map(|(_, survey)| survey).collect();
        Ok(State::of(&surveys, &self.db.url.to_string(), &mut self.rates))
    }

    /// One look at each server.
    fn see(&mut self) -> Result<(), Error> {
        self.open.iter_mut().try_for_each(|(conn, survey)| nodes::look(conn, survey).map(|_| ()))
    }

    /// Connects, and looks until everything has been seen, or as often as allowed for the first state.
    fn open(&mut self) -> Result<(), Error> {
        let options = BlockingOptions {
            client_name: "jiggler-uring:top".to_owned(),
            connect_timeout: TOP_PATIENCE,
            call_timeout: TOP_PATIENCE,
            ..BlockingOptions::default()
        };
        for server in nodes::each(&self.db.url, &options)? {
            let mut conn = BlockingConnection::connect_with(&server, &options)?;
            let mut survey = Survey::again(Scope::Everything, self.db.keys);
            for _look in 0..self.first_looks {
                nodes::look(&mut conn, &mut survey)?;
                if survey.is_complete() {
                    break;
                }
            }
            self.open.push((conn, survey));
        }
        Ok(())
    }
}
