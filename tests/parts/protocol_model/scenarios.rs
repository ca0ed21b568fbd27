//! The worlds that are searched: each small enough to be explored completely, each with the faults that belong
//! together.

use super::scenario::{Faults, Kind, Scenario};

/// No fault.
const NONE: Faults = Faults {
    losses: 0,
    crashes: 0,
    pauses: 0,
    lapses: 0,
    forgotten_leases: 0,
    stops: 0,
    hand_backs: 0,
    refusals: 0,
    flushes: 0,
    failures: 0,
    holds: 0,
    deafness: 0,
};

/// One process whose connections are lost twice: turns, calls and deliveries disappear or come late.
pub(crate) const LINES: Scenario = Scenario {
    jobs: &[Kind::Flaky, Kind::Good],
    queued: 2,
    recovered: 0,
    processes: 2,
    started: 1,
    only_reap: 0b00,
    ignorant: 0b000,
    killed: 0b01,
    victims: 0b01,
    shards_per_process: 1,
    slots: 1,
    read_ahead: 1,
    turns_in_flight: 2,
    batch: 2,
    reap_jobs: u8::MAX,
    faults: Faults { losses: 2, ..NONE },
    mutant: None,
};

/// Redis refuses a turn, and a connection is lost.
pub(crate) const REFUSED: Scenario = Scenario {
    jobs: &[Kind::Good, Kind::Flaky],
    read_ahead: 2,
    faults: Faults { refusals: 1, losses: 1, ..NONE },
    ..LINES
};

/// Redis has lost the scripts, and a connection is lost.
pub(crate) const FORGOTTEN: Scenario =
    Scenario { read_ahead: 2, faults: Faults { flushes: 1, losses: 1, ..NONE }, ..LINES };

/// A move of a turn fails, and a connection is lost.
pub(crate) const FAILING: Scenario = Scenario {
    jobs: &[Kind::Bad, Kind::Flaky],
    read_ahead: 2,
    faults: Faults { failures: 1, losses: 1, ..NONE },
    ..LINES
};

/// A process is asked to end, and a connection is lost.
pub(crate) const STOP: Scenario =
    Scenario { jobs: &[Kind::Good, Kind::Flaky], faults: Faults { stops: 1, losses: 1, ..NONE }, ..LINES };

/// The same with jobs that come one by one, so that blocking moves deliver them.
pub(crate) const TRICKLE: Scenario =
    Scenario { jobs: &[Kind::Good, Kind::Good], queued: 0, slots: 2, ..STOP };

/// More jobs than slots: a batch is partly handed back.
pub(crate) const FULL: Scenario = Scenario {
    jobs: &[Kind::Good, Kind::Good, Kind::Good],
    queued: 3,
    read_ahead: 2,
    faults: Faults { hand_backs: 1, losses: 1, ..NONE },
    ..LINES
};

/// Two processes at work; the first is killed and may have lost a connection before. A third takes its place.
pub(crate) const CRASH: Scenario =
    Scenario { processes: 3, started: 2, faults: Faults { crashes: 1, losses: 1, ..NONE }, ..LINES };

/// A process is paused past its lease and continues, with a connection lost.
pub(crate) const PAUSE: Scenario = Scenario {
    jobs: &[Kind::Bad, Kind::Good],
    only_reap: 0b10,
    turns_in_flight: 1,
    faults: Faults { pauses: 1, losses: 1, ..NONE },
    ..CRASH
};

/// The lease of a process expires while it works: its renewals did not reach Redis. Meanwhile its jobs run in
/// another.
pub(crate) const LAPSE: Scenario =
    Scenario { read_ahead: 0, turns_in_flight: 1, faults: Faults { lapses: 1, losses: 1, ..NONE }, ..CRASH };

/// A process is killed, and the one that takes its jobs away one by one, too.
pub(crate) const PARTS: Scenario = Scenario {
    killed: 0b11,
    turns_in_flight: 1,
    reap_jobs: 1,
    faults: Faults { crashes: 2, ..NONE },
    ..CRASH
};

/// The same with a process whose lease ends while it works.
pub(crate) const PARTS_LAPSE: Scenario =
    Scenario { read_ahead: 1, reap_jobs: 1, faults: Faults { lapses: 1, crashes: 1, ..NONE }, ..LAPSE };

