//! Who may read, and who may act: everybody, or those with a token or a password of a file.
//!
//! The file has one entry a line: `name:hash`, with a bcrypt hash as `htpasswd -nB name` prints it, or a bearer token alone.
//! A role may follow, after a blank ([`Role`]); without one the entry has them all.
//!
//! Comparisons take the same time whatever differs. A password is hashed once; after that the client is known. After a wrong
//! one no unknown client is looked at for a second, so guessing takes neither the server's time nor an end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::limits::{
    WEB_AUTH_BYTES_MAX, WEB_BCRYPT_COST_MAX, WEB_GUESS_PAUSE, WEB_KNOWN_USERS_MAX, WEB_TOKEN_CHARS_MIN,
};
use crate::small_file;

/// What somebody may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Look.
    Read,
    /// What can be undone: retry, pause, make quiet; and cancel.
    Operate,
    /// What cannot: delete, clear, stop a process.
    Admin,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    /// As the audit log names them.
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// Who may come in, and the most that they may do.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    door: Door,
    most: Role,
}

#[derive(Debug, Clone)]
enum Door {
    /// Everybody who reaches the address, under this name.
    Open(&'static str),
    /// Those of the file.
    Known(Box<Gate>),
}

/// The entries of a file, and who came in by them.
#[derive(Clone)]
struct Gate {
    tokens: Vec<Token>,
    users: Vec<User>,
    /// `name:password` as clients have sent them and as they were found right, the latest last.
    known: RefCell<VecDeque<Vec<u8>>>,
    /// When the last wrong password came.
    wrong_at: Cell<Option<Instant>>,
}

#[derive(Clone)]
struct Token {
    secret: String,
    who: Who,
}

#[derive(Clone)]
struct User {
    hash: String,
    who: Who,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pass {
    /// It is answered.
    Granted(Who),
    /// It shows no token or password, or a wrong one.
    Refused,
    /// It comes too soon after a wrong one.
    Later,
}

impl Role {
    /// As files spell it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Operate, Self::Admin].into_iter().find(|role| role.word() == word)
    }
}

/// Why a file is not accepted. Never shows what is in it.
#[derive(Debug, Error)]
pub(crate) enum AccessError {
    /// It cannot be read.
    #[error("--web-auth: {path}: {reason}")]
    Unreadable {
        /// Its path.
        path: String,
        /// Why.
        reason: String,
    },
    /// A line is neither a user nor a token.
    #[error("--web-auth: {path}, line {line}: {reason}")]
    BadLine {
        /// Its path.
        path: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It has no entry.
    #[error(
        "--web-auth: {path} has neither a user (a line that htpasswd -nB NAME prints) nor a token (a line of its own)"
    )]
    Empty {
        /// Its path.
        path: String,
    },
}

impl Access {
    /// Everybody on this machine. They have no names, so they may not do what cannot be undone.
    pub(crate) const fn local() -> Self {
        Self { door: Door::Open("somebody on this machine"), most: Role::Operate }
    }

    /// Everybody on the network, to read.
    pub(crate) const fn open() -> Self {
        Self { door: Door::Open("anybody"), most: Role::Read }
    }

    /// Reads a file of users and tokens.
    ///
    /// # Errors
    /// The first line that is not one, or why the file cannot be read.
    pub(crate) fn of_file(path: &Path) -> Result<Self, AccessError> {
        let shown = || path.display().to_string();
        let unreadable = |reason: String| AccessError::Unreadable { path: shown(), reason };
        let bytes =
            small_file::read(path, WEB_AUTH_BYTES_MAX).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
        let mut gate = Gate {
            tokens: Vec::new(),
            users: Vec::new(),
            known: RefCell::default(),
            wrong_at: Cell::new(None),
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let bad = |reason| AccessError::BadLine { path: shown(), line: number, reason };
            gate.add(line, number).map_err(bad)?;
        }
        if gate.tokens.is_empty() && gate.users.is_empty() {
            return Err(AccessError::Empty { path: shown() });
        }
        Ok(Self { door: Door::Known(Box::new(gate)), most: Role::Admin })
    }

    /// The same, for reading alone.
    #[must_use]
    pub(crate) fn read_only(self) -> Self {
        Self { most: Role::Read, ..self }
    }

