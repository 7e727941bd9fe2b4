//! What every provider must bear, one by one: the doubles held against the vendors' own clients,
//! and the same scenarios over each provider.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

mod cloud_dns_vendor;

#[path = "../double/mod.rs"]
#[allow(dead_code)] // shared by several test binaries
mod double;
