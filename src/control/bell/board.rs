//! What a process knows about its queues while Redis tells it of changes, and which shard is to be told of what. Pure: times
//! are given to it.
//!
//! ```text
//!            changed                    read
//! tracked ────────────► changed, due ─────────► tracked, with its length
//! ```
//!
//! Redis says once that a queue has changed, and again only after its length was read anew. When that is due depends on who
//! waits: see [`Board::changed`]. With each reading that finds jobs, no shard has been told of the queue any longer.

use std::time::{Duration, Instant};

use crate::limits::{BELL_PACE, BELL_PACE_EACH, BELL_PATIENCE};

/// See the module.
#[derive(Debug)]
pub(super) struct Board {
    queues: Box<[Queue]>,
    /// Slots of one shard, at least one: as many jobs as it hears of at a time.
    slots: u64,
    /// How many queues have jobs.
    filled: u32,
    /// When lengths were read last.
    read_at: Option<Instant>,
    /// How many shards that wait are to be told, so that all jobs that were counted find a slot.
    wanted: usize,
    /// Until then nobody else that waits is told: one was.
    patient_until: Option<Instant>,
}

#[derive(Debug)]
struct Queue {
    /// When its length is to be read; `None` while Redis would tell of a change.
    due: Option<Instant>,
    /// It has jobs, as far as is known.
    has_jobs: bool,
    /// For each shard, whether it knows that.
    told: Box<[bool]>,
    /// How many of them do not.
    untold: usize,
}

/// Who is there for the jobs of a queue that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// A shard that waits, and this process comes first.
    Now,
    /// A shard that waits; other processes come first.
    Later(Duration),
    /// All shards are busy.
    Nobody,
}

impl Board {
    /// For this many queues and shards, all of which have everything to learn.
    pub(super) fn new(queues: usize, shards: usize, slots: usize, now: Instant) -> Self {
        let queue =
            |_| Queue { due: Some(now), has_jobs: false, told: vec![false; shards].into(), untold: shards };
        Self {
            queues: (0..queues).map(queue).collect(),
            slots: slots.max(1) as u64,
            filled: 0,
            read_at: None,
            wanted: 1,
            patient_until: None,
        }
    }

    /// Every length is to be read: Redis may have failed to tell of changes.
    pub(super) fn forget(&mut self, now: Instant) {
        self.queues.iter_mut().for_each(|queue| queue.due = Some(now));
    }

    /// A queue has changed. If it was empty, where a shard waits and this process comes first, it is told at once, and the
    /// length is read when it has had time to fetch: a job that came alone is gone by then. Where other processes come first
    /// they have as much time. Changes of a queue that had jobs are gathered, and so are all while no shard waits: who may
    /// take them knows of it.
    pub(super) fn changed(&mut self, queue: usize, ready: Ready, now: Instant) {
        let gathered = |pace: Duration| self.read_at.map_or(now, |at| (at + pace).max(now));
        let (soon, later) = (gathered(BELL_PACE), gathered(BELL_PACE.max(BELL_PACE_EACH * self.filled)));
        let Some(queue) = self.queues.get_mut(queue).filter(|queue| queue.due.is_none()) else { return };
        queue.due = Some(match ready {
            _ if queue.has_jobs => later,
            Ready::Now => {
                queue.fill(&mut self.filled);
                now + BELL_PATIENCE
            }
            Ready::Later(pause) => now + pause,
            Ready::Nobody => soon,
        });
    }

