//! The runners of a worker: their keepers, and what each core gets of them.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::board::Board;
use super::keeper::{Keeper, Orders};
use super::lane::{Lane, Through};
use super::seat;
use super::spec::RunnerSpec;
use crate::handler::{Handlers, Remote, Route, RouteOptions};
use crate::io::timer::timeout;
use crate::limits::runner::RUNNER_END_GRACE;

/// See the module. They end when this is dropped.
pub(crate) struct Runners {
    keepers: Vec<Keeper>,
}

/// What the cores need of them.
#[derive(Clone, Default)]
pub(crate) struct OnCores(Arc<[(Arc<RunnerSpec>, Orders)]>);

impl Runners {
    /// Starts the keepers; applications load from now on.
    ///
    /// # Errors
    /// No thread or no socket can be made.
    pub(crate) fn start(specs: &[RunnerSpec]) -> io::Result<Self> {
        let keepers = specs.iter().map(|spec| Keeper::start(Arc::new(spec.clone())));
        Ok(Self { keepers: keepers.collect::<io::Result<_>>()? })
    }

    /// What the cores need of them.
    pub(crate) fn on_cores(&self) -> OnCores {
        OnCores(self.keepers.iter().map(|keeper| (keeper.spec(), keeper.orders())).collect())
    }
}

impl OnCores {
    /// Adds the runners to the handlers of one core of so many, on its executor, and starts its children.
    pub(crate) fn join(&self, mut handlers: Handlers, cores: usize) -> Handlers {
        if self.0.is_empty() {
            return handlers;
        }
        let board = Board::new(handlers.gate());
        let mut lanes = Vec::new();
        let mut routes = Vec::new();
        for (spec, orders) in &*self.0 {
            let seats = spec.children_per_shard(cores);
            let lane = Lane::new(Arc::clone(spec), orders.clone(), &board, seats);
            let remote: Rc<dyn Remote> = Rc::new(Through(Rc::clone(&lane)));
            let options = RouteOptions { retries: spec.retries, timeout: spec.timeout };
            for pattern in &spec.jobs {
                let remote = Rc::clone(&remote);
                routes.push(Route::new(pattern.clone(), remote, &options, handlers.services()));
            }
            for seat in 0..seats {
                glommio::spawn_local(seat::keep(Rc::clone(&lane), seat)).detach();
            }
            lanes.push(lane);
        }
        handlers.before_end(Box::new(move || {
            Box::pin(async move {
                end(&lanes).await;
                Ok(())
            })
        }));
        handlers.with_routes(routes)
    }
}

/// Lets the children of a core end, and kills those that do not.
async fn end(lanes: &[Rc<Lane>]) {
    lanes.iter().for_each(|lane| lane.end());
    if timeout(RUNNER_END_GRACE, all_empty(lanes)).await.is_err() {
        lanes.iter().for_each(|lane| lane.kill());
        // What the kernel does not end now is left to it.
        let _late = timeout(RUNNER_END_GRACE, all_empty(lanes)).await;
    }
}

async fn all_empty(lanes: &[Rc<Lane>]) {
    for lane in lanes {
        lane.empty().await;
    }
}
