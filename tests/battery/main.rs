//! What every provider must bear, one by one: the doubles held against the vendors' own clients,
//! and the same scenarios over each provider.

#![allow(missing_docs, unreachable_pub)] // a test binary has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may panic and read the clock

mod azure_answers;
mod azure_target;
mod azure_vendor;
mod azure_wire;
mod cloud_dns_calls;
mod cloud_dns_checks;
mod cloud_dns_runs;
mod cloud_dns_target;
mod cloud_dns_vendor;
#[path = "../double/mod.rs"]
#[allow(dead_code)] // shared by several test binaries
mod double;
mod latency;
mod moto;
mod nameserver;
mod place;
#[path = "../support/ports.rs"]
mod ports;
mod rfc2136;
mod route53_bad;
mod route53_checks;
mod route53_sets;
mod route53_switches;
mod route53_target;
mod route53_vendor;
mod scenarios;
mod target;
mod traffic_manager;
