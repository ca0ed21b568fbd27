//! The `cron:` list of the configuration file: periodic jobs that this process declares.
//!
//! ```yaml
//! cron:
//!   - name: nightly report
//!     schedule: "0 3 * * *"
//!     zone: Europe/Berlin
//!     job: Report
//!     args: [daily]
//! ```
//!
//! Besides: `queue`, `retries`, `catch_up`, `overlap`, `jitter`, `from`, `until`, `tick_argument`. An item that is refused
//! is kept with its reason, so that all of them are named at once, or the others run with `--ignore-bad-cron`. It stops a
//! worker, `doctor` and the `cron` orders; other orders go on.

use std::path::Path;
use std::time::Duration;

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use saphyr::{MarkedYaml, Scalar, YamlData};
use serde_json::Value as Json;

use crate::client::NewJob;
use crate::cron::{CronEntry, CronError, Origin, span_seconds};
use crate::foreign::Foreign;

/// The key of the list.
pub(super) const KEY: &str = "cron";

/// One item of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct PeriodicItem {
    /// Where it is: file, line and name.
    pub place: String,
    /// The entry, or why there is none.
    pub entry: Result<CronEntry, String>,
}

/// Reads the list.
pub(super) fn read(path: &Path, list: &MarkedYaml<'_>) -> Vec<PeriodicItem> {
    let place = |node: &MarkedYaml<'_>| format!("{} line {}", path.display(), node.span.start.line());
    let YamlData::Sequence(items) = &list.data else {
        let reason = "a list is expected here, each item with name, schedule and job".to_owned();
        return vec![PeriodicItem { place: place(list), entry: Err(reason) }];
    };
    let mut read: Vec<PeriodicItem> = Vec::with_capacity(items.len());
    for item in items {
        let name = name_of(item);
        let place = match &name {
            Some(name) => format!("{}, periodic job `{}`", place(item), Foreign::text(name)),
            None => place(item),
        };
        let is_taken =
            |name: &str| read.iter().any(|other| other.entry.as_ref().is_ok_and(|e| e.name() == name));
        let entry = match entry(item) {
            Ok(entry) if is_taken(entry.name()) => Err("another one has this name".to_owned()),
            entry => entry,
        };
        read.push(PeriodicItem { place, entry });
    }
    read
}

fn name_of(item: &MarkedYaml<'_>) -> Option<String> {
    fields(item)?.into_iter().find(|(key, _)| key == "name").and_then(|(_, value)| text(value))
}

/// The fields of a mapping; `None`: it is something else.
pub(super) fn fields<'n, 'i>(item: &'n MarkedYaml<'i>) -> Option<Vec<(String, &'n MarkedYaml<'i>)>> {
    let YamlData::Mapping(mapping) = &item.data else { return None };
    let field = |(key, value): (&'n MarkedYaml<'i>, &'n MarkedYaml<'i>)| Some((text(key)?, value));
    mapping.iter().map(field).collect()
}

/// What an item says, as text.
#[derive(Default)]
struct Said {
    name: Option<String>,
    schedule: Option<String>,
    zone: Option<String>,
    job: Option<String>,
    args: Option<String>,
    queue: Option<String>,
    retries: Option<String>,
    catch_up: Option<String>,
    overlap: Option<String>,
    jitter: Option<String>,
    from: Option<String>,
    until: Option<String>,
    tick_argument: Option<String>,
}

const KEYS: &str = "name, schedule, zone, job, args, queue, retries, catch_up, overlap, jitter, from, until, \
     tick_argument";

