//! What the RFCs ask of zones and answers, a module for each and a test for each section.

#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only functions marked #[test] unwrap, not their helpers"
)]

mod battery;
mod rfc1034;
mod rfc1035;
mod rfc2181;
mod rfc2308;
mod rfc3597;
mod rfc4592;
mod rfc5001;
mod rfc6672;
mod rfc6891;
mod rfc7828;
mod rfc7830;
mod rfc7871;
mod rfc7873;
mod rfc8020;
mod rfc8482;
mod rfc8906;
mod rfc8914;
mod rfc9018;
mod rfc9471;
mod tools;
mod wire;
