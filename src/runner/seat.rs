//! A seat keeps one child of a lane alive: started, served until its end, started again; after a pause if it did not live
//! well. The successor of one that takes no more jobs is started at once.

use std::io;
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};

use futures_lite::future::{or, pending};
use rustix::process::Pid;

use super::child::Child;
use super::keeper::Order;
use super::lane::Lane;
use super::output::Output;
use super::spec::{Language, Program};
use crate::foreign::Foreign;
use crate::io::timer::{sleep, timeout};
use crate::limits::runner::{
    RUNNER_HANDSHAKE_TIME, RUNNER_LOAD_TIME, RUNNER_PAUSE_MAX, RUNNER_PAUSE_MIN, RUNNER_SERVER_GRACE,
    RUNNER_SUCCESSION_TIME,
};

/// Runs until the lane ends.
pub(super) async fn keep(lane: Rc<Lane>, seat: usize) {
    let mut pause = RUNNER_PAUSE_MIN;
    // It takes no more jobs, and may have some.
    let mut before: Option<Weak<Child>> = None;
    while !lane.ends() {
        match start_in_time(&lane, seat).await {
            Ok((child, output)) => {
                lane.join(&child);
                glommio::spawn_local(serve(Rc::clone(&lane), Rc::clone(&child), output)).detach();
                child.until_retired_or_over().await;
                let well = child.lived_well();
                if !child.is_over()
                    && let Some(before) = before.replace(Rc::downgrade(&child)).and_then(|old| old.upgrade())
                {
                    lane.empties(seat);
                    before.until_over().await;
                }
                if well {
                    pause = RUNNER_PAUSE_MIN;
                    continue;
                }
            }
            Err(reason) => lane.complain(&reason),
        }
        lane.empties(seat);
        if !lane.ends() {
            sleep(pause).await;
        }
        pause = (pause * 2).min(RUNNER_PAUSE_MAX);
    }
}

/// Serves a child to its end.
async fn serve(lane: Rc<Lane>, child: Rc<Child>, output: glommio::Task<()>) {
    let end = child.serve().await;
    lane.leave(&child);
    say_end(&lane, &child, &end);
    child.bury();
    // What it started may hold its output open for as long as it likes.
    let _its_last_words = timeout(RUNNER_SERVER_GRACE, output).await;
    child.end();
}

/// Starts a child. If that takes longer than a fork does, the seat is empty meanwhile.
async fn start_in_time(lane: &Rc<Lane>, seat: usize) -> Result<(Rc<Child>, glommio::Task<()>), String> {
    let late = async {
        sleep(RUNNER_SUCCESSION_TIME).await;
        lane.empties(seat);
        pending().await
    };
    or(start(lane, seat), late).await
}

fn say_end(lane: &Lane, child: &Child, end: &super::child::End) {
    let (runner, pid, jobs) = (&*lane.spec().name, child.pid(), child.running());
    let why = end.to_string();
    let why = Foreign::text(&why);
    if child.has_retired() {
        tracing::debug!(runner, pid, %why, "a child has ended");
    } else {
        tracing::error!(runner, pid, jobs, %why, "a child ended; another one is started");
    }
}

/// Starts a child and waits for its first word.
async fn start(lane: &Rc<Lane>, seat: usize) -> Result<(Rc<Child>, glommio::Task<()>), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("{what}: {error}")
    };
    let (ours, theirs) = UnixStream::pair().map_err(failed("no socket for it"))?;
    let (reader, writer) = io::pipe().map_err(failed("no pipe for it"))?;
    let (order, started) = Order::new(theirs.into(), writer.into());
    lane.orders().give(order)?;
    let pid = started.await.unwrap_or_else(|_| Err("the worker ends".to_owned()))?;
    let pid = Pid::from_raw(pid).ok_or("its number is 0")?;
    let number = pid.as_raw_nonzero().get();
    let output =
        Output::new(reader, &lane.spec().name, number).map_err(failed("its output cannot be read"))?;
    let child =
        Child::new(pid, ours, Rc::clone(&output), lane, seat).map_err(failed("it is gone already"))?;
    let output = glommio::spawn_local(output.log_all(Rc::downgrade(&child)));
    let limit = match lane.spec().program {
        Program::Interpreter(Language::Ruby | Language::Python, _) => RUNNER_HANDSHAKE_TIME,
        Program::Interpreter(Language::Node, _) | Program::Command(_) | Program::Http(_) => RUNNER_LOAD_TIME,
    };
    let why = match timeout(limit, child.greet()).await {
        Ok(Ok(())) => return Ok((child, output)),
        Ok(Err(end)) => format!("before its first word, {end}"),
        Err(_) => format!("it said nothing for {limit:?}"),
    };
    child.bury();
    let _its_last_words = timeout(RUNNER_SERVER_GRACE, output).await;
    Err(format!("{}: {why}; the log has what it printed", lane.spec().shown()))
}
