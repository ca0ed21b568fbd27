//! Odd conditions that users of job systems have reported of some product, each kind a file: `cargo test cases` runs them.
//!
//! | kind | file |
//! |---|---|
//! | a key of another type, a revoked right, a full memory: nothing is lost, only what needs the key stops | `spoilt` |
//! | a wrong or changing clock | `clocks` |
//! | connections lost at the worst moment, answers that are not Redis's | `faults` |
//! | bytes that are not a job, texts that are not UTF-8, queues nobody may serve | `bad_payloads` |
//! | a log whose reader stands still, floods of bad payloads | `log_reader`, `bad_payloads` |
//! | a stop while Redis is down, hung or refuses | `stop` |
//! | a Redis that is busy, loading, full, read-only, or changes its mind during an outage | `refusals`, `passwords` |
//! | connections closed while idle | `closed_idle` |
//! | a private Redis that is killed | `private_redis` |
//! | a machine without /sys | `no_sysfs` |
//! | secrets in the wrong place | `secrets` |
//! | foreign text in tables, errors and the log | `foreign` |
//! | files as editors, shells and installers leave them | `files` |
//! | keys beside those of Ruby servers | `keys` |

mod bad_payloads;
mod clocks;
mod closed_idle;
mod faults;
mod files;
mod foreign;
mod keys;
mod log_reader;
mod no_sysfs;
mod passwords;
mod private_redis;
mod refusals;
mod secrets;
mod spoilt;
mod stop;
