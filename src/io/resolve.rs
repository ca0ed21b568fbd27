//! From a host name to its addresses.
//!
//! The system's resolver blocks, so it runs on the executor's helper thread, one lookup after the other; each core
//! caches the results for a while. An address needs no lookup.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Instant;

use crate::limits::io::{ADDRESSES_MAX, RESOLVED_AGE_MAX, RESOLVED_NAMES_MAX};

thread_local! {
    static RESOLVED: RefCell<HashMap<String, Resolved>> = RefCell::default();
}

struct Resolved {
    addresses: Vec<IpAddr>,
    at: Instant,
}

/// The addresses of `host`, which may be a name, an address, or an IPv6 address in brackets.
///
/// # Errors
/// The resolver's error, with the name.
///
/// # Cancel-safety
/// Safe: a dropped lookup finishes on its own.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let addresses = match remembered(host) {
        Some(addresses) => addresses,
        None => look_up(host).await?,
    };
    Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

fn remembered(host: &str) -> Option<Vec<IpAddr>> {
    RESOLVED.with_borrow(|names| {
        let found = names.get(host).filter(|resolved| resolved.at.elapsed() < RESOLVED_AGE_MAX)?;
        Some(found.addresses.clone())
    })
}

async fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    let name = host.to_owned();
    let found = glommio::executor()
        .spawn_blocking(move || {
            let addresses = (name.as_str(), 0).to_socket_addrs()?;
            Ok::<_, io::Error>(addresses.map(|address| address.ip()).take(ADDRESSES_MAX).collect::<Vec<_>>())
        })
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("look up {host}: {error}")))?;
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("look up {host}: it has no address")));
    }
    RESOLVED.with_borrow_mut(|names| {
        if names.len() >= RESOLVED_NAMES_MAX {
            names.retain(|_, resolved| resolved.at.elapsed() < RESOLVED_AGE_MAX);
        }
        if names.len() < RESOLVED_NAMES_MAX {
            names.insert(host.to_owned(), Resolved { addresses: found.clone(), at: Instant::now() });
        }
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use glommio::LocalExecutor;

    use super::*;

    #[test]
    fn addresses_need_no_resolver_and_names_are_remembered() {
        LocalExecutor::default().run(async {
            let shown = |addresses: Vec<SocketAddr>| {
                addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            };
            assert_eq!(shown(resolve("127.0.0.1", 80).await.unwrap()), "127.0.0.1:80");
            assert_eq!(shown(resolve("[::1]", 80).await.unwrap()), "[::1]:80");
            assert!(remembered("localhost").is_none());
            let found = resolve("localhost", 80).await.unwrap();
            assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
            assert!(remembered("localhost").is_some());
            assert_eq!(resolve("localhost", 81).await.unwrap().len(), found.len());
        });
    }

    #[test]
    fn a_name_that_does_not_exist_is_named_in_the_error() {
        LocalExecutor::default().run(async {
            let error = resolve("no-such-host.invalid", 80).await.unwrap_err();
            assert!(error.to_string().starts_with("look up no-such-host.invalid: "), "{error}");
        });
    }
}
