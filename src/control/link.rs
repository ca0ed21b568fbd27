//! A connection of control: opening it, calling scripts over it.

use super::Control;
use crate::limits::CONTROL_CHUNK_BYTES;
use crate::resp::{ConnOptions, Connection, Error, Reply, ReplyLimits, Requests};
use crate::store::scripts::{self, Scripts};

/// An open connection whose server knows our scripts. One task owns it; after any error it is dropped and opened anew,
/// which also brings the scripts back after a `SCRIPT FLUSH`.
pub(super) struct ControlLink {
    conn: Connection,
    scripts: Scripts,
}

impl ControlLink {
    /// Opens a connection that `CLIENT LIST` shows as this process's, in that role.
    pub(super) async fn open(control: &Control, role: &str) -> Result<Self, Error> {
        let options = ConnOptions {
            name: format!("jiggler-uring:{}:{role}", control.options.uuid),
            limits: ReplyLimits::default(),
            chunk_bytes: CONTROL_CHUNK_BYTES,
        };
        let mut conn = Connection::open(&control.options.url, &options).await?;
        let mut requests = Requests::new();
        scripts::load(&mut requests);
        let replies = conn.call(&requests).await?.into_iter().map(Reply::into_result);
        // An error is shown as what it is: LOADING, READONLY, NOPERM.
        let replies = replies.collect::<Result<Vec<_>, _>>()?;
        let scripts = Scripts::from_replies(&replies)
            .map_err(|got| Error::Unexpected { expected: "the hashes of our scripts", got })?;
        Ok(Self { conn, scripts })
    }

    /// Sends what `write` appends and awaits the replies. One round trip.
    ///
    /// # Errors
    /// That of the connection, or the first error that Redis answers.
    pub(super) async fn call(
        &mut self,
        write: impl FnOnce(&Scripts, &mut Requests),
    ) -> Result<Vec<Reply>, Error> {
        let mut requests = Requests::new();
        write(&self.scripts, &mut requests);
        self.conn.call(&requests).await?.into_iter().map(Reply::into_result).collect()
    }
}
