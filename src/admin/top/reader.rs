//! The thread that looks at Redis, so that keys still work while Redis is slow or away.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Message;
use crate::admin::{database::Database, error::Error, nodes};
use crate::limits::{TOP_PATIENCE, TOP_PROCESSES_MAX, WATCH_RENEWAL};
use crate::net::blocking::{BlockingConnection, BlockingOptions};
use crate::resp::{Requests, Value};
use crate::store::steer;
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
            let mut session = Session {
                db,
                interval,
                first_looks,
                rates: Rates::default(),
                open: Vec::new(),
                watch: Watch::Since(None),
            };
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
    watch: Watch,
}

/// Whether the processes are told that they are watched.
enum Watch {
    /// They last were at this time.
    Since(Option<Instant>),
    /// This user may not tell them: what they report is as old as their heartbeats.
    Denied,
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
        self.tell_processes()?;
        let surveys: Vec<&Survey> = self.open.iter().map(|(_, survey)| survey).collect();
        Ok(State::of(&surveys, &self.db.url.to_string(), &mut self.rates))
    }

    /// Tells our processes that they are watched, about once a second, so that they report about themselves as often. In a
    /// cluster any node passes the messages on.
    fn tell_processes(&mut self) -> Result<(), Error> {
        let Watch::Since(last) = self.watch else { return Ok(()) };
        if last.is_some_and(|last| last.elapsed() < WATCH_RENEWAL) {
            return Ok(());
        }
        let mut requests = Requests::new();
        let ours = self.open.iter().flat_map(|(_, survey)| survey.processes());
        let ours = ours.filter(|(_, process)| process.figures.is_some()).take(TOP_PROCESSES_MAX);
        let mut told = 0;
        for (_, process) in ours {
            steer::watch(self.db.keys, self.db.url.database(), &process.uuid, &mut requests);
            told += 1;
        }
        self.watch = Watch::Since(Some(Instant::now()));
        let Some((conn, _)) = self.open.first_mut().filter(|_| told > 0) else { return Ok(()) };
        let replies = conn.call(&requests)?;
        if replies.iter().any(|reply| matches!(reply.value(), Value::Error(_))) {
            self.watch = Watch::Denied;
        }
        Ok(())
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
