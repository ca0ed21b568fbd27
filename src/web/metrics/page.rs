//! What one answer says, and how it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeLabelSet, NoLabelSet};

use super::families::{self, Family};
use crate::stats::{LifePhase, Outcome, Row, ShardStats, Times};
use crate::web::counts::Rows;
use crate::web::fleet::FleetFacts;
use crate::web::machine::Machine;
use crate::web::state::Worker;

/// The bounds of the buckets that are written, as powers of two of a second: from 61 µs to 4,096 s by factors of four. All
/// are bounds of what is counted, so nothing is guessed; and of Prometheus' native histograms of schema -1.
const BOUNDS: [i32; 14] = [-14, -12, -10, -8, -6, -4, -2, 0, 2, 4, 6, 8, 10, 12];

/// See the module.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) version: &'static str,
    pub(super) program: String,
    pub(super) tag: String,
    /// Unix seconds.
    pub(super) started_at: f64,
    pub(super) machine: Machine,
    /// `None`: no process whose shards run jobs.
    pub(super) process: Option<ProcessPart>,
    /// `None`: nobody asked for it; `None` in it: Redis did not answer.
    pub(super) fleet: Option<Option<FleetFacts>>,
}

/// A process whose shards run jobs.
#[derive(Debug)]
pub(super) struct ProcessPart {
    pub(super) phase: LifePhase,
    pub(super) lease: Option<Duration>,
    pub(super) control: Option<Duration>,
    pub(super) recovered: u64,
    pub(super) poison: u64,
    pub(super) rows: Rows,
    pub(super) shards: Vec<ShardPart>,
}

/// One shard.
#[derive(Debug, Clone, Default)]
pub(super) struct ShardPart {
    name: String,
    slots: u64,
    running: u64,
    unstarted: u64,
    fetched: u64,
    fetched_bytes: u64,
    handed_back: u64,
    turns: u64,
    turn_s: f64,
    sent_bytes: u64,
    outages: u64,
    outage: Option<Duration>,
    idle_closes: u64,
    turned: Option<Duration>,
}

impl ProcessPart {
    /// Reads what is published; `rows` are what the shards have counted.
    pub(super) fn of(worker: &Worker, rows: Rows) -> Self {
        let shards = worker.shards.iter().zip(&worker.slots).enumerate();
        Self {
            phase: worker.control.phase(),
            lease: worker.control.leased_at.age(),
            control: worker.control.turned_at.age(),
            recovered: worker.control.recovered.get(),
            poison: worker.control.poison.get(),
            rows,
            shards: shards.map(|(number, (stats, slots))| ShardPart::of(number, stats, *slots)).collect(),
        }
    }
}

impl ShardPart {
    fn of(number: usize, stats: &ShardStats, slots: usize) -> Self {
        Self {
            name: number.to_string(),
            slots: slots as u64,
            running: stats.running.get(),
            unstarted: stats.unstarted.get(),
            fetched: stats.fetched.get(),
            fetched_bytes: stats.fetched_bytes.get(),
            handed_back: stats.handed_back.get(),
            turns: stats.turns_answered.get(),
            turn_s: stats.turn_ns.get() as f64 / 1e9,
            sent_bytes: stats.sent_bytes.get(),
            outages: stats.disconnects.get(),
            outage: stats.outage_since.age(),
            idle_closes: stats.idle_closes.get(),
            turned: stats.turned_at.age(),
        }
    }
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.write_about(&mut out)?;
        if let Some(process) = &self.process {
            process.write(&mut out)?;
        }
        match &self.fleet {
            None => Ok(()),
            Some(None) => out.gauge(&families::FLEET_UP, [(NONE, 0.0)]),
            Some(Some(facts)) => write_fleet(facts, &mut out),
        }
    }
}

impl Page {
    fn write_about(&self, out: &mut Out<'_>) -> fmt::Result {
        let Self { version, program, tag, machine, .. } = self;
        let about = [("version", *version), ("program", program.as_str()), ("tag", tag.as_str())];
        out.info(&families::BUILD, &about)?;
        out.gauge(&families::START, [(NONE, self.started_at)])?;
        out.counter(&families::CPU, [(NONE, machine.cpu.as_secs_f64())])?;
        let known = |value: Option<u64>| value.map(|value| (NONE, value as f64));
        out.gauge(&families::MEMORY, known(machine.resident_bytes))?;
        out.gauge(&families::FDS, known(machine.open_fds))?;
        out.gauge(&families::FDS_MAX, known(machine.max_fds))?;
        out.gauge(&families::THREADS, known(machine.threads))?;
        out.gauge(&families::COMPANIONS, known(machine.companions))
    }
}

