//! Declares the periodic jobs of the program and of its configuration file: stores them in the table of each realm when the
//! process starts, with this process as one of their holders. Once that is done it ends; a process that declares none opens
//! no connection.
//!
//! An entry is forgotten at its first tick at which no process that declares it has a lease. So the entries of the next
//! deployment are there before those of the last one go, and one that both declare has a holder all the time.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use glommio::timer::Timer;

use super::actor::Actor;
use super::link::ControlLink;
use super::state::Control;
use crate::cron::CronEntry;
use crate::cron::edit::{EditError, Put, put};
use crate::foreign::Foreign;
use crate::limits::{CRON_BATCH, CRON_DECLARE_LOOK, CRON_EDITS_MAX};
use crate::net::{Backoff, Error};
use crate::store::cron::{self, Changed};
use crate::wire::Causes;

/// Starts declaring what belongs to a duty.
pub(super) fn spawn(control: &Rc<Control>, duty: usize) -> Actor {
    Actor::spawn(run(Rc::clone(control), duty))
}

async fn run(control: Rc<Control>, duty: usize) {
    // The first core builds it.
    while control.options.periodic.get().is_none() {
        Timer::new(CRON_DECLARE_LOOK).await;
    }
    let all = control.options.periodic.get().map(Vec::as_slice).unwrap_or_default();
    if duty == 0 {
        all.iter().filter(|entry| !is_served(&control, entry)).for_each(say_unserved);
    }
    let own: Vec<&CronEntry> = all.iter().filter(|entry| belongs(&control, duty, entry)).collect();
    let mut causes = Causes::default();
    let mut backoff = Backoff::new(u64::from(std::process::id()) + duty as u64);
    for batch in own.chunks(CRON_BATCH) {
        while let Err(error) = declare(&control, duty, batch).await {
            if causes.are_news(error.cause(), Instant::now()) {
                tracing::warn!(%error, "periodic jobs cannot be declared; trying again");
            }
            Timer::new(backoff.pause()).await;
        }
    }
    if !own.is_empty() {
        tracing::info!(of = control.duties[duty].queue(), entries = own.len(), "declared periodic jobs");
    }
}

/// Whether an entry is in the table of a duty.
fn belongs(control: &Control, duty: usize, entry: &CronEntry) -> bool {
    control.duties[duty].queue().is_none_or(|queue| queue == entry.job().queue().as_str())
}

fn is_served(control: &Control, entry: &CronEntry) -> bool {
    (0..control.duties.len()).any(|duty| belongs(control, duty, entry))
}

fn say_unserved(entry: &CronEntry) {
    let (entry, queue) = (Foreign::text(entry.name()), entry.job().queue().as_str());
    tracing::error!(
        %entry,
        queue,
        "a periodic job is not declared: in a cluster a process declares those of the queues that it serves"
    );
}

/// Declares a batch. Each round does what nobody else has changed since it was read.
async fn declare(control: &Control, duty: usize, batch: &[&CronEntry]) -> Result<(), Error> {
    let mut link = ControlLink::open(control, duty, "cron").await?;
    let realm = &control.duties[duty].options.realm;
    let mut left = batch.to_vec();
    for _ in 0..CRON_EDITS_MAX {
        let names: Vec<Bytes> =
            left.iter().map(|entry| Bytes::copy_from_slice(entry.name().as_bytes())).collect();
        let replies = link
            .call(|_, requests| {
                cron::change(realm, &[], requests);
                cron::ask_rows(realm, &names, requests);
            })
            .await?;
        let (first, rest) = replies.split_first().ok_or(Error::Closed)?;
        let (now, rows) = (cron::read(first)?.now, cron::read_rows(&names, rest)?);
        let mut changes = Vec::with_capacity(left.len());
        let mut sent = Vec::with_capacity(left.len());
        for (entry, row) in left.iter().zip(&rows) {
            match put(row, Put { entry, holder: Some(&control.options.uuid), replaces: false }, now) {
                Ok(change) => {
                    changes.push(change);
                    sent.push(*entry);
                }
                Err(error) => say_refused(entry, &error),
            }
        }
        let replies = link.call(|_, requests| cron::change(realm, &changes, requests)).await?;
        let changed = cron::read(replies.first().ok_or(Error::Closed)?)?.changed;
        let again = sent.iter().zip(changed).filter(|(_, changed)| *changed == Changed::Not);
        left = again.map(|(entry, _)| *entry).collect();
        if left.is_empty() {
            return Ok(());
        }
    }
    for entry in left {
        let entry = Foreign::text(entry.name());
        tracing::error!(%entry, "a periodic job is not declared: others change its entry all the time");
    }
    Ok(())
}

fn say_refused(entry: &CronEntry, error: &EditError) {
    let entry = Foreign::text(entry.name());
    tracing::error!(
        %entry,
        %error,
        "a periodic job is not declared; remove the one that is stored, or give this one another name"
    );
}
