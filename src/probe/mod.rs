//! Checks endpoints over the network, on a schedule, and tells the outcomes. Decides nothing.
//!
//! One scheduler starts at most so many checks at once, each a short task with one connection to
//! the target's address and nothing else: no name is resolved, no redirect followed, no proxy
//! asked, no connection used twice.

mod attempt;
mod certificate;
mod connect;
mod grpc;
mod guard;
mod http;
mod run;
mod schedule;
mod stats;
#[cfg(test)]
mod tests;
mod tls;

pub use guard::{Guard, GuardError, Ports};
pub use run::{Settings, Wanted, run};
pub use stats::{CheckCount, Stats, StatsView};
