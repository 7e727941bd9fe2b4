//! Whole stories, from clusters' events to the zone, on a hand-cranked clock.

mod federation_v1;
mod holding;
mod hosts;
mod random;
mod world;