    /// Whether a request with this `Authorization` field may be answered.
    pub(super) fn pass(&self, authorization: Option<&[u8]>) -> Pass {
        let pass = match &self.door {
            Door::Open(name) => Pass::Granted(Who { name: (*name).to_owned(), role: self.most }),
            Door::Known(gate) => gate.pass(authorization, Instant::now()),
        };
        match pass {
            Pass::Granted(who) => Pass::Granted(Who { role: who.role.min(self.most), ..who }),
            other => other,
        }
    }
}

impl Gate {
    fn add(&mut self, line: &str, number: usize) -> Result<(), String> {
        let role = line.rsplit_once(char::is_whitespace).and_then(|(_, word)| Role::parse(word));
        let (entry, role) = match role {
            Some(role) => (line[..line.len() - role.word().len()].trim_end(), role),
            None => (line, Role::Admin),
        };
        if let Some((name, hash)) = entry.split_once(':') {
            let cost = cost(hash).ok_or_else(|| {
                "the password is not a bcrypt hash; htpasswd -nB NAME prints such a line, after which a role may stand: \
                 read, operate or admin"
                    .to_owned()
            })?;
            if cost > WEB_BCRYPT_COST_MAX {
                return Err(format!("the bcrypt cost is {cost}, at most {WEB_BCRYPT_COST_MAX} is accepted"));
            }
            let who = Who { name: name.to_owned(), role };
            self.users.push(User { hash: hash.to_owned(), who });
            return Ok(());
        }
        if entry.chars().count() < WEB_TOKEN_CHARS_MIN || !entry.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "a token has at least {WEB_TOKEN_CHARS_MIN} visible ASCII characters, such as openssl rand -hex 16 \
                 prints; after it a role may stand: read, operate or admin"
            ));
        }
        let who = Who { name: format!("the token of line {number}"), role };
        self.tokens.push(Token { secret: entry.to_owned(), who });
        Ok(())
    }

    fn pass(&self, authorization: Option<&[u8]>, now: Instant) -> Pass {
        let Some((scheme, credentials)) = authorization.and_then(split) else { return Pass::Refused };
        if scheme.eq_ignore_ascii_case(b"bearer") {
            let found = self.tokens.iter().fold(None, |found, token| {
                if is_same(token.secret.as_bytes(), credentials) { Some(token) } else { found }
            });
            return found.map_or(Pass::Refused, |token| Pass::Granted(token.who.clone()));
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Pass::Refused;
        }
        match STANDARD.decode(credentials) {
            Ok(pair) => self.pass_user(pair, now),
            Err(_) => Pass::Refused,
        }
    }

    /// `pair`: name and password, with a colon between.
    fn pass_user(&self, pair: Vec<u8>, now: Instant) -> Pass {
        let Some(colon) = pair.iter().position(|byte| *byte == b':') else { return Pass::Refused };
        let (name, password) = (&pair[..colon], &pair[colon + 1..]);
        let user = self.users.iter().find(|user| user.who.name.as_bytes() == name);
        let is_known = self.known.borrow().iter().fold(false, |known, one| is_same(one, &pair) | known);
        if let Some(user) = user.filter(|_| is_known) {
            return Pass::Granted(user.who.clone());
        }
        if self.wrong_at.get().is_some_and(|at| now.saturating_duration_since(at) < WEB_GUESS_PAUSE) {
            return Pass::Later;
        }
        // An unknown name takes as long as a known one.
        let hash = user.or(self.users.first()).map(|user| user.hash.as_str());
        let fits = hash.is_some_and(|hash| bcrypt::verify(password, hash).unwrap_or(false));
        let Some(user) = user.filter(|_| fits) else {
            self.wrong_at.set(Some(now));
            return Pass::Refused;
        };
        let mut known = self.known.borrow_mut();
        if known.len() >= WEB_KNOWN_USERS_MAX {
            known.pop_front();
        }
        known.push_back(pair);
        Pass::Granted(user.who.clone())
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} users, {} tokens", self.users.len(), self.tokens.len())
    }
}

/// The scheme of a field and what follows.
fn split(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = field.iter().position(|byte| *byte == b' ')?;
    Some((&field[..space], field[space..].trim_ascii()))
}

