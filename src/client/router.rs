//! A client's connections to the nodes of a Redis Cluster: each command goes to the node that has the slot of its
//! key.
//!
//! A connection for each node that was needed, and a map of the slots, which is fetched again when a node says it is
//! out of date (`MOVED`) or cannot be reached. A redirected command (`MOVED`, `ASK`) has not run, so it is sent once
//! more, to the right node; if that is refused too, the caller gets the refusal. All connections are opened before
//! anything is sent, so that a node that is away leaves nothing half done; nothing that may have run is sent twice.
//!
//! The same for all three kinds of sockets; the blocking one never actually suspends.

use std::time::Instant;

use crate::limits::{CLUSTER_NODES_ASKED_MAX, LOCAL_PROBE_IDLE};
use crate::net::cluster::route::{self, Redirect, Routed};
use crate::net::cluster::{SlotRange, question, read_slots};
use crate::net::error::{ClusterError, Error};
use crate::resp::{Endpoint, Place, RedisUrl, Reply, Requests};
use crate::store::enqueue;

/// A kind of connection.
pub(super) trait Wire: Sized {
    /// Options for opening one.
    type Options;

    /// Opens one to the server of a url.
    async fn open(url: &RedisUrl, options: &Self::Options) -> Result<Self, Error>;

    /// Sends commands and returns their replies, including errors.
    async fn exchange(&mut self, requests: &Requests) -> Result<Vec<Reply>, Error>;
}

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent.
    NotSent(Error),
    /// Some of it may have run.
    Lost(Error),
}

/// The nodes of one cluster.
#[derive(Debug)]
pub(super) struct Router<W: Wire> {
    // Fixed at construction.
    url: RedisUrl,
    options: W::Options,
    // Changed by calls only.
    map: Vec<SlotRange>,
    /// At most one per node of the cluster, with the time it last answered.
    nodes: Vec<(Endpoint, W, Instant)>,
}

/// Commands for one node, and their positions among all.
struct Share {
    endpoint: Endpoint,
    requests: Requests,
    places: Vec<usize>,
}

impl<W: Wire> Router<W> {
    pub(super) const fn new(url: RedisUrl, options: W::Options) -> Self {
        Self { url, options, map: Vec::new(), nodes: Vec::new() }
    }

