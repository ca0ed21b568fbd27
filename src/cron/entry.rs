//! An entry: a schedule, the job that is pushed, and how. As JSON it is a value of the table.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::error::shown;
use super::stored::Stored;
use super::{CatchUp, CronError, Origin, Overlap, Schedule, tick_text};
use crate::client::NewJob;
use crate::job::Schema;
use crate::limits::{CRON_ENTRY_BYTES_MAX, CRON_JITTER_MAX, CRON_NAME_BYTES_MAX};
use crate::wire::DEFAULT_QUEUE;

/// A job that is pushed again and again. Valid by construction.
///
/// ```
/// use std::time::Duration;
///
/// use jiggler_uring::cron::{CatchUp, CronEntry};
/// use jiggler_uring::NewJob;
///
/// let job = NewJob::new("Report", &["daily"])?.queue_named("reports")?;
/// let entry = CronEntry::new("nightly report", "0 3 * * *", "Europe/Berlin", job)?
///     .catch_up(CatchUp::Last)?
///     .jitter(Duration::from_secs(60))?;
/// assert_eq!(entry.schedule().in_words(), "every day at 03:00 Europe/Berlin");
/// # Ok::<_, jiggler_uring::cron::CronError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CronEntry {
    name: String,
    schedule: Schedule,
    job: NewJob,
    options: Options,
}

/// What an entry has besides its schedule and its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Options {
    catch_up: CatchUp,
    overlap: Overlap,
    jitter: Duration,
    /// Unix milliseconds.
    from: Option<i64>,
    /// Unix milliseconds.
    until: Option<i64>,
    tick_argument: bool,
    is_paused: bool,
    origin: Origin,
}

impl CronEntry {
    /// An entry with this name, schedule and time zone; see [`Schedule`]. The name is unique in the whole table. Of the job,
    /// name, arguments, queue and retries are stored; one that has more, such as a jid, is refused: each tick pushes another
    /// job.
    ///
    /// # Errors
    /// [`CronError`]
    pub fn new(name: &str, schedule: &str, zone: &str, job: NewJob) -> Result<Self, CronError> {
        let is_wrong = name.is_empty()
            || name.len() > CRON_NAME_BYTES_MAX
            || name.chars().any(char::is_control)
            || name.trim() != name;
        if is_wrong {
            return Err(CronError::Name { name: shown(name) });
        }
        if !job.is_plain() {
            return Err(CronError::NotPlain);
        }
        let schedule = Schedule::parse(schedule, zone)?;
        let entry = Self { name: name.to_owned(), schedule, job, options: Options::default() };
        entry.checked()
    }

