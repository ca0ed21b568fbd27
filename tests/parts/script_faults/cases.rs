//! Calls of all scripts, each with the keys that it finds.

use jiggler_uring::internal::store::scripts::Script;
use jiggler_uring::internal::store::{cron, metrics, paused};

/// One call of a script, and the keys that it finds.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) source: String,
    /// Commands that make the keys, words separated by spaces.
    pub(super) before: &'static [&'static str],
    pub(super) keys: &'static str,
    pub(super) args: &'static str,
    /// Arguments of the repeat, if they differ.
    pub(super) again: Option<&'static str>,
    /// Jobs that are in some key afterwards.
    pub(super) jobs: &'static [&'static str],
}

impl Case {
    fn of(script: Script, name: &'static str) -> Self {
        Self::from(name, script.source().to_owned())
    }

    const fn from(name: &'static str, source: String) -> Self {
        Self { name, source, before: &[], keys: "", args: "", again: None, jobs: &[] }
    }
}

pub(super) fn cases() -> Vec<Case> {
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
            before: &["HSET qa:i t 4 3 2", "RPUSH qa:i:3 A1 A2", "HSET qb:i 4 1", "RPUSH qb:i:4 B1"],
            keys: "processed failed retries dead qa:i qa qa:i qb qb:i",
            // The moves take out the last jobs of two batches, which go whole.
            args: "5 0 4000 100 3 3 0 10 here 0 3 1 3 A1 d 7 A1-died 1 3 A2 r 8 A2-failed 2 4 B1 d 9 B1-died 0 2 1 3 2 4",
            jobs: &["A1", "A2", "B1"],
            ..Case::of(Script::Turn, "turn: report of batches that end with moves")
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
    cases.push(Case {
        before: &["HSET qa:i t 4", "LPUSH qa A1 A2 A3", "LPUSH qb B1"],
        keys: "processed failed retries dead qa:i qa qa:i qb qb:i",
        args: "5 9,2 4000 100 0 0 0 10 list 0 0 0 0",
        again: Some("6 9 4000 100 0 0 0 10 list 0 0 0 0"),
        jobs: &["A1", "A2", "A3", "B1"],
        ..Case::of(Script::Turn, "turn: fetch from some of the queues")
    });
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
            before: &["ZADD leases 1 x:1:q", "SET figures 1", "SET heartbeat 1"],
            keys: "leases figures heartbeat",
            args: "x:1:q",
            ..Case::of(Script::Release, "release")
        },
        Case {
            before: &["RPUSH qa:i:s A1 A2", "LPUSH qa A9"],
            keys: "qa qa:i:s qa:freed",
            args: "2 1 1000 60000 60000",
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
            keys: "lead retries scheduled ticks",
            args: "500 a q 100000 60 50 me 1000 1 1000 0 0 '' '' ''",
            jobs: &["A1", "A2", "A3", "A4", "A9"],
            ..Case::of(Script::Due, "due")
        },
        Case {
            before: &[r#"ZADD retries 1 A1 2 {"name":"A2","retry_at":2.0,"left_until":2.0}"#, "LPUSH qa A9"],
            keys: "lead retries scheduled ticks",
            args: "500 a q 100000 60 50 me 1000 1 1000 0 0 '' '' ''",
            jobs: &["A1", r#"{"name":"A2","retry_at":2.0,"left_until":2.0}"#, "A9"],
            ..Case::of(Script::Due, "due of one left to others")
        },
        Case {
            before: &[
                r#"ZADD scheduled 1 {"queue":"a","n":1} 2 {"queue":"a","n":2} 3 {"queue":"a","n":3}"#,
                "LPUSH qa A9",
            ],
            keys: "lead retries scheduled ticks paces",
            // One in a thousand seconds: two are put off.
            args: "500 a q 100000 60 50 me 1000 1 1000 0 0 '' '' '' a 0.001",
            jobs: &[r#"{"queue":"a","n":1}"#, r#"{"queue":"a","n":2}"#, r#"{"queue":"a","n":3}"#, "A9"],
            ..Case::of(Script::Due, "due at a pace")
        },
        Case {
            before: &[
                "HSET entries e {} f {} g {}",
                "ZADD ticks 1 e 2 f 3 g",
                "HSET runs e {}",
                "LPUSH qa A9",
            ],
            keys: "ticks entries runs holders leases retries scheduled",
            // A tick with two jobs, which are nowhere before, an entry that is put aside, and a new one with a holder.
            args: "100 100 1000 10 10 1 1000 100 4 100 e {} 1 1 '' '' 9 ran '' '' '' '' qa 2 A1 A2 \
                   f * 2 '' '' '' - '' '' '' '' '' q 0 n '' '' '' '' {\"n\":1} 5 {} me '' '' '' qb 0",
            jobs: &["A9"],
            ..Case::from("cron: claim, put aside and declare", cron::source().to_owned())
        },
        Case {
            before: &[
                "HSET entries e {} f {}",
                "ZADD ticks 1 e 2 f",
                "HSET runs e {} f {}",
                "HSET holders e gone",
            ],
            keys: "ticks entries runs holders leases retries scheduled",
            // One that nobody holds goes, and another waits for its holder.
            args: "100 100 1000 10 10 1 1000 100 4 100 e {} 1 1 - '' 9 ran '' '' '' '' qa 1 A1 \
                   f {} 2 2 1000 '' 9 ran '' '' '' '' qa 1 A1 f {} * '' '' - '' '' '' '' '' '' q 0",
            jobs: &[],
            ..Case::from("cron: forget and remove", cron::source().to_owned())
        },
        Case {
            before: &["SET paused before"],
            keys: "paused",
            args: "before after bell",
            ..Case::from("pause", paused::source().to_owned())
        },
        Case {
            before: &["HSET sums A|p 5"],
            keys: "sums",
            args: "A|ms 7 A|p 1",
            ..Case::from("metrics", metrics::source().to_owned())
        },
        Case {
            before: &["SET paused before"],
            keys: "paused",
            args: "before '' bell",
            ..Case::from("resume the last", paused::source().to_owned())
        },
        Case {
            before: &[
                "HSET entries e {}",
                "ZADD ticks 1 e",
                "HSET runs e {}",
                "LPUSH qa A9",
                "ZADD retries 5 {\"jid\":\"x\"}",
                "ZADD leases 9 u:1:a",
                "HSET {qa}:inflight:u:0 1 1",
                "RPUSH {qa}:inflight:u:0:1 A9",
            ],
            keys: "ticks entries runs holders leases retries scheduled",
            args: "100 100 1000 10 10 1 1000 100 4 100 e {} 1 1 '' '' 9 ran '' x A7 left qa 1 A1",
            jobs: &["A9"],
            ..Case::from("cron: leave a tick out", cron::source().to_owned())
        },
        Case {
            before: &["ZADD leases 1 me:1:q", r#"ZADD retries 1 {"jid":"A1"}"#, r#"LPUSH qa {"jid":"A2"}"#],
            keys: "leases retries scheduled dead",
            args: "100 9 '' 10 10 1 1000 100 4 100 A1 qa '' 1 A2 qa {\"jid\":\"A2\"} 1",
            jobs: &[r#"{"jid":"A1"}"#, r#"{"jid":"A2"}"#],
            ..Case::from("cron: outcomes", cron::outcome::source().to_owned())
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
    let by_text: [(&'static str, &str); 6] = [
        ("adopt", include_str!("../../../src/store/scripts/adopt.lua")),
        ("outbox", include_str!("../../../src/store/scripts/outbox.lua")),
        ("ruby_lead", include_str!("../../../src/store/scripts/ruby_lead.lua")),
        ("ruby_rescue", include_str!("../../../src/store/scripts/ruby_rescue.lua")),
        ("waits", include_str!("../../../src/store/scripts/waits.lua")),
        ("register_drop", include_str!("../../../src/store/scripts/register_drop.lua")),
    ];
    for (name, source) in by_text {
        let case = Case::from(name, source.to_owned());
        cases.push(match name {
            "adopt" => Case {
                before: &["HSET qa:i 3 1", "RPUSH qa:i:3 A1"],
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
            "waits" => Case {
                before: &["LPUSH qa A1 A2", "ZADD retries 5 A3"],
                keys: "retries scheduled qa",
                args: "100",
                jobs: &["A1", "A2", "A3"],
                ..case
            },
            "register_drop" => Case {
                before: &["ZADD register 1 a 1 b 9 c", "LPUSH qb A1"],
                keys: "register qa qb qc",
                args: "5 a b c",
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
