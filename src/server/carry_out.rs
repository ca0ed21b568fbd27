//! What is done for each order of the command line but to work.

use std::io::Write;

use crate::admin::summary::Format;
use crate::cli::{EnqueueOrder, Failure, Invocation};
use crate::config::GivenUrl;
use crate::resp::RedisUrl;
use crate::{admin, embedded};

use super::fleet_orders;

/// Carries an order out. Its results go to `out`.
pub(super) fn carry_out(order: Invocation, out: &mut dyn Write) -> Result<(), Failure> {
    match order {
        // Working is the caller's part, which has the handlers.
        Invocation::Work(_) => Ok(()),
        Invocation::Enqueue(order) => enqueue(order, out),
        Invocation::EnqueueBulk(order) => {
            admin::bulk::bulk(&redis(order.redis_url)?, &order.bulk, out).map_err(failure)
        }
        Invocation::Cancel(order) => {
            admin::cancel::cancel(&redis(order.redis_url)?, &order.jid, out).map_err(failure)
        }
        Invocation::Summary(order) => {
            admin::summary::summary(&redis(order.redis_url)?, format(order.json), out).map_err(failure)
        }
        Invocation::Queues(order) => {
            admin::queues::queues(&redis(order.redis_url)?, format(order.json), out).map_err(failure)
        }
        Invocation::Jobs(order) => {
            admin::jobs::jobs(&redis(order.redis_url)?, &order.query, format(order.json), out)
                .map_err(failure)
        }
        Invocation::Act(order) => {
            order.act.check().map_err(failure)?;
            admin::act::act(&redis(order.redis_url)?, &order.act, out).map_err(failure)
        }
        Invocation::Fleet(order) => fleet_orders::carry_out(order, out),
        Invocation::Prune(order) => {
            order.consent.check("prune").map_err(failure)?;
            admin::prune::prune(&redis(order.redis_url)?, &order.what, order.consent, out).map_err(failure)
        }
    }
}

fn enqueue(order: EnqueueOrder, out: &mut dyn Write) -> Result<(), Failure> {
    let url = redis(order.redis_url)?;
    let options = admin::enqueue::Options {
        name: order.name,
        args: order.args,
        queue: order.queue,
        count: order.count,
        delay: order.delay,
        retries: order.retries,
    };
    admin::enqueue::enqueue(&url, &options, out).map_err(failure)
}

fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Text }
}

/// The user can mend an order that makes no sense; everything else failed while running.
pub(super) fn failure(error: admin::Error) -> Failure {
    if error.is_usage() { Failure::usage(error) } else { Failure::from(error) }
}

pub(super) fn redis(given: Option<GivenUrl>) -> Result<RedisUrl, Failure> {
    match embedded::for_command(given, &|name| std::env::var_os(name)) {
        Ok(found) => Ok(found.url()),
        // A server may be there the next time; the others are for the user to mend.
        Err(error @ embedded::Error::NothingRuns { .. }) => Err(Failure::from(error)),
        Err(error) => Err(Failure::usage(error)),
    }
}