    /// A shard has begun to wait: it has taken all it knew of, so what has changed is looked at now.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.queues.iter_mut().for_each(|queue| queue.due = queue.due.map(|due| due.min(now)));
        self.patient_until = None;
    }

    /// The queues whose lengths are to be read now. From here on Redis tells of changes.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        for (at, queue) in self.queues.iter_mut().enumerate() {
            if queue.due.is_some_and(|due| due <= now) {
                queue.due = None;
                due.push(at);
            }
        }
        if !due.is_empty() {
            self.read_at = Some(now);
            self.wanted = 1;
        }
        due
    }

    /// The length of a queue.
    pub(super) fn read(&mut self, queue: usize, length: u64) {
        let Some(queue) = self.queues.get_mut(queue) else { return };
        if length > 0 {
            queue.fill(&mut self.filled);
            let shards = usize::try_from(length.div_ceil(self.slots)).unwrap_or(usize::MAX);
            self.wanted = self.wanted.max(shards);
        } else if std::mem::take(&mut queue.has_jobs) {
            self.filled -= 1;
        }
    }

    /// Whether any shard is to be told of anything.
    pub(super) fn has_news(&self) -> bool {
        self.queues.iter().any(|queue| queue.has_jobs && queue.untold > 0)
    }

    /// The queues with jobs of which this shard has not been told.
    pub(super) fn untold(&self, shard: usize) -> Vec<usize> {
        let is_news = |queue: &Queue| queue.has_jobs && queue.told.get(shard) == Some(&false);
        self.queues.iter().enumerate().filter(|(_, queue)| is_news(queue)).map(|(at, _)| at).collect()
    }

    /// It was told of these.
    pub(super) fn tell(&mut self, shard: usize, queues: &[usize]) {
        for queue in queues {
            let Some(queue) = self.queues.get_mut(*queue) else { continue };
            if let Some(told) = queue.told.get_mut(shard) {
                queue.untold -= usize::from(!std::mem::replace(told, true));
            }
        }
    }

    /// How many shards that wait may be told now.
    pub(super) fn may_tell(&self, now: Instant) -> usize {
        if self.patient_until.is_some_and(|until| now < until) { 0 } else { self.wanted }
    }

    /// Shards that waited were told: the others wait for what these leave.
    pub(super) fn be_patient(&mut self, now: Instant) {
        self.patient_until = Some(now + BELL_PATIENCE);
        self.wanted = 1;
    }

    /// When there is something to do by itself. `is_untold`: a shard that waits has not been told of all.
    pub(super) fn wakes_at(&self, is_untold: bool) -> Option<Instant> {
        let due = self.queues.iter().filter_map(|queue| queue.due).min();
        let patience = self.patient_until.filter(|_| is_untold);
        due.into_iter().chain(patience).min()
    }
}

impl Queue {
    /// It has jobs of which nobody knows. `filled`: how many queues have any.
    fn fill(&mut self, filled: &mut u32) {
        *filled += u32::from(!std::mem::replace(&mut self.has_jobs, true));
        self.told.fill(false);
        self.untold = self.told.len();
    }
}

