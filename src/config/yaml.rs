//! The YAML file: the gem's keys, our own, and sections per environment, each value with its line.
//!
//! A top-level key that is not an option and holds a mapping (or nothing, unless it looks like an option) is the section of
//! an environment, as in the gem (lib/jiggler/cli.rb, `parse_config`): the section of the environment in use is laid over
//! the top level. All sections are checked, so that production's typo shows in development. Ruby's symbol spelling
//! (`:timeout: 9`, `mode: :at_most_once`) and merge keys (`<<: *base`) are supported; ERB is not run. Of Sidekiq's capsules
//! a file may have one, whose queues and concurrency are those of the process.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use saphyr_parser::{Event, Parser};

use super::{
    error::{Error, Origin},
    options::{OPTIONS, OptionId, OptionSpec},
    pace, periodic,
    raw::Raw,
    runners, slots,
    value::{Value, shortened},
};
use crate::limits::{CONFIG_DEPTH_MAX, CONFIG_FILE_BYTES_MAX};
use crate::small_file;

/// Sidekiq's groups of queues, each with a concurrency of its own.
const CAPSULES: &str = "capsules";

/// What a capsule has.
const OF_CAPSULE: [&str; 2] = ["concurrency", "queues"];

/// Names this similar (Jaro-Winkler, 0 to 1) are suggested as what was meant.
const SIMILARITY_MIN: f64 = 0.8;

/// A file that has been read and whose every key is known.
#[derive(Debug, Default, PartialEq)]
pub struct Document {
    base: Raw,
    sections: Vec<(String, Raw)>,
}

impl Document {
    /// Reads and checks the file at `path`.
    ///
    /// [`Error`], each with the path and, if there is one, the line.
    /// [`Error`], each with the path and, where there is one, the line.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let bytes = small_file::read(path, CONFIG_FILE_BYTES_MAX).map_err(failed)?;
        if bytes.len() as u64 > CONFIG_FILE_BYTES_MAX {
            let bytes = std::fs::metadata(path).map_err(failed)?.len();
            return Err(Error::TooLarge { path: path.to_owned(), bytes });
        }
        let text = std::str::from_utf8(small_file::without_mark(&bytes))
            .map_err(|_| Error::NotUnicode { place: path.display().to_string() })?;
        Self::parse(path, text)
    }

    /// Checks `text`, naming `path` in errors.
    ///
    /// # Errors
    /// Like [`Document::read`], without the reading.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        if let Some(index) =
            text.lines().position(|line| line.contains("<%") && !line.trim_start().starts_with('#'))
        {
            return Err(Error::Erb { path: path.to_owned(), line: index + 1 });
        }
        if let Some(line) = too_deep(text) {
            return Err(Error::TooDeep { path: path.to_owned(), line });
        }
        let documents = MarkedYaml::load_from_str(text).map_err(|error| Error::Syntax {
            path: path.to_owned(),
            line: error.marker().line(),
            column: error.marker().col() + 1,
            reason: error.info().to_owned(),
        })?;
        let reader = Reader { path };
        match documents.as_slice() {
            [] => Ok(Self::default()),
            [root] if is_null(root) => Ok(Self::default()),
            [root] => reader.document(root),
            [_, second, ..] => Err(reader.shape(second, "a second document starts here; only one is read")),
        }
    }

    /// The environment that the file itself requests.
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        self.base.environment.as_deref()
    }

    /// Top level and section of `environment`, with the section on top.
    #[must_use]
    pub fn for_environment(mut self, environment: &str) -> Raw {
        match self.sections.iter().position(|(name, _)| name == environment) {
            Some(index) => self.sections.swap_remove(index).1.over(self.base),
            None => self.base,
        }
    }
}

