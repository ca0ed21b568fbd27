//! Carries out every order of the command line except running the worker.

use std::io::{self, Write};

use crate::admin::{Database, Format, Lookup};
use crate::cli::{Failure, Invocation};
use crate::config::GivenUrl;
use crate::resp::Place;
use crate::store::rights::Role;
use crate::wire::Dialect;
use crate::{admin, boot, embedded, net};

use super::process_orders;

/// Carries an order out. Its results go to `out`.
pub(super) fn carry_out(order: Invocation, out: &mut dyn Write) -> Result<(), Failure> {
    match order {
        // The caller carries these out: it has the handlers.
        Invocation::Work(_) | Invocation::Run(_) => Ok(()),
        Invocation::Enqueue(order) => {
            let db = redis(order.redis_url)?;
            admin::enqueue::enqueue(&db, &order.options, out).map_err(failure_of(&db, Role::Producer))
        }
        Invocation::EnqueueBulk(order) => {
            let db = redis(order.redis_url)?;
            admin::bulk::bulk(&db, &order.bulk, out).map_err(failure_of(&db, Role::Producer))
        }
        Invocation::Cancel(order) => {
            let db = redis(order.redis_url)?;
            admin::cancel::cancel(&db, &order.jid, out).map_err(failure_of(&db, Role::Canceller))
        }
        Invocation::Summary(order) => {
            let db = redis(order.redis_url)?;
            let format = format(order.json);
            admin::summary::summary(&db, Lookup::of(order.look), format, out)
                .map_err(failure_of(&db, Role::Summary))
        }
        Invocation::Queues(order) => {
            let db = redis(order.redis_url)?;
            let format = format(order.json);
            admin::queues::queues(&db, Lookup::of(order.look), format, out)
                .map_err(failure_of(&db, Role::Operator))
        }
        Invocation::History(order) => {
            let db = redis(order.redis_url)?;
            let format = format(order.json);
            admin::history::history(&db, &order.span, format, out).map_err(failure_of(&db, Role::Operator))
        }
        Invocation::Jobs(order) => {
            let db = redis(order.redis_url)?;
            let format = format(order.json);
            admin::jobs::jobs(&db, &order.query, format, out).map_err(failure_of(&db, Role::Operator))
        }
        Invocation::Show(order) => {
            let db = redis(order.redis_url)?;
            let format = format(order.json);
            admin::show::show(&db, &order.wanted, format, out).map_err(failure_of(&db, Role::Operator))
        }
        Invocation::Why(order) => {
            let db = redis(order.redis_url)?;
            let format = format(order.json);
            admin::why::why(&db, &order.wanted, format, out).map_err(failure_of(&db, Role::Operator))
        }
        Invocation::Progress(order) => {
            let db = redis(order.redis_url)?;
            let format = format(order.json);
            admin::progress::progress(&db, &order.jid, format, out).map_err(failure_of(&db, Role::Operator))
        }
        Invocation::Act(order) => {
            order.act.check().map_err(failure)?;
            let db = redis(order.redis_url)?;
            admin::act::act(&db, &order.act, out).map_err(failure_of(&db, Role::Operator))
        }
        Invocation::Cron(order) => {
            let db = redis(order.redis_url)?;
            admin::cron::cron(&db, &order.action, out).map_err(failure_of(&db, Role::Operator))
        }
        Invocation::Pause(order) => {
            let db = redis(order.redis_url)?;
            admin::pause::pause(&db, &order.action, out).map_err(failure_of(&db, Role::Operator))
        }
        Invocation::Process(order) => process_orders::carry_out(order, out),
        Invocation::Prune(order) => {
            order.confirmation.check("prune").map_err(failure)?;
            let db = redis(order.redis_url)?;
            let done = admin::prune::prune(&db, &order.what, order.confirmation, out);
            done.map_err(failure_of(&db, Role::Operator))
        }
    }
}

fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Text }
}

/// Like [`failure`], with the way out if Redis is not there, or denies the user of `url` a right that its role needs.
pub(super) fn failure_of(db: &Database, role: Role) -> impl FnOnce(admin::Error) -> Failure + '_ {
    move |error| match error {
        // Such an error comes from connecting only. Where the server is looked for, the url does not say which one it was.
        admin::Error::Connect(net::Error::Io { cause, .. })
            if matches!(db.url.place(), Place::Server(_)) && is_absent(&cause) =>
        {
            Failure::from(boot::redis::explain_connect(&db.url.to_string(), cause))
        }
        error => failure(admin::explained(db, role, error)),
    }
}

fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

/// A mistake in the order is a usage error; everything else failed while running.
fn failure(error: admin::Error) -> Failure {
    if error.is_usage() { Failure::usage(error) } else { Failure::from(error) }
}

pub(super) fn redis(given: Option<GivenUrl>) -> Result<Database, Failure> {
    let dialect = given.as_ref().map_or_else(Dialect::default, |given| given.dialect);
    match embedded::for_command(given, &|name| std::env::var_os(name)) {
        Ok(found) => Ok(Database::new(found.url(), dialect)),
        // A server may be there next time; the user must correct the rest.
        Err(error @ embedded::Error::NothingRuns { .. }) => Err(Failure::from(error)),
        Err(error) => Err(Failure::usage(error)),
    }
}
