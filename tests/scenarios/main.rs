//! Whole stories, from clusters' events to the zone, on a hand-cranked clock.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

mod accidents;
mod ahead;
mod federation_v1;
mod holding;
mod hosts;
mod live;
#[path = "../support/mmdb.rs"]
mod mmdb;
mod plans;
mod race;
mod random;
mod site;
mod steering;
mod world;
