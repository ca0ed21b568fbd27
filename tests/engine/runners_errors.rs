//! Errors that are hard to tell: each fails its own job, and neither the child nor the jobs beside it.

use crate::harness::redis::DEAD;
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, json};
use crate::runners::{application, job};

const BAD_SNOOZE: &str = "JigglerUring::BadSnooze";
const NOT_SHOWN: &str = "(it cannot be shown)";

/// Runs each job once in one child, which is to live; each fails with this class, and a message with this text.
#[track_caller]
fn check(file: &str, text: &str, expected: &[(&str, &str, &str)]) {
    let redis = Redis::start();
    let (_dir, path) = application(file, text);
    let jobs: Vec<String> = expected.iter().map(|(name, ..)| job(name, r#"["\ud83d\ude00"]"#, "")).collect();
    redis.push("default", &jobs);
    let mut worker = Worker::start(&redis, &["-r", &path]);
    wait_until("all have failed", || redis.set(DEAD).len() == expected.len());
    let dead = redis.set(DEAD);
    for (name, class, message) in expected {
        let entry =
            dead.iter().map(|(payload, _)| json(payload)).find(|entry| entry["name"] == *name).unwrap();
        assert_eq!(entry["error_class"], *class, "{entry}");
        assert!(entry["error_message"].as_str().unwrap().contains(message), "{entry}");
        assert!(entry["child_deaths"].is_null(), "{entry}");
    }
    assert_eq!(worker.lines("a child ended"), [""; 0]);
    worker.stop();
}

#[test]
fn python_answers_for_a_job_whatever_its_error_is() {
    let text = r#"
from jiggler_uring import job, enqueue, Snooze
class Mute(Exception):
    def __str__(self): raise ValueError("no")
class Odd(Snooze):
    @property
    def seconds(self): raise ValueError("no")
    @seconds.setter
    def seconds(self, value): pass
def Unsaid(_): raise Mute()
def Half(_): raise ValueError("\udc80 here")
def Unasked(_): raise Odd(1)
def Ago(_): raise Snooze(-1)
def Soon(_): raise Snooze("soon")
def Never(_): raise Snooze(float("nan"))
async def Exits(_): raise SystemExit(3)
async def Awaits(_): raise OSError("the loop goes on")
def Push(_): enqueue("Ago", whenever=3)
"#;
    let expected = [
        ("Unsaid", "Mute", NOT_SHOWN),
        ("Half", "ValueError", "? here"),
        ("Unasked", "JigglerUring::UntoldError", "its error cannot be told"),
        ("Ago", BAD_SNOOZE, "in -1 seconds"),
        ("Soon", BAD_SNOOZE, "in \"soon\" seconds"),
        ("Never", BAD_SNOOZE, "in \"nan\" seconds"),
        ("Exits", "SystemExit", "3"),
        ("Awaits", "OSError", "the loop goes on"),
        ("Push", "RuntimeError", "unknown field `whenever`"),
    ];
    check("jobs.py", text, &expected);
}

#[test]
fn ruby_answers_for_a_job_whatever_its_error_is() {
    let text = r#"
class Mute < StandardError
  def message = raise('no')
end
class Odd < JigglerUring::Snooze
  def seconds = raise('no')
end
class Unsaid; def perform(_) = raise(Mute); end
class Unasked; def perform(_) = raise(Odd.new(1)); end
class Queueless
  def self.retry_queue = raise('no')
  def perform(_) = raise(ArgumentError, 'yes')
end
class Ago; def perform(_) = raise(JigglerUring::Snooze.new(-1)); end
class Soon; def perform(_) = raise(JigglerUring::Snooze.new('soon')); end
class Never; def perform(_) = raise(JigglerUring::Snooze.new(Float::NAN)); end
class Push; def perform(_) = JigglerUring.enqueue('Ago', whenever: 3); end
"#;
    let expected = [
        ("Unsaid", "Mute", NOT_SHOWN),
        ("Unasked", "JigglerUring::UntoldError", "its error cannot be told"),
        ("Queueless", "JigglerUring::UntoldError", "its error cannot be told"),
        ("Ago", BAD_SNOOZE, "in -1.0 seconds"),
        ("Soon", BAD_SNOOZE, "in \"soon\" seconds"),
        ("Never", BAD_SNOOZE, "in \"NaN\" seconds"),
        ("Push", "RuntimeError", "unknown field `whenever`"),
    ];
    check("app.rb", text, &expected);
}

#[test]
fn node_answers_for_a_job_whatever_its_error_is() {
    let text = r"
export const Unsaid = () => { throw Object.create(null); };
export const Half = () => { throw new Error('\ud83d \\ud83d \u{1f600}'); };
export const Unasked = () => { throw { get snooze() { throw new Error('no'); } }; };
export const Ago = () => { throw jigglerUring.snooze(-1); };
export const Never = () => { throw jigglerUring.snooze(NaN); };
export const Push = () => jigglerUring.enqueue('Ago', [], { whenever: 3 });
";
    let expected = [
        ("Unsaid", "Error", NOT_SHOWN),
        ("Half", "Error", "\u{fffd} \\ud83d \u{1f600}"),
        ("Unasked", "JigglerUring::UntoldError", "its error cannot be told"),
        ("Ago", BAD_SNOOZE, "in -1 seconds"),
        ("Never", BAD_SNOOZE, "in null seconds"),
        ("Push", "Error", "unknown field `whenever`"),
    ];
    check("jobs.mjs", text, &expected);
}
