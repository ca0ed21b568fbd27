//! Which node each of several commands goes to, and where it was redirected.
//!
//! Sans-IO, for clients that push into queues on different nodes: a shard has a connection for each slot and needs none
//! of this. It takes apart only our own commands: those that [`Requests`] has written.

use std::ops::Range;

use redis_protocol::redis_keyslot;

use super::{Endpoint, SlotRange};
use crate::resp::{RedisErrorKind, Reply, Requests, Value};

/// One command among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// The slot of its key; 0 if it has no key, because then any node will do.
    pub slot: u16,
    /// Its place among the bytes of all.
    bytes: Range<usize>,
}

impl Routed {
    /// Appends the command to others.
    pub fn copy(&self, from: &Requests, to: &mut Requests) {
        to.push_encoded(&from.as_bytes()[self.bytes.clone()]);
    }
}

/// The commands in these requests, in order.
#[must_use]
pub fn commands(requests: &Requests) -> Vec<Routed> {
    let bytes = requests.as_bytes();
    let mut commands = Vec::with_capacity(requests.len_commands());
    let mut at = 0;
    while let Some((slot, end)) = read_command(bytes, at) {
        commands.push(Routed { slot, bytes: at..end });
        at = end;
    }
    debug_assert_eq!(commands.len(), requests.len_commands(), "what was written reads back");
    commands
}

/// The slot of the command that begins here, and where it ends.
fn read_command(bytes: &[u8], at: usize) -> Option<(u16, usize)> {
    let (count, mut at) = read_number(bytes, at, b'*')?;
    let mut slot = 0;
    // Scripts state how many keys they have before the first of them.
    let mut key_at = 1;
    for number in 0..count {
        let (length, start) = read_number(bytes, at, b'$')?;
        let arg = bytes.get(start..start.checked_add(length)?)?;
        if number == 0 && matches!(arg, b"EVAL" | b"EVALSHA") {
            key_at = 3;
        }
        if number == key_at {
            slot = redis_keyslot(arg);
        }
        at = start + length + 2;
    }
    Some((slot, at))
}

/// The number in a line that begins with `kind`, and where the line ends.
fn read_number(bytes: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    let line = bytes.get(at..)?.strip_prefix(&[kind])?;
    let end = line.iter().position(|byte| *byte == b'\r')?;
    let number = std::str::from_utf8(&line[..end]).ok()?.parse().ok()?;
    Some((number, at + 1 + end + 2))
}

/// The node that has a slot, according to this map.
#[must_use]
pub fn node_of(map: &[SlotRange], slot: u16) -> Option<&Endpoint> {
    map.iter().find(|range| (range.first..=range.last).contains(&slot))?.nodes.first()
}

/// Where a command is to be sent instead. It did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// The slot belongs to another node: the map is out of date.
    Moved,
    /// The slot is being moved, and the key is no longer here: send to that node, this once, after `ASKING`.
    Ask(Endpoint),
}

impl Redirect {
    /// Where the reply of the node at `asked` redirects to; `None` if it is an answer.
    #[must_use]
    pub fn read(reply: &Reply, asked: &Endpoint) -> Option<Self> {
        let Value::Error(error) = reply.value() else { return None };
        match error.kind() {
            RedisErrorKind::Moved => Some(Self::Moved),
            RedisErrorKind::Ask => {
                let line = std::str::from_utf8(error.line()).ok()?;
                let (host, port) = line.split(' ').nth(2)?.rsplit_once(':')?;
                let host = match (host, asked) {
                    ("", Endpoint::Tcp { host, .. }) => host.clone(),
                    (host, _) => host.to_owned(),
                };
                Some(Self::Ask(Endpoint::Tcp { host, port: port.parse().ok().filter(|port| *port > 0)? }))
            }
            _ => None,
        }
    }
}

/// Appends what makes a node accept the next command while a slot is being moved to it.
pub fn asking(requests: &mut Requests) {
    requests.command(&[b"ASKING"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::decode::Decoder;

    #[test]
    fn commands_are_told_apart_by_the_slots_of_their_keys() {
        let mut requests = Requests::new();
        requests.command(&[b"LPUSH", b"jiggler:list:a", b"x\r\n*1\r\n", b""]);
        requests.command(&[b"PING"]);
        requests.command(&[b"EVAL", b"return 1", b"2", b"{jiggler:list:a}:scheduled", b"m"]);
        requests.command(&[b"PUBLISH", b"123456789", b"x"]);
        let commands = commands(&requests);
        let slots: Vec<u16> = commands.iter().map(|command| command.slot).collect();
        let own = redis_keyslot(b"jiggler:list:a");
        assert_eq!(slots, [own, 0, own, 12_739]);
        let mut again = Requests::new();
        commands.iter().for_each(|command| command.copy(&requests, &mut again));
        assert_eq!((again.as_bytes(), again.len_commands()), (requests.as_bytes(), 4));
    }

    #[test]
    fn only_redirects_are_read_as_redirects() {
        let asked = Endpoint::Tcp { host: "a".to_owned(), port: 1 };
        let read = |text: &str| {
            let mut decoder = Decoder::default();
            decoder.feed(text.as_bytes());
            Redirect::read(&decoder.next_reply().unwrap().unwrap(), &asked)
        };
        let at = |host: &str, port| Some(Redirect::Ask(Endpoint::Tcp { host: host.to_owned(), port }));
        assert_eq!(read("-MOVED 3999 127.0.0.1:6381\r\n"), Some(Redirect::Moved));
        assert_eq!(read("-ASK 3999 127.0.0.1:6381\r\n"), at("127.0.0.1", 6381));
        assert_eq!(read("-ASK 3999 ::1:6381\r\n"), at("::1", 6381));
        assert_eq!(read("-ASK 3999 :6381\r\n"), at("a", 6381));
        for other in
            ["-ASK 3999\r\n", "-ASK 1 a:0\r\n", "-ASK 1 a:x\r\n", "-ERR x\r\n", ":1\r\n", "+ASK 1 a:1\r\n"]
        {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
