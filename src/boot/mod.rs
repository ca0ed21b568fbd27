//! Checks before anything runs: kernel, io_uring, locked memory, Redis; each error says what to do about it.
//!
//! Reading the machine and drawing conclusions are separate: the deciding functions are pure. Boot changes nothing except
//! the soft limits of locked memory and of open files. Cores are the task of placement, the private Redis that of
//! `embedded`.

pub(crate) mod files;
pub(crate) mod kernel;
mod log_floods;
mod log_levels;
mod log_lines;
mod log_queue;
pub(crate) mod logging;
pub(crate) mod memlock;
pub(crate) mod redis;
pub(crate) mod uring;

use std::io;

pub(crate) use kernel::{Kernel, Version};
pub(crate) use redis::{RedisServer, check as check_redis};

use crate::limits::{KERNEL_MIN, REDIS_MIN};
use crate::net::error::{ClusterError, SentinelError, TlsError};
use crate::store::rights;
use crate::wire::Dialect;

/// Why this machine, or this Redis, cannot run the engine. Only [`Error::RedisBusy`] passes by itself, and
/// [`Error::RedisUnreachable`], [`Error::RedisNoPrimary`] and [`Error::RedisNoNode`] may; the caller that connects
/// retries those. The others end the process (exit code 2).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The kernel is too old.
    #[error("linux {release} is too old: io_uring as used here needs {}.{} or newer; upgrade the kernel", KERNEL_MIN.0,
            KERNEL_MIN.1)]
    KernelTooOld {
        /// The kernel's own name for its version.
        release: String,
    },
    /// The kernel does not have the system call, or something makes it look that way.
    #[error(
        "io_uring is not there: the kernel was built without CONFIG_IO_URING, or a sandbox (gVisor, seccomp) hides \
             it; use another kernel or allow io_uring_setup, io_uring_enter and io_uring_register in the sandbox"
    )]
    UringMissing,
    /// `kernel.io_uring_disabled` is set.
    #[error("io_uring is switched off here (kernel.io_uring_disabled = {value}): {}", sysctl_advice(*.value))]
    UringDisabled {
        /// 1: for processes without privilege; 2: for all.
        value: u8,
    },
    /// Refused although the kernel would allow it.
    #[error(
        "io_uring is forbidden ({cause}) although the kernel allows it: a seccomp profile or security module \
             refuses it; in a container allow io_uring_setup, io_uring_enter and io_uring_register in its profile \
             (docker run --security-opt seccomp=FILE)"
    )]
    UringForbidden {
        /// The error of the system call.
        cause: io::Error,
    },
    /// Another failure of the system call.
    #[error("failed to set up an io_uring")]
    UringFailed {
        /// The error of the system call.
        source: io::Error,
    },
    /// Too little memory may be locked.
    #[error("{needed} bytes of memory must be lockable for io_uring, but the limit is {hard}: raise it with \
             `ulimit -l {}`, LimitMEMLOCK=infinity in the systemd unit, or docker run --ulimit memlock=-1",
            .needed / 1024)]
    MemlockTooSmall {
        /// Bytes that must be lockable.
        needed: u64,
        /// The hard limit, which only root may raise.
        hard: u64,
    },
    /// The limit cannot be read or set.
    #[error("failed to read or raise the limit of locked memory")]
    Memlock {
        /// The system's error.
        source: io::Error,
    },
    /// Too few files may be open.
    #[error(
        "this worker needs {needed} open files, one for each ring and connection, but the limit is {hard}: raise it \
             with `ulimit -n`, LimitNOFILE in the systemd unit, or docker run --ulimit nofile; fewer --cores and queues \
             need fewer"
    )]
    FilesTooFew {
        /// Files that the process opens before any job does.
        needed: u64,
        /// The hard limit, which only root may raise.
        hard: u64,
    },
    /// The limit cannot be read or set.
    #[error("failed to read or raise the limit of open files")]
    Files {
        /// The system's error.
        source: io::Error,
    },
    /// Something under /proc that every Linux has.
    #[error("failed to read {path}; is /proc mounted?")]
    Proc {
        /// Which file.
        path: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// No connection.
    #[error("redis at {address} cannot be reached ({cause}): {advice}")]
    RedisUnreachable {
        /// Address without password.
        address: String,
        /// The error of connecting.
        cause: io::Error,
        /// What to look at.
        advice: &'static str,
    },
    /// The connection cannot be encrypted, or must be, or the server is not trusted.
    #[error("redis at {address} cannot be reached: {cause}")]
    RedisTls {
        /// Address without password.
        address: String,
        /// What is wrong.
        cause: TlsError,
    },
    /// Its sentinels lead to no primary.
    #[error("{address}: {cause}")]
    RedisNoPrimary {
        /// Address without password.
        address: String,
        /// What they answered.
        cause: SentinelError,
    },
    /// No node of the cluster can be asked, or the server is not one.
    #[error("{address}: {cause}")]
    RedisNoNode {
        /// Address without password.
        address: String,
        /// What they answered.
        cause: ClusterError,
    },
    /// A node of a cluster under a url for a single server, where it would refuse most keys.
    #[error(
        "redis at {address} is a node of a redis cluster: write redis+cluster:// (or rediss+cluster://) in place of \
         redis://, with the addresses of some of its nodes"
    )]
    RedisIsCluster {
        /// Address without password.
        address: String,
    },
    /// A server that belongs to no cluster, under a cluster url.
    #[error("redis at {address} belongs to no cluster: write redis:// in place of redis+cluster://")]
    RedisNoCluster {
        /// Address without password.
        address: String,
    },
    /// The server is too old for the engine's commands.
    #[error("redis at {address} is version {version}, older than {}.{}: upgrade it, or name another server with \
             --redis-url", REDIS_MIN.0, REDIS_MIN.1)]
    RedisTooOld {
        /// Address without password.
        address: String,
        /// What it reports.
        version: String,
    },
    /// The server does not report what it is.
    #[error("the server at {address} answers, but reports no redis_version: is it a Redis?")]
    NotRedis {
        /// Address without password.
        address: String,
    },
    /// The server wants a password and got none.
    #[error(
        "redis at {address} wants a password: write it into the URL, redis://:PASSWORD@host or \
             redis://USER:PASSWORD@host"
    )]
    RedisPasswordMissing {
        /// Address without password.
        address: String,
    },
    /// The server refuses user or password.
    #[error(
        "redis at {address} refuses the user name or password in the URL; check both: redis://:PASSWORD@host or \
             redis://USER:PASSWORD@host (percent-encode characters such as @ : /)"
    )]
    RedisPasswordWrong {
        /// Address without password.
        address: String,
    },
    /// The server refuses the user or the password that is in a file.
    #[error("redis at {address} refuses the user name in the URL or the password in {file}")]
    RedisPasswordFile {
        /// Address without password.
        address: String,
        /// The file.
        file: String,
    },
    /// The database number is beyond what the server has.
    #[error(
        "redis at {address} has no such database: use a smaller number at the end of the URL, or raise \
             `databases` in redis.conf (a cluster has only 0)"
    )]
    RedisNoSuchDatabase {
        /// Address without password.
        address: String,
    },
    /// The user lacks rights.
    #[error(
        "redis at {address} denies user `{user}` what a worker does: let an administrator run ACL SETUSER {user} {rules}"
    )]
    RedisRights {
        /// Address without password.
        address: String,
        /// The ACL user.
        user: String,
        /// What is missing, as rules.
        rules: String,
    },
    /// Commands are missing: renamed away in the server's configuration, or withheld by a proxy in front of it.
    #[error(
        "the server at {address} does not know {commands}, without which no job can run: take `rename-command` for it out \
             of redis.conf, or name the server itself instead of the proxy before it"
    )]
    RedisLacks {
        /// Address without password.
        address: String,
        /// The commands.
        commands: String,
    },
    /// The user may not do what the engine does.
    #[error(
        "redis at {address} denies the user a command ({reply}): a worker's user needs the ACL rules {}",
        rights::acl_line(Dialect::default().keys(false), rights::Reach::of(.address))
    )]
    RedisPermission {
        /// Address without password.
        address: String,
        /// The server's words.
        reply: String,
    },
    /// The server cannot serve now, and says so.
    #[error("redis at {address} cannot serve yet: {reply}")]
    RedisBusy {
        /// Address without password.
        address: String,
        /// The server's words.
        reply: String,
    },
    /// The server refuses for another reason.
    #[error("redis at {address} refuses: {reply}")]
    RedisRefuses {
        /// Address without password.
        address: String,
        /// The server's words.
        reply: String,
    },
}