impl ProcessPart {
    fn write(&self, out: &mut Out<'_>) -> fmt::Result {
        let phases = LifePhase::ALL.map(|phase| ([("phase", phase.as_str())], phase == self.phase));
        out.gauge(&families::PHASE, phases.iter().map(|(label, is)| (&label[..], f64::from(u8::from(*is)))))?;
        let age = |age: Option<Duration>| age.map(|age| (NONE, age.as_secs_f64()));
        out.gauge(&families::LEASE, age(self.lease))?;
        out.gauge(&families::CONTROL, age(self.control))?;
        self.write_jobs(out)?;
        out.counter(&families::RECOVERED, [(NONE, self.recovered)])?;
        out.counter(&families::POISON, [(NONE, self.poison)])?;
        self.write_shards(out)
    }

    fn write_jobs(&self, out: &mut Out<'_>) -> fmt::Result {
        let ends = |(queue, class): &(Box<str>, Box<str>), row: &Row| {
            let (queue, class) = (queue.clone(), class.clone());
            let counts = Outcome::ALL.map(|outcome| (outcome, row.count(outcome)));
            // A series that would stay at 0 in most processes is not made; `done` is there from the first job on.
            counts.into_iter().filter(|(outcome, count)| *count > 0 || *outcome == Outcome::Done).map(
                move |(outcome, count)| {
                    (
                        [
                            ("queue", String::from(&*queue)),
                            ("class", String::from(&*class)),
                            ("outcome", outcome.as_str().to_owned()),
                        ],
                        count,
                    )
                },
            )
        };
        out.counter(&families::JOBS, self.rows.iter().flat_map(|(key, row)| ends(key, row)))?;
        let runs = self.rows.iter().filter(|(_, row)| row.run.count() > 0);
        out.histogram(
            &families::RUN,
            runs.map(|((queue, class), row)| ([("queue", &**queue), ("class", &**class)], &row.run)),
        )?;
        let mut waits: BTreeMap<&str, Times> = BTreeMap::new();
        for ((queue, _), row) in &self.rows {
            waits.entry(queue).or_default().merge(&row.wait);
        }
        out.histogram(&families::WAIT, waits.iter().map(|(queue, times)| ([("queue", *queue)], times)))
    }

    fn write_shards(&self, out: &mut Out<'_>) -> fmt::Result {
        let gauge = |value: fn(&ShardPart) -> u64| {
            self.shards.iter().map(move |shard| ([("shard", &*shard.name)], value(shard) as f64))
        };
        let counter = |value: fn(&ShardPart) -> u64| {
            self.shards.iter().map(move |shard| ([("shard", &*shard.name)], value(shard)))
        };
        let seconds = |value: fn(&ShardPart) -> Option<Duration>| {
            self.shards
                .iter()
                .map(move |shard| ([("shard", &*shard.name)], value(shard).unwrap_or_default().as_secs_f64()))
        };
        out.gauge(&families::SLOTS, gauge(|shard| shard.slots))?;
        out.gauge(&families::RUNNING, gauge(|shard| shard.running))?;
        out.gauge(&families::UNSTARTED, gauge(|shard| shard.unstarted))?;
        out.counter(&families::FETCHED, counter(|shard| shard.fetched))?;
        out.counter(&families::FETCHED_BYTES, counter(|shard| shard.fetched_bytes))?;
        out.counter(&families::HANDED_BACK, counter(|shard| shard.handed_back))?;
        out.counter(&families::TURNS, counter(|shard| shard.turns))?;
        let turns = self.shards.iter().map(|shard| ([("shard", &*shard.name)], shard.turn_s));
        out.counter(&families::TURN_SECONDS, turns)?;
        out.counter(&families::SENT_BYTES, counter(|shard| shard.sent_bytes))?;
        out.counter(&families::OUTAGES, counter(|shard| shard.outages))?;
        out.gauge(&families::OUTAGE, seconds(|shard| shard.outage))?;
        out.counter(&families::RECONNECTS, counter(|shard| shard.idle_closes))?;
        out.gauge(&families::IDLE, seconds(|shard| shard.turned))
    }
}