/// The current place in a file, for errors.
struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn document(&self, root: &MarkedYaml<'_>) -> Result<Document, Error> {
        let mut document = Document::default();
        let mut options = Vec::new();
        for entry in self.entries(root)? {
            // A mapping is never the value of an option, so it is a section, unless it is under an option's key.
            let known = OptionSpec::of_key(&entry.name).is_some() || is_list(&entry.name);
            if !known && entry.value.data.is_mapping() {
                let section = self.options(&self.entries(entry.value)?)?;
                document.sections.push((entry.name, section));
            } else if !known && is_null(entry.value) && nearest(&entry.name).is_none() {
                document.sections.push((entry.name, Raw::default()));
            } else {
                options.push(entry);
            }
        }
        document.base = self.options(&options)?;
        Ok(document)
    }

    /// The entries of a mapping, with merge keys resolved: its own entries win over merged ones, earlier ones over later.
    fn entries<'n, 'i>(&self, node: &'n MarkedYaml<'i>) -> Result<Vec<Entry<'n, 'i>>, Error> {
        let YamlData::Mapping(mapping) = &node.data else {
            return Err(self.shape(node, "a mapping of `key: value` lines is expected here"));
        };
        let mut entries: Vec<Entry<'n, 'i>> = Vec::new();
        let mut names = HashSet::new();
        let mut merged = Vec::new();
        for (key, value) in mapping {
            let YamlData::Value(Scalar::String(spelled)) = &key.data else {
                return Err(self.shape(key, "a key must be text"));
            };
            if spelled == "<<" {
                match &value.data {
                    YamlData::Sequence(bases) => merged.extend(bases.iter()),
                    _ => merged.push(value),
                }
                continue;
            }
            let name = spelled.strip_prefix(':').unwrap_or(spelled);
            // One name for each option: the gem's is another spelling.
            let name = OptionSpec::of_key(name).map_or(name, |spec| spec.key).to_owned();
            let entry = Entry { name, spelled, line: key.span.start.line(), value };
            if !names.insert(entry.name.clone()) {
                let key = shortened(spelled).into_owned();
                return Err(Error::KeyTwice { path: self.path.to_owned(), line: entry.line, key });
            }
            entries.push(entry);
        }
        for base in merged {
            for entry in self.entries(base)? {
                if names.insert(entry.name.clone()) {
                    entries.push(entry);
                }
            }
        }
        Ok(entries)
    }

    fn options(&self, entries: &[Entry<'_, '_>]) -> Result<Raw, Error> {
        let mut raw = Raw::default();
        for entry in entries {
            if entry.name == CAPSULES && !is_null(entry.value) {
                raw = self.capsule(entry.value)?.over(raw);
            }
            if entry.name == periodic::KEY && !is_null(entry.value) {
                raw.periodic = Some(periodic::read(self.path, entry.value));
            }
            if entry.name == runners::KEY && !is_null(entry.value) {
                raw.runners = Some(runners::read(self.path, entry.value)?);
            }
            if entry.name == slots::KEY && !is_null(entry.value) {
                raw.slots = Some(slots::read(self.path, entry.value)?);
            }
            if entry.name == pace::KEY && !is_null(entry.value) {
                raw.paces = Some(pace::read(self.path, entry.value)?);
            }
            if is_list(&entry.name) {
                continue;
            }
            let Some(spec) = OptionSpec::of_key(&entry.name) else { return Err(self.unknown(entry)) };
            // `timeout:` with nothing after it is how YAML omits a key.
            if is_null(entry.value) {
                continue;
            }
            let origin = Origin::File {
                path: PathBuf::from(self.path),
                line: entry.value.span.start.line(),
                key: shortened(entry.spelled).into_owned(),
            };
            raw.set(spec, &value(&entry.value.data), origin)?;
        }
        Ok(raw)
    }

    /// The queues and the concurrency of the only capsule.
    fn capsule(&self, node: &MarkedYaml<'_>) -> Result<Raw, Error> {
        let capsules = self.entries(node)?;
        if let Some(second) = capsules.get(1) {
            let reason = "a second capsule starts here; a process has one: start another process with these queues (-q, -c)";
            return Err(Error::Shape { path: self.path.to_owned(), line: second.line, reason });
        }
        let Some(capsule) = capsules.first() else { return Ok(Raw::default()) };
        let settings = self.entries(capsule.value)?;
        match settings.iter().find(|entry| !OF_CAPSULE.contains(&entry.name.as_str())) {
            Some(other) => Err(self.unknown(other)),
            None => self.options(&settings),
        }
    }

    fn unknown(&self, entry: &Entry<'_, '_>) -> Error {
        Error::UnknownKey {
            path: self.path.to_owned(),
            line: entry.line,
            key: shortened(entry.spelled).into_owned(),
            nearest: nearest(&entry.name),
            allowed: keys_in_use().collect::<Vec<_>>().join(", "),
        }
    }

    fn shape(&self, node: &MarkedYaml<'_>, reason: &'static str) -> Error {
        Error::Shape { path: self.path.to_owned(), line: node.span.start.line(), reason }
    }
}

/// Whether a key is that of things that are no options.
fn is_list(key: &str) -> bool {
    [periodic::KEY, runners::KEY, slots::KEY, pace::KEY, CAPSULES].contains(&key)
}

/// The line at which a file nests deeper than allowed. The loader below recurses level by level without its own bound; its
/// parser, driven event by event, does not.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    // Invalid YAML ends both this and the loader at the same place.
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) if depth == CONFIG_DEPTH_MAX => {
                return Some(span.start.line());
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth -= 1,
            _ => {}
        }
    }
    None
}

/// One line of a mapping.
struct Entry<'n, 'i> {
    /// Key without the colon of a Ruby symbol.
    name: String,
    /// Key as written.
    spelled: &'n str,
    /// Line of the key, from 1.
    line: usize,
    value: &'n MarkedYaml<'i>,
}

