//! Carries out what the command line requests about processes and about the program itself.

use std::io::Write;
use std::path::Path;

use super::carry_out::{failure_of, redis};
use super::web;
use crate::admin::{self, Format, Lookup, top};
use crate::cli::process_orders::{ProcessOrder, TopView};
use crate::cli::{self, Failure};
use crate::doctor;
use crate::store::rights::Role;

pub(super) fn carry_out(order: ProcessOrder, out: &mut dyn Write) -> Result<(), Failure> {
    match order {
        ProcessOrder::Processes { json, look, redis_url } => {
            let db = redis(redis_url)?;
            let format = if json { Format::Json } else { Format::Text };
            let lookup = Lookup::of(look);
            admin::processes::processes(&db, lookup, format, out).map_err(failure_of(&db, Role::Operator))
        }
        ProcessOrder::Top { view, interval, redis_url } => {
            let db = redis(redis_url)?;
            match view {
                TopView::Live => top::live(&db, interval, out),
                TopView::Once => top::once(&db, interval, Format::Text, out),
                TopView::Json => top::once(&db, interval, Format::Json, out),
            }
            .map_err(failure_of(&db, Role::Operator))
        }
        ProcessOrder::Steer { target, request, patience, redis_url } => {
            let db = redis(redis_url)?;
            admin::steer::steer(&db, &target, request, patience, out).map_err(failure_of(&db, Role::Operator))
        }
        ProcessOrder::Doctor { json, config } => {
            let format = if json { Format::Json } else { Format::Text };
            doctor::examine(&config, &|name| std::env::var_os(name), format, out)
        }
        ProcessOrder::Web(config) => web::alone(*config),
        ProcessOrder::Completions(shell) => cli::pages::completions(shell, &program(), out),
        ProcessOrder::Man(subcommand) => cli::pages::man(subcommand.as_deref(), out),
    }
}

/// The name this program was called by: a custom worker has its own name.
fn program() -> String {
    let path = std::env::args_os().next();
    let name = path.as_ref().and_then(|path| Path::new(path).file_name());
    name.map_or_else(|| "jiggler-uring".to_owned(), |name| name.to_string_lossy().into_owned())
}
