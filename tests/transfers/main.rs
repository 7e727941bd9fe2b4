//! Zone transfers with everything real: a process as a user starts it, and NSD, Knot and BIND as
//! its secondaries and primaries.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

mod catalog;
mod dig;
mod incoming;
mod others;
#[path = "../support/ports.rs"]
mod ports;
mod process;
mod restart;
mod signed;
mod steps;
mod tls;
