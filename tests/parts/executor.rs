//! An executor like a shard's for one test.

use std::future::Future;

use glommio::{LocalExecutorBuilder, Placement};
use jiggler_uring::internal::limits::EXECUTOR_IO_BYTES;

/// Runs a test on an executor, and propagates its panic.
pub(crate) fn on_executor<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F + Send + 'static) {
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(EXECUTOR_IO_BYTES)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap();
}
