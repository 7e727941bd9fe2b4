//! Doubles of the three clouds' DNS, for want of the clouds: strict about what their documents say,
//! faults to switch on, a clock that tests move, and every call counted. Proven by the vendors' own
//! clients (`tests/battery/vendors.rs`).

pub(crate) mod azure;
pub(crate) mod cloud_dns;
pub(crate) mod common;
pub(crate) mod route53;
