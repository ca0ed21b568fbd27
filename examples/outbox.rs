//! A producer that keeps running while Redis is away: what it cannot push it keeps in a file and pushes later, each job
//! once.
//!
//! ```sh
//! cargo run --example outbox -- /tmp/shop.outbox redis://localhost:6379 10000
//! redis-cli shutdown nosave     # and a few seconds later: redis-server
//! ```
//!
//! It pushes this many jobs named `Noop`, numbered from the fourth argument on (0 by default), and prints where each
//! one went. If it is killed, the next run first brings what is left in the file to Redis.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use jiggler_uring::{NewJob, Outbox};

/// How long the rest may take at the end.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("outbox: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let usage = "usage: outbox JOURNAL REDIS_URL COUNT [FIRST]";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [journal, url, count, rest @ ..] = &*arguments else { return Err(usage.into()) };
    let count: u64 = count.parse()?;
    let first: u64 = rest.first().map_or(Ok(0), |first| first.parse())?;

    let outbox = Outbox::open(journal, url)?;
    let mut out = io::stdout().lock();
    for number in first..first + count {
        let job = NewJob::new("Noop", &[number])?.jid(&format!("number-{number}"))?;
        // Redis may be away for hours: an error here means a full or broken disk, or an invalid job.
        let accepted = outbox.enqueue(&job)?;
        writeln!(out, "{number} {:?}", accepted.place)?;
    }
    if !outbox.flush(PATIENCE) {
        let status = outbox.status();
        let why = status.trouble.unwrap_or_default();
        writeln!(out, "{} jobs stay in {journal} for the next run: {why}", status.jobs)?;
    }
    Ok(())
}
