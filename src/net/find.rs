//! Finding the server of a url that does not contain its address: sentinels know where the primary is, nodes of a cluster
//! which of them has a slot.
//!
//! [`Search`] is sans-IO: it says which server to ask next, takes the answer, and knows when to give up. [`open`] is the
//! loop around it, once for every kind of connection.
//!
//! All are asked anew at each connect. There is no cached map and no listener for fail-overs: a fail-over ends every
//! connection it concerns (the old primary dies, or cuts its clients off when it becomes a replica, or answers
//! `READONLY`; a slot that moves answers `MOVED`), and the next connect asks.
//!
//! Known weakness: if the host of the first sentinel or node swallows packets, each connect costs a connect time-out. A
//! primary that is cut off from its sentinels, but not from us, is used until it learns it has been demoted:
//! `min-replicas-to-write` in Redis bounds what it accepts meanwhile. If none of the url's nodes is up there is no way
//! in, though the cluster may be alive: name several.

use std::time::Duration;

use super::cluster::{self, ClusterError, SlotRange};
use super::error::Error;
use super::sentinel::{self, SentinelError};
use crate::limits::{CLUSTER_NODES_ASKED_MAX, SENTINEL_TIMEOUT};
use crate::resp::url::{Cluster, Endpoint, Place, RedisUrl, Sentinels};
use crate::resp::{self, Reply, Requests};
use crate::small_file;

/// A kind of connection, as far as the search needs it.
pub(super) trait Dial: Sized {
    /// How to connect, beyond what the url says.
    type Options;

    /// Connects to this address and introduces itself as the url says, within the time that the options allow, or
    /// `at_most` if that is shorter.
    async fn open_at(
        endpoint: &Endpoint,
        url: &RedisUrl,
        options: &Self::Options,
        at_most: Option<Duration>,
    ) -> Result<Self, Error>;

    /// Sends one command and awaits its reply for [`SENTINEL_TIMEOUT`] at most.
    async fn ask(&mut self, question: &Requests) -> Result<Reply, Error>;
}

/// Connects to the server of a url, wherever it is.
///
/// # Errors
/// That of the last attempt where the address is known; [`Error::NoPrimary`], [`Error::NoNode`] if none of those asked
/// leads to a server.
///
/// # Cancel-safety
/// Dropping the future closes what it has opened.
pub(super) async fn open<D: Dial>(url: &RedisUrl, options: &D::Options) -> Result<D, Error> {
    // A password that was changed in its file is read at the next connect.
    let url = &*url.renewed(&small_file::secret_again);
    let mut search = match url.place() {
        Place::Server(endpoint) => return D::open_at(endpoint, url, options, None).await,
        Place::Sentinels(sentinels) => Search::of_sentinels(url, sentinels),
        Place::Cluster(cluster) => Search::of_nodes(url, cluster),
    };
    let mut asked = None;
    loop {
        match search.next_step()? {
            Step::Ask(Ask { endpoint, url, question, at_most }) => {
                let answer = match D::open_at(&endpoint, &url, options, at_most).await {
                    Ok(conn) => asked.insert(conn).ask(&question).await,
                    Err(error) => Err(error),
                };
                search.answered(answer);
            }
            Step::Use { endpoint, url } => {
                asked = None;
                match D::open_at(&endpoint, &url, options, None).await {
                    Err(error) => search.missed(error)?,
                    opened => return opened,
                }
            }
            Step::UseAsked => return asked.ok_or(Error::Closed),
        }
    }
}

/// What to do next to find a server.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask this one, and pass the outcome to [`Search::answered`].
    Ask(Ask),
    /// Connect to this server. If that fails, pass the reason to [`Search::missed`].
    Use {
        /// Where it is.
        endpoint: Endpoint,
        /// The url to introduce ourselves by.
        url: RedisUrl,
    },
    /// The one that was asked last is the server.
    UseAsked,
}

