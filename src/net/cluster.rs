//! Asking the nodes of a Redis Cluster which of them has a slot.
//!
//! Sans-IO, as [`super::sentinel`]: [`Search`] says whom to ask next, hears what came of it, and knows when to give up. The
//! nodes of the url are asked first, then those that they named: one that is behind the times names a primary that is gone,
//! and the others know better.
//!
//! A connection is bound to one slot. It is asked for anew at each connect, and nobody keeps a map: who moves a slot, or a
//! fail-over, ends what it concerns (`MOVED`, a closed connection), and the next connect asks.
//!
//! Known weakness: a first node whose host swallows packets costs a connect time-out at each connect. If none of the url's
//! nodes is up there is no way in, though the cluster may live: name several.

mod error;
pub mod route;

pub use error::ClusterError;

use super::Error;
use crate::limits::{CLUSTER_NODES_ASKED_MAX, CLUSTER_SLOTS};
use crate::resp::Requests;
use crate::resp::reply::{Elements, Reply, Value};
use crate::resp::url::{Cluster, Endpoint, RedisUrl};

/// One search for the primary of the slot of a url.
pub struct Search<'a> {
    // Fixed at construction.
    url: &'a RedisUrl,
    slot: Option<u16>,
    question: Requests,
    // Changed by what is heard.
    /// Those to be asked, and those that were.
    /// Invariant: at most [`CLUSTER_NODES_ASKED_MAX`].
    nodes: Vec<Endpoint>,
    next: usize,
    /// Servers that were named and could not be had.
    missed: Vec<Endpoint>,
    reasons: Vec<String>,
    strangers: usize,
    heals: bool,
}

/// Where the primary of the slot is.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// It is the node that was asked.
    Here,
    /// It is elsewhere: where, and the url to use it by.
    At(Endpoint, RedisUrl),
}

impl<'a> Search<'a> {
    /// A search among these nodes of `url`, the first one first.
    #[must_use]
    pub fn new(url: &'a RedisUrl, cluster: &Cluster) -> Self {
        Self {
            url,
            slot: cluster.slot(),
            question: question(),
            nodes: cluster.hosts().to_vec(),
            next: 0,
            missed: Vec::new(),
            reasons: Vec::new(),
            strangers: 0,
            heals: false,
        }
    }

    /// Whom to ask next, and the url to introduce ourselves by; `None` when all were asked.
    pub fn next_node(&mut self) -> Option<(Endpoint, RedisUrl)> {
        let endpoint = self.nodes.get(self.next)?;
        self.next += 1;
        Some((endpoint.clone(), self.url.node_at(endpoint.clone())))
    }

    /// What to ask; `None`: any node will do, so the first that answers is the right one.
    #[must_use]
    pub fn question(&self) -> Option<&Requests> {
        self.slot.is_some().then_some(&self.question)
    }

    /// Hears what the node said, or why it said nothing; `None` if the next one is to be asked.
    pub fn heard(&mut self, answer: Result<Reply, Error>) -> Option<Found> {
        let asked = self.nodes.get(self.next.checked_sub(1)?)?.clone();
        let slots = answer.and_then(|reply| Ok(read_slots(&reply.into_result()?, &asked)?));
        let slots = match slots {
            Ok(slots) => slots,
            Err(error) => {
                self.silent(&error);
                return None;
            }
        };
        for range in &slots {
            for node in &range.nodes {
                if self.nodes.len() < CLUSTER_NODES_ASKED_MAX && !self.nodes.contains(node) {
                    self.nodes.push(node.clone());
                }
            }
        }
        let slot = self.slot.unwrap_or(0);
        let range = slots.into_iter().find(|range| (range.first..=range.last).contains(&slot));
        let Some(primary) = range.and_then(|range| range.nodes.into_iter().next()) else {
            self.heals = true;
            self.note("it knows no node that has it");
            return None;
        };
        if primary == asked {
            return Some(Found::Here);
        }
        if self.missed.contains(&primary) {
            self.note(&format!("it names {primary} too"));
            return None;
        }
        self.missed.push(primary.clone());
        let url = self.url.primary_at(primary.clone());
        Some(Found::At(primary, url))
    }

