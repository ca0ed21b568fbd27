//! The runners of a worker: their keepers, and what each core gets of them.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::board::Board;
#[cfg(feature = "http")]
use super::http::{Key, Posted};
use super::keeper::{Keeper, Orders};
use super::lane::{Lane, Through};
use super::seat;
use super::spec::RunnerSpec;
#[cfg(feature = "http")]
use super::spec::{HttpTarget, Program};
use crate::handler::{Handlers, Remote, Route, RouteOptions};
use crate::io::timer::timeout;
use crate::limits::runner::RUNNER_END_GRACE;

/// See the module. They end when this is dropped.
pub(crate) struct Runners {
    /// Each ends when it is dropped.
    _keepers: Vec<Keeper>,
    parts: OnCores,
}

/// What the cores need of them.
#[derive(Clone, Default)]
pub(crate) struct OnCores(Arc<[(Arc<RunnerSpec>, Part)]>);

/// What a core needs of one of them.
#[derive(Clone)]
enum Part {
    /// Children, from its keeper.
    Children(Orders),
    /// A server, and the key with which jobs for it are signed.
    #[cfg(feature = "http")]
    Server(HttpTarget, Option<Arc<Key>>),
}

impl Runners {
    /// Starts the keepers; applications load from now on.
    ///
    /// # Errors
    /// No thread or no socket can be made, or a key cannot be read.
    pub(crate) fn start(specs: &[RunnerSpec]) -> io::Result<Self> {
        let mut keepers = Vec::new();
        let mut parts = Vec::new();
        for spec in specs {
            let spec = Arc::new(spec.clone());
            let part = match &spec.program {
                #[cfg(feature = "http")]
                Program::Http(target) => Part::Server(target.clone(), spec.key()?.map(Arc::new)),
                _ => {
                    let keeper = Keeper::start(Arc::clone(&spec))?;
                    let orders = keeper.orders();
                    keepers.push(keeper);
                    Part::Children(orders)
                }
            };
            parts.push((spec, part));
        }
        Ok(Self { _keepers: keepers, parts: OnCores(parts.into()) })
    }

    /// What the cores need of them.
    pub(crate) fn on_cores(&self) -> OnCores {
        self.parts.clone()
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
        for (spec, part) in &*self.0 {
            let remote: Rc<dyn Remote> = match part {
                Part::Children(orders) => {
                    let lane = seated(spec, orders, &board, cores);
                    lanes.push(Rc::clone(&lane));
                    Rc::new(Through(lane))
                }
                #[cfg(feature = "http")]
                Part::Server(target, key) => Rc::new(Posted::new(spec, target, key.clone(), &board, cores)),
            };
            let options = RouteOptions { retries: spec.retries, timeout: spec.job_timeout() };
            for pattern in &spec.jobs {
                let remote = Rc::clone(&remote);
                routes.push(Route::new(pattern.clone(), remote, &options, handlers.services()));
            }
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

/// A lane whose seats are kept from now on.
fn seated(spec: &Arc<RunnerSpec>, orders: &Orders, board: &Rc<Board>, cores: usize) -> Rc<Lane> {
    let seats = spec.children_per_shard(cores);
    let lane = Lane::new(Arc::clone(spec), orders.clone(), board, seats);
    for seat in 0..seats {
        glommio::spawn_local(seat::keep(Rc::clone(&lane), seat)).detach();
    }
    lane
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
