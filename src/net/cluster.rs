//! What to ask a node of a Redis Cluster, and what it answers: which node has a slot. `find` is the search.
//!
//! A connection is bound to one slot.

mod error;
pub mod route;

pub use error::ClusterError;

use super::Error;
use crate::limits::CLUSTER_SLOTS;
use crate::resp::reply::{Elements, Reply, Value};
use crate::resp::url::Endpoint;
use crate::resp::{self, Requests};

/// Asks which node has which slots; [`read_slots`] reads the reply.
#[must_use]
pub fn question() -> Requests {
    let mut question = Requests::new();
    question.command(&[b"CLUSTER", b"SLOTS"]);
    question
}

/// Slots that one node has, according to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRange {
    /// The first of them.
    pub first: u16,
    /// The last of them.
    pub last: u16,
    /// The primary, then its replicas.
    pub nodes: Vec<Endpoint>,
}

/// Reads the answer to [`question`] from the node that was reached at `asked`: a node without a host in it is at that
/// one's host.
///
/// # Errors
/// [`resp::Error::Redis`]; [`resp::Error::Unexpected`] if it is not a list of ranges of slots.
pub fn read_slots(reply: &Reply, asked: &Endpoint) -> Result<Vec<SlotRange>, resp::Error> {
    let odd = || resp::Error::Unexpected { expected: "ranges of slots", got: format!("{reply:?}") };
    let mut ranges = Vec::new();
    for range in reply.as_array()? {
        let mut parts = range.as_array()?;
        let mut slot = || match parts.next() {
            Some(Value::Integer(slot)) => u16::try_from(slot).ok().filter(|slot| *slot < CLUSTER_SLOTS),
            _ => None,
        };
        let (Some(first), Some(last)) = (slot(), slot()) else { return Err(odd()) };
        // A replica whose address the node does not know is useless; a primary comes first, or is missing.
        let nodes: Vec<Option<Endpoint>> =
            parts.map(|node| Ok(read_node(node.as_array()?, asked))).collect::<Result<_, resp::Error>>()?;
        if first > last {
            return Err(odd());
        }
        let known = nodes.first().is_some_and(Option::is_some);
        let nodes = if known { nodes.into_iter().flatten().collect() } else { Vec::new() };
        ranges.push(SlotRange { first, last, nodes });
    }
    Ok(ranges)
}

/// A host and a port; more may follow.
fn read_node(mut parts: Elements<'_>, asked: &Endpoint) -> Option<Endpoint> {
    let own_host = || match asked {
        Endpoint::Tcp { host, .. } => Some(host.clone()),
        Endpoint::Unix(_) => None,
    };
    let host = match parts.next()? {
        Value::Nil | Value::Bulk(b"") => own_host()?,
        // It prefers names and does not know this node's name.
        Value::Bulk(b"?") => return None,
        Value::Bulk(host) => std::str::from_utf8(host).ok()?.to_owned(),
        _ => return None,
    };
    match parts.next()? {
        Value::Integer(port) => {
            u16::try_from(port).ok().filter(|port| *port > 0).map(|port| Endpoint::Tcp { host, port })
        }
        _ => None,
    }
}

/// Whether this is how a server that belongs to no cluster refuses to talk about slots.
pub(super) fn is_of_no_cluster(error: &Error) -> bool {
    matches!(error, Error::Redis(refused) if refused.message().contains("cluster support disabled"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::decode::Decoder;

    fn reply(text: &str) -> Reply {
        let mut decoder = Decoder::default();
        decoder.feed(text.as_bytes());
        decoder.next_reply().unwrap().unwrap()
    }

    #[test]
    fn nonsense_is_not_a_map_and_never_panics() {
        let asked = Endpoint::Tcp { host: "a".to_owned(), port: 1 };
        for text in [
            "*1\r\n*0\r\n",
            "*1\r\n*2\r\n:5\r\n:4\r\n",
            "*1\r\n*2\r\n:-1\r\n:4\r\n",
            "*1\r\n*2\r\n:0\r\n:16384\r\n",
            "*1\r\n*3\r\n:0\r\n:1\r\n:1\r\n",
            "*1\r\n:1\r\n",
            "+OK\r\n",
            "$-1\r\n",
        ] {
            assert!(read_slots(&reply(text), &asked).is_err(), "{text:?}");
        }
        for node in ["*0\r\n", "*1\r\n$1\r\nx\r\n", "*2\r\n$1\r\n?\r\n:1\r\n", "*2\r\n$1\r\nx\r\n:0\r\n"] {
            let ranges = read_slots(&reply(&format!("*1\r\n*3\r\n:0\r\n:1\r\n{node}")), &asked).unwrap();
            assert_eq!(ranges[0].nodes, []);
        }
        // Any bytes that are a reply at all are a map or an error.
        let whole = "*1\r\n*4\r\n:0\r\n:16383\r\n*4\r\n$1\r\na\r\n:6379\r\n$2\r\nid\r\n*0\r\n*4\r\n$1\r\nb\r\n:1\r\n$2\r\nid\r\n*0\r\n";
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut bytes = whole.as_bytes().to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let mut decoder = Decoder::default();
            decoder.feed(&bytes);
            if let Ok(Some(reply)) = decoder.next_reply() {
                let _map_or_error = read_slots(&reply, &asked);
            }
        }
    }
}
