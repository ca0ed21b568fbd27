//! Whether a request was made for this server. A page of some other site can make a browser send requests to a loopback
//! address under that site's name (DNS rebinding); so under a name other than `localhost` nothing is answered there.

use std::net::IpAddr;

/// Whether a `Host` field names this machine as a browser on it would: by an address or as `localhost`. A client that sends
/// none is not a browser.
pub(super) fn is_local(host: Option<&[u8]>) -> bool {
    let Some(host) = host else { return true };
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let host = host.trim();
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_local_and_names_are_not() {
        for host in ["127.0.0.1:9394", "localhost", "LocalHost:80", "[::1]:9394", "10.0.0.7"] {
            assert!(is_local(Some(host.as_bytes())), "{host}");
        }
        for host in ["evil.example:9394", "localhost.evil.example", "[evil]:80", "", "\u{fffd}"] {
            assert!(!is_local(Some(host.as_bytes())), "{host}");
        }
        assert!(is_local(None));
        assert!(!is_local(Some(&[0xff])));
    }
}
