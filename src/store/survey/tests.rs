//! Races and bounds that a real server cannot be made to show at will; the rest is proved in `admin::summary`; and what a
//! survey without end forgets.

use super::*;
use crate::limits::SURVEY_KEYS_MAX;
use crate::net::blocking::BlockingConnection;
use crate::own_redis::OwnRedis;
use crate::resp::decode::Decoder;
use crate::wire::keys::JIGGLER;

/// A survey that ends, and the commands it wrote last, answered with wire bytes.
struct Played {
    survey: Survey,
    requests: Requests,
}

impl Played {
    fn start() -> Self {
        Self { survey: Survey::once(Scope::Everything, JIGGLER), requests: Requests::new() }
    }

    /// Writes the next commands and gives them `answers`; the question for the time, which comes first, has its own.
    fn answer(&mut self, answers: &[&str]) -> Result<(), SurveyError> {
        self.requests.clear();
        assert!(self.survey.write(&mut self.requests), "nothing more is asked");
        let mut decoder = Decoder::default();
        let time = self.sent().contains("\r\nTIME\r\n").then_some(TIME);
        let answers: Vec<&str> = time.into_iter().chain(answers.iter().copied()).collect();
        answers.iter().for_each(|answer| decoder.feed(answer.as_bytes()));
        let replies: Vec<_> = std::iter::from_fn(|| decoder.next_reply().unwrap()).collect();
        assert_eq!(replies.len(), answers.len());
        self.survey.accept(&replies)
    }

    fn sent(&self) -> String {
        String::from_utf8(self.requests.as_bytes().to_vec()).unwrap()
    }
}

fn page(cursor: &str, keys: &[&str]) -> String {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let keys: String = keys.iter().map(|key| bulk(key)).collect::<Vec<_>>().concat();
    let count = keys.matches("jiggler").count();
    format!("*2\r\n{}*{count}\r\n{keys}", bulk(cursor))
}

const TIME: &str = "*2\r\n$4\r\n1000\r\n$6\r\n500000\r\n";
/// Sizes of sets, counters, and what is paused.
const NO_COUNTS: [&str; 6] = [":0\r\n", ":0\r\n", ":0\r\n", "$-1\r\n", "$-1\r\n", "$-1\r\n"];
const NIL: &str = "$-1\r\n";
const PROCESS: &str = "jiggler:svr:aa:3:25:default:1:100:7:vm";

fn first(processes: &str, lists: &str) -> Result<Played, SurveyError> {
    let mut played = Played::start();
    let none = page("0", &[]);
    let mut answers = NO_COUNTS.to_vec();
    // Nobody has walked, and the register is empty.
    answers.extend(["$-1\r\n", &none, &none, processes, lists]);
    played.answer(&answers)?;
    Ok(played)
}

#[test]
fn an_empty_page_is_not_the_end_and_each_scan_goes_on_by_itself() {
    let mut played = first(&page("17", &[]), &page("0", &["jiggler:list:a"])).unwrap();
    played.answer(&["$-1\r\n", &page("3", &[PROCESS]), ":4\r\n"]).unwrap();
    assert!(played.sent().contains("\r\nSCAN\r\n$2\r\n17\r\n") && !played.sent().contains("jiggler:list:*"));
    assert_eq!(played.survey.walks(), Some(WalkReason::First));
    played.answer(&["$-1\r\n", &page("0", &[PROCESS]), "*1\r\n$2\r\n{}\r\n", "*1\r\n$-1\r\n"]).unwrap();
    assert!(played.survey.walks().is_none() && !played.survey.is_complete(), "it was long, so it is noted");
    // A user who may not write leaves no notes.
    played.answer(&[":1\r\n", "-NOPERM no\r\n", "+OK\r\n"]).unwrap();
    assert!(!played.survey.write(&mut played.requests));
    let summary = played.survey.finish();
    assert_eq!(summary.processes.keys().collect::<Vec<_>>(), [PROCESS]);
    assert_eq!(summary.queues, BTreeMap::from([("a".to_owned(), 4)]));
    assert!((1_000.0..2_000.0).contains(&summary.at), "by the clock of redis: {}", summary.at);
}

