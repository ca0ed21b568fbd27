//! The table of all metrics: what each is called, which labels it has, and what it means. The documentation's table and the
//! output are made of it; a test compares them.

use prometheus_client::metrics::MetricType;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only goes up; written with `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Written as `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Always 1, for its labels; written with `_info`.
    Info,
}

/// One metric.
#[derive(Debug)]
pub(super) struct Family {
    /// Its name without what its kind adds.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the table of the documentation"))]
    pub(super) labels: &'static [&'static str],
    /// One sentence, without full stop.
    pub(super) help: &'static str,
}

impl Family {
    /// Its name as it is written.
    #[cfg(test)]
    pub(super) fn written(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Info => format!("{}_info", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }

    pub(super) const fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        }
    }
}

macro_rules! families {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $id: Family =
            Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// All of them, in the order in which they are written.
        #[cfg(test)]
        pub(super) const ALL: &[Family] = &[$($id),*];
    };
}

families! {
    BUILD: Info "jiggler_build" ["version", "program", "tag"] "The engine, the program and its deployment";
    START: Gauge "process_start_time_seconds" [] "Unix time of the start";
    CPU: Counter "process_cpu_seconds" [] "CPU time of all threads";
    MEMORY: Gauge "process_resident_memory_bytes" [] "Resident memory";
    FDS: Gauge "process_open_fds" [] "Open files";
    FDS_MAX: Gauge "process_max_fds" [] "Files that may be open";
    THREADS: Gauge "process_threads" [] "Threads";
    COMPANIONS: Gauge "jiggler_companion_threads" [] "Threads that run blocking jobs beside a shard";
    PHASE: Gauge "jiggler_phase" ["phase"] "1 for the phase of the process: starting, running, quiet or stopping";
    LEASE: Gauge "jiggler_lease_age_seconds" [] "Time since Redis confirmed the lease; others take the jobs after 20 s";
    CONTROL: Gauge "jiggler_control_idle_seconds" [] "Time since control last turned";
    JOBS: Counter "jiggler_jobs" ["queue", "class", "outcome"] "Runs that ended, by how: done, retried, dead, discarded, snoozed, cancelled; and left (of unknown names, to other workers), malformed";
    RUN: Histogram "jiggler_job_run_seconds" ["queue", "class"] "How long runs took";
    WAIT: Histogram "jiggler_batch_wait_seconds" ["queue"] "How long after its fetch the last job of a batch started: what fetching ahead costs";
    RECOVERED: Counter "jiggler_recovered_jobs" [] "Jobs of dead processes that this one has put back";
    POISON: Counter "jiggler_poison_jobs" [] "Such jobs that were in flight at too many deaths and went to the dead set";
    SLOTS: Gauge "jiggler_shard_slots" ["shard"] "Jobs that may run at the same time";
    RUNNING: Gauge "jiggler_shard_running_jobs" ["shard"] "Jobs that run and wait at an await point";
    UNSTARTED: Gauge "jiggler_shard_unstarted_jobs" ["shard"] "Jobs that are fetched and not started: the read-ahead";
    FETCHED: Counter "jiggler_shard_fetched_jobs" ["shard"] "Jobs taken from queues";
    FETCHED_BYTES: Counter "jiggler_shard_fetched_bytes" ["shard"] "Bytes of their payloads";
    HANDED_BACK: Counter "jiggler_shard_handed_back_jobs" ["shard"] "Jobs handed back to queues";
    TURNS: Counter "jiggler_shard_turns" ["shard"] "Round trips that fetch and ack, answered";
    TURN_SECONDS: Counter "jiggler_shard_turn_seconds" ["shard"] "Time from sending a turn to reading its answer, all together";
    SENT_BYTES: Counter "jiggler_shard_sent_bytes" ["shard"] "Bytes of turns sent to Redis";
    OUTAGES: Counter "jiggler_shard_outages" ["shard"] "Outages of Redis, as a shard sees them";
    OUTAGE: Gauge "jiggler_shard_outage_seconds" ["shard"] "How long the present outage has lasted; 0 if there is none";
    RECONNECTS: Counter "jiggler_shard_idle_closes" ["shard"] "Connections closed while idle and opened again";
    IDLE: Gauge "jiggler_shard_idle_seconds" ["shard"] "Time since a shard last turned: above a second a job holds its core";
    FLEET_UP: Gauge "jiggler_fleet_up" [] "Whether the state of the fleet could be read";
    FLEET_QUEUE: Gauge "jiggler_fleet_queue_jobs" ["queue"] "Jobs that wait in a queue; the 1,000 longest";
    FLEET_OLDEST: Gauge "jiggler_fleet_queue_oldest_seconds" ["queue"] "Age of the job that is taken next, by the time in its payload; without one, how long it has been next since somebody asks";
    FLEET_QUEUE_SLOTS: Gauge "jiggler_fleet_queue_slots" ["queue"] "Slots that processes give to a queue, under balance even or adaptive";
    FLEET_PAUSED: Gauge "jiggler_fleet_paused" ["what", "name"] "1 for each queue and class that is paused in the whole fleet";
    FLEET_WAITING: Gauge "jiggler_fleet_waiting_jobs" [] "Jobs that wait in all queues";
    FLEET_SET: Gauge "jiggler_fleet_set_jobs" ["set"] "Jobs in a set: retries, scheduled or dead";
    FLEET_DUE: Gauge "jiggler_fleet_next_due_timestamp_seconds" ["set"] "When the first job of a set is due, Unix time; absent if it is empty";
    FLEET_PROCESSED: Counter "jiggler_fleet_processed_jobs" [] "Jobs that ran in the whole fleet, as Redis counts them";
    FLEET_FAILED: Counter "jiggler_fleet_failed_jobs" [] "Those that failed";
    FLEET_PROCESSES: Gauge "jiggler_fleet_processes" ["phase"] "Processes: running, quiet, stopping or dead";
    FLEET_RUNNING: Gauge "jiggler_fleet_running_jobs" [] "Jobs that run, as processes last reported";
    FLEET_SLOTS: Gauge "jiggler_fleet_slots" [] "Jobs that may run at the same time";
    FLEET_DRAIN: Gauge "jiggler_fleet_drain_seconds" [] "Time to run what waits at the present rate; absent if nothing runs";
}
