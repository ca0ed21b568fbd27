//! What every connection sends first: AUTH, SELECT, CLIENT SETNAME, ROLE, as far as its url asks for them.
//!
//! Sans-IO: the commands to send in one write, and a judge for each reply as it comes. Judging one by one matters: a
//! server that is full answers once and closes, so waiting for all replies would hide the reason.

mod error;

use std::fmt;

pub use error::HandshakeError;

use crate::resp::{
    encode::Requests,
    redis_error::{RedisError, RedisErrorKind},
    reply::{Elements, Reply, Value},
    url::{Credentials, PasswordFile, RedisUrl},
};

/// The opening of one connection.
#[derive(Debug)]
pub struct Handshake {
    requests: Requests,
    /// Invariant: one for each command in `requests`, in the same order.
    steps: Vec<Step>,
    answered: usize,
    user: User,
    password: Secret,
    /// The file that holds the password, if it is not in the url.
    file: Option<PasswordFile>,
}

/// Who we say we are, as far as it may be shown.
#[derive(Debug, PartialEq, Eq)]
enum User {
    Default,
    Named(String),
    /// A name without a password, which may be a password in the wrong place.
    Alone,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Authenticate,
    SelectDatabase(u32),
    Name,
    BePrimary,
}

/// Kept so that it can be cut out of error texts; Debug does not show it.
struct Secret(String);