/// The lease of a process is forgotten; it may be killed before it renews it, paused for long, or lose a connection.
pub(crate) const UNNAMED: Scenario = Scenario {
    only_reap: 0b10,
    read_ahead: 0,
    turns_in_flight: 1,
    faults: Faults { forgotten_leases: 1, crashes: 1, pauses: 1, losses: 1, ..NONE },
    ..CRASH
};

/// The same while it stops.
pub(crate) const LATE_STOP: Scenario = Scenario {
    jobs: &[Kind::Good],
    queued: 1,
    batch: 1,
    faults: Faults { lapses: 1, losses: 1, stops: 1, ..NONE },
    ..LAPSE
};

/// The same, and the reaper is killed in the middle of its work. The job was recovered before, so it is a suspect.
pub(crate) const LAST_WORDS: Scenario = Scenario {
    queued: 0,
    recovered: 1,
    only_reap: 0b10,
    killed: 0b10,
    faults: Faults { lapses: 1, losses: 1, stops: 1, crashes: 1, ..NONE },
    ..LATE_STOP
};

/// A job that kills every process that runs it, and a process that only reaps and may be killed while it does.
pub(crate) const POISON: Scenario = Scenario {
    jobs: &[Kind::Poison, Kind::Good],
    processes: 4,
    only_reap: 0b10,
    killed: 0b10,
    read_ahead: 0,
    turns_in_flight: 1,
    batch: 1,
    faults: Faults { crashes: 1, ..NONE },
    ..CRASH
};

/// Such a job and one that is fetched with it; nothing else fails.
pub(crate) const NEIGHBOURS: Scenario = Scenario {
    jobs: &[Kind::Good, Kind::Poison],
    started: 1,
    only_reap: 0b00,
    read_ahead: 1,
    batch: 2,
    faults: NONE,
    ..POISON
};

/// A process of two shards is killed.
pub(crate) const SHARDS: Scenario = Scenario {
    jobs: &[Kind::Good, Kind::Good],
    processes: 3,
    shards_per_process: 2,
    read_ahead: 0,
    turns_in_flight: 1,
    batch: 1,
    faults: Faults { crashes: 1, ..NONE },
    ..LINES
};

/// A process of two shards is asked to end, and a connection is lost.
pub(crate) const SHARDS_STOP: Scenario =
    Scenario { faults: Faults { losses: 1, stops: 1, ..NONE }, ..SHARDS };

/// A job whose name only one of two processes knows, and one that both run; a connection of the other is lost.
pub(crate) const NAMES: Scenario = Scenario {
    jobs: &[Kind::Foreign, Kind::Good],
    ignorant: 0b001,
    read_ahead: 0,
    turns_in_flight: 1,
    faults: Faults { losses: 1, ..NONE },
    ..CRASH
};

/// The process that does not know the name is killed.
pub(crate) const NAMES_CRASH: Scenario =
    Scenario { batch: 1, faults: Faults { crashes: 1, ..NONE }, ..NAMES };

/// Nobody knows the name of the job that is taken first, and others wait behind it.
pub(crate) const NOBODY: Scenario = Scenario {
    jobs: &[Kind::Good, Kind::Good, Kind::Foreign],
    queued: 3,
    started: 1,
    processes: 2,
    ignorant: 0b011,
    faults: NONE,
    ..NAMES
};

/// The queue is paused, a connection is lost, and the process may not hear of it.
pub(crate) const HELD: Scenario = Scenario {
    jobs: &[Kind::Good, Kind::Flaky],
    faults: Faults { holds: 1, deafness: 1, losses: 1, ..NONE },
    ..LINES
};

/// It is paused between jobs that come one by one, so that blocking moves deliver them.
pub(crate) const HELD_TRICKLE: Scenario =
    Scenario { jobs: &[Kind::Good, Kind::Good], queued: 0, faults: Faults { holds: 1, ..NONE }, ..LINES };

/// The queue is paused, and a process is killed: another takes its place.
pub(crate) const HELD_CRASH: Scenario =
    Scenario { jobs: &[Kind::Good, Kind::Good], faults: Faults { holds: 1, crashes: 1, ..NONE }, ..LINES };
