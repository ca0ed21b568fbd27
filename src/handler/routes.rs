//! Jobs that are not registered one by one: those of a runner, by the patterns of its configuration.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use super::call::Handler;
use super::context::Ctx;
use super::entry::{Bound, Entry, Home};
use super::error::JobResult;
use super::policy::RetryPolicy;
use super::pool::FuturePool;
use super::result::Converted;
use super::services::Services;
use crate::job::Args;
use crate::job::args::ArgsError;
use crate::job::history::Keep;

/// Which jobs a runner takes: one name, every name that begins so (`Billing::*`), or every name (`*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// Every name.
    #[must_use]
    pub fn all() -> Self {
        Self { text: "*".to_owned() }
    }

    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.find('*') {
            _ if text.is_empty() => Err("a pattern of job names is empty".to_owned()),
            Some(at) if at + 1 < text.len() => {
                Err(format!("`{text}`: an asterisk stands at the end of a pattern, for the rest of a name"))
            }
            _ => Ok(Self { text: text.to_owned() }),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one name it takes, if it is one.
    pub(crate) fn exact(&self) -> Option<&str> {
        (!self.text.ends_with('*')).then_some(&*self.text)
    }

    /// Whether it takes every name.
    pub(crate) fn takes_all(&self) -> bool {
        self.text == "*"
    }

    fn takes(&self, name: &str) -> bool {
        match self.text.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => self.text == name,
        }
    }

    /// Of these the one by which a job of this name is routed.
    pub(crate) fn longest<'p>(patterns: impl Iterator<Item = &'p Self>, name: &str) -> Option<&'p Self> {
        patterns.filter(|pattern| pattern.takes(name)).max_by_key(|pattern| pattern.weight())
    }

    /// The larger, the earlier it is asked: an exact name before every prefix, a longer prefix before a shorter one.
    fn weight(&self) -> (bool, usize) {
        (self.exact().is_some(), self.text.len())
    }
}

/// What runs the jobs of a route: somewhere else, so the future only waits.
pub(crate) trait Remote: 'static {
    /// Runs one job.
    fn run(&self, ctx: Ctx<()>) -> Pin<Box<dyn Future<Output = JobResult>>>;
}

/// The options of all jobs of a route.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteOptions {
    pub(crate) retries: Option<u32>,
    pub(crate) timeout: Option<Duration>,
}

/// Jobs of one pattern, and what runs them.
pub(crate) struct Route {
    pub(super) pattern: Pattern,
    entry: Entry,
}

impl Route {
    pub(crate) fn new(
        pattern: Pattern,
        remote: Rc<dyn Remote>,
        options: &RouteOptions,
        services: &Rc<Services>,
    ) -> Self {
        let home = Home { state: Rc::new(()), services: Rc::clone(services), layers: RefCell::default() };
        let bound = Bound {
            home: Rc::new(home),
            handler: Routed(remote),
            layers: Vec::new(),
            pool: FuturePool::new(),
            layered: FuturePool::new(),
        };
        let entry = Entry {
            handler: Box::new(bound),
            number: 0,
            retry_queue: None,
            queue: None,
            policy: RetryPolicy::gem(),
            retries: options.retries,
            timeout: options.timeout,
            keep: Keep::default(),
        };
        Self { pattern, entry }
    }
}

/// A remote as a handler; it gets the payload, so no argument is decoded here.
struct Routed(Rc<dyn Remote>);

impl Handler<(), Pattern> for Routed {
    type Kind = Converted;
    type Future = Pin<Box<dyn Future<Output = JobResult>>>;

    fn call(&self, ctx: &dyn Fn() -> Ctx<()>, _args: &mut Args<'_>) -> Result<Self::Future, ArgsError> {
        Ok(self.0.run(ctx()))
    }
}

/// All routes of a core, those that are asked first in front.
#[derive(Default)]
pub(super) struct Routes(Vec<Route>);

impl Routes {
    pub(super) fn add(&mut self, routes: Vec<Route>) {
        self.0.extend(routes);
        self.0.sort_by_key(|route| std::cmp::Reverse(route.pattern.weight()));
    }

    /// The longest match.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|route| route.pattern.takes(name)).map(|route| &route.entry)
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter().map(|route| &route.pattern)
    }

    pub(super) fn entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.0.iter_mut().map(|route| &mut route.entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Registry;

    struct Nowhere;

    impl Remote for Nowhere {
        fn run(&self, _ctx: Ctx<()>) -> Pin<Box<dyn Future<Output = JobResult>>> {
            Box::pin(std::future::ready(Ok(())))
        }
    }

    fn handlers(patterns: &[&str], registry: Registry) -> crate::handler::Handlers {
        let handlers = registry.into_handlers();
        let route = |text: &&str| {
            let pattern = Pattern::parse(text).unwrap();
            Route::new(pattern, Rc::new(Nowhere), &RouteOptions::default(), handlers.services())
        };
        let routes = patterns.iter().map(route).collect();
        handlers.with_routes(routes)
    }

    fn own() -> Registry {
        Registry::new(()).job("Own", async || {}).job("Shared", async || {})
    }

    #[test]
    fn the_longest_match_wins_and_a_handler_of_the_program_goes_before_a_pattern_but_not_before_a_name() {
        let handlers = handlers(&["*", "Billing::*", "Billing::Charge", "Shared"], own());
        let names = handlers.names();
        assert_eq!(names, ["Own", "Billing::Charge", "Shared", "Billing::*", "*"]);
        let table = [
            ("Own", "Own"),
            ("Shared", "Shared"),
            ("Billing::Charge", "Billing::Charge"),
            ("Billing::Charger", "Billing::*"),
            ("Bill", "*"),
        ];
        for (name, found) in table {
            let number = handlers.find(name).unwrap().number as usize;
            assert_eq!(names[number], found, "{name}");
        }
        assert_eq!((handlers.count(), handlers.published_names()), (5, None));
    }

    #[test]
    fn only_listed_names_are_known_without_an_asterisk() {
        let handlers = handlers(&["Resize"], own());
        assert!(handlers.find("Resize").is_some() && handlers.find("Resizer").is_none());
        assert_eq!(handlers.published_names().unwrap(), ["Own", "Shared", "Resize"]);
    }

    #[test]
    fn jobs_that_are_there_for_want_of_others_make_way_for_a_runner_that_takes_all() {
        assert_eq!(handlers(&["*"], own().yielding()).names(), ["*"]);
        assert_eq!(handlers(&["R*"], own().yielding()).names(), ["Own", "Shared", "R*"]);
    }

    #[test]
    fn an_asterisk_stands_at_the_end() {
        for bad in ["", "*a", "a*b", "**"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Pattern::parse("A::*").unwrap().as_str(), "A::*");
    }
}