fn write_fleet(facts: &FleetFacts, out: &mut Out<'_>) -> fmt::Result {
    let FleetFacts { counts, .. } = facts;
    out.gauge(&families::FLEET_UP, [(NONE, 1.0)])?;
    let queues = facts.queues.iter().map(|(queue, jobs)| ([("queue", &**queue)], *jobs as f64));
    out.gauge(&families::FLEET_QUEUE, queues)?;
    let oldest = facts.oldest.iter().map(|(queue, age_s)| ([("queue", &**queue)], *age_s));
    out.gauge(&families::FLEET_OLDEST, oldest)?;
    let slots = facts.queue_slots.iter().map(|(queue, slots)| ([("queue", &**queue)], *slots as f64));
    out.gauge(&families::FLEET_QUEUE_SLOTS, slots)?;
    let paused = [("queue", &facts.paused.queues), ("class", &facts.paused.classes)];
    let paused = paused.into_iter().flat_map(|(what, pauses)| {
        pauses.keys().map(move |name| ([("what", what), ("name", name.as_str())], 1.0))
    });
    out.gauge(&families::FLEET_PAUSED, paused)?;
    out.gauge(&families::FLEET_WAITING, [(NONE, facts.waiting_jobs as f64)])?;
    let sets =
        [("retries", counts.retry_jobs), ("scheduled", counts.scheduled_jobs), ("dead", counts.dead_jobs)];
    out.gauge(&families::FLEET_SET, sets.map(|(set, jobs)| ([("set", set)], jobs as f64)))?;
    let due = [("retries", facts.due.retries), ("scheduled", facts.due.scheduled)];
    let due = due.into_iter().filter_map(|(set, at)| Some(([("set", set)], at?)));
    out.gauge(&families::FLEET_DUE, due)?;
    out.counter(&families::FLEET_PROCESSED, [(NONE, counts.processed)])?;
    out.counter(&families::FLEET_FAILED, [(NONE, counts.failures)])?;
    let phases = facts.phases.iter().map(|(phase, count)| ([("phase", &**phase)], *count as f64));
    out.gauge(&families::FLEET_PROCESSES, phases)?;
    out.gauge(&families::FLEET_RUNNING, [(NONE, facts.running_jobs as f64)])?;
    out.gauge(&families::FLEET_SLOTS, [(NONE, facts.slots as f64)])?;
    out.gauge(&families::FLEET_DRAIN, facts.drain_s().map(|seconds| (NONE, seconds)))
}

/// No labels.
const NONE: [(&str, &str); 0] = [];

/// Writes families by the table.
struct Out<'e>(DescriptorEncoder<'e>);

impl Out<'_> {
    fn gauge<L: EncodeLabelSet>(
        &mut self,
        family: &Family,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(family.name, family.help, None, family.metric_type())?;
        for (labels, value) in values {
            encoder.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn counter<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        family: &Family,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(family.name, family.help, None, family.metric_type())?;
        for (labels, value) in values {
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, V, u64>(&value, None)?;
        }
        Ok(())
    }

    fn info(&mut self, family: &Family, labels: &impl EncodeLabelSet) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(family.name, family.help, None, family.metric_type())?;
        encoder.encode_info(labels)
    }

    fn histogram<'t, L: EncodeLabelSet>(
        &mut self,
        family: &Family,
        values: impl IntoIterator<Item = (L, &'t Times)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(family.name, family.help, None, family.metric_type())?;
        for (labels, times) in values {
            let buckets = buckets(times);
            encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                times.sum_s(),
                times.count(),
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

/// The buckets that are written, each with what it has alone.
fn buckets(times: &Times) -> [(f64, u64); BOUNDS.len() + 1] {
    let mut rest = times.count();
    let mut above = None;
    let mut buckets = [(f64::INFINITY, 0); BOUNDS.len() + 1];
    for (bucket, power) in buckets.iter_mut().zip(BOUNDS) {
        let count = times.between(above, power);
        *bucket = (2_f64.powi(power), count);
        rest -= count;
        above = Some(power);
    }
    buckets[BOUNDS.len()].1 = rest;
    buckets
}
