//! Other people's programs asked the same as ours: where they differ, the test says why.

#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only functions marked #[test] unwrap, not their helpers"
)]
#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::disallowed_methods)] // a test may read the clock

mod cookies;
mod differential;
mod dnssec;
mod ecs;
mod geoip;
#[path = "../support/mmdb.rs"]
mod mmdb;
#[path = "../support/ports.rs"]
mod ports;