fn entry(item: &MarkedYaml<'_>) -> Result<CronEntry, String> {
    let fields = fields(item).ok_or_else(|| format!("a mapping is expected here, of {KEYS}"))?;
    let mut said = Said::default();
    for (key, value) in fields {
        let field = match key.strip_prefix(':').unwrap_or(&key) {
            "name" => &mut said.name,
            "schedule" => &mut said.schedule,
            "zone" => &mut said.zone,
            "job" => &mut said.job,
            "args" => {
                said.args = Some(json(value)?.to_string());
                continue;
            }
            "queue" => &mut said.queue,
            "retries" => &mut said.retries,
            "catch_up" => &mut said.catch_up,
            "overlap" => &mut said.overlap,
            "jitter" => &mut said.jitter,
            "from" => &mut said.from,
            "until" => &mut said.until,
            "tick_argument" => &mut said.tick_argument,
            _ => return Err(format!("unknown key `{}`; allowed: {KEYS}", Foreign::text(&key))),
        };
        *field = Some(text(value).ok_or_else(|| format!("`{key}` must be a text or a number"))?);
    }
    said.entry()
}

impl Said {
    fn entry(self) -> Result<CronEntry, String> {
        let needed = |value: Option<String>, key: &str| value.ok_or_else(|| format!("it has no `{key}`"));
        let name = needed(self.name, "name")?;
        let schedule = needed(self.schedule, "schedule")?;
        let job = needed(self.job, "job")?;
        let refused = |error: CronError| error.to_string();
        let job = NewJob::with_raw_args(&job, self.args.as_deref().unwrap_or("[]"))
            .and_then(|job| job.queue_named(self.queue.as_deref().unwrap_or("default")))
            .map_err(|error| error.to_string())?;
        let mut entry =
            CronEntry::new(&name, &schedule, self.zone.as_deref().unwrap_or("UTC"), job).map_err(refused)?;
        if let Some(retries) = self.retries {
            let number =
                retries.parse().map_err(|_| format!("`retries` is a whole number, not {retries}"))?;
            entry = entry.retries(number).map_err(refused)?;
        }
        if let Some(catch_up) = self.catch_up {
            entry = entry.catch_up(catch_up.parse().map_err(refused)?).map_err(refused)?;
        }
        if let Some(overlap) = self.overlap {
            entry = entry.overlap(overlap.parse().map_err(refused)?);
        }
        if let Some(jitter) = self.jitter {
            let seconds = span_seconds(&jitter).ok_or("`jitter` is a span such as 90, 30s or 5m")?;
            entry = entry.jitter(Duration::from_secs(seconds)).map_err(refused)?;
        }
        let (from, until) = (moment(self.from, "from")?, moment(self.until, "until")?);
        entry = entry.between(from, until).map_err(refused)?;
        match self.tick_argument.as_deref() {
            None | Some("false") => {}
            Some("true") => entry = entry.tick_argument(),
            Some(other) => {
                return Err(format!("`tick_argument` is true or false, not {}", Foreign::text(other)));
            }
        }
        Ok(entry.with_origin(Origin::File))
    }
}

/// Unix seconds.
fn moment(text: Option<String>, key: &str) -> Result<Option<f64>, String> {
    let Some(text) = text else { return Ok(None) };
    let dated =
        || OffsetDateTime::parse(&text, &Rfc3339).ok().map(|at| at.unix_timestamp_nanos() as f64 / 1e9);
    let at = text.parse().ok().filter(|at: &f64| at.is_finite()).or_else(dated);
    let wrong = || format!("`{key}` is Unix seconds, or a date and time such as 2026-12-24T18:00:00Z");
    at.map(Some).ok_or_else(wrong)
}

/// A scalar as text.
pub(super) fn text(node: &MarkedYaml<'_>) -> Option<String> {
    let YamlData::Value(scalar) = &node.data else { return None };
    match scalar {
        Scalar::String(text) => Some(text.as_ref().to_owned()),
        Scalar::Integer(number) => Some(number.to_string()),
        Scalar::FloatingPoint(number) => Some(number.into_inner().to_string()),
        Scalar::Boolean(switch) => Some(switch.to_string()),
        Scalar::Null => None,
    }
}

