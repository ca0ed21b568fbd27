//! The names that `CLIENT LIST` shows for the connections of a process: `jiggler-uring:<uuid>[:<shard>][:<role>]`.

/// The name of a connection of the process `uuid`. `shard`: the shard that owns it, or `None` for control. `role`: what it
/// is for; empty for the connection over which a shard takes its jobs.
#[must_use]
pub fn client_name(uuid: &str, shard: Option<usize>, role: &str) -> String {
    let mut name = format!("jiggler-uring:{uuid}");
    if let Some(shard) = shard {
        name.push_str(&format!(":{shard}"));
    }
    if !role.is_empty() {
        name.push(':');
        name.push_str(role);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_process_shard_and_role() {
        let uuid = "06c7221317f9";
        assert_eq!(client_name(uuid, None, "poller"), "jiggler-uring:06c7221317f9:poller");
        assert_eq!(client_name(uuid, Some(3), ""), "jiggler-uring:06c7221317f9:3");
        assert_eq!(client_name(uuid, Some(3), "w0"), "jiggler-uring:06c7221317f9:3:w0");
    }
}