impl Secret {
    /// A text from the server without it: some servers repeat what they were sent.
    fn cut_from(&self, text: String) -> String {
        if self.0.is_empty() { text } else { text.replace(&self.0, "***") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl User {
    fn of(credentials: &Credentials) -> Self {
        match (credentials.shown_user(), &credentials.username) {
            (Some(name), _) => Self::Named(name.to_owned()),
            (None, None) => Self::Default,
            (None, Some(_)) => Self::Alone,
        }
    }
}

impl Handshake {
    /// The opening that `url` asks for. The connection is named `client_name` in `CLIENT LIST`; characters that Redis
    /// does not accept in a name (space, control and non-ASCII characters) are replaced by `-`.
    #[must_use]
    pub fn new(url: &RedisUrl, client_name: &str) -> Self {
        let mut requests = Requests::new();
        let mut steps = Vec::with_capacity(4);
        let credentials = url.credentials();
        if let Some(credentials) = credentials {
            match &credentials.username {
                Some(username) => {
                    requests.command(&[b"AUTH", username.as_bytes(), credentials.password.as_bytes()]);
                }
                None => requests.command(&[b"AUTH", credentials.password.as_bytes()]),
            }
            steps.push(Step::Authenticate);
        }
        if url.database() != 0 {
            requests.begin(2).arg(b"SELECT").arg_u64(u64::from(url.database()));
            steps.push(Step::SelectDatabase(url.database()));
        }
        let name: String = client_name.chars().map(|c| if c.is_ascii_graphic() { c } else { '-' }).collect();
        requests.command(&[b"CLIENT", b"SETNAME", name.as_bytes()]);
        steps.push(Step::Name);
        if url.must_be_primary() {
            requests.command(&[b"ROLE"]);
            steps.push(Step::BePrimary);
        }
        Self {
            requests,
            steps,
            answered: 0,
            user: credentials.map_or(User::Default, User::of),
            password: Secret(credentials.and_then(Credentials::secret).unwrap_or_default().to_owned()),
            file: credentials.and_then(|credentials| credentials.file.clone()),
        }
    }

    /// The commands to send, all in one write. They contain the password.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Whether all commands were answered, and so the connection is ready.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.answered == self.steps.len()
    }

    /// Judges the next reply.
    ///
    /// A user who may not name connections (`NOPERM` on the last step) is let through: the name only helps a reader of
    /// `CLIENT LIST`.
    ///
    /// # Errors
    /// [`HandshakeError`]; the connection is useless after it.
    pub fn accept(&mut self, reply: &Reply) -> Result<(), HandshakeError> {
        debug_assert!(!self.is_complete(), "more replies than commands");
        let Some(step) = self.steps.get(self.answered).copied() else { return Ok(()) };
        match reply.value() {
            Value::Simple(b"OK") => {}
            Value::Array(parts) if matches!(step, Step::BePrimary) => check_role(parts)?,
            Value::Error(error) if matches!(step, Step::Name) && error.kind() == RedisErrorKind::NoPerm => {}
            Value::Error(error) => return Err(self.refusal(step, error.to_owned())),
            other => {
                let details = self.password.cut_from(other.instead_of("the status OK").to_string());
                return Err(HandshakeError::Nonsense { step: step.to_string(), details });
            }
        }
        self.answered += 1;
        Ok(())
    }

    fn refusal(&self, step: Step, error: RedisError) -> HandshakeError {
        match (step, error.kind()) {
            (Step::Authenticate, RedisErrorKind::WrongPass) if self.user == User::Alone => {
                HandshakeError::UserAlone
            }
            (Step::Authenticate, RedisErrorKind::WrongPass) => {
                let user = match &self.user {
                    User::Named(name) => name.clone(),
                    User::Default | User::Alone => "default".to_owned(),
                };
                match &self.file {
                    None => HandshakeError::WrongPassword { user },
                    Some(file) => HandshakeError::WrongPasswordInFile { user, file: file.to_string() },
                }
            }
            (_, RedisErrorKind::NoAuth) => HandshakeError::PasswordRequired,
            // Redis: "ERR AUTH <password> called without any password configured for the default user. …"
            (Step::Authenticate, _) if error.message().contains("without any password configured") => {
                HandshakeError::PasswordNotSet
            }
            // Redis: "ERR DB index is out of range", "ERR invalid DB index".
            (Step::SelectDatabase(database), _) if error.message().contains("DB index") => {
                HandshakeError::NoSuchDatabase { database }
            }
            _ => HandshakeError::Refused { step: step.to_string(), cause: error.without(&self.password.0) },
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authenticate => f.write_str("authenticate"),
            Self::SelectDatabase(database) => write!(f, "select database {database}"),
            Self::Name => f.write_str("name the connection"),
            Self::BePrimary => f.write_str("ask whether it is a primary"),
        }
    }
}

/// The answer to ROLE: whether it is a primary.
fn check_role(mut parts: Elements<'_>) -> Result<(), HandshakeError> {
    match parts.next() {
        Some(Value::Bulk(b"master")) => Ok(()),
        Some(Value::Bulk(role)) => Err(HandshakeError::NotPrimary {
            role: String::from_utf8_lossy(role).replace("slave", "replica"),
        }),
        _ => Err(HandshakeError::NotPrimary { role: "server without a role".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::decode::Decoder;

    fn handshake(url: &str) -> Handshake {
        Handshake::new(&RedisUrl::parse(url).unwrap(), "jiggler uring:1")
    }

    /// The outcome when Redis answers with these lines.
    fn outcome(url: &str, lines: &[&str]) -> Result<bool, HandshakeError> {
        let mut decoder = Decoder::default();
        lines.iter().for_each(|line| decoder.feed(format!("{line}\r\n").as_bytes()));
        let mut handshake = handshake(url);
        while let Some(reply) = decoder.next_reply().unwrap() {
            handshake.accept(&reply)?;
        }
        Ok(handshake.is_complete())
    }

    fn sent(url: &str) -> String {
        String::from_utf8(handshake(url).requests().as_bytes().to_vec()).unwrap().replace("\r\n", " ")
    }

    #[test]
    fn only_a_primary_is_one() {
        let check = |text: &str| {
            let mut decoder = Decoder::default();
            decoder.feed(text.as_bytes());
            check_role(decoder.next_reply().unwrap().unwrap().as_array().unwrap())
        };
        assert_eq!(check("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"), Ok(()));
        assert_eq!(
            check("*1\r\n$5\r\nslave\r\n"),
            Err(HandshakeError::NotPrimary { role: "replica".to_owned() })
        );
        assert!(check("*0\r\n").is_err());
    }

    #[test]
    fn only_what_the_url_asks_for_is_said() {
        assert_eq!(sent("redis://h"), "*3 $6 CLIENT $7 SETNAME $15 jiggler-uring:1 ");
        assert!(sent("redis://:pw@h").starts_with("*2 $4 AUTH $2 pw *3 $6 CLIENT"));
        assert!(
            sent("redis://me:pw@h/3").starts_with("*3 $4 AUTH $2 me $2 pw *2 $6 SELECT $1 3 *3 $6 CLIENT")
        );
    }

    #[test]
    fn it_is_complete_when_each_step_was_answered_ok() {
        assert_eq!(outcome("redis://:pw@h/3", &["+OK", "+OK"]), Ok(false));
        assert_eq!(outcome("redis://:pw@h/3", &["+OK", "+OK", "+OK"]), Ok(true));
        assert_eq!(outcome("redis://:pw@h", &["+OK", "-NOPERM this user has no permissions"]), Ok(true));
    }

    #[test]
    fn refusals_are_told_apart() {
        let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
        let check = |url: &str, lines: &[&str], expected: HandshakeError| {
            assert_eq!(outcome(url, lines), Err(expected));
        };
        check("redis://:pw@h", &[wrong], HandshakeError::WrongPassword { user: "default".to_owned() });
        check("redis://me:pw@h", &[wrong], HandshakeError::WrongPassword { user: "me".to_owned() });
        check("redis://hunter2@h", &[wrong], HandshakeError::UserAlone);
        check("redis://h", &["-NOAUTH Authentication required."], HandshakeError::PasswordRequired);
        check("redis://h/1", &["-NOAUTH Authentication required."], HandshakeError::PasswordRequired);
        check(
            "redis://h/99",
            &["-ERR DB index is out of range"],
            HandshakeError::NoSuchDatabase { database: 99 },
        );
        let unset =
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure?";
        check("redis://:pw@h", &[unset], HandshakeError::PasswordNotSet);
        assert!(matches!(outcome("redis://h", &[":1"]), Err(HandshakeError::Nonsense { .. })));
    }

    #[test]
    fn a_password_that_the_server_repeats_is_cut_out() {
        let echo = "-ERR unknown command 'AUTH', with args beginning with: 'hunter2' ";
        let alone = outcome("redis://hunter2@h", &[echo]).unwrap_err();
        assert!(alone.to_string().contains("'***'"), "{alone}");
        let error = outcome("redis://:hunter2@h", &[echo]).unwrap_err();
        assert!(error.to_string().contains("'***'"), "{error}");
        for text in [
            format!("{error:?}"),
            error.to_string(),
            format!("{:?}", handshake("redis://:hunter2@h").password),
        ] {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