/// Which server to ask, and what.
#[derive(Debug)]
pub(super) struct Ask {
    /// Where it is.
    pub(super) endpoint: Endpoint,
    /// The url to introduce ourselves by.
    pub(super) url: RedisUrl,
    /// One command.
    pub(super) question: Requests,
    /// How long connecting may take, if that is shorter than usual.
    pub(super) at_most: Option<Duration>,
}

/// One search for the server of a url.
pub(super) struct Search<'a> {
    // Fixed at construction.
    url: &'a RedisUrl,
    guides: Guides<'a>,
    // Changed by the answers.
    /// Those to ask, and those already asked.
    /// Invariant: at most [`CLUSTER_NODES_ASKED_MAX`], unless the url names more.
    hosts: Vec<Endpoint>,
    next: usize,
    /// What an answer led to.
    found: Option<Step>,
    /// Servers that were named but could not be reached.
    missed: Vec<Endpoint>,
    reasons: Vec<String>,
    /// How many know no such server.
    ignorant: usize,
    heals: bool,
}

/// Which servers are asked, and about what.
#[derive(Clone, Copy)]
enum Guides<'a> {
    Sentinels(&'a Sentinels),
    /// Which of them has this slot.
    Nodes(u16),
    /// Nothing is asked: the first node that can be reached will do.
    AnyNode,
}

impl<'a> Search<'a> {
    /// A search among these sentinels of `url`, starting with the first.
    pub(super) fn of_sentinels(url: &'a RedisUrl, sentinels: &'a Sentinels) -> Self {
        Self::new(url, Guides::Sentinels(sentinels), sentinels.hosts())
    }

    /// A search among these nodes of `url`, starting with the first, and then among those that they name: a node that is
    /// out of date names a primary that is gone, and the others know better.
    pub(super) fn of_nodes(url: &'a RedisUrl, cluster: &Cluster) -> Self {
        Self::new(url, cluster.slot().map_or(Guides::AnyNode, Guides::Nodes), cluster.hosts())
    }

    fn new(url: &'a RedisUrl, guides: Guides<'a>, hosts: &[Endpoint]) -> Self {
        Self {
            url,
            guides,
            hosts: hosts.to_vec(),
            next: 0,
            found: None,
            missed: Vec::new(),
            reasons: Vec::new(),
            ignorant: 0,
            heals: false,
        }
    }

    /// What to do next.
    ///
    /// # Errors
    /// [`Error::NoPrimary`], [`Error::NoNode`]: all were asked, in vain.
    pub(super) fn next_step(&mut self) -> Result<Step, Error> {
        if let Some(found) = self.found.take() {
            return Ok(found);
        }
        let Some(endpoint) = self.hosts.get(self.next).cloned() else { return Err(self.in_vain()) };
        self.next += 1;
        Ok(match self.guides {
            Guides::Sentinels(sentinels) => Step::Ask(Ask {
                url: self.url.sentinel_at(&endpoint, sentinels.credentials()),
                endpoint,
                question: sentinel::question(sentinels.primary()),
                at_most: Some(SENTINEL_TIMEOUT),
            }),
            // It may be the server itself, so connecting to it may take as long as to a server.
            Guides::Nodes(_) => Step::Ask(Ask {
                url: self.url.node_at(endpoint.clone()),
                endpoint,
                question: cluster::question(),
                at_most: None,
            }),
            Guides::AnyNode => Step::Use { url: self.url.node_at(endpoint.clone()), endpoint },
        })
    }

    /// Takes the answer of the one that was asked, or why there was none.
    pub(super) fn answered(&mut self, answer: Result<Reply, Error>) {
        match answer.and_then(|reply| Ok(self.read(&reply.into_result()?)?)) {
            Ok(Some(endpoint)) => self.named(endpoint),
            Ok(None) => {}
            Err(error) => self.silent(&error),
        }
    }

