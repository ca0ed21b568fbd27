//! Each of our scripts with each call in it refused: what is left behind, and what a repeat makes of it.
//!
//! The real scripts run on a real Redis, after a few lines that replace `redis.call` and `redis.pcall` and refuse:
//! the n-th call, or every call of one command, as when a right is revoked or a command renamed. After one such call,
//! and after another: each job that was not settled is in at least one key, and no job is in a queue twice. After a
//! call that is not refused all keys are as one faultless call leaves them.
//!
//! The same is tried with what a server really refuses: each command withdrawn from the user or renamed away, a replica,
//! full memory, and each key spoilt.
//!
//! How callers handle refusals is tested in `tests/engine`.

mod cases;
mod fault;
mod real;

use std::collections::BTreeMap;

use crate::own_redis::OwnRedis;
use cases::{Case, cases};
use fault::Fault;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{Reply, Requests, Value};
use jiggler_uring::internal::store::scripts::Script;
use real::Refusal;

type State = BTreeMap<String, Vec<String>>;

/// Precedes the name of a batch list that no index names.
const STRAY: &str = "stray ";

/// Whether a job is in a key in which someone will look for it.
fn holds(state: &State, job: &str) -> bool {
    let found = state.iter().filter(|(key, _)| !key.starts_with(STRAY));
    found.flat_map(|(_, values)| values).any(|value| value.contains(job))
}

struct Lab {
    _redis: OwnRedis,
    conn: BlockingConnection,
    /// Runs the scripts, as a user from whom rights are withdrawn.
    caller: BlockingConnection,
    /// A command that the server knows by another name only.
    renamed: Option<String>,
}

impl Lab {
    fn new() -> Self {
        Self::start(None)
    }

    /// A lab whose server knows a command as `elsewhere-<command>` only.
    fn start(renamed: Option<String>) -> Self {
        let redis = match &renamed {
            Some(command) => {
                OwnRedis::start_with(&["--rename-command", command, &format!("elsewhere-{command}")])
            }
            None => OwnRedis::start(),
        };
        let (conn, caller) = (redis.connect(), redis.connect());
        let mut lab = Self { _redis: redis, conn, caller, renamed };
        lab.run_ok(&["ACL", "SETUSER", "weak", "on", ">pw", "~*", "&*", "+@all"]);
        let mut requests = Requests::new();
        requests.command(&[b"AUTH", b"weak", b"pw"]);
        lab.caller.call_one(&requests).unwrap();
        lab
    }

