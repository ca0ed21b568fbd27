//! What control relies on in glommio about signals: SIGTERM, blocked before any thread is made, arrives as an event at
//! the executor that asks for it, and kills nobody. This must stay, as what parts/runtime_pins.rs says.
//!
//! A program of its own, without the test harness: its threads would be there before the signal is blocked.
#![expect(clippy::unwrap_used, reason = "a test: what fails, fails it")]

use std::process::Command;
use std::sync::mpsc;

use glommio::signal::{self, Signals};
use glommio::{LocalExecutorBuilder, Placement};
use jiggler_uring::internal::limits::EXECUTOR_IO_BYTES;

fn main() {
    signal::block(&[libc::SIGTERM]).unwrap();
    let executor = || LocalExecutorBuilder::new(Placement::Unbound).io_memory(EXECUTOR_IO_BYTES);
    let (end, may_end) = mpsc::channel::<()>();
    // A thread that does not know of signals, as a shard's.
    let bystander = executor().spawn(move || async move { may_end.recv().is_err() }).unwrap();
    let (listening, is_listening) = mpsc::channel();
    let control = executor().spawn(move || async move {
        let signals = Signals::new(&[libc::SIGTERM]).unwrap();
        listening.send(()).unwrap();
        (signals.recv().await.unwrap(), signals.recv().await.unwrap())
    });
    is_listening.recv().unwrap();
    // Two signals may become one while the first is not heard yet: send until two are in.
    let control = control.unwrap();
    let own_id = std::process::id().to_string();
    let heard = std::thread::spawn(move || control.join().unwrap());
    while !heard.is_finished() {
        assert!(Command::new("kill").args(["-TERM", &own_id]).status().unwrap().success());
    }
    assert_eq!(heard.join().unwrap(), (libc::SIGTERM, libc::SIGTERM));
    drop(end);
    assert!(bystander.join().unwrap());
}
