//! A connection of control: opening it, calling scripts over it, receiving what Redis pushes.

use super::state::Control;
use crate::limits::CONTROL_CHUNK_BYTES;
use crate::net::{ConnOptions, Connection, Error};
use crate::resp::{RedisUrl, Reply, ReplyLimits, Requests};
use crate::store::denied;
use crate::store::rights::Role;
use crate::store::scripts::{self, Scripts};
use crate::wire::{Realm, client_name};

/// An open connection whose server knows our scripts. One task owns it; after any error it is dropped and reopened.
pub(super) struct ControlLink {
    conn: Connection,
    scripts: Scripts,
}

impl ControlLink {
    /// Opens a connection to the place of a duty. `CLIENT LIST` shows it as this process's, in that role.
    pub(super) async fn open(control: &Control, duty: usize, role: &str) -> Result<Self, Error> {
        let options = &control.duties[duty].options;
        Self::open_in(control, &options.url, options.realm.clone(), role).await
    }

    /// Like [`Self::open`], but to the server at this url, for the scripts of this realm.
    pub(super) async fn open_in(
        control: &Control,
        url: &RedisUrl,
        realm: Realm,
        role: &str,
    ) -> Result<Self, Error> {
        let mut conn = Connection::open(url, &Self::options(control, role)).await?;
        let scripts = load(&mut conn, realm).await?;
        Ok(Self { conn, scripts })
    }

    pub(super) fn options(control: &Control, role: &str) -> ConnOptions {
        ConnOptions {
            name: client_name(&control.options.uuid, None, role),
            limits: ReplyLimits::default(),
            chunk_bytes: CONTROL_CHUNK_BYTES,
        }
    }

    /// Sends what `write` appends and awaits the replies. One round trip.
    ///
    /// If the server has forgotten the scripts, they are loaded and everything is sent once more. A script that was refused
    /// has not run; commands sent alongside it must be safe to repeat.
    ///
    /// # Errors
    /// Those of the connection, and the first error that Redis answers.
    pub(super) async fn call(
        &mut self,
        write: impl Fn(&Scripts, &mut Requests),
    ) -> Result<Vec<Reply>, Error> {
        let replies = self.replies(write).await?;
        replies.into_iter().map(|reply| Ok(reply.into_result()?)).collect()
    }

    /// Like [`Self::call`], where an error that Redis answers concerns one command and none of the others.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn replies(
        &mut self,
        write: impl Fn(&Scripts, &mut Requests),
    ) -> Result<Vec<Reply>, Error> {
        let mut requests = Requests::new();
        write(&self.scripts, &mut requests);
        let mut replies = self.conn.call(&requests).await?;
        if scripts::forgotten(&replies) {
            self.scripts = load(&mut self.conn, self.scripts.realm().clone()).await?;
            requests.clear();
            write(&self.scripts, &mut requests);
            replies = self.conn.call(&requests).await?;
        }
        Ok(replies)
    }

    /// See [`Connection::speak_resp3`].
    pub(super) fn speak_resp3(&mut self) {
        self.conn.speak_resp3();
    }

    /// See [`Connection::readable`].
    pub(super) async fn readable(&self) -> Result<(), Error> {
        self.conn.readable().await
    }

    /// See [`Connection::pushes`].
    pub(super) fn pushes(&mut self) -> Result<usize, Error> {
        self.conn.pushes()
    }
}

/// If an error is a denial: the line that gives this worker's user the rights it lacks, or all of a worker's rights if the
/// server cannot tell which are missing.
pub(super) async fn way_out(control: &Control, url: &RedisUrl, error: &Error) -> Option<String> {
    if !denied::is_denial(error) {
        return None;
    }
    let line = lacking(control, url).await.ok().flatten();
    Some(line.unwrap_or_else(|| denied::all(url, Role::Worker, control.options.keys)))
}

async fn lacking(control: &Control, url: &RedisUrl) -> Result<Option<String>, Error> {
    let options = ControlLink::options(control, "rights");
    let mut conn = Connection::open(url, &options).await?;
    let replies = conn.call(&denied::question(Role::Worker, control.options.keys)).await?;
    let reply = replies.first().ok_or(Error::Closed)?;
    Ok(denied::lacking(url, Role::Worker, control.options.keys, reply)?)
}

async fn load(conn: &mut Connection, realm: Realm) -> Result<Scripts, Error> {
    let mut requests = Requests::new();
    scripts::load(&realm, &mut requests);
    Ok(Scripts::read(realm, &conn.call(&requests).await?)?)
}
