//! What the RFCs ask of zones and answers, a module for each and a test for each section.

#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only functions marked #[test] unwrap, not their helpers"
)]
#![allow(clippy::disallowed_methods, reason = "a test of limits in time reads the clock")]

mod battery;
mod limited;
mod rfc1034;
mod rfc1035;
mod rfc1995;
mod rfc1996;
mod rfc2181;
mod rfc2308;
mod rfc3597;
mod rfc4035;
mod rfc4592;
mod rfc5001;
mod rfc5936;
mod rfc6672;
mod rfc6781;
mod rfc6840;
mod rfc6891;
mod rfc7314;
mod rfc7344;
mod rfc7766;
mod rfc7828;
mod rfc7830;
mod rfc7858;
mod rfc7871;
mod rfc7873;
mod rfc8020;
mod rfc8482;
mod rfc8484;
mod rfc8906;
mod rfc8914;
mod rfc8945;
mod rfc9018;
mod rfc9103;
mod rfc9250;
mod rfc9432;
mod rfc9460;
mod rfc9471;
mod rfc9824;
mod tools;
mod transfers;
mod transports;
mod validator;
mod wire;
