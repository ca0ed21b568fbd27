//! The outcome of a bulk's jobs.

use super::Error;

/// Told about each batch in the order they were sent; returns the result of the bulk at the end.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Jobs of the batches that are finished.
    settled: u64,
    pushed: u64,
    in_doubt: u64,
    /// The position of the first job that is not known to be pushed.
    first_missed: Option<u64>,
    /// The first error.
    cause: Option<Error>,
}

impl Tally {
    /// This many jobs of this batch were pushed.
    pub(super) fn pushed(&mut self, jobs: usize) {
        self.pushed += jobs as u64;
    }

    /// This many jobs of this batch, starting at position `first`, were not pushed, or perhaps not.
    pub(super) fn missed(&mut self, first: usize, jobs: usize, cause: Error) {
        if cause.may_have_pushed() {
            self.in_doubt += jobs as u64;
        }
        let first = self.settled + first as u64;
        self.first_missed = Some(self.first_missed.map_or(first, |earlier| earlier.min(first)));
        self.cause.get_or_insert(cause);
    }

    /// A batch of this many jobs is finished.
    pub(super) fn end_of_batch(&mut self, jobs: usize) {
        self.settled += jobs as u64;
    }

    /// The job after all those that were sent is invalid.
    pub(super) fn stopped(&mut self, cause: Error) {
        self.cause.get_or_insert(cause);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.cause.is_some()
    }

    /// Jobs that were certainly pushed so far.
    pub(crate) fn enqueued(&self) -> u64 {
        self.pushed
    }

    /// How many were pushed, or why not all of them.
    pub(super) fn end(self) -> Result<u64, Error> {
        let leading = self.first_missed.unwrap_or(self.settled);
        match self.cause {
            None => Ok(self.pushed),
            Some(cause) => Err(Error::Bulk {
                enqueued: self.pushed,
                leading,
                in_doubt: self.in_doubt,
                cause: Box::new(cause),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net;

    #[test]
    fn what_was_pushed_what_was_not_and_what_is_in_doubt_is_told_apart() {
        let mut tally = Tally::default();
        tally.pushed(10);
        tally.end_of_batch(10);
        tally.pushed(3);
        tally.missed(2, 4, Error::Connect(net::Error::Closed));
        tally.end_of_batch(7);
        tally.missed(0, 5, Error::Lost(net::Error::Closed));
        tally.end_of_batch(5);
        let error = tally.end().unwrap_err();
        assert!(error.may_have_pushed());
        let Error::Bulk { enqueued, leading, in_doubt, cause } = error else { panic!("{error}") };
        assert_eq!((enqueued, leading, in_doubt), (13, 12, 5));
        assert!(matches!(*cause, Error::Connect(_)), "{cause}");
    }

    #[test]
    fn a_bulk_that_ends_at_a_bad_job_has_pushed_all_before_it() {
        let mut tally = Tally::default();
        tally.pushed(10);
        tally.end_of_batch(10);
        tally.stopped(Error::BadTime { due_at: f64::NAN });
        let error = tally.end().unwrap_err();
        assert!(matches!(error, Error::Bulk { enqueued: 10, leading: 10, in_doubt: 0, .. }), "{error}");
    }
}