fn sysctl_advice(value: u8) -> &'static str {
    match value {
        1 => {
            "run as root, or add this process's group with `sysctl kernel.io_uring_group=GID`, or allow it to all \
              with `sysctl kernel.io_uring_disabled=0`"
        }
        _ => "allow it with `sysctl kernel.io_uring_disabled=0`",
    }
}

/// Checks kernel, io_uring and locked memory for `executors` executors (shards and control), and raises the soft limit of
/// locked memory where that is enough.
///
/// # Errors
/// The first check that fails.
pub(crate) fn check_machine(executors: usize) -> Result<Kernel, Error> {
    let kernel = Kernel::running()?;
    kernel.check()?;
    // The limit comes first: old kernels refuse a ring if too little memory may be locked.
    memlock::ensure(kernel.memlock_bytes(executors))?;
    uring::check()?;
    Ok(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine that builds this also runs the engine's tests, so all checks pass on it.
    #[test]
    fn this_machine_passes() {
        let kernel = check_machine(2).unwrap();
        assert!(kernel.check().is_ok(), "{kernel:?}");
    }

    #[test]
    fn a_switched_off_ring_names_the_switch() {
        for (value, part) in [(1, "kernel.io_uring_group"), (2, "`sysctl kernel.io_uring_disabled=0`")] {
            let text = Error::UringDisabled { value }.to_string();
            assert!(text.contains(part) && text.contains(&format!("io_uring_disabled = {value}")), "{text}");
        }
    }
}