/// Whether two secrets are the same. Only that their lengths differ shows in the time it takes.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// The cost of a bcrypt hash; `None` if it is not one.
fn cost(hash: &str) -> Option<u32> {
    let (version, rest) = hash.strip_prefix("$2")?.split_once('$')?;
    let (cost, salted) = rest.split_once('$')?;
    (["a", "b", "x", "y"].contains(&version) && salted.len() == 53).then(|| cost.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    /// Her password is `abc`: a test vector of jBCrypt.
    const ANN: &str = "ann:$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";

    fn gate(text: &str) -> Result<Box<Gate>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        match Access::of_file(file.path()) {
            Ok(Access { door: Door::Known(gate), .. }) => Ok(gate),
            Ok(_) => panic!("a file never opens the door"),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A name and a role, or why not.
    fn told(pass: Pass) -> String {
        match pass {
            Pass::Granted(who) => format!("{} {}", who.name, who.role.word()),
            Pass::Refused => "refused".to_owned(),
            Pass::Later => "later".to_owned(),
        }
    }

    fn basic(pair: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(pair)).into_bytes()
    }

    #[test]
    fn tokens_and_passwords_of_the_file_pass_and_no_others() {
        let token = "0123456789abcdef";
        let gate = gate(&format!("# who may read\n\n{token}\n{ANN}\n")).unwrap();
        let now = Instant::now();
        let check = |field: &[u8], after: u64, expected: &str| {
            let at = now + Duration::from_secs(after);
            let found = told(gate.pass(Some(field), at));
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(field));
        };
        assert_eq!(gate.pass(None, now), Pass::Refused);
        let by_token = "the token of line 3 admin";
        check(format!("Bearer {token}").as_bytes(), 0, by_token);
        check(format!("bearer  {token} ").as_bytes(), 0, by_token);
        for wrong in [
            "Bearer 0123456789abcdee",
            "Bearer ",
            "Bearer",
            "Digest 0123456789abcdef",
            "Basic ###",
            "Basic YQ==",
        ] {
            check(wrong.as_bytes(), 0, "refused");
        }
        check(&basic("ann:abc"), 0, "ann admin");
        check(&basic("ann:wrong"), 10, "refused");
        check(&basic("bob:abc"), 10, "later");
        check(&basic("ann:abc"), 10, "ann admin");
        check(&basic("bob:abc"), 20, "refused");
        assert!(!format!("{gate:?}").contains(token));
    }

    #[test]
    fn a_role_stands_behind_an_entry_and_bounds_what_it_may_do() {
        let token = "0123456789abcdef";
        let text = format!("{token}0 read\n{token}1\toperate\n{token}2  admin \n{ANN} operate\n");
        let gate = gate(&text).unwrap();
        for (field, expected) in [
            (format!("Bearer {token}0"), "the token of line 1 read"),
            (format!("Bearer {token}1"), "the token of line 2 operate"),
            (format!("Bearer {token}2"), "the token of line 3 admin"),
            (String::from_utf8(basic("ann:abc")).unwrap(), "ann operate"),
        ] {
            assert_eq!(told(gate.pass(Some(field.as_bytes()), Instant::now())), expected);
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(token.as_bytes()).unwrap();
        let read_only = Access::of_file(file.path()).unwrap().read_only();
        let field = format!("Bearer {token}");
        assert_eq!(told(read_only.pass(Some(field.as_bytes()))), "the token of line 1 read");
        assert_eq!(told(Access::local().pass(None)), "somebody on this machine operate");
        assert_eq!(told(Access::local().read_only().pass(None)), "somebody on this machine read");
        assert_eq!(told(Access::open().pass(None)), "anybody read");
    }

    #[test]
    fn a_line_that_is_neither_is_named_without_what_it_says() {
        for (text, part) in [
            ("ann:secret-plain\n", "line 1: the password is not a bcrypt hash"),
            ("\nshort\n", "line 2: a token has at least 16"),
            ("a token with blanks in it\n", "line 1: a token"),
            ("0123456789abcdef writer\n", "a role may stand: read, operate or admin"),
            ("read\n", "line 1: a token has at least 16"),
            ("# nobody\n", "neither a user"),
        ] {
            let error = gate(text).unwrap_err();
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("secret-plain") && !error.contains("blanks in"), "{error}");
        }
        let costly = ANN.replace("$06$", "$15$");
        assert!(gate(&costly).unwrap_err().contains("cost is 15, at most 12"));
        assert!(gate(ANN).is_ok());
        assert!(Access::of_file(Path::new("/nonexistent")).unwrap_err().to_string().contains("/nonexistent"));
    }
}
