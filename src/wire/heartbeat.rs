//! What is stored under a heartbeat key: the JSON the gem's summary and web page read.
//!
//! Responsible for its format. Not for when it is written, nor for the key ([`crate::wire::heartbeat_key::Heartbeat`]).

use crate::time::RubyFloat;

/// The value of a heartbeat key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeartbeatValue {
    /// When it was written, Unix seconds.
    pub heartbeat: f64,
    /// Resident memory of the process in kB, where it is known.
    pub rss_kb: Option<u64>,
}

impl HeartbeatValue {
    /// The JSON as the gem writes it. `current_jobs` is always empty: the gem's web page raises as soon as any heartbeat,
    /// no matter whose, names a running job, so what runs is published elsewhere.
    #[must_use]
    pub fn to_json(&self) -> String {
        let heartbeat = RubyFloat(self.heartbeat);
        match self.rss_kb {
            Some(rss) => format!(r#"{{"heartbeat":{heartbeat},"rss":{rss},"current_jobs":{{}}}}"#),
            None => format!(r#"{{"heartbeat":{heartbeat},"rss":null,"current_jobs":{{}}}}"#),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_heartbeats_are_written_as_the_gem_writes_them() {
        let value = HeartbeatValue { heartbeat: 1_795_299_911.587_634, rss_kb: Some(35868) };
        let gem = r#"{"heartbeat":1795299911.587634,"rss":35868,"current_jobs":{}}"#;
        assert_eq!(value.to_json(), gem);
        let unknown = HeartbeatValue { rss_kb: None, ..value };
        assert_eq!(unknown.to_json(), gem.replace("35868", "null"));
    }
}