    /// The node could not be asked, or refused to answer.
    pub fn silent(&mut self, error: &Error) {
        if matches!(error, Error::Redis(refused) if refused.message().contains("cluster support disabled")) {
            self.strangers += 1;
        }
        self.heals |= error.may_heal();
        self.note(&error.to_string());
    }

    /// The server that was named last cannot be used.
    pub fn missed(&mut self, error: &Error) {
        self.heals = true;
        let named = self.missed.last().map(ToString::to_string).unwrap_or_default();
        self.note(&format!("it names {named}, and there: {error}"));
    }

    /// All were asked, in vain.
    #[must_use]
    pub fn in_vain(self) -> Error {
        Error::NoNode(if self.strangers > 0 && self.strangers == self.next {
            let asked: Vec<String> = self.nodes.iter().map(ToString::to_string).collect();
            ClusterError::NoCluster { asked: asked.join(",") }
        } else {
            ClusterError::NoPrimary {
                slot: self.slot.map_or(-1, i32::from),
                reasons: self.reasons.join("; "),
                heals: self.heals,
            }
        })
    }

    fn note(&mut self, what: &str) {
        let asked = self.next.checked_sub(1).and_then(|index| self.nodes.get(index));
        let asked = asked.map(ToString::to_string).unwrap_or_default();
        self.reasons.push(format!("node {asked}: {what}"));
    }
}

/// The question which node has which slots; [`read_slots`] reads the reply.
#[must_use]
pub fn question() -> Requests {
    let mut question = Requests::new();
    question.command(&[b"CLUSTER", b"SLOTS"]);
    question
}

/// Slots that one node has, as another says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRange {
    /// The first of them.
    pub first: u16,
    /// The last of them.
    pub last: u16,
    /// The primary, then its replicas.
    pub nodes: Vec<Endpoint>,
}

