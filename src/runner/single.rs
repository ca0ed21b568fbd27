//! Children that are not forked: each is a program of its own, which loads its application by itself.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child as Process, ExitStatus};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use super::keeper::{Desk, Order, wait};
use super::programs::command;
use super::spec::RunnerSpec;

/// Those that are not reaped.
#[derive(Default)]
pub(super) struct Singles(Vec<(Process, OwnedFd)>);

impl Singles {
    /// Carries out orders and reaps, until the worker ends; then nothing is left.
    pub(super) fn serve(mut self, spec: &RunnerSpec, desk: &Desk) {
        while !desk.stops() {
            while let Ok(order) = desk.orders.try_recv() {
                let Order { socket, output, answer } = order;
                // Its shard may be gone: the end of the socket tells the child.
                let _unheard = answer.send(self.start(spec, socket, output));
            }
            let mut fds = vec![PollFd::new(&desk.bell, PollFlags::IN)];
            fds.extend(self.0.iter().map(|(_, process)| PollFd::new(process, PollFlags::IN)));
            if let Err(error) = wait(&mut fds, None) {
                tracing::error!(runner = spec.name, %error, "children cannot be waited for");
                break;
            }
            desk.silence();
            self.reap(spec);
        }
        for (process, _) in &mut self.0 {
            let _status = end_group(process);
        }
    }

    fn start(&mut self, spec: &RunnerSpec, socket: OwnedFd, output: OwnedFd) -> Result<i32, String> {
        let failed = |error: io::Error| format!("{} cannot be started: {error}", spec.shown());
        let process =
            command(spec, socket, output).and_then(|mut command| command.spawn()).map_err(failed)?;
        let pid = id(&process).ok_or("it has no process id")?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
        self.0.push((process, descriptor));
        Ok(pid.as_raw_nonzero().get())
    }

    /// Ends what those that have ended have left behind in their groups, and then reaps them: until then their numbers are
    /// their own.
    fn reap(&mut self, spec: &RunnerSpec) {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.0.retain_mut(|(process, descriptor)| {
            if matches!(waitid(WaitId::PidFd(descriptor.as_fd()), look), Ok(None)) {
                return true;
            }
            let ended = end_group(process);
            tracing::debug!(runner = spec.name, pid = process.id(), ?ended, "a child was reaped");
            false
        });
    }
}

/// Kills what is left of the group of a process that was not reaped, and waits for its end.
fn end_group(process: &mut Process) -> io::Result<ExitStatus> {
    if let Some(pid) = id(process) {
        let _gone = kill_process_group(pid, Signal::KILL);
    }
    process.wait()
}

fn id(process: &Process) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process.id()).ok()?)
}
