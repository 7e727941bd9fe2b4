//! What the RFCs ask of zones and answers, a module for each and a test for each section.

#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only functions marked #[test] unwrap, not their helpers"
)]

mod battery;
mod rfc1034;
mod rfc1035;
mod rfc1995;
mod rfc1996;
mod rfc2181;
mod rfc2308;
mod rfc3597;
mod rfc4592;
mod rfc5936;
mod rfc6672;
mod rfc7871;
mod rfc8020;
mod rfc8482;
mod rfc8945;
mod rfc9432;
mod rfc9471;
mod tools;
mod transfers;
