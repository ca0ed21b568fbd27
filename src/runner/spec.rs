//! A runner as it is configured: which jobs, which program, how many children.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::handler::Pattern;
use crate::limits::runner::{NODE_TASKS, RUBY_THREADS, RUNNER_CHILD_FILES, RUNNER_FILES};

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
    /// Jobs side by side in one child; `None`: what suits the language.
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
}

/// What a runner is to load does not exist.
#[derive(Debug, thiserror::Error)]
#[error("runner {name}: there is no {}: give `-r`, or `require` of `runners:`, a file or a directory", path.display())]
pub(crate) struct NotThere {
    name: String,
    path: PathBuf,
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

    /// Whether what it loads is there at all: what is missing at a start is a mistake, and no reason to wait.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn ensure_there(&self) -> Result<(), NotThere> {
        match &self.program {
            Program::Interpreter(_, path) if !path.exists() => {
                Err(NotThere { name: self.name.clone(), path: path.clone() })
            }
            _ => Ok(()),
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
        })
    }

    /// What it loads, as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.program {
            Program::Interpreter(_, path) => path.display().to_string(),
            Program::Command(words) => words.join(" "),
        }
    }
}

/// Jobs that all children of these runners run side by side, with this many shards.
#[must_use]
pub(crate) fn threads_of_all(specs: &[RunnerSpec], shards: usize) -> usize {
    specs.iter().map(|spec| spec.children_per_shard(shards) * shards * spec.threads()).sum()
}

/// Files that the worker has open for these runners, with this many shards.
#[must_use]
pub(crate) fn files_of_all(specs: &[RunnerSpec], shards: usize) -> usize {
    specs
        .iter()
        .map(|spec| RUNNER_FILES + spec.children_per_shard(shards) * shards * RUNNER_CHILD_FILES)
        .sum()
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
