//! What happens to a connection whose job left it in the middle of something.

use std::rc::{Rc, Weak};

use super::link::Opened;
use super::pool::PoolState;
use crate::event::Event;
use crate::io::permits::Permit;
use crate::io::timer;
use crate::limits::io::POSTGRES_SETTLE_TIMEOUT;

/// Waits for such connections while their pool lives.
pub(super) async fn settle_all(pool: Weak<PoolState>, work: Rc<Event>) {
    loop {
        {
            let Some(pool) = pool.upgrade() else { return };
            for (opened, permit) in pool.take_unsettled() {
                glommio::spawn_local(settle(opened, Rc::clone(&pool), permit)).detach();
            }
        }
        work.wait().await;
    }
}

/// Lets a connection finish what its job left undone, or closes it. Until then it keeps its place among the pool's
/// connections, so that a server never has more of them than configured.
async fn settle(opened: Opened, pool: Rc<PoolState>, permit: Permit) {
    // Answered after everything sent before, including a dropped transaction's rollback.
    let settled = timer::timeout(POSTGRES_SETTLE_TIMEOUT, opened.client.simple_query("")).await;
    match settled {
        Ok(Ok(_)) if opened.rest.is_at_rest() => pool.keep(opened),
        // An open transaction that nobody will end, or a broken connection: closing it is the remedy.
        Ok(_) => {}
        Err(_) => {
            tracing::warn!(after = ?POSTGRES_SETTLE_TIMEOUT, "cancelling a query abandoned by its job");
            let cancel = pool.link.cancel(&opened.client, opened.server);
            if let Ok(Err(error)) = timer::timeout(POSTGRES_SETTLE_TIMEOUT, cancel).await {
                tracing::warn!(error = %error, "failed to cancel a query abandoned by its job");
            }
        }
    }
    drop(permit);
}