    /// Refuses what is too large to be stored.
    fn checked(self) -> Result<Self, CronError> {
        match self.to_json()?.len() {
            bytes if bytes > CRON_ENTRY_BYTES_MAX => Err(CronError::TooLarge { bytes }),
            _ => Ok(self),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// The same with this number of retries for each of its jobs.
    ///
    /// # Errors
    /// [`CronError::Job`], beyond [`RETRIES_MAX`](crate::limits::RETRIES_MAX).
    pub fn retries(mut self, retries: u32) -> Result<Self, CronError> {
        self.job = self.job.retries(retries)?;
        Ok(self)
    }

    /// What becomes of its ticks after an outage; [`CatchUp::Last`] unless set.
    ///
    /// # Errors
    /// [`CronError::CatchUp`]
    pub fn catch_up(self, catch_up: CatchUp) -> Result<Self, CronError> {
        // The same check as for text.
        let catch_up = catch_up.to_string().parse()?;
        Ok(self.with(|options| options.catch_up = catch_up))
    }

    /// What becomes of a tick while its last run lives; [`Overlap::Allow`] unless set.
    #[must_use]
    pub fn overlap(self, overlap: Overlap) -> Self {
        self.with(|options| options.overlap = overlap)
    }

    /// Pushes each tick later by up to this much, always as much for the same tick: entries with one schedule do not all
    /// push at once.
    ///
    /// # Errors
    /// [`CronError::Jitter`]
    pub fn jitter(self, jitter: Duration) -> Result<Self, CronError> {
        if jitter > CRON_JITTER_MAX {
            return Err(CronError::Jitter { seconds: jitter.as_secs() });
        }
        // As it is stored: in whole milliseconds.
        let jitter = Duration::from_millis(millis(jitter));
        Ok(self.with(|options| options.jitter = jitter))
    }

    /// Only ticks from this moment on, and until that one, itself included: Unix seconds.
    ///
    /// # Errors
    /// [`CronError::Span`]
    pub fn between(self, from: Option<f64>, until: Option<f64>) -> Result<Self, CronError> {
        let millis = |seconds: f64| (seconds * 1000.0) as i64;
        let (from, until) = (from.map(millis), until.map(millis));
        if from.zip(until).is_some_and(|(from, until)| until < from) {
            return Err(CronError::Span);
        }
        Ok(self.with(|options| (options.from, options.until) = (from, until)))
    }

    /// Appends the tick's time to the job's arguments, as text: `"2026-12-02T03:00:00Z"`.
    #[must_use]
    pub fn tick_argument(self) -> Self {
        self.with(|options| options.tick_argument = true)
    }

    /// The same from elsewhere.
    #[must_use]
    pub(crate) fn with_origin(self, origin: Origin) -> Self {
        self.with(|options| options.origin = origin)
    }

    /// The same, paused or not.
    #[must_use]
    pub(crate) fn paused(self, is_paused: bool) -> Self {
        self.with(|options| options.is_paused = is_paused)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it runs.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// What each tick pushes.
    #[must_use]
    pub const fn job(&self) -> &NewJob {
        &self.job
    }

    /// What becomes of its ticks after an outage.
    #[must_use]
    pub const fn catches_up(&self) -> CatchUp {
        self.options.catch_up
    }

    /// What becomes of a tick while its last run lives.
    #[must_use]
    pub const fn overlaps(&self) -> Overlap {
        self.options.overlap
    }

    /// Whether its ticks pass without a push until it is resumed.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.options.is_paused
    }

    /// Where it comes from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.options.origin
    }

    pub(super) const fn jitter_of(&self) -> Duration {
        self.options.jitter
    }

    /// Unix milliseconds.
    pub(super) const fn begins(&self) -> Option<i64> {
        self.options.from
    }

    /// Unix milliseconds.
    pub(super) const fn ends(&self) -> Option<i64> {
        self.options.until
    }

    /// Whether the ticks of two entries are the same, so that one may go on where the other is.
    pub(crate) fn keeps_time_of(&self, other: &Self) -> bool {
        let span = |entry: &Self| (entry.options.from, entry.options.until, entry.options.jitter);
        self.schedule.says_the_same_as(&other.schedule) && span(self) == span(other)
    }

    /// The payload of a tick and its jid. The member `cron` says the entry, the tick and a key that is the same for any two
    /// jobs of one tick, should there ever be two.
    ///
    /// # Errors
    /// [`CronError::Job`]: with the tick as an argument it is too large.
    pub(crate) fn payload(&self, schema: Schema, tick_ms: i64) -> Result<(String, Vec<u8>), CronError> {
        let tick = tick_text(tick_ms);
        let key = format!("{}@{tick}", self.name);
        let told = Told { name: &self.name, tick: &tick, key: &key };
        let job = if self.options.tick_argument { self.with_tick(&tick)? } else { self.job.clone() };
        Ok(job.member(MEMBER, &told)?.payload(schema)?)
    }

    fn with_tick(&self, tick: &str) -> Result<NewJob, CronError> {
        // An array, without white space.
        let args = self.job.args();
        let comma = if args == "[]" { "" } else { "," };
        let args = format!("{}{comma}\"{tick}\"]", &args[..args.len() - 1]);
        let job = NewJob::with_raw_args(self.job.name(), &args)?.in_queue(self.job.queue().clone());
        Ok(match self.job.own_retries() {
            Some(retries) => job.retries(retries)?,
            None => job,
        })
    }

    /// As it is stored.
    ///
    /// # Errors
    /// [`CronError::Json`], which is a bug.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, CronError> {
        let Options { catch_up, overlap, jitter, from, until, tick_argument, is_paused, origin } =
            self.options;
        let args: &RawValue = serde_json::from_str(self.job.args())?;
        let queue = self.job.queue().as_str();
        Ok(serde_json::to_vec(&Stored {
            schedule: self.schedule.text().into(),
            zone: self.schedule.zone().into(),
            job: self.job.name().into(),
            args: args.to_owned(),
            queue: (queue != DEFAULT_QUEUE).then(|| queue.into()),
            retries: self.job.own_retries(),
            catch_up: catch_up.to_string(),
            overlap,
            jitter_ms: millis(jitter),
            from_ms: from,
            until_ms: until,
            tick_argument,
            paused: is_paused,
            origin,
        })?)
    }

    /// Reads what is stored under a name.
    ///
    /// # Errors
    /// [`CronError`]: it was written by hand, or by a version that knows more.
    pub fn from_json(name: &str, json: &[u8]) -> Result<Self, CronError> {
        if json.len() > CRON_ENTRY_BYTES_MAX {
            return Err(CronError::TooLarge { bytes: json.len() });
        }
        let stored: Stored = serde_json::from_slice(json)?;
        let queue = stored.queue.as_deref().unwrap_or(DEFAULT_QUEUE);
        let job = NewJob::with_raw_args(&stored.job, stored.args.get())?.queue_named(queue)?;
        let mut entry = Self::new(name, &stored.schedule, &stored.zone, job)?
            .catch_up(stored.catch_up.parse()?)?
            .jitter(Duration::from_millis(stored.jitter_ms))?;
        if let Some(retries) = stored.retries {
            entry = entry.retries(retries)?;
        }
        Ok(entry.with(|options| {
            (options.from, options.until) = (stored.from_ms, stored.until_ms);
            options.overlap = stored.overlap;
            options.tick_argument = stored.tick_argument;
            options.is_paused = stored.paused;
            options.origin = stored.origin;
        }))
    }
}