/// The keys that have an effect.
fn keys_in_use() -> impl Iterator<Item = &'static str> {
    let in_use = |spec: &&OptionSpec| !matches!(spec.id, OptionId::Unused | OptionId::ConfigFile);
    let options = OPTIONS.iter().filter(in_use);
    options.flat_map(|spec| [Some(spec.key), spec.gem_key].into_iter().flatten()).chain([
        periodic::KEY,
        runners::KEY,
        slots::KEY,
        pace::KEY,
        CAPSULES,
    ])
}

/// The key that was probably meant.
fn nearest(name: &str) -> Option<&'static str> {
    let (similarity, key) = keys_in_use()
        .map(|key| (strsim::jaro_winkler(key, name), key))
        .max_by(|left, right| left.0.total_cmp(&right.0))?;
    (similarity >= SIMILARITY_MIN).then_some(key)
}

fn is_null(node: &MarkedYaml<'_>) -> bool {
    matches!(node.data, YamlData::Value(Scalar::Null))
}

fn value<'a, 'i>(data: &'a YamlData<'i, MarkedYaml<'i>>) -> Value<'a> {
    match data {
        YamlData::Value(Scalar::String(text)) => Value::Text(text.as_ref().into()),
        YamlData::Value(Scalar::Integer(number)) => Value::Integer(*number),
        YamlData::Value(Scalar::FloatingPoint(number)) => Value::Decimal(number.into_inner()),
        YamlData::Value(Scalar::Boolean(switch)) => Value::Switch(*switch),
        YamlData::Value(Scalar::Null) => Value::Other("an empty value"),
        YamlData::Sequence(items) => Value::List(items.iter().map(|item| value(&item.data)).collect()),
        YamlData::Mapping(_) => Value::Other("a mapping"),
        YamlData::Tagged(..) => Value::Other("a tagged value"),
        _ => Value::Other("a value YAML cannot read"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::types::Mode, *};

    fn parse(text: &str) -> Result<Document, Error> {
        Document::parse(Path::new("jiggler.yml"), text)
    }

    #[track_caller]
    fn check_error(text: &str, parts: &[&str]) {
        let error = parse(text).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    /// A file as the gem's users write it: symbols as keys, anchors, sections, keys only Ruby needs.
    const RUBY: &str = "\
:concurrency: 12
:timeout: 9
:mode: :at_most_once
:queues:
  - [shippers, 0]
  - shipments
:require: ./jobs.rb
client_async: true
poller_enabled: no
poll_interval: 2.5
max_dead_jobs: 10_000
redis_url:
base: &base
  stats_interval: 12
production:
  <<: *base
  timeout: 30
staging: {verbose: true}
test:
";

    #[test]
    fn a_file_of_the_gem_is_read_with_the_section_of_its_environment() {
        let production = parse(RUBY).unwrap().for_environment("production");
        assert_eq!(production.concurrency, Some(12));
        assert_eq!(production.timeout, Some(Duration::from_secs(30)));
        assert_eq!(production.stats_interval, Some(Duration::from_secs(12)));
        assert_eq!(production.mode, Some(Mode::AtMostOnce));
        assert_eq!(production.poller_enabled, Some(false));
        assert_eq!(production.poll_interval, Some(Duration::from_millis(2500)));
        assert_eq!(production.max_dead_jobs, Some(10_000));
        assert_eq!(production.redis_url, None);
        let queues = production.queues.unwrap();
        assert_eq!(
            queues.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["shippers:0", "shipments"]
        );
        let unused: Vec<String> = production.unused.iter().map(ToString::to_string).collect();
        assert_eq!(unused, ["jiggler.yml line 8, key `client_async`"]);

        let development = parse(RUBY).unwrap().for_environment("development");
        assert_eq!((development.timeout, development.log_level), (Some(Duration::from_secs(9)), None));
    }

    /// A file as Sidekiq's users write it.
    const SIDEKIQ: &str = "\
:verbose: false
:concurrency: 12
:timeout: 9
:max_retries: 3
:pidfile: tmp/sidekiq.pid
:queues:
  - [critical, 3]
  - mailers,2
  - default
production:
  :concurrency: 40
staging:
  :capsules:
    default:
      :concurrency: 2
      :queues: [low]
";

    #[test]
    fn a_file_of_sidekiq_is_read_with_its_forms_of_queues_environments_and_one_capsule() {
        let names = |raw: &Raw| {
            let queues = raw.queues.clone().unwrap().read_as_sidekiq().unwrap();
            queues.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let read = |environment| parse(SIDEKIQ).unwrap().for_environment(environment);
        let production = read("production");
        assert_eq!((production.concurrency, production.default_retries), (Some(40), Some(3)));
        assert_eq!(names(&production), "critical:3 mailers:2 default:1");
        let unused: Vec<String> = production.unused.iter().map(ToString::to_string).collect();
        assert_eq!(unused, ["jiggler.yml line 5, key `:pidfile`"]);
        let staging = read("staging");
        assert_eq!((staging.concurrency, names(&staging)), (Some(2), "low".to_owned()));
        assert_eq!(parse("capsules:\n").unwrap().for_environment("x"), Raw::default());
        check_error(
            ":capsules:\n  a:\n    :queues: [low]\n  b:\n    :queues: [high]\n",
            &["line 4", "a second capsule", "start another process"],
        );
        check_error("capsules:\n  a:\n    timeout: 3\n", &["line 3", "unknown key `timeout`"]);
        check_error(":limits:\n  a: 3\n", &["line 2", "unknown key `a`"]);
    }

    #[test]
    fn an_empty_file_says_nothing() {
        for text in ["", "# nothing\n", "---\n", "~"] {
            assert_eq!(parse(text).unwrap().for_environment("x"), Raw::default(), "{text:?}");
        }
    }

    #[test]
    fn mistakes_name_file_line_key_and_what_is_allowed() {
        check_error(
            "timeout: 5\nconcurency: 3\n",
            &[
                "jiggler.yml line 2",
                "unknown key `concurency`",
                "did you mean `concurrency`?",
                "allowed: cores, concurrency, queues",
            ],
        );
        check_error("timeot:\n", &["unknown key `timeot`", "`timeout`?"]);
        check_error("xyzzy: 3\n", &["unknown key `xyzzy`; allowed"]);
        check_error("production:\n  tiemout: 3\n", &["line 2", "`tiemout`", "`timeout`?"]);
        check_error("a: 1\n:timeout: soon\n", &["line 1", "`a`"]);
        check_error("\n:timeout: soon\n", &["line 2, key `:timeout`", "`soon`", "from 1 to 86400"]);
        check_error("timeout: 1\n:timeout: 2\n", &["line 2", "twice"]);
        check_error("timeout: 1\ntimeout: 2\n", &["line 2", "duplicate"]);
        check_error("queues: {a: 1}\n", &["line 1, key `queues`", "a mapping is not allowed"]);
        check_error("queues: [a, 'b:c:1']\n", &["line 1", "':'"]);
        check_error("mode: sometimes\n", &["`sometimes`", "`at-least-once`, `at-most-once`"]);
        check_error("timeout: !ruby/object 1\n", &["a tagged value"]);
        check_error("- a\n", &["line 1", "mapping"]);
        check_error("[1]: 2\n", &["key must be text"]);
        check_error("a: [\n", &["not valid YAML"]);
        check_error("timeout: 1\n---\ntimeout: 2\n", &["only one"]);
        check_error("timeout: 1\nredis_url: <%= ENV['X'] %>\n", &["line 2", "ERB"]);
    }

    #[test]
    fn a_file_may_nest_as_deep_as_allowed_and_no_deeper() {
        let nested = |levels: usize| format!("xyzzy:\n {}a", "- ".repeat(levels - 1));
        for levels in [CONFIG_DEPTH_MAX - 1, CONFIG_DEPTH_MAX] {
            check_error(&nested(levels), &["line 1", "unknown key `xyzzy`"]);
        }
        for levels in [CONFIG_DEPTH_MAX + 1, 100_000] {
            check_error(
                &nested(levels),
                &["jiggler.yml line 2", &format!("deeper than {CONFIG_DEPTH_MAX} levels")],
            );
        }
    }

    #[test]
    fn errors_stay_short_however_long_a_word_is() {
        // YAML itself limits a key to 1,024 characters.
        let long = "x".repeat(1_000);
        for text in [
            format!("{long}: 1"),
            format!("timeout: {long}"),
            format!("queues: a:{long}"),
            format!("mode: {long}"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.len() < 800 && error.contains("xxx…"), "{error}");
        }
    }

    #[test]
    fn a_missing_or_huge_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none.yml");
        let error = Document::read(&path).unwrap_err();
        assert!(matches!(&error, Error::Read { .. }) && error.to_string().contains("none.yml"), "{error}");
        for (bytes, valid) in [(CONFIG_FILE_BYTES_MAX, true), (CONFIG_FILE_BYTES_MAX + 1, false)] {
            std::fs::write(&path, "#".repeat(usize::try_from(bytes).unwrap())).unwrap();
            assert_eq!(Document::read(&path).is_ok(), valid, "{bytes}");
        }
        std::fs::write(&path, b"\xff").unwrap();
        assert!(Document::read(&path).unwrap_err().to_string().contains("UTF-8"));
    }
}
