//! Taking a url apart, scheme by scheme.

use std::{ffi::OsString, net::Ipv6Addr, os::unix::ffi::OsStringExt, path::PathBuf};

use super::{
    RedisUrl,
    error::UrlError,
    parts::{Parts, credentials, decode_text, percent_decode},
    place::{Cluster, Endpoint, Place, Sentinels},
};
use crate::limits::{
    CLUSTER_SEEDS_MAX, REDIS_PORT_DEFAULT, SENTINEL_PORT_DEFAULT, SENTINEL_PRIMARY_BYTES_MAX, SENTINELS_MAX,
    UNIX_SOCKET_PATH_BYTES_MAX,
};

pub(super) fn parse(url: &str) -> Result<RedisUrl, UrlError> {
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::NoScheme)?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return Err(UrlError::NoScheme);
    }
    let lower = scheme.to_ascii_lowercase();
    let encrypts = matches!(lower.as_str(), "rediss" | "rediss+sentinel" | "rediss+cluster");
    if encrypts && !cfg!(feature = "tls") {
        return Err(UrlError::TlsUnsupported);
    }
    let (scheme, (place, mut parts)) = match lower.as_str() {
        "redis" => ("redis", parse_tcp(rest)?),
        "rediss" => ("rediss", parse_tcp(rest)?),
        "unix" => ("unix", parse_unix(rest)?),
        "redis+sentinel" => ("redis+sentinel", parse_sentinels(rest)?),
        "rediss+sentinel" => ("rediss+sentinel", parse_sentinels(rest)?),
        "redis+cluster" => ("redis+cluster", parse_cluster(rest)?),
        "rediss+cluster" => ("rediss+cluster", parse_cluster(rest)?),
        _ => return Err(UrlError::UnknownScheme { scheme: scheme.to_owned() }),
    };
    parts.check(&place, encrypts, scheme)?;
    Ok(RedisUrl {
        place,
        credentials: credentials(parts.username.take(), parts.password.take()),
        database: parts.database.unwrap_or(0),
        tls: encrypts.then(|| Box::new(parts.tls)),
        must_be_primary: false,
    })
}

fn parse_tcp(rest: &str) -> Result<(Place, Parts), UrlError> {
    let (user_part, host_port, tail) = split_authority(rest);
    let (host, port) = parse_host_port(host_port, REDIS_PORT_DEFAULT)?;
    let parts = parts_with_database(user_part, tail)?;
    Ok((Place::Server(Endpoint::Tcp { host, port }), parts))
}

fn parse_sentinels(rest: &str) -> Result<(Place, Parts), UrlError> {
    let (user_part, host_ports, tail) = split_authority(rest);
    let hosts = parse_hosts(host_ports, SENTINEL_PORT_DEFAULT)?;
    if hosts.len() > SENTINELS_MAX {
        return Err(UrlError::TooManySentinels { count: hosts.len(), count_max: SENTINELS_MAX });
    }
    let (path, query) = split_query(tail)?;
    let mut parts = Parts::default();
    parts.take_user_part(user_part)?;
    let path = path.strip_prefix('/').filter(|path| !path.is_empty()).ok_or(UrlError::NoPrimaryName)?;
    let (primary, database) = path.split_once('/').unwrap_or((path, ""));
    if !database.is_empty() {
        parts.take_database(database)?;
    }
    parts.take_query(query)?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if primary.is_empty() || primary.len() > SENTINEL_PRIMARY_BYTES_MAX || !primary.bytes().all(known) {
        return Err(UrlError::BadPrimaryName { name_bytes_max: SENTINEL_PRIMARY_BYTES_MAX });
    }
    let credentials = credentials(parts.sentinel_username.clone(), parts.sentinel_password.clone());
    Ok((Place::Sentinels(Box::new(Sentinels { hosts, primary: primary.to_owned(), credentials })), parts))
}

fn parse_cluster(rest: &str) -> Result<(Place, Parts), UrlError> {
    let (user_part, host_ports, tail) = split_authority(rest);
    let hosts = parse_hosts(host_ports, REDIS_PORT_DEFAULT)?;
    if hosts.len() > CLUSTER_SEEDS_MAX {
        return Err(UrlError::TooManyNodes { count: hosts.len(), count_max: CLUSTER_SEEDS_MAX });
    }
    let parts = parts_with_database(user_part, tail)?;
    match parts.database {
        None | Some(0) => Ok((Place::Cluster(Box::new(Cluster { hosts, slot: None })), parts)),
        Some(database) => Err(UrlError::DatabaseOfCluster { database }),
    }
}

fn parse_hosts(text: &str, port_default: u16) -> Result<Vec<Endpoint>, UrlError> {
    let endpoint = |text| {
        let (host, port) = parse_host_port(text, port_default)?;
        Ok(Endpoint::Tcp { host, port })
    };
    text.split(',').map(endpoint).collect()
}

fn parse_unix(rest: &str) -> Result<(Place, Parts), UrlError> {
    let (before_query, query) = split_query(rest)?;
    let (user_part, path) = match before_query.find("@/") {
        Some(at) if !before_query.starts_with('/') => (Some(&before_query[..at]), &before_query[at + 1..]),
        _ => (None, before_query),
    };
    if !path.starts_with('/') {
        return Err(UrlError::NoPath);
    }
    let path = percent_decode(path).ok_or(UrlError::BadEncoding { part: "socket path" })?;
    if path.len() > UNIX_SOCKET_PATH_BYTES_MAX || path.contains(&0) {
        return Err(UrlError::BadPath { bytes: path.len(), bytes_max: UNIX_SOCKET_PATH_BYTES_MAX });
    }
    let mut parts = Parts::default();
    parts.take_user_part(user_part)?;
    parts.take_query(query)?;
    Ok((Place::Server(Endpoint::Unix(PathBuf::from(OsString::from_vec(path)))), parts))
}

/// User part, host part, and what follows it.
/// The parts of a url whose path is the number of a database, or empty.
fn parts_with_database(user_part: Option<&str>, tail: &str) -> Result<Parts, UrlError> {
    let (path, query) = split_query(tail)?;
    let mut parts = Parts::default();
    parts.take_user_part(user_part)?;
    if let Some(database) = path.strip_prefix('/').filter(|database| !database.is_empty()) {
        parts.take_database(database)?;
    }
    parts.take_query(query)?;
    Ok(parts)
}

fn split_authority(rest: &str) -> (Option<&str>, &str, &str) {
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let (user_part, host) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
    (user_part, host, tail)
}

fn split_query(text: &str) -> Result<(&str, &str), UrlError> {
    if text.contains('#') {
        return Err(UrlError::Fragment);
    }
    Ok(text.split_once('?').unwrap_or((text, "")))
}

fn parse_host_port(text: &str, port_default: u16) -> Result<(String, u16), UrlError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(UrlError::BadHost)?;
        address.parse::<Ipv6Addr>().map_err(|_| UrlError::BadHost)?;
        let port = match after {
            "" => None,
            _ => Some(after.strip_prefix(':').ok_or(UrlError::BadHost)?),
        };
        (address.to_owned(), port)
    } else {
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        if port.is_some_and(|port| port.contains(':')) {
            return Err(UrlError::BadHost);
        }
        (decode_text(host, "host")?, port)
    };
    let port = match port.filter(|port| !port.is_empty()) {
        None => port_default,
        Some(port) => parse_port(port).ok_or(UrlError::BadPort)?,
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(UrlError::BadHost);
    }
    Ok((host, port))
}

fn parse_port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
        .filter(|port| *port > 0)
}