/// How much later than the first of them a process looks at a queue that all of them serve: they take turns by queue, so
/// that one push does not wake them all. `place` of `count`: which of them it is.
pub(super) fn place_in_line(queue: &str, place: usize, count: usize) -> usize {
    // FNV-1a: each process has to come to the same.
    let hash = queue.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let count = count.max(1);
    (place + (hash % count as u64) as usize) % count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A board of three queues and two shards that knows all of them to be empty.
    fn board(now: Instant) -> Board {
        let mut board = Board::new(3, 2, 4, now);
        assert_eq!(board.take_due(now), [0, 1, 2]);
        (0..3).for_each(|queue| board.read(queue, 0));
        assert!(board.untold(0).is_empty() && board.wakes_at(true).is_none());
        board
    }

    #[test]
    fn a_push_is_told_at_once_and_read_when_the_shard_has_had_time_to_fetch() {
        let now = Instant::now();
        let mut board = board(now);
        board.changed(1, Ready::Now, now);
        assert_eq!((board.untold(0), board.untold(1), board.may_tell(now)), (vec![1], vec![1], 1));
        board.tell(0, &[1]);
        board.be_patient(now);
        assert_eq!((board.untold(0), board.may_tell(now)), (vec![], 0));
        assert!(board.take_due(now).is_empty(), "it has time");
        let later = now + BELL_PATIENCE;
        assert_eq!((board.wakes_at(true), board.may_tell(later)), (Some(later), 1));
        assert_eq!(board.take_due(later), [1]);
        board.read(1, 0);
        assert!(board.untold(1).is_empty(), "the other need not know of it");
    }

    #[test]
    fn what_is_left_goes_to_the_next_shard_and_to_as_many_as_there_are_jobs_for() {
        let now = Instant::now();
        let mut board = board(now);
        board.changed(1, Ready::Now, now);
        board.tell(0, &[1]);
        board.be_patient(now);
        let later = now + BELL_PATIENCE;
        board.take_due(later);
        board.read(1, 9);
        assert_eq!((board.untold(0), board.untold(1)), (vec![1], vec![1]), "both may take some");
        assert_eq!(board.may_tell(later), 3, "nine jobs, four slots each");
    }

    #[test]
    fn a_queue_of_which_all_were_told_rings_nobody_until_it_changes() {
        let now = Instant::now();
        let mut board = board(now);
        board.changed(2, Ready::Now, now);
        board.take_due(now + BELL_PATIENCE);
        board.read(2, 5);
        (0..2).for_each(|shard| board.tell(shard, &[2]));
        board.be_patient(now);
        board.hurry(now);
        assert!(board.untold(0).is_empty() && board.untold(1).is_empty());
        assert_eq!(board.wakes_at(false), None, "paused here, or at its cap");
        board.changed(2, Ready::Now, now + BELL_PATIENCE);
        assert!(board.untold(0).is_empty(), "not before it is read: it is known to have jobs");
        board.take_due(now + BELL_PATIENCE + BELL_PACE);
        board.read(2, 6);
        assert_eq!(board.untold(0), [2]);
    }

    #[test]
    fn while_all_are_busy_changes_are_gathered_and_one_that_waits_ends_that() {
        let now = Instant::now();
        let mut board = board(now);
        board.changed(0, Ready::Nobody, now);
        board.changed(1, Ready::Nobody, now + BELL_PACE / 2);
        assert_eq!(board.wakes_at(false), Some(now + BELL_PACE));
        assert!(board.take_due(now + BELL_PACE / 2).is_empty());
        board.hurry(now + BELL_PACE / 2);
        assert_eq!(board.take_due(now + BELL_PACE / 2), [0, 1]);
        assert_eq!(board.wakes_at(false), None);
        board.forget(now);
        assert_eq!(board.take_due(now), [0, 1, 2]);
    }

    #[test]
    fn the_more_queues_have_jobs_the_longer_their_changes_are_gathered() {
        let now = Instant::now();
        let mut board = Board::new(1_000, 1, 4, now);
        board.take_due(now);
        (0..999).for_each(|queue| board.read(queue, 1));
        board.read(999, 0);
        board.changed(0, Ready::Nobody, now);
        assert_eq!(board.wakes_at(false), Some(now + BELL_PACE_EACH * 999));
        board.changed(999, Ready::Nobody, now);
        assert_eq!(board.wakes_at(false), Some(now + BELL_PACE), "one that was empty is seen soon");
        (0..999).for_each(|queue| board.read(queue, 0));
        assert!(!board.has_news());
        board.read(7, 1);
        assert!(board.has_news());
        board.tell(0, &[7, 7]);
        assert!(!board.has_news() && board.untold(0).is_empty());
    }

    #[test]
    fn where_others_come_first_they_have_time() {
        let now = Instant::now();
        let mut board = board(now);
        let pause = Duration::from_millis(4);
        board.changed(0, Ready::Later(pause), now);
        board.changed(0, Ready::Now, now);
        assert!(board.untold(0).is_empty(), "it is known to have changed");
        assert_eq!(board.wakes_at(false), Some(now + pause));
    }

    #[test]
    fn processes_take_turns_by_queue() {
        assert_eq!(place_in_line("q", 0, 0), 0);
        let firsts = |place| (0..300).filter(|n| place_in_line(&format!("q{n}"), place, 3) == 0).count();
        assert_eq!(firsts(0) + firsts(1) + firsts(2), 300);
        assert!((0..3).all(|place| firsts(place) > 50));
        let line: Vec<usize> = (0..3).map(|place| place_in_line("mail", place, 3)).collect();
        assert!((0..3).all(|place| line.contains(&place)), "each has its own place: {line:?}");
    }
}
