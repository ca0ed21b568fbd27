//! The thread that looks at Redis, so that keys are heard while Redis is slow or away.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel};
use std::thread;
use std::time::Duration;

use super::Message;
use super::state::{Rates, State};
use crate::admin::{Error, fleet::look};
use crate::limits::TOP_PATIENCE;
use crate::resp::RedisUrl;
use crate::resp::blocking::{BlockingConnection, BlockingOptions};
use crate::store::fleet::{Scope, Survey};

/// The thread runs as long as this is kept, and at most one look longer.
pub(super) struct Reader {
    _kept: std::sync::mpsc::Sender<()>,
}

impl Reader {
    /// Starts it. The first state is sent when all has been seen, or after so many looks.
    pub(super) fn start(
        url: &RedisUrl,
        interval: Duration,
        first_looks: usize,
        out: SyncSender<Message>,
    ) -> Self {
        let (kept, dropped) = channel();
        let url = url.clone();
        thread::spawn(move || {
            let mut session = Session { url, interval, first_looks, rates: Rates::default(), open: None };
            session.run(&out, &dropped);
        });
        Self { _kept: kept }
    }
}

struct Session {
    url: RedisUrl,
    interval: Duration,
    first_looks: usize,
    rates: Rates,
    open: Option<(BlockingConnection, Survey)>,
}

impl Session {
    fn run(&mut self, out: &SyncSender<Message>, dropped: &Receiver<()>) {
        loop {
            let message = match self.look() {
                Ok(state) => Message::State(Box::new(state)),
                Err(error) => {
                    self.open = None;
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
        let mut looks = 0;
        let (conn, survey) = match &mut self.open {
            Some(open) => open,
            empty => {
                let options = BlockingOptions {
                    client_name: "jiggler-uring:top".to_owned(),
                    connect_timeout: TOP_PATIENCE,
                    call_timeout: TOP_PATIENCE,
                    ..BlockingOptions::default()
                };
                let conn = BlockingConnection::connect_with(&self.url, &options)?;
                let open = empty.insert((conn, Survey::new(Scope::Everything)));
                while !open.1.is_complete() && looks < self.first_looks {
                    look(&mut open.0, &mut open.1)?;
                    looks += 1;
                }
                open
            }
        };
        if looks == 0 {
            look(conn, survey)?;
        }
        Ok(State::of(survey, &self.url.to_string(), &mut self.rates))
    }
}
