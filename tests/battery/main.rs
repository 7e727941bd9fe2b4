//! What every provider must bear, one by one: the doubles held against the vendors' own clients,
//! and the same scenarios over each provider.

#[path = "../double/mod.rs"]
#[allow(dead_code)] // shared by several test binaries
mod double;

mod route53_vendor;