    fn run(&mut self, words: &[&str]) -> Reply {
        let mut requests = Requests::new();
        let known = self.renamed.as_ref().filter(|renamed| renamed.eq_ignore_ascii_case(words[0]));
        let elsewhere = known.map(|name| format!("elsewhere-{name}"));
        let mut words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        if let Some(name) = &elsewhere {
            words[0] = name.as_bytes();
        }
        requests.command(&words);
        self.conn.call_one(&requests).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    fn run_ok(&mut self, words: &[&str]) {
        self.run(words);
    }

    fn is_hash(&mut self, key: &str) -> bool {
        matches!(self.run(&["TYPE", key]).value(), Value::Simple(b"hash"))
    }

    fn strings(&mut self, words: &[&str]) -> Vec<String> {
        let reply = self.run(words);
        let text = |value: Value<'_>| String::from_utf8(value.as_bulk().unwrap().to_vec()).unwrap();
        reply.as_array().unwrap().map(text).collect()
    }

    fn prepare(&mut self, case: &Case) {
        self.run(&["FLUSHALL"]);
        for command in case.before {
            self.run(&command.split(' ').collect::<Vec<_>>());
        }
    }

    fn call(&mut self, case: &Case, args: &str, fault: &Fault) {
        let source = format!("{}{}", fault.prelude(), case.source);
        let reply = self.eval(case, &source, args);
        if let (Value::Error(error), Fault::None) = (reply[0].value(), fault) {
            let error = error.to_owned().to_string();
            // That it has already run is an answer too.
            assert!(error.contains("STALE ") || error.contains("LEFT "), "{}: {error}", case.name);
        }
    }

    /// The script as it is. The server may refuse it.
    fn call_plainly(&mut self, case: &Case, args: &str) {
        self.eval(case, &case.source, args);
    }

    fn eval(&mut self, case: &Case, source: &str, args: &str) -> Vec<Reply> {
        let keys: Vec<&str> = case.keys.split_whitespace().collect();
        let count = keys.len().to_string();
        let mut words = vec!["EVAL", source, &count];
        words.extend(keys);
        words.extend(args.split_whitespace().map(|word| if word == "''" { "" } else { word }));
        let mut requests = Requests::new();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        requests.command(&words);
        self.caller.call(&requests).unwrap()
    }

    /// All keys except the prelude's, and those that hold nothing but a time. Scores are left out, because they are
    /// times; batches are one list, whatever their numbers. A batch list that its index does not name is a stray: no
    /// reaper would find it.
    fn state(&mut self) -> State {
        let mut state = State::new();
        let mut names = self.strings(&["KEYS", "*"]);
        names.sort_unstable();
        names.retain(|key| !["calls", "commands"].contains(&key.as_str()) && !key.ends_with(":freed"));
        for key in &names {
            let kind = self.run(&["TYPE", key]);
            let Value::Simple(kind) = kind.value() else { panic!("TYPE did not answer with a word") };
            let values = match kind {
                b"list" => self.strings(&["LRANGE", key, "0", "-1"]),
                b"zset" => self.strings(&["ZRANGE", key, "0", "-1"]),
                b"hash" => {
                    let mut fields = self.strings(&["HKEYS", key]);
                    fields.retain(|field| field.parse::<u64>().is_err());
                    fields.sort_unstable();
                    fields
                }
                _ => vec![
                    self.run(&["GET", key])
                        .as_nil_or_bulk()
                        .unwrap()
                        .map_or_else(String::new, |text| String::from_utf8_lossy(text).into_owned()),
                ],
            };
            let batch = key.rsplit_once(':').filter(|(_, number)| number.parse::<u64>().is_ok());
            let name = match batch {
                Some((index, number)) if self.names(index, number) => format!("{index}:n"),
                Some(_) => format!("{STRAY}{key}"),
                None => key.clone(),
            };
            state.entry(name).or_default().extend(values);
        }
        state
    }

    /// Whether an index names a batch: as a field, or as a fence that a reaper has begun.
    fn names(&mut self, index: &str, number: &str) -> bool {
        if self.is_hash(index) {
            return matches!(self.run(&["HEXISTS", index, number]).value(), Value::Integer(1));
        }
        let kind = self.run(&["TYPE", index]);
        if !matches!(kind.value(), Value::Simple(b"string")) {
            return false;
        }
        let fence = self.run(&["GET", index]);
        let mut words = fence.as_bulk().unwrap().split(|&byte| byte == b' ');
        words.next() == Some(b"fenced") && words.any(|name| name == number.as_bytes())
    }

    /// Which of `jobs` is in no key that anyone looks into, or in a queue twice.
    fn account(&mut self, jobs: &[&str]) -> Result<(), String> {
        let state = self.state();
        for job in jobs {
            let queues = state.iter().filter(|(key, _)| key.starts_with('q') && key.len() == 2);
            let copies = queues.flat_map(|(_, values)| values).filter(|value| value.contains(job)).count();
            if copies > 1 || !holds(&state, job) {
                return Err(format!("loses or duplicates {job}: {state:?}"));
            }
        }
        Ok(())
    }

    fn check(&mut self, case: &Case, fault: &Fault, wanted: &State) -> Result<(), String> {
        self.prepare(case);
        for _ in 0..2 {
            self.call(case, case.args, fault);
            self.account(case.jobs).map_err(|wrong| format!("{} {fault:?} {wrong}", case.name))?;
        }
        self.call(case, case.again.unwrap_or(case.args), &Fault::None);
        let state = self.state();
        match state == *wanted {
            true => Ok(()),
            false => Err(format!("{} {fault:?}: {state:?} is not {wanted:?}", case.name)),
        }
    }

    /// One faultless call, and a repeat: the number of calls the script makes, their commands, and what is left behind.
    fn faultless(&mut self, case: &Case) -> (usize, Vec<String>, State) {
        self.prepare(case);
        self.call(case, case.args, &Fault::None);
        let calls = self.run(&["GET", "calls"]);
        let calls: usize = std::str::from_utf8(calls.as_bulk().unwrap()).unwrap().parse().unwrap();
        let commands = self.strings(&["SMEMBERS", "commands"]);
        self.call(case, case.again.unwrap_or(case.args), &Fault::None);
        (calls, commands, self.state())
    }

    /// Every fault, and what is wrong after it.
    fn try_all(&mut self, case: &Case) -> Vec<String> {
        let (calls, commands, wanted) = self.faultless(case);
        let faults = (1..=calls).map(Fault::Call).chain(commands.into_iter().map(Fault::Command));
        faults.filter_map(|fault| self.check(case, &fault, &wanted).err()).collect()
    }
}

#[test]
fn whichever_call_of_a_script_is_refused_no_job_is_lost_or_duplicated_and_a_repeat_heals_it() {
    let mut lab = Lab::new();
    let cases = cases();
    for script in Script::ALL {
        assert!(cases.iter().any(|case| case.source == script.source()), "{script:?} has no case");
    }
    let broken: Vec<String> = cases.iter().flat_map(|case| lab.try_all(case)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn whatever_a_server_refuses_no_job_is_lost_or_duplicated_and_a_repeat_heals_it() {
    let mut lab = Lab::new();
    let mut broken = Vec::new();
    for case in cases() {
        let (_, commands, wanted) = lab.faultless(&case);
        for refusal in Refusal::all(&case, commands) {
            broken.extend(real::check(&mut lab, &case, &refusal, &wanted).err());
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn whichever_command_a_server_does_not_have_no_job_is_lost_or_duplicated() {
    let mut lab = Lab::new();
    let cases = cases();
    let mut by_command: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    for case in &cases {
        for command in lab.faultless(case).1 {
            by_command.entry(command).or_default().push(case);
        }
    }
    let mut broken = Vec::new();
    for (command, cases) in by_command {
        let mut lab = Lab::start(Some(command.clone()));
        for case in cases {
            lab.prepare(case);
            let before = lab.state();
            let is_there = |job: &&&str| holds(&before, job);
            let jobs: Vec<&str> = case.jobs.iter().filter(is_there).copied().collect();
            for _ in 0..2 {
                lab.call_plainly(case, case.args);
                let wrong = lab.account(&jobs).err();
                broken.extend(wrong.map(|wrong| format!("{} without {command} {wrong}", case.name)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
