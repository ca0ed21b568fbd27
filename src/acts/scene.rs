//! Where and when jobs are acted on, and how their payloads are written.

use std::rc::Rc;

use crate::{job::Schema, wire::Realm};

/// What an act is told about the server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// The realm of the places.
    pub(crate) realm: Rc<Realm>,
    /// How its payloads are written.
    pub(crate) schema: Schema,
    /// Unix time of the act by the clock of Redis: when those died that it kills.
    pub(crate) now: f64,
}
