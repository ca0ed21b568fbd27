//! Who may read: everybody, or those with a token or a password of a file.
//!
//! The file has one entry a line: `name:hash`, with a bcrypt hash as `htpasswd -nB name` prints it, or a bearer token alone.
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

/// Who may read.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// Everybody who reaches the address.
    Open,
    /// Those of the file.
    Known(Box<Gate>),
}

/// The entries of a file, and who came in by them.
#[derive(Clone)]
pub(crate) struct Gate {
    tokens: Vec<String>,
    users: Vec<User>,
    /// `name:password` as clients have sent them and as they were found right, the latest last.
    known: RefCell<VecDeque<Vec<u8>>>,
    /// When the last wrong password came.
    wrong_at: Cell<Option<Instant>>,
}

#[derive(Clone)]
struct User {
    name: String,
    hash: String,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// It is answered.
    Granted,
    /// It shows no token or password, or a wrong one.
    Refused,
    /// It comes too soon after a wrong one.
    Later,
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
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = |reason| AccessError::BadLine { path: shown(), line: number + 1, reason };
            gate.add(line).map_err(bad)?;
        }
        if gate.tokens.is_empty() && gate.users.is_empty() {
            return Err(AccessError::Empty { path: shown() });
        }
        Ok(Self::Known(Box::new(gate)))
    }

    /// Whether a request with this `Authorization` field may be answered.
    pub(super) fn pass(&self, authorization: Option<&[u8]>) -> Pass {
        match self {
            Self::Open => Pass::Granted,
            Self::Known(gate) => gate.pass(authorization, Instant::now()),
        }
    }
}

impl Gate {
    fn add(&mut self, line: &str) -> Result<(), String> {
        if let Some((name, hash)) = line.split_once(':') {
            let cost = cost(hash).ok_or_else(|| {
                "the password is not a bcrypt hash; htpasswd -nB NAME prints such a line".to_owned()
            })?;
            if cost > WEB_BCRYPT_COST_MAX {
                return Err(format!("the bcrypt cost is {cost}, at most {WEB_BCRYPT_COST_MAX} is accepted"));
            }
            self.users.push(User { name: name.to_owned(), hash: hash.to_owned() });
            return Ok(());
        }
        if line.chars().count() < WEB_TOKEN_CHARS_MIN || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "a token has at least {WEB_TOKEN_CHARS_MIN} visible ASCII characters, such as openssl rand -hex 16 prints"
            ));
        }
        self.tokens.push(line.to_owned());
        Ok(())
    }

    fn pass(&self, authorization: Option<&[u8]>, now: Instant) -> Pass {
        let Some((scheme, credentials)) = authorization.and_then(split) else { return Pass::Refused };
        if scheme.eq_ignore_ascii_case(b"bearer") {
            let is_known =
                self.tokens.iter().fold(false, |known, token| is_same(token.as_bytes(), credentials) | known);
            return if is_known { Pass::Granted } else { Pass::Refused };
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
        let is_known = self.known.borrow().iter().fold(false, |known, one| is_same(one, &pair) | known);
        if is_known {
            return Pass::Granted;
        }
        let Some(colon) = pair.iter().position(|byte| *byte == b':') else { return Pass::Refused };
        if self.wrong_at.get().is_some_and(|at| now.saturating_duration_since(at) < WEB_GUESS_PAUSE) {
            return Pass::Later;
        }
        let (name, password) = (&pair[..colon], &pair[colon + 1..]);
        let user = self.users.iter().find(|user| user.name.as_bytes() == name);
        // An unknown name takes as long as a known one.
        let hash = user.or(self.users.first()).map(|user| user.hash.as_str());
        let fits = hash.is_some_and(|hash| bcrypt::verify(password, hash).unwrap_or(false));
        if !fits || user.is_none() {
            self.wrong_at.set(Some(now));
            return Pass::Refused;
        }
        let mut known = self.known.borrow_mut();
        if known.len() >= WEB_KNOWN_USERS_MAX {
            known.pop_front();
        }
        known.push_back(pair);
        Pass::Granted
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
            Ok(Access::Known(gate)) => Ok(gate),
            Ok(Access::Open) => panic!("a file never opens the door"),
            Err(error) => Err(error.to_string()),
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
        let check = |field: &[u8], after: u64, expected| {
            let at = now + Duration::from_secs(after);
            assert_eq!(gate.pass(Some(field), at), expected, "{}", String::from_utf8_lossy(field));
        };
        assert_eq!(gate.pass(None, now), Pass::Refused);
        check(format!("Bearer {token}").as_bytes(), 0, Pass::Granted);
        check(format!("bearer  {token} ").as_bytes(), 0, Pass::Granted);
        for wrong in [
            "Bearer 0123456789abcdee",
            "Bearer ",
            "Bearer",
            "Digest 0123456789abcdef",
            "Basic ###",
            "Basic YQ==",
        ] {
            check(wrong.as_bytes(), 0, Pass::Refused);
        }
        check(&basic("ann:abc"), 0, Pass::Granted);
        check(&basic("ann:wrong"), 10, Pass::Refused);
        check(&basic("bob:abc"), 10, Pass::Later);
        check(&basic("ann:abc"), 10, Pass::Granted);
        check(&basic("bob:abc"), 20, Pass::Refused);
        assert!(!format!("{gate:?}").contains(token));
    }

    #[test]
    fn a_line_that_is_neither_is_named_without_what_it_says() {
        for (text, part) in [
            ("ann:secret-plain\n", "line 1: the password is not a bcrypt hash"),
            ("\nshort\n", "line 2: a token has at least 16"),
            ("a token with blanks in it\n", "line 1: a token"),
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
