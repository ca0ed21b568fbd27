//! What a newcomer sees with `make run`: pushes one job of each built-in kind with the command line, waits until they
//! are processed, and prints the summary.
//!
//! It runs alongside the worker that make starts in the foreground, and starts nothing but the command line. It ends
//! with that worker.

use std::{
    env,
    error::Error,
    io::{self, Write},
    os::unix::process::parent_id,
    path::PathBuf,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// One job of each kind the stock worker has.
const SAMPLES: &[(&str, &str)] =
    &[("Noop", "[]"), ("Sleep", "[0.1]"), ("Fib", "[20]"), ("Fail", "[\"boom\"]")];

/// The worker may have to start a private server first, which then has to load its file.
const WORKER_TIMEOUT: Duration = Duration::from_secs(30);

/// The samples take a tenth of a second.
const JOBS_TIMEOUT: Duration = Duration::from_secs(30);

const POLL_PAUSE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let shown = run(parent_id()).and_then(|text| Ok(io::stdout().write_all(text.as_bytes())?));
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("first run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the text to print; `worker` is the process whose end also ends this one.
fn run(worker: u32) -> Result<String, Box<dyn Error>> {
    let program = program()?;
    let command = |args: &[&str]| Command::new(&program).args(args).output();
    let summary = || -> Result<Option<Value>, Box<dyn Error>> {
        let output = command(&["summary", "--json"])?;
        Ok(if output.status.success() { Some(serde_json::from_slice(&output.stdout)?) } else { None })
    };
    let listed =
        |state: &Value| state["processes"].as_object().is_some_and(|processes| !processes.is_empty());
    let processed = |state: &Value| state["processed_count"].as_u64().unwrap_or(0);

    let what = "the worker did not appear in `jiggler-uring summary`";
    let before = poll(worker, WORKER_TIMEOUT, what, || Ok(summary()?.filter(listed)))?;
    for (name, args) in SAMPLES {
        let output = command(&["enqueue", name, args])?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().into());
        }
    }
    let wanted = processed(&before) + SAMPLES.len() as u64;
    let what = "the sample jobs were not processed; see the worker's log above";
    poll(worker, JOBS_TIMEOUT, what, || Ok(summary()?.filter(|state| processed(state) >= wanted)))?;

    let table = command(&["summary"])?;
    let earlier = match processed(&before) {
        0 => String::new(),
        more => format!(" This Redis was used before: {more} of those that it counts are from then."),
    };
    let shown = env::current_dir().ok().and_then(|dir| program.strip_prefix(dir).ok()).unwrap_or(&program);
    let names: Vec<&str> = SAMPLES.iter().map(|(name, _)| *name).collect();
    Ok(format!(
        "\n{} jobs were processed: {} (Fail fails, on purpose, and is now in the dead set).{earlier}\n\n{}\n\
         The worker keeps running; Ctrl-C stops it. In another terminal:\n  \
         {program} enqueue Sleep '[2]' --count 20\n  {program} summary\n  {program} run Fib '[20]'\nIn a browser: http://127.0.0.1:9394/ (for Prometheus: /metrics)\n",
        SAMPLES.len(),
        names.join(", "),
        String::from_utf8_lossy(&table.stdout),
        program = shown.display(),
    ))
}

/// The command line program next to this one.
fn program() -> Result<PathBuf, Box<dyn Error>> {
    Ok(env::current_exe()?.with_file_name("jiggler-uring"))
}

/// Asks until there is an answer, the worker has ended, or time is up.
fn poll<T>(
    worker: u32,
    timeout: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if parent_id() != worker {
            return Err("the worker has ended".into());
        }
        if Instant::now() >= deadline {
            return Err(format!("{what} within {} s", timeout.as_secs()).into());
        }
        thread::sleep(POLL_PAUSE);
    }
}
