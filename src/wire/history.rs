//! What a fleet keeps of its past, as bytes: what became of its jobs by queue and class, how long they ran and waited, how
//! many waited in each queue.
//!
//! Each process writes an entry a minute, with what it counted in that minute. An entry is
//!
//! ```text
//! writer (3 bytes) | minute of the hour, and 128 | number of the entry, modulo 256 | items
//! item of a queue:  head | [name of the queue] | jobs that wait
//! item of a class:  head | [names of queue and class] | which outcomes (a bit each) | a count for each of them
//!                   | histogram of the run times | their sum in 1/1024 s | histogram of the waits
//! histogram:        first bucket << 3 | buckets that follow, or 7: a byte says how many | a count for each
//! ```
//!
//! Numbers are varints (LEB128). A head is `number << 2 | is_of_queue << 1 | has_names`: a name is written once for each
//! hour and writer. An entry that is sent again is known by its first five bytes. Times are counted in buckets that
//! double, so that what minutes, hours and processes have counted adds up. How many jobs were done is left out where it
//! follows from the runs and the other outcomes, which is nearly always.
//!
//! An earlier form, without the 128, is still read: there the number of done jobs is never left out, and a histogram is
//! `buckets that follow | the first of them | a count for each`. Programs that know only that one take the present form for
//! minutes beyond the hour, and leave it out; of an hour or a day, for a name that has no end, and show none of it.

use std::collections::{BTreeMap, BTreeSet};

mod tallied;

pub use tallied::{Histogram, Tallied};

use crate::limits::HISTORY_PAIRS_MAX;
use crate::stats::{OTHER, Outcome};

const DONE: usize = Outcome::Done as usize;

/// Stands in the minute of an entry in the present form.
const PRESENT: u8 = 0x80;

/// Begins an hour in the present form: the head of an entry, and what an older reader gives up at.
const WHOLE: [u8; 9] = [0, 0, 0, PRESENT, 0, 1, 0xff, 0xff, 0x7f];

/// Buckets that fit beside the first of them; more are told by a byte of their own.
const SHORT_HISTOGRAM: u8 = 6;

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
        let mut bytes = WHOLE.to_vec();
        Writer::new([0; 3]).items(self, &mut bytes);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote. What follows something that cannot be read is left out.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut slice = Self::default();
        let mut reader = Reader::default();
        match bytes.strip_prefix(&WHOLE) {
            Some(items) => reader.items([0; 3], Form::Present, items, &mut slice),
            None => reader.read(bytes, |_| Some(&mut slice)),
        }
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
        bytes.extend([PRESENT | minute, self.count]);
        self.count = self.count.wrapping_add(1);
        self.items(slice, &mut bytes);
        bytes
    }

    fn items(&mut self, slice: &Slice, bytes: &mut Vec<u8>) {
        for (queue, jobs) in &slice.depths {
            self.head(queue, "", bytes);
            put(*jobs, bytes);
        }
        for ((queue, class), row) in &slice.rows {
            self.head(queue, class, bytes);
            put_row(row, bytes);
        }
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
    let given = |at: usize, count: u64| if at == DONE { count != row.done_of_runs() } else { count > 0 };
    let given = || row.outcomes.iter().copied().enumerate().filter(move |(at, count)| given(*at, *count));
    bytes.push(given().fold(0, |mask, (at, _)| mask | 1 << at));
    given().for_each(|(_, count)| put(count, bytes));
    put_histogram(&row.run, bytes);
    put(row.run_sum, bytes);
    put_histogram(&row.wait, bytes);
}

fn put_histogram(histogram: &Histogram, bytes: &mut Vec<u8>) {
    let (first, counts) = histogram.counted();
    // There are fewer than 32 buckets.
    let (first, len) = (first as u8, counts.len() as u8);
    bytes.push(first << 3 | len.min(SHORT_HISTOGRAM + 1));
    if len > SHORT_HISTOGRAM {
        bytes.push(len);
    }
    counts.iter().for_each(|count| put(*count, bytes));
}

fn put(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// How an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The earlier one.
    First,
    Present,
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
        let form = if minute & PRESENT == 0 { Form::First } else { Form::Present };
        let mut ignored = Slice::default();
        // Its names may be needed even then.
        let slice = slice(minute & !PRESENT).unwrap_or(&mut ignored);
        self.items([one, two, three], form, items, slice);
    }

    fn items(&mut self, writer: [u8; 3], form: Form, mut items: &[u8], slice: &mut Slice) {
        while !items.is_empty() && self.item(writer, form, &mut items, slice).is_some() {}
    }

    fn item(&mut self, writer: [u8; 3], form: Form, rest: &mut &[u8], slice: &mut Slice) -> Option<()> {
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
            slice.add(queue, class, &row(form, rest)?);
        }
        Some(())
    }
}

fn row(form: Form, rest: &mut &[u8]) -> Option<Tallied> {
    let mut row = Tallied::default();
    let mask = byte(rest)?;
    for (at, count) in row.outcomes.iter_mut().enumerate() {
        if mask & 1 << at != 0 {
            *count = take(rest)?;
        }
    }
    row.run = histogram(form, rest)?;
    row.run_sum = take(rest)?;
    row.wait = histogram(form, rest)?;
    if form == Form::Present && mask & 1 << DONE == 0 {
        row.outcomes[DONE] = row.done_of_runs();
    }
    Some(row)
}

fn histogram(form: Form, rest: &mut &[u8]) -> Option<Histogram> {
    let mut histogram = Histogram::default();
    let head = byte(rest)?;
    let (first, len) = match (form, head & 7) {
        (Form::First, _) if head == 0 => (0, 0),
        (Form::First, _) => (byte(rest)?, head),
        (Form::Present, len) if len > SHORT_HISTOGRAM => (head >> 3, byte(rest)?),
        (Form::Present, len) => (head >> 3, len),
    };
    let (first, len) = (usize::from(first), usize::from(len));
    for count in histogram.counts.get_mut(first..first + len)? {
        *count = take(rest)?;
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
