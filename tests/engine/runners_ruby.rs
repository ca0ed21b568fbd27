//! Job classes of Ruby, by a real interpreter and what they use of the gem.

use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, json};
use crate::runners::{application, descendants, is_alive, job, lines_of};

/// What job classes use of the gem.
pub(crate) const GEM: &str = r"
module Jiggler
  module Job
    def self.included(base) = base.extend(ClassMethods)
    module ClassMethods
      def job_options(queue: nil, retries: nil, retry_queue: nil)
        @queue, @retries, @retry_queue = queue, retries, retry_queue
      end
      def queue = @queue || 'default'
      def retries = @retries || 0
      def retry_queue = @retry_queue || queue
    end
  end
end
";

const RUBY: &str = r#"
$LOAD_PATH.unshift(__dir__)
require 'jiggler'
OUT = File.join(__dir__, 'out')
LOADED = Process.pid
def put(text) = File.open(OUT, 'a') { |file| file.puts(text) }
class Greet
  include Jiggler::Job
  job_options queue: 'mails', retries: 3, retry_queue: 'again'
  def perform(name, title = nil)
    puts "greeting #{name}"
    put("hello #{[title, name].compact.join(' ')}")
  end
end
module Billing
  class Charge
    include Jiggler::Job
    job_options retries: 3, retry_queue: 'again'
    def perform(order) = raise(ArgumentError, "order #{order} \xff")
  end
end
class Where
  include Jiggler::Job
  def perform
    put("forked #{Process.ppid == LOADED} threads #{Thread.list.size}")
  end
end
class Parent
  def perform = put("pushed #{JigglerUring.enqueue('Greet', 'Grace', jid: 'g')}")
end
class Exits
  def perform = exit(3)
end
class Hang
  def perform
    put('hangs')
    sleep
  end
end
"#;

#[test]
fn job_classes_of_the_gem_run_unchanged() {
    let redis = Redis::start();
    let (dir, path) = application("app.rb", RUBY);
    std::fs::write(dir.path().join("jiggler.rb"), GEM).unwrap();
    let jobs = [
        job("Greet", r#"["Ada","Countess"]"#, r#","retries":3"#),
        job("Billing::Charge", "[7]", r#","retries":3"#),
        job("Where", "[]", ""),
        job("Parent", "[]", ""),
        job("Exits", "[]", ""),
        job("Greet", "[]", ""),
        job("Nowhere::Found", "[]", ""),
    ];
    redis.push("default", &jobs);
    let mut worker = Worker::start(&redis, &["-r", &path]);
    wait_until("all have run", || {
        redis.count(RETRIES) == 1 && redis.count(DEAD) == 3 && lines_of(&dir.path().join("out")).len() == 4
    });
    let mut out = lines_of(&dir.path().join("out"));
    out.sort();
    // The reader and five threads.
    assert_eq!(out, ["forked true threads 6", "hello Countess Ada", "hello Grace", "pushed g"]);
    let failed = json(&redis.set(RETRIES)[0].0);
    assert_eq!((&failed["error_class"], &failed["queue"]), (&"ArgumentError".into(), &"again".into()));
    assert_eq!(failed["error_message"], "order 7 \u{fffd}");
    let mut dead: Vec<String> =
        redis.set(DEAD).iter().map(|(payload, _)| json(payload)["error_class"].to_string()).collect();
    dead.sort();
    assert_eq!(dead, ["\"ArgumentError\"", "\"NameError\"", "\"SystemExit\""]);
    worker.wait_for_line("greeting Ada");
    let children = descendants(worker.pid());
    worker.stop();
    assert!(children.len() >= 2 && !children.iter().any(|pid| is_alive(*pid)), "{children:?}");
}

#[test]
fn ruby_children_end_with_a_killed_engine_and_are_cancelled_from_outside() {
    let redis = Redis::start();
    let (dir, path) = application("app.rb", RUBY);
    std::fs::write(dir.path().join("jiggler.rb"), GEM).unwrap();
    let mut worker = Worker::start(&redis, &["-r", &path]);
    redis.push("default", &[job("Hang", "[]", r#","retries":3"#)]);
    wait_until("it runs", || lines_of(&dir.path().join("out")).len() == 1);
    let url = redis.url();
    let output = crate::harness::output_of(&["cancel", "Hang", "--redis-url", &url]);
    assert!(output.status.success(), "{output:?}");
    wait_until("it is cancelled", || redis.count(DEAD) == 1);
    redis.push("default", &[job("Hang", "[]", "")]);
    wait_until("the next one runs", || lines_of(&dir.path().join("out")).len() == 2);
    assert_eq!(worker.lines("gets TERM"), [""; 0]);
    let children = descendants(worker.pid());
    worker.kill();
    wait_until("they are gone", || !children.iter().any(|pid| is_alive(*pid)));
}