#[test]
fn what_went_between_scan_and_look_is_left_out() {
    let mut played = first(&page("0", &[PROCESS]), &page("0", &["jiggler:list:a"])).unwrap();
    let wrong_type = "-WRONGTYPE Operation against a key\r\n";
    played.answer(&["*1\r\n$-1\r\n", "*1\r\n$2\r\n{}\r\n", wrong_type]).unwrap();
    let summary = played.survey.finish();
    assert!(summary.processes.is_empty() && summary.queues.is_empty() && summary.unreadable_keys.is_empty());
}

#[test]
fn as_many_keys_as_allowed_are_taken_and_not_one_more() {
    let keys = |count: usize| (0..count).map(|number| format!("jiggler:list:{number}")).collect::<Vec<_>>();
    let scan = |count: usize| {
        let keys = keys(count);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        first(&page("0", &[]), &page("0", &keys))
    };
    assert!(scan(SURVEY_KEYS_MAX - 1).is_ok() && scan(SURVEY_KEYS_MAX).is_ok());
    assert!(matches!(scan(SURVEY_KEYS_MAX + 1), Err(SurveyError::TooManyKeys { .. })));
}

#[test]
fn nonsense_is_named_with_its_key() {
    let check = |answers: &[&str], expected: &str| {
        let error = Played::start().answer(answers).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let none = page("0", &[]);
    check(
        &[":0\r\n", ":0\r\n", ":0\r\n", "$3\r\nten\r\n", "$-1\r\n", NIL, NIL, &none, &none, &none, &none],
        "read jiggler:stats:failures_counter: redis answered a bulk string of 3 bytes instead of a decimal counter",
    );
    check(
        &[":0\r\n", ":-1\r\n", ":0\r\n", NIL, NIL, NIL, NIL, &none, &none, &none, &none],
        "read jiggler:set:dead: redis answered the integer -1 instead of a size",
    );
    check(
        &[":0\r\n", ":0\r\n", ":0\r\n", NIL, NIL, NIL, NIL, &none, &none, "*1\r\n$1\r\n0\r\n", &none],
        "read jiggler:svr:*: redis answered an array of 1 elements instead of a cursor and a page of keys",
    );
    check(&NO_COUNTS, "7 replies were given for 12 commands");
}

fn look(conn: &mut BlockingConnection, survey: &mut Survey) {
    let mut requests = Requests::new();
    survey.write(&mut requests);
    let replies = conn.call(&requests).unwrap();
    survey.accept(&replies).unwrap();
}

fn run(conn: &mut BlockingConnection, command: &[&str]) {
    let mut requests = Requests::new();
    requests.command(&command.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
    conn.call_one(&requests).unwrap();
}

#[test]
fn what_comes_is_found_and_what_goes_is_forgotten() {
    let redis = OwnRedis::start();
    let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
    let key = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
    run(&mut conn, &["SET", key, r#"{"heartbeat":1.5,"rss":7,"current_jobs":{}}"#]);
    run(&mut conn, &["SET", "jiggler:svr:no heartbeat", "{}"]);
    run(&mut conn, &["RPUSH", "jiggler:list:a", "1", "2"]);
    run(&mut conn, &["RPUSH", "jiggler:list:a:in_progress:d8625f8721eb", "1"]);
    run(&mut conn, &["INCRBY", JIGGLER.names().processed, "7"]);
    let mut survey = Survey::again(Scope::Everything, JIGGLER);
    look(&mut conn, &mut survey);
    assert!(!survey.is_complete(), "found and not read");
    look(&mut conn, &mut survey);
    assert!(survey.is_complete());
    assert_eq!(survey.processes().map(|(_, process)| &*process.uuid).collect::<Vec<_>>(), ["d8625f8721eb"]);
    assert_eq!(survey.queues().collect::<Vec<_>>(), [("a".to_owned(), 2)]);
    assert_eq!(survey.counts(), Counts { processed: 7, ..Counts::default() });
    run(&mut conn, &["SET", "jiggler:uring:process:d8625f8721eb", r#"{"phase":"quiet","shards":[]}"#]);
    look(&mut conn, &mut survey);
    let (_, process) = survey.processes().next().unwrap();
    assert_eq!(process.figures.as_ref().unwrap().phase, "quiet");
    run(&mut conn, &["DEL", key, "jiggler:list:a"]);
    look(&mut conn, &mut survey);
    assert_eq!((survey.processes().count(), survey.queues().count()), (0, 0));
}

#[test]
fn pages_go_round() {
    let map: BTreeMap<String, ()> = ["a", "b", "c"].map(|key| (key.to_owned(), ())).into();
    let mut last = String::new();
    let mut next = |count| super::page(&map, &mut last, |()| true, count).concat();
    assert_eq!((next(2), next(2), next(9), next(1)), ("ab".into(), "ca".into(), "bca".into(), "b".into()));
    assert_eq!(super::page(&BTreeMap::<String, ()>::new(), &mut last, |()| true, 3).len(), 0);
}

#[test]
fn many_processes_are_read_page_by_page() {
    let redis = OwnRedis::start();
    let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
    for number in 0..SURVEY_HEARTBEATS_PER_CALL + 1 {
        let key = format!("jiggler:svr:{number:012}:3:25:default:1:1795299901:{number}:vm");
        run(&mut conn, &["SET", &key, "{}"]);
    }
    let mut survey = Survey::again(Scope::Processes, JIGGLER);
    let mut looks = 0;
    while !survey.is_complete() {
        look(&mut conn, &mut survey);
        looks += 1;
    }
    assert_eq!((survey.processes().count(), looks), (SURVEY_HEARTBEATS_PER_CALL + 1, 3));
}

/// A database with many keys of others, and what a survey of it finds: queues, round trips, whether it walked.
fn survey_once(conn: &mut BlockingConnection) -> (Vec<String>, usize, bool) {
    let (mut survey, mut looks, mut walked) = (Survey::once(Scope::Everything, JIGGLER), 0, false);
    let mut requests = Requests::new();
    while survey.write(&mut requests) {
        survey.accept(&conn.call(&requests).unwrap()).unwrap();
        requests.clear();
        looks += 1;
        walked |= survey.walks().is_some();
    }
    (survey.finish().queues.into_keys().collect(), looks, walked)
}

#[test]
fn all_keys_are_walked_over_once_and_then_what_is_named_is_read() {
    let redis = OwnRedis::start();
    let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
    run(&mut conn, &["EVAL", "for n = 1, 5000 do redis.call('SET', 'other:' .. n, n) end", "0"]);
    run(&mut conn, &["RPUSH", "jiggler:list:a", "1"]);
    let (queues, looks, walked) = survey_once(&mut conn);
    assert!(queues == ["a"] && walked && looks > 5, "{queues:?} in {looks}");
    let register = JIGGLER.register().unwrap();
    assert_eq!(redis.strings(&[b"ZRANGE", register.queues.as_bytes(), b"0", b"-1"]), ["a"]);
    // Named by a client or a worker, and a queue that has become empty.
    run(&mut conn, &["ZADD", register.queues, "1", "named", "1", "empty"]);
    run(&mut conn, &["RPUSH", "jiggler:list:named", "1"]);
    let (queues, looks, walked) = survey_once(&mut conn);
    assert!(queues == ["a", "named"] && !walked && looks == 2, "{queues:?} in {looks}");
    let mut survey = Survey::again(Scope::Everything, JIGGLER);
    for _look in 0..2 {
        look(&mut conn, &mut survey);
    }
    assert!(survey.is_complete(), "an empty queue that is named was read");
    run(&mut conn, &["RPUSH", "jiggler:list:empty", "1"]);
    look(&mut conn, &mut survey);
    assert_eq!(survey.queues().count(), 3);
    // The walk no longer counts.
    run(&mut conn, &["RPUSH", "jiggler:list:foreign", "1"]);
    run(&mut conn, &["DEL", register.walked]);
    assert!(survey_once(&mut conn).0.contains(&"foreign".to_owned()));
}

#[test]
fn a_register_that_cannot_be_read_is_named_and_all_keys_are_walked_over() {
    let redis = OwnRedis::start();
    let register = JIGGLER.register().unwrap();
    let check = |conn: &mut BlockingConnection, words: &[&str]| {
        let mut survey = Survey::once(Scope::Everything, JIGGLER);
        let (mut requests, mut said) = (Requests::new(), String::new());
        while survey.write(&mut requests) {
            survey.accept(&conn.call(&requests).unwrap()).unwrap();
            requests.clear();
            if let Some(WalkReason::Unreadable(reason)) = survey.walks() {
                said = reason.to_owned();
            }
        }
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert_eq!(survey.finish().queues.into_keys().collect::<Vec<_>>(), ["foreign"]);
    };
    let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
    run(&mut conn, &["EVAL", "for n = 1, 5000 do redis.call('SET', 'other:' .. n, n) end", "0"]);
    run(&mut conn, &["RPUSH", "jiggler:list:foreign", "1"]);
    for key in [register.queues, register.processes] {
        run(&mut conn, &["SET", key, "x"]);
        run(&mut conn, &["SET", register.walked, "1"]);
        check(&mut conn, &[key, "WRONGTYPE"]);
        run(&mut conn, &["DEL", key]);
    }
    run(&mut conn, &["DEL", register.walked]);
    run(&mut conn, &["RPUSH", register.walked, "x"]);
    check(&mut conn, &[register.walked, "WRONGTYPE"]);
    run(&mut conn, &["SET", register.walked, "1"]);
    run(&mut conn, &["ACL", "SETUSER", "default", "-zscan"]);
    check(&mut conn, &[register.processes, "NOPERM"]);
}

#[test]
fn a_walk_that_is_asked_for_finds_what_nobody_named_and_notes_it() {
    let redis = OwnRedis::start();
    let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
    run(&mut conn, &["EVAL", "for n = 1, 5000 do redis.call('SET', 'other:' .. n, n) end", "0"]);
    let register = JIGGLER.register().unwrap();
    run(&mut conn, &["SET", register.walked, "1"]);
    run(&mut conn, &["RPUSH", "jiggler:list:foreign", "1"]);
    let mut survey = Survey::once(Scope::Processes, JIGGLER).through_all_keys();
    let mut walked = None;
    let mut requests = Requests::new();
    while survey.write(&mut requests) {
        survey.accept(&conn.call(&requests).unwrap()).unwrap();
        requests.clear();
        walked = walked.or_else(|| survey.walks().map(|reason| format!("{reason:?}")));
    }
    assert_eq!(walked.as_deref(), Some("Asked"));
    assert!(survey_once(&mut conn).0.contains(&"foreign".to_owned()));
    assert!(redis.run(&[b"TTL", register.walked.as_bytes()]).as_integer().unwrap() > 0);
}

#[test]
fn a_survey_that_goes_round_walks_again_when_the_register_is_spoilt_under_it() {
    let redis = OwnRedis::start();
    let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
    run(&mut conn, &["EVAL", "for n = 1, 5000 do redis.call('SET', 'other:' .. n, n) end", "0"]);
    let register = JIGGLER.register().unwrap();
    run(&mut conn, &["SET", register.walked, "1"]);
    let mut survey = Survey::again(Scope::Everything, JIGGLER);
    look(&mut conn, &mut survey);
    assert!(survey.is_complete() && survey.walks().is_none());
    run(&mut conn, &["RPUSH", "jiggler:list:foreign", "1"]);
    run(&mut conn, &["SET", register.queues, "x"]);
    for _look in 0..20 {
        look(&mut conn, &mut survey);
    }
    assert_eq!(survey.queues().collect::<Vec<_>>(), [("foreign".to_owned(), 1)]);
    assert!(matches!(survey.walks(), Some(WalkReason::Unreadable(_))));
}
