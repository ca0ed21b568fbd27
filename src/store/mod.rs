//! The only place that names Redis commands.
//!
//! Functions append commands to [`Requests`](crate::resp::Requests) and read the replies; they open no socket. Each
//! says how many round trips it takes and what is atomic. Keys come from [`crate::wire::keys`].

pub mod flight;
pub mod process;
pub mod scripts;
pub mod turn;
