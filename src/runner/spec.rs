//! A runner as it is configured: which jobs, which program, how many children.

#[cfg(feature = "http")]
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(feature = "http")]
use super::http::Key;
use crate::handler::Pattern;
#[cfg(feature = "http")]
use crate::io::http;
use crate::limits::runner::{
    NODE_TASKS, RUBY_THREADS, RUNNER_CHILD_FILES, RUNNER_FILES, RUNNER_HTTP_TIME, RUNNER_REQUESTS,
};

/// One runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerSpec {
    /// Its name in logs.
    pub name: String,
    /// What is started.
    pub program: Program,
    /// Which jobs it takes.
    pub jobs: Vec<Pattern>,
    /// Children in the whole process; `None`: one for each core in use.
    pub children: Option<usize>,
    /// Jobs side by side in one child; `None`: what suits the language. Behind HTTP, requests of the whole process; `None`:
    /// [`RUNNER_REQUESTS`] for each core in use.
    pub threads: Option<usize>,
    /// How long one of its jobs may run.
    pub timeout: Option<Duration>,
    /// Retries of a job whose payload names no number.
    pub retries: Option<u32>,
    /// A child ends after this many jobs.
    pub max_jobs: Option<u64>,
    /// A child ends at this age.
    pub max_age: Option<Duration>,
    /// A child ends beyond this many bytes of its own.
    pub max_memory: Option<u64>,
}

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// An interpreter with the engine's own runner, which loads this file or directory.
    Interpreter(Language, PathBuf),
    /// A program that speaks the protocol by itself; it is started once for each child.
    Command(Vec<String>),
    /// Nothing: a server that is there already runs the jobs.
    Http(HttpTarget),
}

/// A server that runs jobs which are posted to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    /// Where they are posted to.
    pub url: String,
    /// The file that holds the key with which they are signed.
    pub secret_file: Option<PathBuf>,
}

impl HttpTarget {
    /// The url without its query, which may hold a secret.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }
}

/// Why a runner can never start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// What it is to load does not exist.
    #[error("runner {name}: there is no {}: give `-r`, or `require` of `runners:`, a file or a directory", path.display())]
    NotThere { name: String, path: PathBuf },
    /// Jobs cannot be posted there.
    #[cfg(feature = "http")]
    #[error("runner {name}: its `url`: {error}")]
    Url { name: String, error: http::Error },
    /// The key cannot be read.
    #[cfg(feature = "http")]
    #[error("runner {name}: no key in its `secret_file` {}: {reason}", path.display())]
    Key { name: String, path: PathBuf, reason: String },
}

#[cfg(feature = "http")]
impl From<Unusable> for io::Error {
    fn from(unusable: Unusable) -> Self {
        Self::new(io::ErrorKind::InvalidInput, unusable)
    }
}

/// A language that there is a runner for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `ruby`.
    Ruby,
    /// `python3`.
    Python,
    /// `node`.
    Node,
}

impl Language {
    /// By name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ruby" => Some(Self::Ruby),
            "python" => Some(Self::Python),
            "node" => Some(Self::Node),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ruby => "ruby",
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    /// The language of a file, by its ending, or of a directory, by what is in it.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("rb") => return Some(Self::Ruby),
            Some("py") => return Some(Self::Python),
            Some("js" | "mjs" | "cjs" | "ts" | "mts") => return Some(Self::Node),
            _ => {}
        }
        let marks = [
            ("config/environment.rb", Self::Ruby),
            ("__init__.py", Self::Python),
            ("package.json", Self::Node),
        ];
        marks.into_iter().find(|(mark, _)| path.join(mark).is_file()).map(|(_, language)| language)
    }
}

impl RunnerSpec {
    /// The runner of `-r PATH`: every job, with what suits the language.
    ///
    /// # Errors
    /// The language is not known.
    pub fn of_path(path: &Path) -> Result<Self, String> {
        let language = Language::of(path).ok_or_else(|| unknown_language(path))?;
        let program = Program::Interpreter(language, path.to_owned());
        Ok(Self { jobs: vec![Pattern::all()], ..Self::new(language.as_str(), program) })
    }

    /// One without jobs, and without bounds of its own.
    pub(crate) fn new(name: &str, program: Program) -> Self {
        Self {
            name: name.to_owned(),
            program,
            jobs: Vec::new(),
            children: None,
            threads: None,
            timeout: None,
            retries: None,
            max_jobs: None,
            max_age: None,
            max_memory: None,
        }
    }

