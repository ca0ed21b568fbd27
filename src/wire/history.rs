//! What a fleet keeps of its past, as bytes: what became of its jobs by queue and class, how long they ran and waited, how
//! many waited in each queue.
//!
//! Each process writes an entry a minute, with what it counted in that minute. An entry is
//!
//! ```text
//! writer (3 bytes) | minute of the hour | number of the entry, modulo 256 | items
//! item of a queue:  head | [name of the queue] | jobs that wait
//! item of a class:  head | [names of queue and class] | which outcomes (a bit each) | a count for each of them
//!                   | histogram of the run times | their sum in 1/1024 s | histogram of the waits
//! histogram:        buckets that follow | the first of them | a count for each
//! ```
//!
//! Numbers are varints (LEB128). A head is `number << 2 | is_of_queue << 1 | has_names`: a name is written once for each
//! hour and writer. An entry that is sent again is known by its first five bytes. Times are counted in buckets that
//! double, so that what minutes, hours and processes have counted adds up.

use std::collections::{BTreeMap, BTreeSet};

mod tallied;

pub use tallied::{Histogram, Tallied};

use crate::limits::HISTORY_PAIRS_MAX;
use crate::stats::OTHER;

/// How finely the past is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// Kept for three days.
    Minute,
    /// Kept for a month.
    Hour,
    /// Kept for five years.
    Day,
}

impl Grain {
    /// Its length.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// What is known of a minute, an hour or a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    /// By queue and class.
    pub rows: BTreeMap<(Box<str>, Box<str>), Tallied>,
    /// The most jobs that waited in a queue when somebody looked.
    pub depths: BTreeMap<Box<str>, u64>,
}

impl Slice {
    /// Adds what a process has counted. Beyond [`HISTORY_PAIRS_MAX`] pairs of queue and class are counted together.
    pub(crate) fn add(&mut self, queue: &str, class: &str, more: &Tallied) {
        if more.is_empty() {
            return;
        }
        let key = (Box::from(queue), Box::from(class));
        let fits = self.rows.len() < HISTORY_PAIRS_MAX || self.rows.contains_key(&key);
        let key = if fits { key } else { (Box::from(OTHER), Box::from(OTHER)) };
        self.rows.entry(key).or_default().merge(more);
    }

    /// Notes how many jobs wait in a queue.
    pub(crate) fn note_depth(&mut self, queue: &str, jobs: u64) {
        if let Some(most) = self.depths.get_mut(queue) {
            *most = jobs.max(*most);
        } else if jobs > 0 && self.depths.len() < HISTORY_PAIRS_MAX {
            self.depths.insert(queue.into(), jobs);
        }
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        for ((queue, class), row) in &other.rows {
            self.add(queue, class, row);
        }
        for (queue, jobs) in &other.depths {
            self.note_depth(queue, *jobs);
        }
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.depths.is_empty()
    }

    /// As one value that needs no other: what is kept for an hour or a day.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Writer::new([0; 3]).entry(0, self)
    }

    /// Reads what [`Self::to_bytes`] wrote. What follows something that cannot be read is left out.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut slice = Self::default();
        Reader::default().read(bytes, |_| Some(&mut slice));
        slice
    }
}

/// Writes the entries of one process.
#[derive(Debug)]
pub(crate) struct Writer {
    id: [u8; 3],
    /// Entries so far.
    count: u8,
    /// Numbers of pairs of queue and class; a queue alone has an empty class.
    numbers: BTreeMap<(Box<str>, Box<str>), u64>,
    /// Those whose names stand in this hour.
    named: BTreeSet<u64>,
}

impl Writer {
    /// `id`: tells it from other processes of the fleet.
    pub(crate) fn new(id: [u8; 3]) -> Self {
        Self { id, count: 0, numbers: BTreeMap::new(), named: BTreeSet::new() }
    }

    /// From now on names are written again: another hour has begun, or an entry is lost.
    pub(crate) fn forget_names(&mut self) {
        self.named.clear();
        // No more numbers than are in use.
        self.numbers.clear();
    }

