//! Where a request goes: from a url to an origin, a path and a `Host`.

use std::fmt;

use ::http::uri::{Authority, PathAndQuery, Scheme};
use ::http::{Method, Uri};

use super::Error;

/// A server; connections are kept per origin.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) tls: bool,
    /// In lower case.
    pub(super) host: String,
    pub(super) port: u16,
}

/// One url, taken apart.
pub(super) struct Target {
    pub(super) origin: Origin,
    /// The value of the header `host`.
    pub(super) authority: Authority,
    pub(super) path: PathAndQuery,
}

/// What is requested, as errors name it: without the query, which may hold secrets.
pub(super) struct What {
    pub(super) method: Method,
    pub(super) target: Target,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let refused = |reason: String| Error::Url { reason };
        // A url that does not parse is not shown: it may hold a password.
        let uri: Uri = url.parse().map_err(|error| refused(format!("it does not parse: {error}")))?;
        let uri = uri.into_parts();
        let tls = match uri.scheme {
            Some(scheme) if scheme == Scheme::HTTP => false,
            Some(scheme) if scheme == Scheme::HTTPS => true,
            Some(scheme) => return Err(refused(format!("its scheme is {scheme}, not http or https"))),
            None => return Err(refused("it does not begin with http:// or https://".to_owned())),
        };
        let authority = uri.authority.ok_or_else(|| refused("it has no host".to_owned()))?;
        if authority.as_str().contains('@') {
            let reason = "it contains a user name; set the header authorization instead";
            return Err(refused(reason.to_owned()));
        }
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() {
            return Err(refused("it has no host".to_owned()));
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { origin: Origin { tls, host, port }, authority, path })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, target } = self;
        write!(f, "{method} {}{}", target.origin, target.path.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let table = [
            ("http://a.example", "http://a.example:80", "a.example", "/"),
            ("http://A.example:8080/x?y=1", "http://a.example:8080", "A.example:8080", "/x?y=1"),
            ("https://[::1]/?q", "https://[::1]:443", "[::1]", "/?q"),
        ];
        for (url, origin, host, path) in table {
            let target = Target::parse(url).unwrap();
            let shown = (target.origin.to_string(), target.authority.to_string());
            assert_eq!((shown.0.as_str(), shown.1.as_str(), target.path.as_str()), (origin, host, path));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_and_no_password_shown() {
        for url in
            ["", "/path", "a.example/x", "ftp://a/", "http://", "http://u:secret@a/", "http://u:secret@a b/"]
        {
            let error = Target::parse(url).err().unwrap().to_string();
            assert!(
                error.starts_with("invalid request url: ") && !error.contains("secret"),
                "{url}: {error}"
            );
        }
    }
}
