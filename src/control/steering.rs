//! What an operator wants of this process: by a signal on its own host, or by a message from any host.
//!
//! ```text
//! TSTP, "quiet"      quiet
//! TERM, INT, "stop"  stop: running jobs have `timeout`; a second signal, or "stop now", ends them at once
//! HUP                the configuration is read again
//! USR1               the log says how the process is
//! ```
//!
//! Unlike a second signal, a repeated "stop" changes nothing: an operator who stops a fleet twice wants no job ended early.
//! Messages arrive on the connection that receives cancellations ([`super::listener`]), on a channel of this process alone,
//! so Redis tells the sender whether anyone listens. What the process then does shows in its figures at once.

use std::io::{self, IsTerminal};
use std::rc::Rc;
use std::time::Duration;

use glommio::signal::Signals;

use super::actor::Actor;
use super::figures;
use super::reload::reload;
use super::state::Control;
use crate::shutdown::Phase;
use crate::store::steer::SteerRequest;
use crate::wire::sidekiq_process::Signal;

/// The signals that control handles. They must be blocked in every thread of the process before it starts.
pub(crate) const SIGNALS: [libc::c_int; 5] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGTSTP, libc::SIGUSR1, libc::SIGHUP];

/// Opens the stream of signals: it receives those that arrive from now on. If that fails the process works all the same.
pub(super) fn signals() -> Option<Signals> {
    match Signals::new(&SIGNALS) {
        Ok(signals) => Some(signals),
        Err(error) => {
            tracing::error!(
                %error,
                "this process cannot receive signals; stop it with `jiggler-uring stop`, or with SIGKILL: its jobs are \
                 then recovered"
            );
            None
        }
    }
}

/// Starts doing what signals ask for.
pub(super) fn spawn(control: &Rc<Control>, signals: Option<Signals>) -> Actor {
    Actor::spawn(handle_signals(Rc::clone(control), signals))
}

async fn handle_signals(control: Rc<Control>, signals: Option<Signals>) {
    let Some(signals) = signals else { return };
    let had_terminal = io::stderr().is_terminal();
    loop {
        let signal = match signals.recv().await {
            Ok(signal) => signal,
            Err(error) => {
                tracing::error!(%error, "this process can no longer receive signals; stop it with `jiggler-uring stop`");
                return;
            }
        };
        match signal {
            libc::SIGTSTP => become_quiet(&control).await,
            libc::SIGUSR1 => figures::log_health(&control),
            // A closed terminal sends the same signal; nobody is watching this process any longer.
            libc::SIGHUP if had_terminal && !io::stderr().is_terminal() => stop(&control).await,
            libc::SIGHUP => {
                if !reload(&control).await {
                    tracing::info!("hangup, but there is no configuration file to read again");
                    stop(&control).await;
                }
            }
            _ if control.phase().ends() => {
                tracing::warn!("second signal: running jobs are handed back now");
                control.stop_as_asked(Duration::ZERO).await;
            }
            _ => stop(&control).await,
        }
    }
}

/// Does what a message asks for.
pub(super) async fn carry_out(control: &Control, request: SteerRequest) {
    match (request, control.phase()) {
        (SteerRequest::Quiet, Phase::Running) => {
            tracing::info!("asked from outside to become quiet");
            become_quiet(control).await;
        }
        (SteerRequest::Stop, Phase::Running | Phase::Quiet) => {
            tracing::info!("asked from outside to stop");
            stop(control).await;
        }
        (SteerRequest::StopNow, _) => {
            tracing::warn!("asked from outside to stop at once: running jobs are handed back now");
            control.stop_as_asked(Duration::ZERO).await;
        }
        (SteerRequest::Quiet | SteerRequest::Stop, _) => {}
    }
}

/// Starts doing what a program of others has asked for.
pub(super) fn obey_aside(control: &Rc<Control>, signal: Signal) {
    let control = Rc::clone(control);
    let obeyed = async move {
        match signal {
            Signal::Tstp => carry_out(&control, SteerRequest::Quiet).await,
            Signal::Term => carry_out(&control, SteerRequest::Stop).await,
            Signal::Ttin => figures::log_running(&control).await,
        }
    };
    glommio::spawn_local(obeyed).detach();
}

/// Fetches no more; does nothing if already quiet.
async fn become_quiet(control: &Control) {
    if control.phase().fetches() {
        tracing::info!("quiet: no more jobs are fetched");
        control.become_quiet().await;
    }
}

/// Stops with the configured timeout; does nothing if already stopping.
async fn stop(control: &Control) {
    if control.phase().ends() {
        return;
    }
    let timeout = control.settings.get().timeout;
    tracing::info!(timeout_s = timeout.as_secs_f64(), "stopping; a second signal ends running jobs at once");
    if let Some(notifier) = &control.notifier {
        notifier.tell_stop(timeout);
    }
    control.stop_as_asked(timeout).await;
}
