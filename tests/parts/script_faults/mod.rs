//! Each of our scripts with each call in it refused: what is left behind, and what a repeat makes of it.
//!
//! The real scripts run on a real Redis, after a few lines that replace `redis.call` and `redis.pcall` and refuse:
//! the n-th call, or every call of one command, as when a right is revoked or a command renamed. After one such call,
//! and after another: each job that was not settled is in at least one key, and no job is in a queue twice. After a
//! call that is not refused all keys are as one faultless call leaves them.
//!
//! How callers handle refusals is tested in `tests/engine`.

mod cases;
mod fault;

use std::collections::BTreeMap;

use crate::own_redis::OwnRedis;
use cases::{Case, cases};
use fault::Fault;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{Reply, Requests, Value};
use jiggler_uring::internal::store::scripts::Script;

type State = BTreeMap<String, Vec<String>>;

struct Lab {
    _redis: OwnRedis,
    conn: BlockingConnection,
}

impl Lab {
    fn new() -> Self {
        let redis = OwnRedis::start();
        let conn = redis.connect();
        Self { _redis: redis, conn }
    }

    fn run(&mut self, words: &[&str]) -> Reply {
        let mut requests = Requests::new();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        requests.command(&words);
        self.conn.call_one(&requests).unwrap_or_else(|error| panic!("{words:?}: {error}"))
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
        let keys: Vec<&str> = case.keys.split_whitespace().collect();
        let count = keys.len().to_string();
        let mut words = vec!["EVAL", &source, &count];
        words.extend(keys);
        words.extend(args.split_whitespace().map(|word| if word == "''" { "" } else { word }));
        let mut requests = Requests::new();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        requests.command(&words);
        let reply = self.conn.call(&requests).unwrap();
        if let (Value::Error(error), Fault::None) = (reply[0].value(), fault) {
            let error = error.to_owned().to_string();
            // That it has already run is an answer too.
            assert!(error.contains("STALE ") || error.contains("LEFT "), "{}: {error}", case.name);
        }
    }

    /// All keys except the prelude's. Scores are left out, because they are times; batches are one list, whatever
    /// their numbers.
    fn state(&mut self) -> State {
        let mut state = State::new();
        let mut names = self.strings(&["KEYS", "*"]);
        names.sort_unstable();
        for key in names.iter().filter(|key| !["calls", "commands"].contains(&key.as_str())) {
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
            let batch = key.rsplit_once(":i:").filter(|(_, number)| number.parse::<u64>().is_ok());
            let name = batch.map_or_else(|| key.clone(), |(index, _)| format!("{index}:i:n"));
            state.entry(name).or_default().extend(values);
        }
        state
    }

    fn check(&mut self, case: &Case, fault: &Fault, wanted: &State) -> Result<(), String> {
        self.prepare(case);
        for _ in 0..2 {
            self.call(case, case.args, fault);
            let state = self.state();
            for job in case.jobs {
                let queues = state.iter().filter(|(key, _)| key.starts_with('q') && key.len() == 2);
                let copies =
                    queues.flat_map(|(_, values)| values).filter(|value| value.contains(job)).count();
                if copies > 1 || !state.values().flatten().any(|value| value.contains(job)) {
                    return Err(format!("{} {fault:?} loses or duplicates {job}: {state:?}", case.name));
                }
            }
        }
        self.call(case, case.again.unwrap_or(case.args), &Fault::None);
        let state = self.state();
        match state == *wanted {
            true => Ok(()),
            false => Err(format!("{} {fault:?}: {state:?} is not {wanted:?}", case.name)),
        }
    }

    /// Every fault, and what is wrong after it.
    fn try_all(&mut self, case: &Case) -> Vec<String> {
        self.prepare(case);
        self.call(case, case.args, &Fault::None);
        let calls = self.run(&["GET", "calls"]);
        let calls: usize = std::str::from_utf8(calls.as_bulk().unwrap()).unwrap().parse().unwrap();
        let commands = self.strings(&["SMEMBERS", "commands"]);
        self.call(case, case.again.unwrap_or(case.args), &Fault::None);
        let wanted = self.state();
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