    /// Whether what it loads, or its key, is there at all: what is missing at a start is a mistake, and no reason to wait.
    ///
    /// # Errors
    /// It is not, or jobs cannot be posted to such a url.
    pub(crate) fn ensure_usable(&self) -> Result<(), Unusable> {
        match &self.program {
            Program::Interpreter(_, path) if !path.exists() => {
                Err(Unusable::NotThere { name: self.name.clone(), path: path.clone() })
            }
            #[cfg(feature = "http")]
            Program::Http(target) => {
                http::check_url(&target.url)
                    .map_err(|error| Unusable::Url { name: self.name.clone(), error })?;
                self.key().map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// The key with which its jobs are signed, if it has one.
    ///
    /// # Errors
    /// It cannot be read.
    #[cfg(feature = "http")]
    pub(super) fn key(&self) -> Result<Option<Key>, Unusable> {
        let Program::Http(HttpTarget { secret_file: Some(path), .. }) = &self.program else {
            return Ok(None);
        };
        let refused = |reason| Unusable::Key { name: self.name.clone(), path: path.clone(), reason };
        Key::read(path).map(Some).map_err(refused)
    }

    /// How long one of its jobs may run.
    #[must_use]
    pub fn job_timeout(&self) -> Option<Duration> {
        match self.program {
            Program::Http(_) => self.timeout.or(Some(RUNNER_HTTP_TIME)),
            _ => self.timeout,
        }
    }

    /// Jobs that each of this many shards has under way at most.
    #[must_use]
    pub fn jobs_per_shard(&self, shards: usize) -> usize {
        match self.program {
            Program::Http(_) => self.threads.map_or(RUNNER_REQUESTS, |all| all.div_ceil(shards.max(1))),
            _ => self.children_per_shard(shards) * self.threads(),
        }
    }

    /// Children that each of this many shards has: at least one, because it has none of the others.
    #[must_use]
    pub fn children_per_shard(&self, shards: usize) -> usize {
        self.children.map_or(1, |children| children.div_ceil(shards.max(1)).max(1))
    }

    /// Jobs side by side in one child.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or(match &self.program {
            Program::Interpreter(Language::Ruby, _) => RUBY_THREADS,
            Program::Interpreter(Language::Node, _) => NODE_TASKS,
            Program::Interpreter(Language::Python, _) | Program::Command(_) => 1,
            Program::Http(_) => RUNNER_REQUESTS,
        })
    }

    /// What it loads, as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.program {
            Program::Interpreter(_, path) => path.display().to_string(),
            Program::Command(words) => words.join(" "),
            Program::Http(target) => target.shown().to_owned(),
        }
    }
}

/// Jobs that all children of these runners run side by side, with this many shards.
#[must_use]
pub(crate) fn threads_of_all(specs: &[RunnerSpec], shards: usize) -> usize {
    specs.iter().map(|spec| spec.jobs_per_shard(shards) * shards).sum()
}

/// Files that the worker has open for these runners, with this many shards.
#[must_use]
pub(crate) fn files_of_all(specs: &[RunnerSpec], shards: usize) -> usize {
    let each = |spec: &RunnerSpec| match spec.program {
        Program::Http(_) => spec.jobs_per_shard(shards) * shards,
        _ => RUNNER_FILES + spec.children_per_shard(shards) * shards * RUNNER_CHILD_FILES,
    };
    specs.iter().map(each).sum()
}

/// Nobody can say which language a path is.
#[must_use]
pub(crate) fn unknown_language(path: &Path) -> String {
    let known = "a file that ends in .rb, .py, .mjs or .js, or a directory with config/environment.rb, __init__.py or \
                 package.json";
    format!("the language of `{}` is not known; give {known}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_that_of_the_ending_or_of_what_a_directory_holds() {
        let rails = tempfile::tempdir().unwrap();
        std::fs::create_dir(rails.path().join("config")).unwrap();
        std::fs::write(rails.path().join("config/environment.rb"), "").unwrap();
        assert_eq!(Language::of(rails.path()), Some(Language::Ruby));
        for (path, language) in [
            ("app.rb", Some(Language::Ruby)),
            ("./jobs.py", Some(Language::Python)),
            ("/a/b.mjs", Some(Language::Node)),
            ("app", None),
            ("app.php", None),
        ] {
            assert_eq!(Language::of(Path::new(path)), language, "{path}");
        }
        let error = RunnerSpec::of_path(Path::new("app.php")).unwrap_err();
        assert!(error.contains("`app.php`") && error.contains(".rb, .py"), "{error}");
    }

    #[test]
    fn every_shard_has_a_child_of_each_runner() {
        let mut spec = RunnerSpec::of_path(Path::new("a.rb")).unwrap();
        for (children, shards, each) in [(None, 4, 1), (Some(1), 4, 1), (Some(8), 4, 2), (Some(9), 4, 3)] {
            spec.children = children;
            assert_eq!(spec.children_per_shard(shards), each, "{children:?} on {shards}");
        }
        assert_eq!(threads_of_all(&[spec], 4), 3 * 4 * RUBY_THREADS);
    }
}
