//! Writes commands as RESP2 arrays of bulk strings into one growing buffer.
//!
//! Not responsible for what the commands mean, nor for limits on how many may wait: see [`super::pipeline`].

use std::{fmt, io::Write};

use crate::limits::{REQUEST_BUFFER_KEEP_BYTES, REQUEST_NUMBER_BYTES_MAX};

/// Encoded commands to be sent in one write, and their number.
///
/// Append-only: its contents can only be sent or discarded as a whole.
#[derive(Clone, Default)]
pub struct Requests {
    /// Invariant: exactly `commands` whole commands, unless a [`Command`] is being written.
    bytes: Vec<u8>,
    commands: usize,
}

impl Requests {
    /// No commands, nothing allocated.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), commands: 0 }
    }

    /// Appends one command whose arguments, starting with the command's name, are available.
    pub fn command(&mut self, args: &[&[u8]]) {
        let mut command = self.begin(args.len());
        for arg in args {
            command.arg(arg);
        }
    }

    /// Begins a command of `argc` arguments, including the command's name; exactly that many must follow.
    ///
    /// On the wire the count comes before the arguments, so a wrong one would shift every later command. Debug builds
    /// assert it when the [`Command`] is dropped.
    #[must_use = "a command without its arguments breaks the stream"]
    pub fn begin(&mut self, argc: usize) -> Command<'_> {
        debug_assert!(argc > 0, "a command needs at least a name");
        self.push_header(b'*', argc as u64);
        self.commands += 1;
        Command { requests: self, args_left: argc }
    }

    /// Appends all commands of `other`.
    pub fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.commands += other.commands;
    }

    /// Appends one whole command that is already encoded.
    pub(crate) fn push_encoded(&mut self, command: &[u8]) {
        self.bytes.extend_from_slice(command);
        self.commands += 1;
    }

    /// The number of commands, and so of replies to come.
    #[must_use]
    pub const fn len_commands(&self) -> usize {
        self.commands
    }

    /// The encoded commands, ready for a socket.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.commands == 0
    }

    /// Forgets all commands and keeps the memory for later ones, up to [`REQUEST_BUFFER_KEEP_BYTES`]: one large batch
    /// must not stay in the resident size forever.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(REQUEST_BUFFER_KEEP_BYTES);
        self.commands = 0;
    }

    /// A line of `kind` and a number, with which arrays (`*`) and bulk strings (`$`) begin.
    fn push_header(&mut self, kind: u8, number: u64) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(Digits::of(number).as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn push_bulk(&mut self, arg: &[u8]) {
        self.push_header(b'$', arg.len() as u64);
        self.bytes.extend_from_slice(arg);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

impl fmt::Debug for Requests {
    /// Sizes, not bytes: the commands may include an AUTH with its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("commands", &self.commands)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// One command being written; created by [`Requests::begin`].
#[derive(Debug)]
pub struct Command<'a> {
    requests: &'a mut Requests,
    args_left: usize,
}

impl Command<'_> {
    /// Appends one argument, binary safe.
    pub fn arg(&mut self, arg: &[u8]) -> &mut Self {
        debug_assert!(self.args_left > 0, "more arguments than were passed to begin()");
        self.args_left = self.args_left.saturating_sub(1);
        self.requests.push_bulk(arg);
        self
    }

    /// Appends an unsigned number in decimal, without allocating.
    pub fn arg_u64(&mut self, number: u64) -> &mut Self {
        self.arg(Digits::of(number).as_bytes())
    }

    /// Appends a float in the shortest form that reads back as the same float, without allocating.
    ///
    /// Infinities are written as `inf` and `-inf`, which Redis understands. It refuses NaN, so debug builds assert
    /// that the number is not one.
    pub fn arg_f64(&mut self, number: f64) -> &mut Self {
        debug_assert!(!number.is_nan(), "Redis does not accept NaN");
        let mut text = [0_u8; REQUEST_NUMBER_BYTES_MAX];
        let mut rest = text.as_mut_slice();
        // Debug is the shortest form and, unlike Display, switches to an exponent instead of hundreds of zeros.
        let fitted = write!(rest, "{number:?}").is_ok();
        debug_assert!(fitted, "the longest float has 24 characters");
        let length = REQUEST_NUMBER_BYTES_MAX - rest.len();
        self.arg(&text[..length])
    }
}

impl Drop for Command<'_> {
    fn drop(&mut self) {
        // A second panic during unwinding would abort and hide the first.
        if !std::thread::panicking() {
            debug_assert_eq!(self.args_left, 0, "fewer arguments than were passed to begin()");
        }
    }
}

