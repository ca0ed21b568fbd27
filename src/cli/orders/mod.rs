//! The subcommands: their arguments, and the checked orders they become.
//!
//! Who carries an order out is the caller of `cli`; where Redis is stands in the order.

// Pushing jobs.
mod enqueue;
// Looking.
mod summary;
// Acting on jobs.
mod cancel;

mod value;

pub(super) use cancel::{CANCEL, CancelArgs};
pub(super) use enqueue::{ENQUEUE, EnqueueArgs};
pub(super) use summary::{SUMMARY, SummaryArgs};

pub use cancel::CancelOrder;
pub use enqueue::EnqueueOrder;
pub use summary::SummaryOrder;
