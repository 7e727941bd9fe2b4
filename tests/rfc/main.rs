//! What the RFCs say of answers, section by section, asked of `records::lookup`.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

mod ask;
mod rfc1034;
mod rfc1035;
mod rfc2308;
mod rfc3597;
mod rfc4592;
mod rfc6672;
mod rfc8020;
