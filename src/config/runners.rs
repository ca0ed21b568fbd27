//! The `runners:` of the configuration file: jobs that run in other processes.
//!
//! ```yaml
//! runners:
//!   ruby:
//!     require: ./config/environment.rb
//!     jobs: ["*"]
//!     children: 4
//!     threads: 5
//!   thumbnails:
//!     require: thumbnails.py
//!     jobs: [Thumbnail, "Image::*"]
//!     timeout: 30
//! ```
//!
//! Besides: `language`, where the path does not tell it; `command` in place of `require`, for a program that speaks the
//! protocol itself, or `url`, for a server that jobs are posted to, with `secret_file` and `concurrency`; `retries`,
//! `max_jobs`, `max_age`, `max_memory_mb`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use saphyr::{MarkedYaml, YamlData};

use super::error::{Error, Origin};
use super::periodic::{fields, text};
use crate::foreign::Foreign;
use crate::handler::Pattern;
use crate::limits::RETRIES_MAX;
use crate::limits::runner::{
    RUNNER_CHILDREN_MAX, RUNNER_PATTERNS_MAX, RUNNER_REQUESTS_MAX, RUNNER_THREADS_MAX, RUNNERS_MAX,
};
use crate::runner::spec::{HttpTarget, Language, Program, RunnerSpec, unknown_language};

/// The key of the mapping.
pub(super) const KEY: &str = "runners";

const KEYS: &str = "require, command, language, jobs, children, threads, timeout, retries, max_jobs, max_age, \
                    max_memory_mb; or url, secret_file, jobs, concurrency, timeout, retries";

/// Seconds that a timeout or an age may have: a week.
const SECONDS_MAX: u64 = 7 * 24 * 3_600;

/// Reads the mapping.
///
/// # Errors
/// The first runner that is refused, with its line.
pub(super) fn read(path: &Path, node: &MarkedYaml<'_>) -> Result<Vec<RunnerSpec>, Error> {
    let refused = |node: &MarkedYaml<'_>, key: &str, reason: String| {
        let key = format!("{KEY}.{}", Foreign::text(key));
        let origin = Origin::File { path: path.to_owned(), line: node.span.start.line(), key };
        Error::BadValue { origin, reason }
    };
    let runners = fields(node)
        .ok_or_else(|| refused(node, "", "a mapping of names to runners is expected here".to_owned()))?;
    if runners.len() > RUNNERS_MAX {
        return Err(refused(
            node,
            "",
            format!("{} runners are more than the {RUNNERS_MAX} allowed", runners.len()),
        ));
    }
    let spec = |(name, node): (String, &MarkedYaml<'_>)| {
        runner(&name, node).map_err(|reason| refused(node, &name, reason))
    };
    runners.into_iter().map(spec).collect()
}

fn runner(name: &str, node: &MarkedYaml<'_>) -> Result<RunnerSpec, String> {
    let fields = fields(node).ok_or_else(|| format!("a mapping is expected here, of {KEYS}"))?;
    let (mut path, mut command, mut language) = (None, None, None);
    let (mut url, mut secret_file) = (None, None);
    let (mut of_children, mut of_server) = (None, None);
    let mut spec = RunnerSpec::new(name, Program::Command(Vec::new()));
    for (key, value) in fields {
        let key = key.strip_prefix(':').unwrap_or(&key);
        let count = |max: u64| count(key, value, max);
        let seconds = || count(SECONDS_MAX).map(Duration::from_secs);
        match key {
            "language" | "children" | "threads" | "max_jobs" | "max_age" | "max_memory_mb" => {
                of_children = Some(key.to_owned());
            }
            "secret_file" | "concurrency" => of_server = Some(key.to_owned()),
            _ => {}
        }
        match key {
            "require" => path = Some(PathBuf::from(texts(key, value)?.concat())),
            "command" => command = Some(texts(key, value)?),
            "url" => url = Some(texts(key, value)?.concat()),
            "secret_file" => secret_file = Some(PathBuf::from(texts(key, value)?.concat())),
            "concurrency" => spec.threads = Some(size(count(RUNNER_REQUESTS_MAX as u64)?)),
            "language" => language = Some(texts(key, value)?.concat()),
            "jobs" => spec.jobs = patterns(&texts(key, value)?)?,
            "children" => spec.children = Some(size(count(RUNNER_CHILDREN_MAX as u64)?)),
            "threads" => spec.threads = Some(size(count(RUNNER_THREADS_MAX as u64)?)),
            "timeout" => spec.timeout = Some(seconds()?),
            "retries" => spec.retries = u32::try_from(count(u64::from(RETRIES_MAX))?).ok(),
            "max_jobs" => spec.max_jobs = Some(count(u64::from(u32::MAX))?),
            "max_age" => spec.max_age = Some(seconds()?),
            "max_memory_mb" => spec.max_memory = Some(count(u64::from(u32::MAX))? << 20),
            _ => return Err(format!("unknown key `{}`; allowed: {KEYS}", Foreign::text(key))),
        }
    }
    spec.program = match (path, command, url) {
        (Some(path), None, None) => Program::Interpreter(language_of(language.as_deref(), &path)?, path),
        (None, Some(words), None) if !words.is_empty() => Program::Command(words),
        (None, None, Some(_)) if cfg!(not(feature = "http")) => {
            return Err("this build posts no jobs: it has no cargo feature `http`".to_owned());
        }
        (None, None, Some(url)) => Program::Http(HttpTarget { url, secret_file }),
        _ => {
            let one =
                "`require`, what is loaded, `command`, what is started, or `url`, where jobs are posted to";
            return Err(format!("it has one of {one}"));
        }
    };
    let (stray, whose) = match spec.program {
        Program::Http(_) => (of_children, "with `require` or `command`"),
        _ => (of_server, "with `url`"),
    };
    if let Some(key) = stray {
        return Err(format!("`{key}` goes {whose}"));
    }
    if spec.jobs.is_empty() {
        return Err("it has no `jobs`: names, beginnings of names such as Image::*, or \"*\"".to_owned());
    }
    Ok(spec)
}

