//! Errors that Redis answers with: their words, and the kinds the code acts on.
//!
//! Not responsible for failures of the connection: see [`super::error`].

use thiserror::Error;

use crate::foreign::Foreign;

/// An error as Redis wrote it, borrowed from its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    line: &'a [u8],
}

impl<'a> ErrorReply<'a> {
    /// `line` is the text between the `-` and the line end.
    pub(super) const fn new(line: &'a [u8]) -> Self {
        Self { line }
    }

    /// The whole line.
    #[must_use]
    pub const fn line(&self) -> &'a [u8] {
        self.line
    }

    /// The kind by the error's first word; see [`RedisErrorKind`].
    #[must_use]
    pub fn kind(&self) -> RedisErrorKind {
        RedisErrorKind::of(self.line)
    }

    /// The owned form, to keep or to return.
    #[must_use]
    pub fn to_owned(&self) -> RedisError {
        RedisError::new(self.line)
    }
}

/// An error that Redis answered with.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("redis answered {} {}{}", Foreign::text(.code), Foreign::text(.message), hint(*.kind))]
pub struct RedisError {
    kind: RedisErrorKind,
    code: String,
    message: String,
}

impl RedisError {
    fn new(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(line);
        let (code, message) = text.split_once(' ').unwrap_or((&text, ""));
        Self { kind: RedisErrorKind::of(line), code: code.to_owned(), message: message.to_owned() }
    }

    /// The first word, for example `WRONGTYPE`; `ERR` means nothing in particular.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What follows the first word.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The kind of error, as far as any code acts on it.
    #[must_use]
    pub const fn kind(&self) -> RedisErrorKind {
        self.kind
    }

    /// Whether nothing but the key of the command is wrong: it is of another type, or no number. The scripts judge so, too
    /// (`is_spoilt` of undo.lua).
    #[must_use]
    pub(crate) fn is_of_spoilt_key(&self) -> bool {
        self.kind == RedisErrorKind::WrongType
            || ["not an integer", "overflow"].iter().any(|words| self.message.contains(words))
    }

    /// The same error with each occurrence of `secret` in its words replaced: some servers repeat the arguments of an
    /// unknown command.
    #[must_use]
    pub(crate) fn without(mut self, secret: &str) -> Self {
        if !secret.is_empty() {
            for words in [&mut self.code, &mut self.message] {
                if words.contains(secret) {
                    *words = words.replace(secret, "***");
                }
            }
        }
        self
    }
}

/// What a user would not guess from the words.
fn hint(kind: RedisErrorKind) -> &'static str {
    match kind {
        RedisErrorKind::Moved => {
            " (another node of its cluster has this key; only a redis+cluster:// url follows it there)"
        }
        _ => "",
    }
}

/// Kinds of errors that the code acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedisErrorKind {
    /// The script is not in the server's cache: load it and call again.
    Noscript,
    /// This server is a replica, or became one in a failover.
    Readonly,
    /// The server is reading its data from disk.
    Loading,
    /// A script is running and does not end.
    Busy,
    /// The server's memory limit has been reached and the command would need more.
    Oom,
    /// The server cannot write its data to disk and accepts no more.
    Misconf,
    /// A replica has lost its primary.
    MasterDown,
    /// The cluster is not serving this slot now.
    ClusterDown,
    /// The cluster is moving this slot.
    TryAgain,
    /// Another node has this slot, for good.
    Moved,
    /// Another node has this slot, for this command.
    Ask,
    /// The server accepts no more connections.
    MaxClients,
    /// A blocking command was ended from outside, because the server became a replica or by `CLIENT UNBLOCK`.
    Unblocked,
    /// A password is needed and none was given.
    NoAuth,
    /// The password or the user is wrong.
    WrongPass,
    /// The user may not do this.
    NoPerm,
    /// The key is of another type than the command works on.
    WrongType,
    /// The server does not know the command, or a proxy in front of it withholds it.
    UnknownCommand,
    /// Anything else.
    Other,
}

impl RedisErrorKind {
    fn of(line: &[u8]) -> Self {
        let code = first_word(line);
        match code {
            b"NOSCRIPT" => Self::Noscript,
            b"READONLY" => Self::Readonly,
            b"LOADING" => Self::Loading,
            b"BUSY" => Self::Busy,
            b"OOM" => Self::Oom,
            b"MISCONF" => Self::Misconf,
            b"MASTERDOWN" => Self::MasterDown,
            b"CLUSTERDOWN" => Self::ClusterDown,
            b"TRYAGAIN" => Self::TryAgain,
            b"MOVED" => Self::Moved,
            b"ASK" => Self::Ask,
            b"UNBLOCKED" => Self::Unblocked,
            b"NOAUTH" => Self::NoAuth,
            b"WRONGPASS" => Self::WrongPass,
            b"NOPERM" => Self::NoPerm,
            b"WRONGTYPE" => Self::WrongType,
            b"ERR" if line.starts_with(b"ERR max number of clients reached") => Self::MaxClients,
            _ if is_denied_in_script(line) => Self::NoPerm,
            b"ERR" if line.starts_with(b"ERR unknown command") || is_unknown_in_script(line) => {
                Self::UnknownCommand
            }
            b"ERR" => cause_in_script(line).map_or(Self::Other, Self::of),
            _ => Self::Other,
        }
    }

