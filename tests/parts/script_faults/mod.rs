//! Each of our scripts with each call in it refused: what is left behind, and what a repeat makes of it.
//!
//! The real scripts run on a real Redis, after a few lines that replace `redis.call` and `redis.pcall` and refuse:
//! the n-th call, or every call of one command, as when a right is revoked or a command renamed. After one such call,
//! and after another: each job that was not settled is in at least one key, and no job is in a queue twice. After a
//! call that is not refused all keys are as one faultless call leaves them.
//!
//! How callers handle refusals is tested in `tests/engine`.

mod fault;

use std::collections::BTreeMap;

use crate::own_redis::OwnRedis;
use fault::Fault;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{Reply, Requests, Value};
use jiggler_uring::internal::store::scripts::Script;

/// One call of a script, and the keys that it finds.
struct Case {
    name: &'static str,
    source: String,
    /// Commands that make the keys, words separated by spaces.
    before: &'static [&'static str],
    keys: &'static str,
    args: &'static str,
    /// Arguments of the repeat, if they differ.
    again: Option<&'static str>,
    /// Jobs that are in some key afterwards.
    jobs: &'static [&'static str],
}

impl Case {
    fn of(script: Script, name: &'static str) -> Self {
        Self::from(name, script.source().to_owned())
    }

    const fn from(name: &'static str, source: String) -> Self {
        Self { name, source, before: &[], keys: "", args: "", again: None, jobs: &[] }
    }
}

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

fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case {
            before: &[
                "HSET qa:i t 4 3 2 4 1",
                "RPUSH qa:i:3 A1 A1 A2 A3",
                "RPUSH qa:i:4 D1",
                "RPUSH qa:i:w A4 A5",
            ],
            keys: "processed failed retries dead qa:i qa qa:i",
            // Two moves, two singles, one of them in the wait list, one whole batch.
            args: "5 0 4000 100 4 2 0 10 here 0 2 1 3 A1 r 7 A1-failed 1 3 A2 d 8 A2-died 2 1 3 A3 1 w A4 1 1 4",
            jobs: &["A1", "A2", "A5"],
            ..Case::of(Script::Turn, "turn: report")
        },
        Case {
            before: &["HSET qa:i t 4 3 2", "RPUSH qa:i:3 A1 A2", "SET retries x", "SET processed x"],
            keys: "processed failed retries dead qa:i qa qa:i",
            args: "5 0 4000 100 2 1 0 10 here 0 1 1 3 A1 r 7 A1-failed 0 1 1 3",
            jobs: &["A1"],
            ..Case::of(Script::Turn, "turn: report with a spoilt set and counter")
        },
    ];
    for (name, how) in [("turn: fetch", "list"), ("turn: fetch here", "here")] {
        let most = if how == "list" { 100 } else { 4 };
        let args: &'static str = Box::leak(format!("5 9 4000 {most} 0 0 0 10 {how} 0 0 0 0").into());
        let again: &'static str = Box::leak(format!("6 9 4000 {most} 0 0 0 10 {how} 0 0 0 0").into());
        cases.push(Case {
            before: &["HSET qa:i t 4", "LPUSH qa A1 A2 A3", "LPUSH qb B1 B2large"],
            keys: "processed failed retries dead qa:i qa qa:i qb qb:i",
            args,
            again: Some(again),
            jobs: &["A1", "A2", "A3", "B1", "B2large"],
            ..Case::of(Script::Turn, name)
        });
    }
    cases.extend([
        Case {
            before: &["HSET qa:i t 4 3 5", "RPUSH qa:i:3 A1 A2 A3 A4 A4", "LPUSH qa A9"],
            keys: "qa qa:i qa:i:3 qa:i",
            args: "3 5 1000 2 A2 A4 1 A3",
            jobs: &["A1", "A2", "A4", "A9"],
            ..Case::of(Script::Reconcile, "reconcile: some stay")
        },
        Case {
            before: &["HSET qa:i t 4 3 3", "RPUSH qa:i:3 A1 A2 A3", "LPUSH qa A9"],
            keys: "qa qa:i qa:i:3 qa:i",
            args: "3 5 1000 0 1 A3",
            jobs: &["A1", "A2", "A9"],
            ..Case::of(Script::Reconcile, "reconcile: all go")
        },
        Case {
            before: &["HSET qa:i t 4 3 3", "RPUSH qa:i:3 A1 A2 A3", "LPUSH qa A9"],
            keys: "qa qa:i qa:i:3 qa:i",
            args: "3 5 1000 0 0",
            jobs: &["A1", "A2", "A3", "A9"],
            ..Case::of(Script::Reconcile, "reconcile: all go back")
        },
        Case {
            before: &["HSET qa:i t 4 3 3", "RPUSH qa:i:3 A1 A2 A3", "LPUSH qa A9"],
            keys: "qa qa:i qa:i:3 qa:i",
            args: "3 5 3 0 0",
            again: Some("3 5 1000 0 0"),
            jobs: &["A1", "A2", "A3", "A9"],
            ..Case::of(Script::Reconcile, "reconcile: a part goes back")
        },
        Case {
            before: &["HSET qa:i t 4 b 3"],
            keys: "qa:i",
            args: "9",
            ..Case::of(Script::Resume, "resume")
        },
        Case {
            before: &["RPUSH qa:i:o AAAA BBBBB", "ZADD dead 1 old"],
            keys: "qa:i:o dead failed",
            args: "4 9 5 10 AAAA-died AAAA-rest",
            jobs: &["AAAA", "BBBBB"],
            ..Case::of(Script::Bury, "bury")
        },
        Case {
            before: &["ZADD leases 1 dead:1:q"],
            keys: "leases qa:i",
            args: "me:1:q 20000 5 1 0",
            ..Case::of(Script::Lease, "lease")
        },
        Case {
            before: &["ZADD leases 1 x:1:q", "SET figures 1"],
            keys: "leases figures",
            args: "x:1:q",
            ..Case::of(Script::Release, "release")
        },
        Case {
            before: &["RPUSH qa:i:s A1 A2", "LPUSH qa A9"],
            keys: "qa qa:i:s",
            args: "2 1 1000",
            jobs: &["A1", "A2", "A9"],
            ..Case::of(Script::Free, "free")
        },
    ]);
    cases.extend([
        Case {
            before: &[
                "ZADD leases 1 x:1:q",
                "HSET qa:i 7 3 t 7",
                "RPUSH qa:i:7 A1 A2 A3",
                "RPUSH qa:i:w A4",
                "RPUSH qa:i:o A5",
                "RPUSH qb:i:w B1",
                "HSET {qa}:recoveries:66da9f3b8d9d83f34770a14c38276a69433a535b n 1 of y",
                "LPUSH qa A9",
            ],
            keys: "leases qa qa:i qa:i:w qa:i:o qb qb:i qb:i:w qb:i:o",
            args: "x:1:q 60 1 3 600 500 1000",
            jobs: &["A1", "A2", "A3", "A4", "A5", "A9", "B1"],
            ..Case::of(Script::Reap, "reap")
        },
        Case {
            before: &[
                "ZADD leases 1 x:1:q",
                "HSET qa:i 7 2 8 1 t 8",
                "RPUSH qa:i:7 A1 A2",
                "RPUSH qa:i:8 A3",
                "RPUSH qa:i:w A4",
                "LPUSH qa A9",
            ],
            keys: "leases qa qa:i qa:i:w qa:i:o",
            args: "x:1:q 60 1 3 600 2 1000",
            again: Some("x:1:q 60 1 3 600 500 1000"),
            jobs: &["A1", "A2", "A3", "A4", "A9"],
            ..Case::of(Script::Reap, "reap in parts")
        },
        Case {
            before: &[
                "HSET qa:i t 4 3 2",
                "RPUSH qa:i:3 A1 A2",
                "RPUSH qa:i:w A3",
                "RPUSH qb:i:o B1",
                "LPUSH qa A9",
            ],
            keys: "qa:i qa qa:i qa:i:w qa:i:o qb qb:i qb:i:w qb:i:o",
            args: "5 0 1000",
            jobs: &["A1", "A2", "A3", "A9", "B1"],
            ..Case::of(Script::Leave, "leave")
        },
        Case {
            before: &["HSET qa:i t 4", "RPUSH qa:i:w A3", "RPUSH qb:i:o B1"],
            keys: "qa:i qa qa:i qa:i:w qa:i:o qb qb:i qb:i:w qb:i:o",
            args: "5 60 1000",
            jobs: &["A3", "B1"],
            ..Case::of(Script::Leave, "leave with a fence")
        },
        Case {
            before: &["ZADD retries 1 A1 2 A2 3 A3", "ZADD scheduled 1 A4", "LPUSH qa A9"],
            keys: "lead retries scheduled",
            args: "500 a q 100000 60 50 me 1000 1 1000 0 0 '' '' ''",
            jobs: &["A1", "A2", "A3", "A4", "A9"],
            ..Case::of(Script::Due, "due")
        },
        Case { before: &["SET lead me"], keys: "lead", args: "me", ..Case::of(Script::Resign, "resign") },
        Case {
            before: &["LPUSH qa A1 A2"],
            keys: "qa",
            args: "list 0 5 newest 1000 5 100 10",
            jobs: &["A1", "A2"],
            ..Case::of(Script::Page, "page")
        },
        Case {
            before: &["ZADD retries 1 A1 2 A2", "LPUSH qa A9"],
            keys: "retries",
            args: "a q 0 2 2 A2 '' a 0 '' 0 1 2 A1 '' '' 0 ''",
            jobs: &["A1", "A2", "A9"],
            ..Case::of(Script::Requeue, "requeue")
        },
        Case {
            before: &["ZADD retries 1 A1 2 A2", "ZADD dead 1 old"],
            keys: "retries dead",
            args: "600 10 0 2 2 A2 '' A2-killed 0 1 2 A1 '' ''",
            jobs: &["A1", "A2"],
            ..Case::of(Script::Kill, "kill")
        },
        Case {
            before: &["LPUSH qa A1 A2 A3"],
            keys: "qa",
            args: "list 0 '' 2 A3 '' 0 '' 2 A2 ''",
            jobs: &["A1"],
            ..Case::of(Script::Delete, "delete in a queue")
        },
        Case {
            before: &["ZADD retries 1 A1 2 A2 3 A3"],
            keys: "retries",
            args: "zset 0 3 2 A3 '' 0 2 2 A2 ''",
            jobs: &["A1"],
            ..Case::of(Script::Delete, "delete in a set")
        },
        Case {
            before: &["LPUSH qa A1", "LPUSH qb B1"],
            keys: "qa",
            args: "list",
            jobs: &["B1"],
            ..Case::of(Script::Prune, "prune")
        },
        Case {
            before: &["SET heartbeat x"],
            keys: "heartbeat",
            args: "1000",
            ..Case::of(Script::Forget, "forget")
        },
    ]);
    let by_text: [(&'static str, &str); 4] = [
        ("adopt", include_str!("../../../src/store/scripts/adopt.lua")),
        ("outbox", include_str!("../../../src/store/scripts/outbox.lua")),
        ("ruby_lead", include_str!("../../../src/store/scripts/ruby_lead.lua")),
        ("ruby_rescue", include_str!("../../../src/store/scripts/ruby_rescue.lua")),
    ];
    for (name, source) in by_text {
        let case = Case::from(name, source.to_owned());
        cases.push(match name {
            "adopt" => Case {
                before: &["RPUSH qa:i:3 A1"],
                keys: "leases qa:i:3",
                args: "x:1:q",
                jobs: &["A1"],
                ..case
            },
            "outbox" => Case {
                before: &["LPUSH qa A1", "SET marker 3"],
                keys: "qa marker",
                args: "60 3 '' A1 4 '' A2 5 '' A3",
                jobs: &["A1"],
                ..case
            },
            "ruby_lead" => Case {
                before: &["ZADD leases 99999999999999 me:1:q"],
                keys: "leases",
                args: "me 20000",
                ..case
            },
            _ => Case {
                before: &["LPUSH progress A1 A2", "LPUSH qa A9"],
                keys: "progress qa",
                args: "10 1000",
                jobs: &["A1", "A2", "A9"],
                ..case
            },
        });
    }
    cases
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
