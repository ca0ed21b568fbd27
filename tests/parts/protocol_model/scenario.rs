//! What a search explores: how large the world is, which faults may strike it, and which rule of the protocol is left
//! out.

/// What a job does when it runs, which Redis cannot know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Succeeds.
    Good,
    /// Fails once and succeeds when it is retried.
    Flaky,
    /// Fails and has no retries.
    Bad,
    /// Takes its process down with it, every time.
    Poison,
    /// Succeeds in a process that knows its name; others leave it to those.
    Foreign,
}

/// How often each fault may strike in one history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Faults {
    /// A connection is lost: a shard's, or one that waits.
    pub(crate) losses: u8,
    /// A process is killed. Deaths caused by a poison job do not count.
    pub(crate) crashes: u8,
    /// A process is stopped by a signal and may continue later. Its lease may expire meanwhile.
    pub(crate) pauses: u8,
    /// The lease of a process expires while it lives: it could not reach Redis.
    pub(crate) lapses: u8,
    /// The lease of a process is gone, as after a fail-over to a replica that lagged.
    pub(crate) forgotten_leases: u8,
    /// A process is asked to end.
    pub(crate) stops: u8,
    /// A living shard hands unstarted jobs back.
    pub(crate) hand_backs: u8,
    /// A turn is refused before it changes anything (`OOM`, `BUSY`, `MISCONF` and the like).
    pub(crate) refusals: u8,
    /// A turn is refused because the server has lost the scripts.
    pub(crate) flushes: u8,
    /// A turn fails at one of its moves: a set's key has another type.
    pub(crate) failures: u8,
    /// An operator pauses the queue; it may be resumed at any time.
    pub(crate) holds: u8,
    /// A process loses the connection over which it hears of that.
    pub(crate) deafness: u8,
}

/// A rule that is left out. Each omission must be noticed: the search finds a history that breaks a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A job is acked when it starts.
    AckBeforeRun,
    /// A fetched batch is not noted in the index.
    BatchNotNoted,
    /// `turn.lua` does not check the numbers of turns that ran or were barred.
    TurnNotStale,
    /// A turn runs although the one sent before it has not.
    TurnsNotChained,
    /// A turn removes the bar before its moves.
    BarRemovedFirst,
    /// Moves are made one by one until one fails.
    MovesNotCheckedFirst,
    /// `resume.lua` bars nothing.
    ResumeBarsNothing,
    /// Turns of lost replies are always reported again.
    AlwaysReportedAgain,
    /// Turns of lost replies are never reported again.
    NeverReportedAgain,
    /// Batches of lost replies are left where they are.
    UnknownLeft,
    /// `reconcile.lua` does not check numbers.
    ReconcileNotNumbered,
    /// A shard that lost a connection leaves no fence when it leaves.
    LeavesNoFence,
    /// A shard that leaves mistakes a reaper's fence for its own.
    FencesLookAlike,
    /// The lease of a process is not renewed once one of its shards has left.
    LeftIsNotRenewed,
    /// A wait list is not checked after its connection was lost.
    NotSwept,
    /// It is, but not again when a stray move can no longer come.
    SweptOnce,
    /// Jobs are handed back while the waiter of their list blocks.
    HandsBackWhileWaiting,
    /// `reap.lua` does not check the lease again.
    ReapsTheLiving,
    /// `reap.lua` leaves no fence.
    NoFence,
    /// `reap.lua` leaves a fence only once it has taken the last job away.
    FencedLast,
    /// `reap.lua` does not check the wait list.
    WaitListNotReaped,
    /// The lease of a dead process goes first.
    ReleasedFirst,
    /// The lease of a dead process goes when its first shard is reaped.
    ReleasedEarly,
    /// Nobody looks for jobs in flight of a process that no lease names.
    NeverAdopted,
    /// Nothing counts recoveries.
    NotCounted,
    /// Recoveries are counted by a separate call after the jobs were put back.
    CountedLater,
    /// Suspects are put back with all the others.
    SuspectsTogether,
    /// A poison job waits in the reaper's memory for its burial.
    PoisonNotKept,
    /// The lease goes before poison jobs are buried.
    ReleasedBeforeBurial,
    /// A job of an unknown name fails at once.
    UnknownFails,
    /// It never does.
    LeftForever,
    /// It enters its queue where new jobs do, once it has been left for a while.
    LeftGoesBehind,
    /// A waiter goes on waiting for jobs of a paused queue.
    PausedStaysArmed,
    /// Turns ask for jobs of a paused queue.
    PausedIsFetched,
    /// A process that hears the bell again does not read what it has missed.
    ListensWithoutReading,
    /// A process does not read what is paused before it begins.
    NotReadAtStart,
}

/// One search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    /// The jobs.
    pub(crate) jobs: &'static [Kind],
    /// How many of them are in the queue at the start; the others come at any time.
    pub(crate) queued: u8,
    /// How often each job was recovered before.
    pub(crate) recovered: u8,
    /// Identities, each with a lease. The first `started` are alive at the start; a later one begins when another
    /// ended. The last begins only when everything has calmed down.
    pub(crate) processes: u8,
    pub(crate) started: u8,
    /// Processes that only reap, as bits.
    pub(crate) only_reap: u8,
    /// Processes that do not know the names of foreign jobs, as bits.
    pub(crate) ignorant: u8,
    /// Processes that may be killed, as bits.
    pub(crate) killed: u8,
    /// Processes that other faults may strike, as bits.
    pub(crate) victims: u8,
    pub(crate) shards_per_process: u8,
    /// Jobs a shard may run concurrently.
    pub(crate) slots: u8,
    /// Jobs it may also hold unstarted.
    pub(crate) read_ahead: u8,
    /// Turns it may have under way.
    pub(crate) turns_in_flight: u8,
    /// Jobs one turn fetches.
    pub(crate) batch: u8,
    /// Jobs one call of a reaper takes away.
    pub(crate) reap_jobs: u8,
    pub(crate) faults: Faults,
    pub(crate) mutant: Option<Mutant>,
}

impl Scenario {
    pub(crate) fn lacks(&self, rule: Mutant) -> bool {
        self.mutant == Some(rule)
    }

    pub(crate) fn is_victim(&self, process: u8) -> bool {
        self.victims & (1 << process) != 0
    }

    /// Whether a process has a handler for a job.
    pub(crate) fn knows(&self, process: u8, job: u8) -> bool {
        self.jobs[usize::from(job)] != Kind::Foreign || self.ignorant & (1 << process) == 0
    }

    pub(crate) fn shards(&self) -> u8 {
        self.processes * self.shards_per_process
    }

    pub(crate) fn process_of(&self, shard: u8) -> u8 {
        shard / self.shards_per_process
    }

    pub(crate) fn shards_of(&self, process: u8) -> std::ops::Range<u8> {
        process * self.shards_per_process..(process + 1) * self.shards_per_process
    }
}

/// How often a job of an unknown name is left to others until it fails: in Redis, as long as a time allows.
pub(crate) const LEFT_MAX: u8 = 2;

/// A payload: a job, how often it was tried before, and how often it was left to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Payload {
    pub(crate) job: u8,
    pub(crate) attempt: u8,
    pub(crate) left: u8,
}

impl Payload {
    /// Its place among all payloads.
    pub(crate) fn bit(self) -> u8 {
        1 << (2 * self.job + self.attempt)
    }
}
