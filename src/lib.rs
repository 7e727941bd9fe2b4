//! Sends each client of a multi-cluster Kubernetes service to the right healthy cluster, by DNS.

pub mod fleet;
pub mod model;
pub mod records;
pub mod server;
pub mod source;
