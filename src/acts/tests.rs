//! Acts driven without a server: what they ask, whom, and what they make of the replies. What they do to a real Redis is
//! proved in `admin`.

use std::rc::Rc;

use super::{
    action::{Action, Excess},
    batch::Batch,
    pick::{End, Pick},
    steps::ActProgress,
    sweep::{Mission, Sweep},
    *,
};
use crate::{
    job::Schema,
    resp::{Requests, decode::Decoder},
    store::{
        entries::{Entry, Place, Set},
        operate::DeadSetCaps,
        scripts::{LOAD_REPLIES, Scripts},
    },
    view::filter::Filter,
    wire::{QueueName, Realm, keys::JIGGLER},
};

/// The scripts as known to a server that names each by its number.
fn scene(realm: Realm) -> Scene {
    Scene { realm: Rc::new(realm), schema: Schema::Jiggler, now: 5.5 }
}

fn scripts(realm: Realm) -> Scripts {
    let hashes: String = (0..LOAD_REPLIES).map(|number| format!("$3\r\n{number:03}\r\n")).collect();
    let mut decoder = Decoder::default();
    decoder.feed(hashes.as_bytes());
    let replies: Vec<_> = std::iter::from_fn(|| decoder.next_reply().unwrap()).collect();
    Scripts::read(realm, &replies).unwrap()
}

/// What is asked next, and whom.
fn asked(steps: &impl Steps, scripts: &Scripts) -> Option<(To, String)> {
    let ask = || {
        let mut requests = Requests::new();
        let to = steps.next(scripts, &mut requests)?;
        Some((to, String::from_utf8_lossy(requests.as_bytes()).into_owned()))
    };
    let first = ask();
    assert_eq!(ask(), first, "until the reply is read the same is asked again");
    first
}

fn answer(steps: &mut impl Steps, reply: &str) -> Result<(), Error> {
    let mut decoder = Decoder::default();
    decoder.feed(reply.as_bytes());
    steps.read(&decoder.next_reply().unwrap().unwrap())
}

fn entry(payload: &str) -> Entry {
    Entry {
        newer: 0,
        size: payload.len() as u64,
        score: Some(1.0),
        bytes: payload.as_bytes().to_vec().into(),
    }
}

/// A page with these payloads of a set with this many entries.
fn page(total: u64, payloads: &[&str]) -> String {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let entry = |text: &&str| format!(":{}\r\n{}{}", text.len(), bulk("1"), bulk(text));
    let entries: String = payloads.iter().map(entry).collect();
    format!("*{}\r\n:{total}\r\n{entries}", 1 + 3 * payloads.len())
}

const JOB: &str = r#"{"name":"N","jid":"j","queue":"b"}"#;

#[test]
fn a_job_for_a_queue_of_another_realm_is_pushed_there_before_it_is_removed() {
    let scripts = scripts(JIGGLER.queue_realm("a"));
    let set = Place::Set(Set::Retries);
    let jobs = || vec![entry(r#"{"name":"N","jid":"i"}"#), entry(JOB)];
    let requeued = "*4\r\n:1\r\n$14\r\njiggler:list:a\r\n:2\r\n$14\r\njiggler:list:b\r\n";
    let begin = || {
        let mut batch = Batch::new(Action::Retry(None), set.clone(), scene(JIGGLER.queue_realm("a")), jobs());
        assert!(matches!(asked(&batch, &scripts), Some((To::Here, _))));
        answer(&mut batch, requeued).unwrap();
        assert_eq!(batch.what(), "push to queue b");
        let (to, push) = asked(&batch, &scripts).unwrap();
        assert_eq!(to, To::Queue(QueueName::new("b").unwrap()));
        assert!(push.contains("LPUSH") && push.contains("jiggler:list:b") && push.contains(JOB), "{push}");
        batch
    };
    let mut moved = begin();
    answer(&mut moved, ":1\r\n").unwrap();
    assert!(moved.outcome().is_none(), "it is in both");
    let (to, delete) = asked(&moved, &scripts).unwrap();
    assert!(to == To::Here && delete.contains(JOB), "{delete}");
    answer(&mut moved, "*1\r\n:1\r\n").unwrap();
    let queues = ["a", "b"].map(|queue| (format!("jiggler:list:{queue}"), 1)).into();
    let expected = Outcome { done: 2, queues, ..Outcome::default() };
    assert_eq!(moved.outcome(), Some(&expected));
    assert_eq!(asked(&moved, &scripts), None);

    let mut held = begin();
    answer(&mut held, "-WRONGTYPE Operation against a key\r\n").unwrap();
    assert_eq!(held.outcome().map(|outcome| (outcome.done, outcome.held)), Some((1, 1)));
    assert!(answer(&mut begin(), "-OOM command not allowed\r\n").is_err());
}

#[test]
fn a_job_that_is_found_is_not_touched_without_consent() {
    let scripts = scripts(JIGGLER.shared_realm());
    let places = [Place::Set(Set::Retries), Place::Set(Set::Dead)];
    let mut pick = Pick::new(Action::Delete, "j", &places, scene(JIGGLER.shared_realm()));
    answer(&mut pick, &page(0, &[])).unwrap();
    assert_eq!(pick.searched(), [(places[0].clone(), 0)]);
    answer(&mut pick, &page(1, &[JOB])).unwrap();
    assert_eq!(asked(&pick, &scripts), None);
    assert_eq!(pick.found().map(|(_, place)| place), Some(&places[1]));
    pick.agree();
    assert!(asked(&pick, &scripts).is_some() && pick.end().is_none());
    answer(&mut pick, "*1\r\n:0\r\n").unwrap();
    assert_eq!((pick.end(), pick.searched().len()), (Some(&End::NotFound), 2), "taken by others since");
}

#[test]
fn a_sweep_asks_for_room_before_each_batch_and_may_be_left_after_any() {
    let scripts = scripts(JIGGLER.shared_realm());
    let kill = Action::Kill(DeadSetCaps { jobs_max: 2, timeout_s: 60 }, Excess::Refuse);
    let mission = Mission { action: kill, set: Set::Retries, filter: Filter::default() };
    let mut sweep = Sweep::new(&mission, scene(JIGGLER.shared_realm()), 3);
    answer(&mut sweep, &page(3, &[JOB, "no job"])).unwrap();
    assert_eq!(sweep.what(), "read the dead set");
    answer(&mut sweep, &page(0, &[])).unwrap();
    assert_eq!(sweep.what(), "kill jobs of the retry set");
    answer(&mut sweep, "*3\r\n:0\r\n:1\r\n:0\r\n").unwrap();
    assert_eq!(sweep.progress(), ActProgress { done: 1, seen: 2, of: 3 });
    answer(&mut sweep, &page(1, &[JOB])).unwrap();
    let error = answer(&mut sweep, &page(2, &[])).unwrap_err();
    assert!(matches!(error, Error::DeadSetFull(_)), "{error}");
    let swept = sweep.swept();
    assert_eq!((swept.outcome.done, swept.outcome.gone), (1, 1));
    assert_eq!(asked(&sweep, &scripts), None, "its batch is over");
}