    /// Whether waiting, and for some a new connection, may fix it: the server, not the request, is at fault.
    #[must_use]
    pub const fn may_heal(self) -> bool {
        match self {
            Self::Readonly
            | Self::Loading
            | Self::Busy
            | Self::Oom
            | Self::Misconf
            | Self::MasterDown
            | Self::ClusterDown
            | Self::TryAgain
            | Self::Moved
            | Self::Ask
            | Self::MaxClients
            | Self::Unblocked => true,
            Self::Noscript
            | Self::NoAuth
            | Self::WrongPass
            | Self::NoPerm
            | Self::WrongType
            | Self::UnknownCommand
            | Self::Other => false,
        }
    }
}

/// The error inside `ERR Error running script (call to f_…): @user_script:3: -READONLY You can't …`: this is how
/// Redis before 7 wraps the error of a command in a script. `None` if it is not wrapped.
fn cause_in_script(line: &[u8]) -> Option<&[u8]> {
    const MARK: &[u8] = b"@user_script";
    if !line.starts_with(b"ERR Error ") {
        return None;
    }
    let mark = line.windows(MARK.len()).rposition(|window| window == MARK)?;
    let rest = &line[mark + MARK.len()..];
    let start = rest.iter().position(u8::is_ascii_alphabetic)?;
    let cause = &rest[start..];
    // An error that calls itself ERR again would recurse.
    (first_word(cause) != b"ERR").then_some(cause)
}

/// Whether a script called what its user may not: before Redis 7.2 no first word says so.
fn is_denied_in_script(line: &[u8]) -> bool {
    const WORDS: &[u8] = b"The user executing the script can't";
    line.windows(WORDS.len()).any(|window| window == WORDS)
}

/// Whether a script called what the server does not know.
fn is_unknown_in_script(line: &[u8]) -> bool {
    const WORDS: &[u8] = b"Unknown Redis command called from script";
    line.windows(WORDS.len()).any(|window| window == WORDS)
}

fn first_word(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b' ').next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_kind(line: &str, expected: RedisErrorKind) {
        let error = ErrorReply::new(line.as_bytes());
        assert_eq!(error.kind(), expected, "{line}");
        assert_eq!(error.to_owned().kind(), expected, "{line}");
    }

    #[test]
    fn errors_are_told_apart_by_their_first_word() {
        check_kind("NOSCRIPT No matching script. Please use EVAL.", RedisErrorKind::Noscript);
        check_kind("READONLY You can't write against a read only replica.", RedisErrorKind::Readonly);
        check_kind("LOADING Redis is loading the dataset in memory", RedisErrorKind::Loading);
        check_kind("BUSY Redis is busy running a script.", RedisErrorKind::Busy);
        check_kind("BUSYGROUP Consumer Group name already exists", RedisErrorKind::Other);
        check_kind("MOVED 3999 127.0.0.1:6381", RedisErrorKind::Moved);
        check_kind("ERR max number of clients reached", RedisErrorKind::MaxClients);
        check_kind("ERR syntax error", RedisErrorKind::Other);
        check_kind(
            "ERR unknown command 'SCRIPT', with args beginning with: ",
            RedisErrorKind::UnknownCommand,
        );
        let in_script = "Unknown Redis command called from script script: 6b1b, on @user_script:22.";
        check_kind(&format!("ERR {in_script}"), RedisErrorKind::UnknownCommand);
        check_kind("NOAUTH", RedisErrorKind::NoAuth);
        check_kind("", RedisErrorKind::Other);
    }

    #[test]
    fn what_a_script_may_not_call_is_recognised_by_the_words() {
        let words = "The user executing the script can't run this command or subcommand";
        check_kind(&format!("ERR {words} script: 6b1b, on @user_script:22."), RedisErrorKind::NoPerm);
        check_kind(&format!("@user_script: 22: {words}"), RedisErrorKind::NoPerm);
        check_kind(
            &format!("ERR Error running script (call to f_6b1b): @user_script:22: @user_script: 22: {words}"),
            RedisErrorKind::NoPerm,
        );
        check_kind("NOPERM ACL failure in script: User u has no permissions", RedisErrorKind::NoPerm);
    }

    #[test]
    fn errors_inside_scripts_of_redis_6_are_seen_through() {
        let wrapped =
            |cause: &str| format!("ERR Error running script (call to f_6b1b): @user_script:1: {cause}");
        check_kind(&wrapped("WRONGTYPE Operation against a key"), RedisErrorKind::WrongType);
        check_kind(&wrapped("-READONLY You can't write"), RedisErrorKind::Readonly);
        check_kind(&wrapped("@user_script: 1: -OOM command not allowed"), RedisErrorKind::Oom);
        check_kind(&wrapped("ERR ERR ERR"), RedisErrorKind::Other);
        check_kind("ERR Error running script @user_script", RedisErrorKind::Other);
        check_kind(
            "ERR Error running script @user_script:1: ERR Error @user_script:1: x",
            RedisErrorKind::Other,
        );
    }
}