    /// The server that was to be used cannot be: another may be named.
    ///
    /// # Errors
    /// The same error, if there is no other that can name a server without this failure.
    pub(super) fn missed(&mut self, error: Error) -> Result<(), Error> {
        match self.guides {
            Guides::AnyNode => self.silent(&error),
            Guides::Sentinels(_) | Guides::Nodes(_) if error.is_of_one_server() => {
                self.heals = true;
                let named = self.missed.last().map(ToString::to_string).unwrap_or_default();
                self.note(&format!("it names {named}, and there: {error}"));
            }
            Guides::Sentinels(_) | Guides::Nodes(_) => return Err(error),
        }
        Ok(())
    }

    /// The server that an answer names.
    fn read(&mut self, reply: &Reply) -> Result<Option<Endpoint>, resp::Error> {
        match self.guides {
            Guides::Sentinels(_) => {
                let named = sentinel::read_address(reply)?;
                if named.is_none() {
                    self.ignorant += 1;
                    self.note("it knows no primary of this name");
                }
                Ok(named)
            }
            Guides::Nodes(slot) => {
                let slots = cluster::read_slots(reply, &self.asked())?;
                self.learn(&slots);
                let range = slots.into_iter().find(|range| (range.first..=range.last).contains(&slot));
                let primary = range.and_then(|range| range.nodes.into_iter().next());
                if primary.is_none() {
                    self.heals = true;
                    self.note("it knows no node that has it");
                }
                Ok(primary)
            }
            Guides::AnyNode => Ok(None),
        }
    }

    /// Nodes that were named can be asked too.
    fn learn(&mut self, slots: &[SlotRange]) {
        for node in slots.iter().flat_map(|range| &range.nodes) {
            if self.hosts.len() < CLUSTER_NODES_ASKED_MAX && !self.hosts.contains(node) {
                self.hosts.push(node.clone());
            }
        }
    }

    fn named(&mut self, endpoint: Endpoint) {
        if matches!(self.guides, Guides::Nodes(_)) && endpoint == self.asked() {
            self.found = Some(Step::UseAsked);
        } else if self.missed.contains(&endpoint) {
            self.note(&format!("it names {endpoint} too"));
        } else {
            self.missed.push(endpoint.clone());
            self.found = Some(Step::Use { url: self.url.primary_at(endpoint.clone()), endpoint });
        }
    }

    /// It could not be asked, or refused to answer.
    fn silent(&mut self, error: &Error) {
        self.ignorant += usize::from(cluster::is_of_no_cluster(error));
        self.heals |= error.may_heal();
        match self.guides {
            Guides::Sentinels(_) => self.note(&sentinel::reason(error)),
            Guides::Nodes(_) | Guides::AnyNode => self.note(&error.to_string()),
        }
    }

    fn in_vain(&self) -> Error {
        let all_ignorant = self.ignorant > 0 && self.ignorant == self.next;
        let (reasons, heals) = (self.reasons.join("; "), self.heals);
        let slot = match self.guides {
            Guides::Sentinels(sentinels) => {
                let primary = sentinels.primary().to_owned();
                return Error::NoPrimary(if all_ignorant {
                    SentinelError::UnknownPrimary { primary, asked: sentinels.to_string() }
                } else {
                    SentinelError::NoPrimary { primary, reasons, heals }
                });
            }
            Guides::Nodes(slot) => i32::from(slot),
            Guides::AnyNode => -1,
        };
        Error::NoNode(if all_ignorant {
            let asked: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
            ClusterError::NoCluster { asked: asked.join(",") }
        } else {
            ClusterError::NoPrimary { slot, reasons, heals }
        })
    }

    /// The one that was asked last.
    fn asked(&self) -> Endpoint {
        debug_assert!(self.next > 0, "nobody answers before anyone is asked");
        self.hosts[self.next.saturating_sub(1)].clone()
    }

    fn note(&mut self, what: &str) {
        let kind = match self.guides {
            Guides::Sentinels(_) => "sentinel",
            Guides::Nodes(_) | Guides::AnyNode => "node",
        };
        self.reasons.push(format!("{kind} {}: {what}", self.asked()));
    }
}

#[cfg(test)]
mod tests;
