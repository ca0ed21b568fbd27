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

/// Whether a form was sent by a page of this server, as far as a browser says. One that sends no `Sec-Fetch-Site`, as over
/// plain HTTP, says the origin instead, or `null` for pages without referrers, as these are: there, and with clients that
/// are no browsers, the form's token alone proves it.
pub(super) fn is_own(site: Option<&[u8]>, origin: Option<&[u8]>, host: Option<&[u8]>) -> bool {
    if let Some(site) = site {
        return site == b"same-origin";
    }
    let Some(origin) = origin.filter(|origin| *origin != b"null") else { return true };
    let authority =
        [b"https://".as_slice(), b"http://"].iter().find_map(|scheme| origin.strip_prefix(*scheme));
    authority.is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
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

    #[test]
    fn forms_of_other_sites_are_told_from_our_own() {
        let host = Some(b"jobs.example:9394".as_slice());
        for (site, origin, expected) in [
            (Some("same-origin"), Some("null"), true),
            (Some("same-origin"), None, true),
            (Some("cross-site"), Some("http://jobs.example:9394"), false),
            (Some("same-site"), None, false),
            (Some("none"), None, false),
            (Some(""), None, false),
            (None, Some("http://jobs.example:9394"), true),
            (None, Some("https://Jobs.example:9394"), true),
            (None, Some("http://jobs.example"), false),
            (None, Some("http://evil.example"), false),
            (None, Some("http://jobs.example:9394.evil.example"), false),
            (None, Some("null"), true),
            (None, None, true),
        ] {
            let found = is_own(site.map(str::as_bytes), origin.map(str::as_bytes), host);
            assert_eq!(found, expected, "{site:?} {origin:?}");
        }
        assert!(!is_own(None, Some(b"http://evil.example"), None));
    }
}
