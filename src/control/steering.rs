//! What an operator wants of this process: by a signal on its own host, or by a message from any.
//!
//! ```text
//! TSTP, "quiet"      quiet
//! TERM, INT, "stop"  stop: running jobs have `timeout`; a second signal, or "stop now", ends them at once
//! HUP                the configuration is read again
//! USR1               says in the log how the process is
//! ```
//!
//! A repeated "stop" changes nothing, other than a second signal: whoever stops a fleet twice wants no job ended early.
//! Messages come over the connection that hears cancellations ([`super::listener`]), on a channel of this process alone, so
//! that Redis tells the sender whether it listens. What the process does then shows in its figures, at once.

use std::io::{self, IsTerminal};
use std::rc::Rc;
use std::time::Duration;

use glommio::signal::Signals;

use super::Control;
use crate::shutdown::Phase;
use crate::store::steer::Wish;

/// Obeys signals until it is dropped.
pub(super) async fn hear_signals(control: Rc<Control>, signals: Option<Signals>) {
    let Some(signals) = signals else { return };
    let had_terminal = io::stderr().is_terminal();
    loop {
        let signal = match signals.recv().await {
            Ok(signal) => signal,
            Err(error) => {
                tracing::error!(%error, "signals cannot be heard any more");
                return;
            }
        };
        match signal {
            libc::SIGTSTP => control.quiet().await,
            libc::SIGUSR1 => control.log_health(),
            // A terminal that was closed says so with the same signal; nobody sees this process any more.
            libc::SIGHUP if had_terminal && !io::stderr().is_terminal() => control.stop_politely().await,
            libc::SIGHUP => {
                if !control.reload().await {
                    tracing::info!("hangup, and there is no configuration file to read again");
                    control.stop_politely().await;
                }
            }
            _ if control.phase.get().ends() => {
                tracing::warn!("second signal: running jobs are handed back now");
                control.stop_now().await;
            }
            _ => control.stop_politely().await,
        }
    }
}

impl Control {
    /// Does what a message asks for.
    pub(super) async fn obey(&self, wish: Wish) {
        match (wish, self.phase.get()) {
            (Wish::Quiet, Phase::Running) => {
                tracing::info!("asked from outside to become quiet");
                self.quiet().await;
            }
            (Wish::Stop, Phase::Running | Phase::Quiet) => {
                tracing::info!("asked from outside to stop");
                self.stop_politely().await;
            }
            (Wish::StopNow, _) => {
                tracing::warn!("asked from outside to stop at once: running jobs are handed back now");
                self.stop_now().await;
            }
            (Wish::Quiet | Wish::Stop, _) => {}
        }
    }

    /// Fetches no more; does nothing if that is so already.
    async fn quiet(&self) {
        if self.phase.get().fetches() {
            tracing::info!("quiet: no more jobs are fetched");
            self.phase.set(Phase::Quiet);
            self.tell_all().await;
        }
    }

    /// Stops as it was configured to; does nothing if it stops already.
    async fn stop_politely(&self) {
        if self.phase.get().ends() {
            return;
        }
        let timeout = self.settings.get().timeout;
        tracing::info!(
            timeout_s = timeout.as_secs_f64(),
            "stopping; a second signal ends running jobs at once"
        );
        self.asked.set(true);
        if let Some(notifier) = &self.notifier {
            notifier.tell_stop(timeout);
        }
        self.stop(timeout).await;
    }

    async fn stop_now(&self) {
        self.asked.set(true);
        self.stop(Duration::ZERO).await;
    }
}