    /// An entry with what was counted in this minute of the hour.
    pub(crate) fn entry(&mut self, minute: u8, slice: &Slice) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + 32 * slice.rows.len());
        bytes.extend(self.id);
        bytes.extend([minute, self.count]);
        self.count = self.count.wrapping_add(1);
        for (queue, jobs) in &slice.depths {
            self.head(queue, "", &mut bytes);
            put(*jobs, &mut bytes);
        }
        for ((queue, class), row) in &slice.rows {
            self.head(queue, class, &mut bytes);
            put_row(row, &mut bytes);
        }
        bytes
    }

    fn head(&mut self, queue: &str, class: &str, bytes: &mut Vec<u8>) {
        let next = self.numbers.len() as u64;
        let number = *self.numbers.entry((queue.into(), class.into())).or_insert(next);
        let is_new = self.named.insert(number);
        put(number << 2 | u64::from(class.is_empty()) << 1 | u64::from(is_new), bytes);
        if is_new {
            for name in [queue, class].iter().filter(|name| !name.is_empty() || !class.is_empty()) {
                put(name.len() as u64, bytes);
                bytes.extend(name.as_bytes());
            }
        }
    }
}

fn put_row(row: &Tallied, bytes: &mut Vec<u8>) {
    let bits = row.outcomes.iter().enumerate().filter(|(_, count)| **count > 0);
    bytes.push(bits.fold(0, |mask, (at, _)| mask | 1 << at));
    row.outcomes.iter().filter(|count| **count > 0).for_each(|count| put(*count, bytes));
    put_histogram(&row.run, bytes);
    put(row.run_sum, bytes);
    put_histogram(&row.wait, bytes);
}

fn put_histogram(histogram: &Histogram, bytes: &mut Vec<u8>) {
    let counts = &histogram.counts;
    let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let end = counts.iter().rposition(|count| *count > 0).map_or(first, |last| last + 1);
    bytes.push((end - first) as u8);
    if end > first {
        bytes.push(first as u8);
        counts[first..end].iter().for_each(|count| put(*count, bytes));
    }
}

fn put(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads the entries of one hour, in their order.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Writer, minute and number of those that were read.
    seen: BTreeSet<[u8; 5]>,
    /// What the numbers of a writer mean.
    names: BTreeMap<([u8; 3], u64), (String, String)>,
}

impl Reader {
    /// Adds an entry to the slice of its minute; `None`: nobody wants that minute. What cannot be read is left out.
    pub(crate) fn read<'s>(&mut self, entry: &[u8], slice: impl FnOnce(u8) -> Option<&'s mut Slice>) {
        let Some((head, items)) = entry.split_first_chunk::<5>() else { return };
        if !self.seen.insert(*head) {
            return;
        }
        let [one, two, three, minute, _] = *head;
        let mut ignored = Slice::default();
        // Its names may be needed even then.
        let slice = slice(minute).unwrap_or(&mut ignored);
        let mut rest = items;
        while !rest.is_empty() && self.item([one, two, three], &mut rest, slice).is_some() {}
    }

    fn item(&mut self, writer: [u8; 3], rest: &mut &[u8], slice: &mut Slice) -> Option<()> {
        let head = take(rest)?;
        let (number, is_of_queue, has_names) = (head >> 2, head & 2 != 0, head & 1 != 0);
        if has_names {
            let queue = name(rest)?;
            let class = if is_of_queue { String::new() } else { name(rest)? };
            if self.names.len() < HISTORY_PAIRS_MAX {
                self.names.insert((writer, number), (queue, class));
            }
        }
        let known = self.names.get(&(writer, number));
        let (queue, class) = known.map_or((OTHER, OTHER), |(queue, class)| (queue, class));
        if is_of_queue {
            slice.note_depth(queue, take(rest)?);
        } else {
            slice.add(queue, class, &row(rest)?);
        }
        Some(())
    }
}

fn row(rest: &mut &[u8]) -> Option<Tallied> {
    let mut row = Tallied::default();
    let mask = byte(rest)?;
    for (at, count) in row.outcomes.iter_mut().enumerate() {
        if mask & 1 << at != 0 {
            *count = take(rest)?;
        }
    }
    row.run = histogram(rest)?;
    row.run_sum = take(rest)?;
    row.wait = histogram(rest)?;
    Some(row)
}

fn histogram(rest: &mut &[u8]) -> Option<Histogram> {
    let mut histogram = Histogram::default();
    let len = usize::from(byte(rest)?);
    if len > 0 {
        let first = usize::from(byte(rest)?);
        for count in histogram.counts.get_mut(first..first + len)? {
            *count = take(rest)?;
        }
    }
    Some(histogram)
}

fn name(rest: &mut &[u8]) -> Option<String> {
    let len = usize::try_from(take(rest)?).ok()?;
    let (name, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (byte, left) = rest.split_first()?;
    *rest = left;
    Some(*byte)
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