fn language_of(named: Option<&str>, path: &Path) -> Result<Language, String> {
    match named {
        Some(name) => Language::named(name)
            .ok_or_else(|| format!("`language` is ruby, python or node, not {}", Foreign::text(name))),
        None => Language::of(path).ok_or_else(|| format!("{}, or `language`", unknown_language(path))),
    }
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>, String> {
    if texts.len() > RUNNER_PATTERNS_MAX {
        return Err(format!("{} patterns are more than the {RUNNER_PATTERNS_MAX} allowed", texts.len()));
    }
    texts.iter().map(|text| Pattern::parse(text)).collect()
}

/// A text, or a list of texts.
fn texts(key: &str, node: &MarkedYaml<'_>) -> Result<Vec<String>, String> {
    let one =
        |node: &MarkedYaml<'_>| text(node).ok_or_else(|| format!("`{key}` is text, or a list of texts"));
    match &node.data {
        YamlData::Sequence(items) => items.iter().map(one).collect(),
        _ => one(node).map(|text| vec![text]),
    }
}

fn count(key: &str, node: &MarkedYaml<'_>, max: u64) -> Result<u64, String> {
    let least = u64::from(key != "retries");
    let wrong = || format!("`{key}` is a whole number from {least} to {max}");
    let number: u64 = text(node).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    if (least..=max).contains(&number) { Ok(number) } else { Err(wrong()) }
}

/// Its bound is far below what a `usize` holds.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, test_file};
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        test_file::raw(text).map(Config::of)
    }

    #[test]
    fn runners_are_read_with_all_their_options_and_require_is_one_more() {
        let text = "
require: ./app.rb
runners:
  thumbnails: {require: t.py, jobs: [Thumbnail, 'Image::*'], children: 2, threads: 3, timeout: 30, retries: 0}
  own:
    command: [./own, --fast]
    jobs: Own
    max_jobs: 1000
    max_age: 60
    max_memory_mb: 300
";
        let runners = config(text).unwrap().runners;
        let [thumbnails, own, ruby] = &*runners else { panic!("{runners:?}") };
        assert_eq!(thumbnails.program, Program::Interpreter(Language::Python, "t.py".into()));
        assert_eq!(
            thumbnails.jobs.iter().map(Pattern::as_str).collect::<Vec<_>>(),
            ["Thumbnail", "Image::*"]
        );
        assert_eq!(
            (thumbnails.children, thumbnails.threads, thumbnails.retries),
            (Some(2), Some(3), Some(0))
        );
        assert_eq!(own.program, Program::Command(vec!["./own".to_owned(), "--fast".to_owned()]));
        assert_eq!((own.max_jobs, own.max_age), (Some(1_000), Some(Duration::from_secs(60))));
        assert_eq!(own.max_memory, Some(300 << 20));
        assert_eq!((&*ruby.name, ruby.jobs[0].as_str()), ("ruby", "*"));

        let text =
            "runners: {mail: {url: 'http://127.0.0.1:9/x', secret_file: k, jobs: M, concurrency: 500}}";
        let [mail] = &*config(text).unwrap().runners else { panic!("one runner") };
        let target = HttpTarget { url: "http://127.0.0.1:9/x".to_owned(), secret_file: Some("k".into()) };
        assert_eq!((&mail.program, mail.threads), (&Program::Http(target), Some(500)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (runner, reason) in [
            ("7", "a mapping is expected here, of require"),
            ("{jobs: A}", "it has one of `require`"),
            ("{require: a.rb, command: b, jobs: A}", "it has one of `require`"),
            ("{url: 'http://a', jobs: A, threads: 3}", "`threads` goes with `require`"),
            ("{require: a.rb, jobs: A, concurrency: 3}", "`concurrency` goes with `url`"),
            ("{require: a.rb}", "it has no `jobs`"),
            ("{require: a.rb, jobs: 'A*b'}", "an asterisk stands at the end"),
            ("{require: a.php, jobs: A}", "the language of `a.php` is not known"),
            ("{require: a, language: php, jobs: A}", "ruby, python or node, not php"),
            ("{require: a.rb, jobs: A, threads: 0}", "`threads` is a whole number from 1 to"),
            ("{require: a.rb, jobs: A, colour: red}", "unknown key `colour`"),
            ("{require: {a: b}, jobs: A}", "`require` is text"),
        ] {
            let error = config(&format!("runners:\n  x: {runner}\n")).unwrap_err();
            assert!(error.contains("x.yml line 2") && error.contains(reason), "{runner}: {error}");
        }
        assert!(config("runners: 5\n").unwrap_err().contains("a mapping of names to runners"));
    }
}
