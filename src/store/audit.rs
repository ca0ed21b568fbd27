//! The audit log: a list, the latest entry first, cut at [`AUDIT_ENTRIES_MAX`].

use crate::limits::AUDIT_ENTRIES_MAX;
use crate::resp::{Error, Reply, Requests};
use crate::wire::Keyspace;
use crate::wire::audit::AuditEntry;

/// Appends an entry: two commands, read by [`added`]. One that is lost between them leaves the list one entry longer, until
/// the next.
pub fn add(keys: Keyspace, entry: &AuditEntry, requests: &mut Requests) {
    let key = keys.names().audit.as_bytes();
    requests.command(&[b"LPUSH", key, entry.to_stored().as_bytes()]);
    requests.command(&[b"LTRIM", key, b"0", (AUDIT_ENTRIES_MAX - 1).to_string().as_bytes()]);
}

/// Reads the replies to [`add`].
///
/// # Errors
/// [`Error::Redis`], for example because the key is not a list; [`Error::Unexpected`].
pub fn added(replies: &[Reply]) -> Result<(), Error> {
    let [length, ..] = replies else {
        return Err(Error::Unexpected { expected: "a length", got: "nothing".to_owned() });
    };
    length.as_integer().map(drop)
}

/// Appends the question for `count` entries after the `skip` latest, and for how many there are. [`read`] reads the replies.
pub fn ask(keys: Keyspace, skip: usize, count: usize, requests: &mut Requests) {
    let key = keys.names().audit.as_bytes();
    let (first, last) = (skip.to_string(), (skip + count - 1).to_string());
    requests.command(&[b"LRANGE", key, first.as_bytes(), last.as_bytes()]);
    requests.command(&[b"LLEN", key]);
}

/// The entries, and how many there are in all. What is not an entry is left out.
///
/// # Errors
/// As [`added`].
pub fn read(replies: &[Reply]) -> Result<(Vec<AuditEntry>, u64), Error> {
    let [entries, length] = replies else {
        return Err(Error::Unexpected { expected: "entries and a length", got: "something else".to_owned() });
    };
    let mut found = Vec::new();
    for entry in entries.as_array()? {
        found.extend(AuditEntry::parse(entry.as_bulk()?));
    }
    Ok((found, u64::try_from(length.as_integer()?).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_redis::OwnRedis;
    use crate::wire::keys::JIGGLER;

    #[test]
    fn the_latest_entries_are_kept_and_read_page_by_page() {
        let redis = OwnRedis::start();
        let mut conn = redis.connect();
        let mut requests = Requests::new();
        for done in 0..AUDIT_ENTRIES_MAX as u64 + 5 {
            add(JIGGLER, &AuditEntry { done, ..AuditEntry::default() }, &mut requests);
        }
        conn.call(&requests).unwrap();
        redis.run(&[b"LSET", JIGGLER.names().audit.as_bytes(), b"11", b"no entry"]);
        requests.clear();
        ask(JIGGLER, 10, 3, &mut requests);
        let (found, all) = read(&conn.call(&requests).unwrap()).unwrap();
        let latest = AUDIT_ENTRIES_MAX as u64 + 4;
        assert_eq!(found.iter().map(|entry| entry.done).collect::<Vec<_>>(), [latest - 10, latest - 12]);
        assert_eq!(all, AUDIT_ENTRIES_MAX as u64);
        redis.run(&[b"SET", JIGGLER.names().audit.as_bytes(), b"x"]);
        requests.clear();
        add(JIGGLER, &AuditEntry::default(), &mut requests);
        assert!(added(&conn.call(&requests).unwrap()).is_err());
    }
}
