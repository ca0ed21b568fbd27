//! How many entries a place has.

use super::steps::{Error, Steps, To};
use crate::{
    resp::{Reply, Requests},
    store::{
        entries::{self, Order, Place, Window},
        scripts::Scripts,
    },
};

const NOTHING: Window = Window { skip: 0, count: 0, order: Order::Newest };

/// The question, and its answer. One round trip.
#[derive(Debug)]
pub(crate) struct Size<'p> {
    place: &'p Place,
    entries: Option<u64>,
}

impl<'p> Size<'p> {
    pub(crate) const fn of(place: &'p Place) -> Self {
        Self { place, entries: None }
    }

    /// The answer; 0 until it is there.
    pub(crate) fn entries(&self) -> u64 {
        self.entries.unwrap_or(0)
    }
}

impl Steps for Size<'_> {
    fn next(&self, scripts: &Scripts, requests: &mut Requests) -> Option<To> {
        if self.entries.is_some() {
            return None;
        }
        write(self.place, scripts, requests);
        Some(To::Here)
    }

    fn read(&mut self, reply: &Reply) -> Result<(), Error> {
        self.entries = Some(read(reply)?);
        Ok(())
    }

    fn what(&self) -> String {
        what(self.place)
    }
}

/// Appends the question how many entries a place has.
pub(super) fn write(place: &Place, scripts: &Scripts, requests: &mut Requests) {
    entries::page(scripts, place, NOTHING, requests);
}

/// Reads the reply to [`write`].
pub(super) fn read(reply: &Reply) -> Result<u64, Error> {
    Ok(entries::read_page(reply, NOTHING)?.total)
}

/// What reading a place is called in an error.
pub(super) fn what(place: &Place) -> String {
    format!("read {place}")
}
