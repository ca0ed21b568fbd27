//! Databases for the tests of this folder.

use super::database::Database;
use crate::own_redis::OwnRedis;
use crate::resp::{Endpoint, RedisUrl};
use crate::wire::Dialect;

/// That of a private Redis.
pub(super) fn database(redis: &OwnRedis) -> Database {
    Database::new(redis.url(), Dialect::Jiggler)
}

/// One where nobody is.
pub(super) fn nowhere() -> Database {
    Database::new(RedisUrl::new(Endpoint::Unix("/nonexistent/redis.sock".into())), Dialect::Jiggler)
}