/// YAML as the JSON it stands for. Its depth is bounded: that of the file is.
fn json(node: &MarkedYaml<'_>) -> Result<Json, String> {
    let wrong = || "`args` holds what JSON cannot".to_owned();
    match &node.data {
        YamlData::Value(Scalar::String(text)) => Ok(Json::from(text.as_ref())),
        YamlData::Value(Scalar::Integer(number)) => Ok(Json::from(*number)),
        YamlData::Value(Scalar::FloatingPoint(number)) => {
            serde_json::Number::from_f64(number.into_inner()).map(Json::from).ok_or_else(wrong)
        }
        YamlData::Value(Scalar::Boolean(switch)) => Ok(Json::from(*switch)),
        YamlData::Value(Scalar::Null) => Ok(Json::Null),
        YamlData::Sequence(items) => items.iter().map(json).collect::<Result<_, _>>().map(Json::Array),
        YamlData::Mapping(_) => {
            let fields = fields(node).ok_or_else(wrong)?;
            let field = |(key, value): (String, &MarkedYaml<'_>)| Ok((key, json(value)?));
            fields.into_iter().map(field).collect::<Result<_, String>>().map(Json::Object)
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, test_file};

    fn config(text: &str) -> Result<Config, String> {
        test_file::config(text)?.with_good_cron().map_err(|error| error.to_string())
    }

    const GOOD: &str = "
cron:
  - name: nightly
    schedule: 0 3 * * *
    zone: Europe/Berlin
    job: Report
    args: [daily, 1, 2.5, null, {a: [true]}]
    queue: reports
    retries: 3
    catch_up: all:5
    overlap: skip
    jitter: 1m30s
    from: 2026-12-24T18:00:00Z
    tick_argument: true
  - {name: sweep, schedule: '@every 90s', job: Sweep}
";

    #[test]
    fn the_list_is_read_with_all_its_options() {
        let config = config(GOOD).unwrap();
        let entries: Vec<_> = config.periodic.iter().map(|item| item.entry.as_ref().unwrap()).collect();
        let json = String::from_utf8(entries[0].to_json().unwrap()).unwrap();
        assert_eq!(
            json,
            r#"{"schedule":"0 3 * * *","zone":"Europe/Berlin","job":"Report","args":["daily",1,2.5,null,{"a":[true]}],"#
                .to_owned()
                + r#""queue":"reports","retries":3,"catch_up":"all:5","overlap":"skip","jitter_ms":90000,"from_ms":1798135200000,"#
                + r#""tick_argument":true,"origin":"file"}"#
        );
        assert_eq!((entries[1].name(), entries[1].job().args()), ("sweep", "[]"));
    }

    #[test]
    fn the_section_of_an_environment_has_its_own_list() {
        let own = config(&format!("{GOOD}production:\n  cron: []\n")).unwrap();
        assert_eq!(own.periodic, []);
        assert_eq!(config(&format!("{GOOD}production:\n  cores: 2\n")).unwrap().periodic.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_all_of_it_at_once() {
        let bad = "cron:
  - {name: a, schedule: '60 * * * *', job: J}
  - {name: b, schedule: '@daily', job: J, zone: Mars}
  - {name: c, schedule: '@daily', job: J, args: 5}
  - {name: d, schedule: '@daily', job: J, colour: red}
  - {name: e, schedule: '@daily'}
  - {name: f, schedule: '@daily', job: J}
  - {name: f, schedule: '@hourly', job: J}
  - 7
";
        let error = config(bad).unwrap_err();
        for (line, reason) in [
            (2, "periodic job `a`: the minute `60`"),
            (3, "periodic job `b`: there is no time zone `Mars`"),
            (4, "periodic job `c`: the arguments are a number"),
            (5, "periodic job `d`: unknown key `colour`"),
            (6, "periodic job `e`: it has no `job`"),
            (8, "periodic job `f`: another one has this name"),
            (9, "a mapping is expected here"),
        ] {
            assert!(
                error.contains(&format!("x.yml line {line}")) && error.contains(reason),
                "{line}: {error}"
            );
        }
        assert!(error.contains("--ignore-bad-cron"), "{error}");
        let ignored = config(&format!("ignore_bad_cron: true\n{bad}")).unwrap();
        assert_eq!(ignored.periodic.iter().filter(|item| item.entry.is_ok()).count(), 1);
        assert!(config("cron: 5\n").unwrap_err().contains("x.yml line 1: a list is expected"));
    }
}