impl PartialEq for CronEntry {
    fn eq(&self, other: &Self) -> bool {
        let same = |entry: &Self| (entry.name.clone(), entry.job.clone(), entry.options);
        self.schedule.says_the_same_as(&other.schedule) && same(self) == same(other)
    }
}

/// The member of a payload that tells of its tick.
const MEMBER: &str = "cron";

#[derive(Serialize)]
struct Told<'t> {
    name: &'t str,
    tick: &'t str,
    key: &'t str,
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> CronEntry {
        let job = NewJob::with_raw_args("Report", "[12345678901234567890, 1.0e+21]").unwrap();
        CronEntry::new("nightly", "0 3 * * *", "Europe/Berlin", job).unwrap()
    }

    #[test]
    fn what_is_stored_reads_back_and_numbers_stay_as_written() {
        let plain = entry();
        assert_eq!(
            String::from_utf8(plain.to_json().unwrap()).unwrap(),
            r#"{"schedule":"0 3 * * *","zone":"Europe/Berlin","job":"Report","args":[12345678901234567890,1.0e+21],"origin":"command"}"#
        );
        let full = entry().retries(4).unwrap().catch_up(CatchUp::All(7)).unwrap();
        let full = full.jitter(Duration::from_secs(90)).unwrap().between(Some(1.5), Some(2e9)).unwrap();
        let full = full.tick_argument().overlap(Overlap::Skip).with_origin(Origin::File).paused(true);
        for entry in [plain, full] {
            let json = entry.to_json().unwrap();
            assert_eq!(CronEntry::from_json("nightly", &json).unwrap(), entry);
        }
    }

    #[test]
    fn a_payload_tells_of_its_tick() {
        let text = |entry: CronEntry| {
            let (jid, payload) = entry.payload(Schema::Jiggler, 1_795_057_200_000).unwrap();
            String::from_utf8(payload).unwrap().replace(&jid, "JID")
        };
        let cron = r#""cron":{"name":"nightly","tick":"2026-11-19T03:00:00Z","key":"nightly@2026-11-19T03:00:00Z"}}"#;
        assert_eq!(
            text(entry()),
            r#"{"name":"Report","args":[12345678901234567890,1.0e+21],"jid":"JID","#.to_owned() + cron
        );
        let told = text(entry().retries(2).unwrap().tick_argument());
        let args = r#""args":[12345678901234567890,1.0e+21,"2026-11-19T03:00:00Z"],"retries":2,"#;
        assert!(told.contains(args), "{told}");
        let none = NewJob::with_raw_args("Report", "[]").unwrap();
        let none = CronEntry::new("n", "@daily", "UTC", none).unwrap().tick_argument();
        assert!(text(none).contains(r#""args":["2026-11-19T03:00:00Z"]"#));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let job = || NewJob::new("J", &()).unwrap();
        for name in ["", " a", "a\n", &"n".repeat(CRON_NAME_BYTES_MAX + 1)] {
            assert!(matches!(CronEntry::new(name, "@daily", "UTC", job()), Err(CronError::Name { .. })));
        }
        assert!(CronEntry::new(&"n".repeat(CRON_NAME_BYTES_MAX), "@daily", "UTC", job()).is_ok());
        let large = NewJob::new("J", &["x".repeat(CRON_ENTRY_BYTES_MAX)]).unwrap();
        assert!(matches!(CronEntry::new("n", "@daily", "UTC", large), Err(CronError::TooLarge { .. })));
        assert!(matches!(entry().between(Some(2.0), Some(1.0)), Err(CronError::Span)));
        assert!(entry().jitter(CRON_JITTER_MAX + Duration::from_secs(1)).is_err());
        for text in ["", "all", "all:0", "all:101", "All:1", "all:-1"] {
            assert!(text.parse::<CatchUp>().is_err(), "{text}");
        }
        assert!(entry().catch_up(CatchUp::All(0)).is_err());
        for json in
            ["", "{}", "[]", r#"{"schedule":"x","job":"J"}"#, r#"{"schedule":"@daily","job":"J","args":{}}"#]
        {
            assert!(CronEntry::from_json("n", json.as_bytes()).is_err(), "{json}");
        }
        let least = CronEntry::from_json("n", br#"{"schedule":"@daily","job":"J"}"#).unwrap();
        assert_eq!(
            (least.schedule().zone(), least.job().args(), least.origin()),
            ("UTC", "[]", Origin::Command)
        );
    }
}
