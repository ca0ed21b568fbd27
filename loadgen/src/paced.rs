//! A producer that keeps to a schedule, whatever happens to its jobs: an open loop.
//!
//! Each job has an intended time. A producer that waited for replies would send fewer jobs while Redis or the worker is
//! slow, and so omit exactly the waits that matter (coordinated omission); this one requests no replies, and a job it
//! sends late still counts from its intended time.

use jiggler_uring::internal::resp::encode::Requests;
use jiggler_uring::internal::resp::url::RedisUrl;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use crate::clock;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::keys;
use crate::null_client::NullClient;
use crate::progress::Progress;

/// How much later than requested the kernel may wake the producer: its default of 50 µs would be a third of the
/// latency.
const TIMER_SLACK_NS: u64 = 1;

/// Time between connecting and the first intended time.
const LEAD_NS: u64 = 10_000_000;

/// Redraws of the progress bar.
const REDRAWS: u64 = 100;

/// When to send how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Jobs a second, evenly spaced.
    pub(crate) per_second: u64,
    /// Jobs.
    pub(crate) jobs: u64,
}

/// One job's place in the schedule, on the clock of [`crate::clock`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    /// 0 for the first.
    pub(crate) number: u64,
    /// When it should have been sent.
    pub(crate) intended_ns: u64,
    /// When it actually is.
    pub(crate) sent_ns: u64,
}

impl Schedule {
    fn offset_ns(self, number: u64) -> u64 {
        let offset = u128::from(number) * 1_000_000_000 / u128::from(self.per_second);
        u64::try_from(offset).unwrap_or(u64::MAX)
    }
}

/// For each tick sends the jobs that `write` appends, in one write per tick, and returns how late the latest one was,
/// in nanoseconds.
///
/// # Errors
/// The connection breaks, or an interrupt.
pub(crate) fn produce(
    url: &RedisUrl,
    schedule: Schedule,
    (interrupt, progress): (&Interrupt, &Progress),
    mut write: impl FnMut(Tick, &mut Requests),
) -> Result<u64, Error> {
    prctl::set_timerslack(TIMER_SLACK_NS).map_err(|errno| Error::system("setting the timer slack", errno))?;
    let mut client = NullClient::connect(url)?;
    client.mute()?;
    let mut requests = Requests::new();
    let begin = clock::nanoseconds() + LEAD_NS;
    let redraw = (schedule.jobs / REDRAWS).max(1);
    let mut latest = 0;
    for number in 0..schedule.jobs {
        let intended_ns = begin + schedule.offset_ns(number);
        wait_until(intended_ns, interrupt)?;
        let sent_ns = clock::nanoseconds();
        latest = latest.max(sent_ns.saturating_sub(intended_ns));
        requests.clear();
        write(Tick { number, intended_ns, sent_ns }, &mut requests);
        client.write(&requests)?;
        if number % redraw == 0 {
            progress.set(number);
        }
    }
    Ok(latest)
}

/// Appends the push of one payload.
pub(crate) fn append_push(requests: &mut Requests, payload: &[u8]) {
    requests.command(&[b"LPUSH", keys::QUEUE.as_bytes(), payload]);
}

fn wait_until(time_ns: u64, interrupt: &Interrupt) -> Result<(), Error> {
    loop {
        interrupt.check()?;
        if clock::nanoseconds() >= time_ns {
            return Ok(());
        }
        let until = TimeSpec::from_duration(std::time::Duration::from_nanos(time_ns));
        match clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &until) {
            // A signal: check for the interrupt again.
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::system("waiting for the next job's time", errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intended_times_are_evenly_spaced_and_do_not_drift() {
        let schedule = Schedule { per_second: 3, jobs: 10 };
        let offsets: Vec<u64> = (0..4).map(|number| schedule.offset_ns(number)).collect();
        assert_eq!(offsets, [0, 333_333_333, 666_666_666, 1_000_000_000]);
    }
}
