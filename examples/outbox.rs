//! A producer that goes on while Redis is away: what it cannot push it keeps in a file, and pushes later, each job once.
//!
//! ```sh
//! cargo run --example outbox -- /tmp/shop.outbox redis://localhost:6379 10000
//! redis-cli shutdown nosave     # and some seconds later: redis-server
//! ```
//!
//! It pushes so many jobs named `Noop` with the numbers from the fourth argument on (0), and says of each where it is. If it
//! is killed, the next run brings what is left in the file to Redis first.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use jiggler_uring::{NewJob, Outbox};

/// How long what is left may take at the end.
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
        // Redis may be away for hours: an error here means a full or broken disk, or a job that makes no sense.
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
