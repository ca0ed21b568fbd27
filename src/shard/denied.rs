//! Handles a Redis that denies this worker's user a right while it runs: names the right and waits until it is granted.
//!
//! A turn that is denied half of what it does has done the other half: repeated again and again, that would run jobs
//! again and again. So where the server can tell what is missing (from 7.0 on), a shard that was denied anything does
//! nothing until nothing is missing.

use glommio::timer::Timer;

use super::link::LinkError;
use super::options::ShardOptions;
use crate::limits::{CONTROL_CHUNK_BYTES, STOP_PATIENCE};
use crate::net::{ConnOptions, Connection, Error};
use crate::resp::ReplyLimits;
use crate::store::denied;
use crate::store::rights::Role;
use crate::wire::client_name;

/// The error of an attempt, with the line that fixes it if it was a denial.
pub(super) async fn named(options: &ShardOptions, error: LinkError) -> LinkError {
    let denial = match error {
        LinkError::Lost(denial) if denied::is_denial(&denial) => denial,
        other => return other,
    };
    // When the server cannot be asked, the line lists everything a worker needs.
    let line = lacking(options).await.unwrap_or_default();
    let is_named = line.is_some();
    let line = line.unwrap_or_else(|| denied::all(&options.url, Role::Worker, options.realm.keys()));
    LinkError::Denied { denial: denial.to_string(), line, is_named }
}

/// The line that gives this worker's user what it lacks; `None` if it lacks nothing, or the server cannot tell. It does
/// not wait for a server that hangs: there may be a stop to carry out.
pub(super) async fn lacking(options: &ShardOptions) -> Result<Option<String>, Error> {
    let late = async {
        Timer::new(STOP_PATIENCE).await;
        Err(Error::Timeout { what: "ask redis for missing rights".to_owned(), after: STOP_PATIENCE })
    };
    futures_lite::future::or(ask(options), late).await
}

async fn ask(options: &ShardOptions) -> Result<Option<String>, Error> {
    let conn_options = ConnOptions {
        name: client_name(&options.uuid, Some(options.shard), "rights"),
        limits: ReplyLimits::default(),
        chunk_bytes: CONTROL_CHUNK_BYTES,
    };
    let mut conn = Connection::open(&options.url, &conn_options).await?;
    let keys = options.realm.keys();
    let replies = conn.call(&denied::question(Role::Worker, keys)).await?;
    Ok(denied::lacking(&options.url, Role::Worker, keys, replies.first().ok_or(Error::Closed)?)?)
}