/// Reads the answer to [`Search::question`] of the node that was reached at `asked`: a node without a host in it is meant to
/// be at that one's.
///
/// # Errors
/// [`Error::Redis`]; [`Error::Unexpected`] if it is no list of ranges of slots.
pub fn read_slots(reply: &Reply, asked: &Endpoint) -> Result<Vec<SlotRange>, Error> {
    let odd = || Error::Unexpected { expected: "ranges of slots", got: format!("{reply:?}") };
    let mut ranges = Vec::new();
    for range in reply.as_array()? {
        let mut parts = range.as_array()?;
        let mut slot = || match parts.next() {
            Some(Value::Integer(slot)) => u16::try_from(slot).ok().filter(|slot| *slot < CLUSTER_SLOTS),
            _ => None,
        };
        let (Some(first), Some(last)) = (slot(), slot()) else { return Err(odd()) };
        // A replica whose address the node does not know is of no use; a primary is the first, or missing.
        let nodes: Vec<Option<Endpoint>> =
            parts.map(|node| Ok(read_node(node.as_array()?, asked))).collect::<Result<_, Error>>()?;
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
        // It has a preference for names and does not know this one's.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Place, decode::Decoder};

    fn reply(text: &str) -> Reply {
        let mut decoder = Decoder::default();
        decoder.feed(text.as_bytes());
        decoder.next_reply().unwrap().unwrap()
    }

    fn bulk(text: &str) -> String {
        format!("${}\r\n{text}\r\n", text.len())
    }

    /// First and last slot, and the hosts and ports of the nodes.
    type Range<'r> = (u16, u16, &'r [(&'r str, u16)]);

    /// An answer with these ranges.
    fn slots(ranges: &[Range<'_>]) -> String {
        let mut text = format!("*{}\r\n", ranges.len());
        for (first, last, nodes) in ranges {
            text += &format!("*{}\r\n:{first}\r\n:{last}\r\n", 2 + nodes.len());
            for (host, port) in *nodes {
                text += &format!("*4\r\n{}:{port}\r\n{}*0\r\n", bulk(host), bulk("id"));
            }
        }
        text
    }

    fn refused() -> Error {
        Error::Io { what: "connect to x".to_owned(), cause: std::io::ErrorKind::ConnectionRefused.into() }
    }

    fn search<T>(url: &str, key: &str, play: impl FnOnce(&mut Search<'_>) -> T) -> (T, Error) {
        let url = RedisUrl::parse(url).unwrap().at_key(key.as_bytes());
        let Place::Cluster(cluster) = url.place() else { panic!("{url}") };
        let mut search = Search::new(&url, cluster);
        let played = play(&mut search);
        (played, search.in_vain())
    }

    // Redis's own example: the slot of "123456789" is 12739.
    const KEY: &str = "123456789";

    #[test]
    fn the_primary_of_the_slot_is_found_by_the_first_node_that_answers() {
        let ((), _) = search("redis+cluster://me:pw@a,b:7000", KEY, |search| {
            let (endpoint, url) = search.next_node().unwrap();
            assert_eq!(endpoint.to_string(), "a:6379");
            assert_eq!(url.credentials().unwrap().password, "pw");
            assert!(!url.must_be_primary());
            let ranges = slots(&[(0, 12_738, &[("a", 6379)]), (12_739, 16_383, &[("c", 1), ("d", 2)])]);
            let Some(Found::At(endpoint, url)) = search.heard(Ok(reply(&ranges))) else { panic!("no one") };
            assert_eq!((endpoint.to_string().as_str(), url.must_be_primary()), ("c:1", true));
            // What cannot be had is not tried twice, and those that were named are asked too.
            search.missed(&refused());
            assert_eq!(search.next_node().unwrap().0.to_string(), "b:7000");
            assert_eq!(search.heard(Ok(reply(&ranges))), None);
            assert_eq!(search.next_node().unwrap().0.to_string(), "c:1");
            search.silent(&refused());
            assert_eq!(search.next_node().unwrap().0.to_string(), "d:2");
            let new = slots(&[(0, 16_383, &[("d", 2)])]);
            assert_eq!(search.heard(Ok(reply(&new))), Some(Found::Here));
        });
    }

    #[test]
    fn a_node_without_a_host_is_at_the_host_that_was_asked() {
        let ((), _) = search("redis+cluster://a:7000", KEY, |search| {
            search.next_node().unwrap();
            let unnamed = slots(&[(0, 16_383, &[("", 7000)])]);
            assert_eq!(search.heard(Ok(reply(&unnamed))), Some(Found::Here));
        });
    }

    #[test]
    fn slots_without_a_node_may_heal_and_a_server_of_no_cluster_does_not() {
        let ((), error) = search("redis+cluster://a", KEY, |search| {
            search.next_node().unwrap();
            assert_eq!(search.heard(Ok(reply("*0\r\n"))), None);
            assert!(search.next_node().is_none());
        });
        assert!(error.may_heal() && error.to_string().contains("slot 12739"), "{error}");
        let ((), error) = search("redis+cluster://a", KEY, |search| {
            search.next_node().unwrap();
            let disabled = "-ERR This instance has cluster support disabled\r\n";
            assert_eq!(search.heard(Ok(reply(disabled))), None);
        });
        assert!(!error.may_heal() && error.to_string().contains("write redis://"), "{error}");
    }

    #[test]
    fn any_node_will_do_where_no_slot_is_asked_for() {
        let url = RedisUrl::parse("redis+cluster://a").unwrap();
        let Place::Cluster(cluster) = url.place() else { panic!("{url}") };
        assert!(Search::new(&url, cluster).question().is_none());
    }

    #[test]
    fn nonsense_is_no_map_and_never_panics() {
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
        let whole = slots(&[(0, 16_383, &[("a", 6379), ("b", 1)])]);
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let mut bytes = whole.clone().into_bytes();
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