    /// Whether the next call must connect first.
    pub(super) fn is_down(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Makes sure there is a connection to every node that these commands need.
    pub(super) async fn prepare(&mut self, requests: &Requests) -> Result<(), Error> {
        self.shares(requests).await.map(drop)
    }

    /// Sends each command to its node and returns the replies in the order of the commands, including errors. One
    /// round trip per node, plus one for each redirected command.
    pub(super) async fn call(&mut self, requests: &Requests) -> Result<Vec<Reply>, Failure> {
        let (commands, shares) = self.shares(requests).await.map_err(Failure::NotSent)?;
        let mut replies: Vec<Option<Reply>> = vec![None; commands.len()];
        let mut astray = Vec::new();
        for share in shares {
            let got = self.exchange(&share.endpoint, &share.requests).await.map_err(Failure::Lost)?;
            for (place, reply) in share.places.into_iter().zip(got) {
                if let Some(redirect) = Redirect::read(&reply, &share.endpoint) {
                    astray.push((place, redirect));
                }
                replies[place] = Some(reply);
            }
        }
        if astray.iter().any(|(_, redirect)| *redirect == Redirect::Moved) {
            // If nobody can be asked, the existing replies say so.
            let _map_stays = self.learn().await;
        }
        for (place, redirect) in astray {
            if let Some(reply) = self.again(requests, &commands[place], redirect).await? {
                replies[place] = Some(reply);
            }
        }
        // Each command was in exactly one share.
        Ok(replies.into_iter().flatten().collect())
    }

    /// Sends a command that has not run to the right node; `None` if that cannot be reached, and it still has not
    /// run.
    async fn again(
        &mut self,
        requests: &Requests,
        command: &Routed,
        redirect: Redirect,
    ) -> Result<Option<Reply>, Failure> {
        let mut once = Requests::new();
        let endpoint = match redirect {
            Redirect::Moved => route::node_of(&self.map, command.slot).cloned(),
            Redirect::Ask(endpoint) => {
                route::asking(&mut once);
                Some(endpoint)
            }
        };
        let Some(endpoint) = endpoint else { return Ok(None) };
        command.copy(requests, &mut once);
        if self.open(&endpoint).await.is_err() {
            return Ok(None);
        }
        Ok(self.exchange(&endpoint, &once).await.map_err(Failure::Lost)?.pop())
    }

    /// The commands, by node, each with an open connection. If the map points to a node that is away, it is fetched
    /// again, once.
    async fn shares(&mut self, requests: &Requests) -> Result<(Vec<Routed>, Vec<Share>), Error> {
        let commands = route::commands(requests);
        let mut is_new = self.map.is_empty();
        if is_new {
            self.learn().await?;
        }
        loop {
            let opened = match self.split(requests, &commands) {
                Ok(shares) => self.open_all(&shares).await.map(|()| shares),
                Err(error) => Err(error),
            };
            match opened {
                Ok(shares) => return Ok((commands, shares)),
                Err(error) if is_new => return Err(error),
                Err(_) => {
                    self.learn().await?;
                    is_new = true;
                }
            }
        }
    }

    fn split(&self, requests: &Requests, commands: &[Routed]) -> Result<Vec<Share>, Error> {
        let mut shares: Vec<Share> = Vec::new();
        for (place, command) in commands.iter().enumerate() {
            let Some(endpoint) = route::node_of(&self.map, command.slot) else {
                let (slot, reasons) = (i32::from(command.slot), "no node serves it".to_owned());
                return Err(Error::NoNode(ClusterError::NoPrimary { slot, reasons, heals: true }));
            };
            let at = shares.iter().position(|share| share.endpoint == *endpoint).unwrap_or_else(|| {
                let endpoint = endpoint.clone();
                shares.push(Share { endpoint, requests: Requests::new(), places: Vec::new() });
                shares.len() - 1
            });
            command.copy(requests, &mut shares[at].requests);
            shares[at].places.push(place);
        }
        Ok(shares)
    }

    async fn open_all(&mut self, shares: &[Share]) -> Result<(), Error> {
        for share in shares {
            self.open(&share.endpoint).await?;
        }
        Ok(())
    }

    /// A working connection, as far as that can be known: one that has been idle for long is checked.
    async fn open(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        if let Some(at) = self.nodes.iter().position(|(node, ..)| node == endpoint) {
            let (_, wire, answered_at) = &mut self.nodes[at];
            if answered_at.elapsed() < LOCAL_PROBE_IDLE {
                return Ok(());
            }
            let mut requests = Requests::new();
            enqueue::probe(&mut requests);
            if wire.exchange(&requests).await.is_ok() {
                *answered_at = Instant::now();
                return Ok(());
            }
            self.nodes.remove(at);
        }
        let wire = W::open(&self.url.primary_at(endpoint.clone()), &self.options).await?;
        self.nodes.push((endpoint.clone(), wire, Instant::now()));
        Ok(())
    }

    /// One round trip over an open connection, which is closed if it fails.
    async fn exchange(&mut self, endpoint: &Endpoint, requests: &Requests) -> Result<Vec<Reply>, Error> {
        let at = self.nodes.iter().position(|(node, ..)| node == endpoint).ok_or(Error::Closed)?;
        // If this call is dropped midway, no connection with owed replies remains.
        let (endpoint, mut wire, _) = self.nodes.swap_remove(at);
        let replies = wire.exchange(requests).await?;
        self.nodes.push((endpoint, wire, Instant::now()));
        Ok(replies)
    }

    /// Asks the nodes of the url, then the known nodes, for the map.
    async fn learn(&mut self) -> Result<(), Error> {
        let Place::Cluster(cluster) = self.url.place() else { return Ok(()) };
        let mut nodes = cluster.hosts().to_vec();
        let known = self.map.iter().filter_map(|range| range.nodes.first()).cloned();
        nodes.extend(known);
        nodes.dedup();
        let mut last = Error::Closed;
        for endpoint in nodes.into_iter().take(CLUSTER_NODES_ASKED_MAX) {
            match self.ask(&endpoint).await {
                Ok(map) if !map.is_empty() => {
                    self.map = map;
                    let is_primary =
                        |node: &Endpoint| self.map.iter().any(|range| range.nodes.first() == Some(node));
                    self.nodes.retain(|(node, ..)| is_primary(node));
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask(&self, endpoint: &Endpoint) -> Result<Vec<SlotRange>, Error> {
        let mut wire = W::open(&self.url.node_at(endpoint.clone()), &self.options).await?;
        let mut replies = wire.exchange(&question()).await?;
        Ok(read_slots(&replies.pop().ok_or(Error::Closed)?.into_result()?, endpoint)?)
    }
}
