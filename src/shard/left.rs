//! When jobs of unknown names, which this shard has left to other workers, come back to their queue.
//!
//! Each waits in the retry set meanwhile, so that it keeps no job behind it waiting, and nothing spins: not even where no
//! worker knows the name, or where a queue holds nothing else. The pause grows with the time for which the job has been
//! left, and with the number of jobs that this shard has left lately.

use std::cell::Cell;

use crate::limits::{
    LEFT_JOBS_PER_SECOND, LEFT_PAUSE_JITTER, LEFT_PAUSE_MAX, LEFT_PAUSE_MIN, LEFT_PAUSE_PART,
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Jobs that are still to come back, if [`LEFT_JOBS_PER_SECOND`] do; and at what Unix time that was so.
    crowd: Cell<(f64, f64)>,
}

impl Left {
    /// One more job is left, from `now` on, which has been left since another time. Until when: Unix seconds. `roll` is
    /// random, from 0 to 1.
    pub(super) fn until(&self, now: f64, since: f64, roll: f64) -> f64 {
        let (count, at) = self.crowd.get();
        let crowd = (count - (now - at).max(0.0) * LEFT_JOBS_PER_SECOND).max(0.0) + 1.0;
        self.crowd.set((crowd, now));
        now + pause_s(now - since, crowd, roll)
    }
}

/// The pause of a job that has been left for `age_s`, where so many come back before it.
fn pause_s(age_s: f64, crowd: f64, roll: f64) -> f64 {
    let pause = (age_s / LEFT_PAUSE_PART).clamp(LEFT_PAUSE_MIN.as_secs_f64(), LEFT_PAUSE_MAX.as_secs_f64());
    pause * (1.0 + LEFT_PAUSE_JITTER * (2.0 * roll - 1.0)) + crowd / LEFT_JOBS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::UNKNOWN_FOR;

    #[test]
    fn a_job_is_looked_at_some_dozen_times_until_it_fails() {
        let left = Left::default();
        let (mut now, mut looks) = (1_000.0, 0);
        while now - 1_000.0 < UNKNOWN_FOR.as_secs_f64() {
            now = left.until(now, 1_000.0, 0.5);
            looks += 1;
        }
        assert!((30..=80).contains(&looks), "{looks}");
    }

    #[test]
    fn a_queue_full_of_unknown_names_comes_back_no_faster_than_it_may() {
        let left = Left::default();
        let all: Vec<f64> = (0..5_000).map(|_| left.until(1_000.0, 1_000.0, 0.5)).collect();
        let soon = all.iter().filter(|until| **until < 1_003.0).count();
        assert!((900..=1_100).contains(&soon), "{soon}");
        assert!((1_010.0..1_012.0).contains(&all[4_999]), "{}", all[4_999]);
        let later = left.until(1_060.0, 1_060.0, 0.5);
        assert!(later < 1_061.5, "{later}: the crowd is over");
    }
}