/// The decimal digits of a number, on the stack.
struct Digits {
    text: [u8; REQUEST_NUMBER_BYTES_MAX],
    start: usize,
}

impl Digits {
    fn of(mut number: u64) -> Self {
        let mut text = [0_u8; REQUEST_NUMBER_BYTES_MAX];
        let mut start = REQUEST_NUMBER_BYTES_MAX;
        loop {
            start -= 1;
            text[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        Self { text, start }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl FnOnce(&mut Requests), expected: &str) {
        let mut requests = Requests::new();
        write(&mut requests);
        assert_eq!(String::from_utf8_lossy(requests.as_bytes()), expected);
    }

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        check(|r| r.command(&[b"PING"]), "*1\r\n$4\r\nPING\r\n");
        check(|r| r.command(&[b"SET", b"k", b""]), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        check(
            |r| {
                r.begin(1).arg_u64(u64::MAX);
            },
            "*1\r\n$20\r\n18446744073709551615\r\n",
        );
        check(
            |r| {
                r.begin(1).arg_u64(0);
            },
            "*1\r\n$1\r\n0\r\n",
        );
    }

    #[test]
    fn floats_read_back_as_the_same_float() {
        for number in
            [0.0, -0.0, 1.5, 1_795_299_730.321_671_7, 1e21, 5e-324, f64::MAX, f64::MIN, f64::INFINITY]
        {
            let mut requests = Requests::new();
            requests.begin(1).arg_f64(number);
            let text = String::from_utf8(requests.as_bytes().to_vec()).unwrap();
            let line = text.split("\r\n").nth(2).unwrap();
            assert_eq!(line.parse::<f64>().unwrap().to_bits(), number.to_bits(), "{line}");
            assert!(line.len() <= REQUEST_NUMBER_BYTES_MAX, "{line}");
        }
    }

    #[test]
    fn clearing_keeps_a_usual_buffer_and_gives_a_large_one_back() {
        let mut requests = Requests::new();
        requests.command(&[b"SET", b"k", &vec![b'x'; 1000]]);
        let usual = requests.bytes.capacity();
        requests.clear();
        assert!(requests.is_empty() && requests.as_bytes().is_empty());
        assert_eq!(requests.bytes.capacity(), usual);

        requests.command(&[b"SET", b"k", &vec![b'x'; 4 * REQUEST_BUFFER_KEEP_BYTES]]);
        requests.clear();
        assert!(requests.bytes.capacity() <= REQUEST_BUFFER_KEEP_BYTES);
    }

    #[test]
    fn appending_adds_commands_and_bytes() {
        let mut first = Requests::new();
        first.command(&[b"PING"]);
        let mut second = first.clone();
        second.append(&first);
        assert_eq!(second.len_commands(), 2);
        assert_eq!(second.as_bytes(), b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n");
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_wrong_count_of_arguments_is_caught_in_debug_builds() {
        let too_few = std::panic::catch_unwind(|| {
            Requests::new().begin(2).arg(b"GET");
        });
        let too_many = std::panic::catch_unwind(|| {
            Requests::new().begin(1).arg(b"GET").arg(b"k");
        });
        assert!(too_few.is_err() && too_many.is_err());
    }
}
