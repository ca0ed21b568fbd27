//! Races and bounds that a real server cannot be made to show at will; the rest is proved in `admin::summary`.

use super::*;
use crate::resp::decode::Decoder;

/// An inspection, and the commands it wrote last, answered with wire bytes.
struct Played {
    inspection: Inspection,
    requests: Requests,
}

impl Played {
    fn start() -> Self {
        Self { inspection: Inspection::default(), requests: Requests::new() }
    }

    /// Writes the next commands and gives them `answers`.
    fn answer(&mut self, answers: &[&str]) -> Result<(), InspectError> {
        self.requests.clear();
        assert!(self.inspection.write(&mut self.requests), "nothing more is asked");
        let mut decoder = Decoder::default();
        answers.iter().for_each(|answer| decoder.feed(answer.as_bytes()));
        let replies: Vec<_> = std::iter::from_fn(|| decoder.next_reply().unwrap()).collect();
        assert_eq!(replies.len(), answers.len());
        self.inspection.accept(&replies)
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

const NO_COUNTS: [&str; 5] = [":0\r\n", ":0\r\n", ":0\r\n", "$-1\r\n", "$-1\r\n"];
const PROCESS: &str = "jiggler:svr:aa:3:25:default:1:100:7:vm";

fn first(processes: &str, lists: &str) -> Result<Played, InspectError> {
    let mut played = Played::start();
    let mut answers = NO_COUNTS.to_vec();
    answers.extend([processes, lists]);
    played.answer(&answers)?;
    Ok(played)
}

#[test]
fn an_empty_page_is_not_the_end_and_each_scan_goes_on_by_itself() {
    let mut played = first(&page("17", &[]), &page("0", &["jiggler:list:a"])).unwrap();
    played.answer(&[&page("3", &[PROCESS])]).unwrap();
    assert!(played.sent().contains("\r\nSCAN\r\n$2\r\n17\r\n") && !played.sent().contains("jiggler:list:"));
    played.answer(&[&page("0", &[PROCESS])]).unwrap();
    played.answer(&["*1\r\n$2\r\n{}\r\n", "*1\r\n$-1\r\n", ":4\r\n"]).unwrap();
    assert!(!played.inspection.write(&mut played.requests));
    let summary = played.inspection.finish();
    assert_eq!(summary.processes.keys().collect::<Vec<_>>(), [PROCESS]);
    assert_eq!(summary.queues, BTreeMap::from([("a".to_owned(), 4)]));
}

#[test]
fn what_went_between_scan_and_look_is_left_out() {
    let mut played = first(&page("0", &[PROCESS]), &page("0", &["jiggler:list:a"])).unwrap();
    let wrong_type = "-WRONGTYPE Operation against a key\r\n";
    played.answer(&["*1\r\n$-1\r\n", "*1\r\n$2\r\n{}\r\n", wrong_type]).unwrap();
    let summary = played.inspection.finish();
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
    assert!(scan(INSPECT_KEYS_MAX - 1).is_ok() && scan(INSPECT_KEYS_MAX).is_ok());
    assert!(matches!(scan(INSPECT_KEYS_MAX + 1), Err(InspectError::TooManyKeys { .. })));
}

#[test]
fn nonsense_is_named_with_its_key() {
    let check = |answers: &[&str], expected: &str| {
        let error = Played::start().answer(answers).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let none = page("0", &[]);
    check(
        &[":0\r\n", ":0\r\n", ":0\r\n", "$3\r\nten\r\n", "$-1\r\n", &none, &none],
        "read jiggler:stats:failures_counter: redis answered a bulk string of 3 bytes instead of a decimal counter",
    );
    check(
        &[":0\r\n", ":-1\r\n", ":0\r\n", "$-1\r\n", "$-1\r\n", &none, &none],
        "read jiggler:set:dead: redis answered the integer -1 instead of a size",
    );
    check(
        &[":0\r\n", ":0\r\n", ":0\r\n", "$-1\r\n", "$-1\r\n", "*1\r\n$1\r\n0\r\n", &none],
        "read jiggler:svr:*: redis answered an array of 1 elements instead of a cursor and a page of keys",
    );
    check(&NO_COUNTS, "5 replies were given for 7 commands");
}
