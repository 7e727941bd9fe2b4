//! Sends each client of a multi-cluster Kubernetes service to the right healthy cluster, by DNS.

pub mod cli;
pub mod config;
pub mod controller;
pub mod dnssec;
pub mod fleet;
pub mod geo;
pub mod health;
pub mod model;
pub mod plan;
pub mod policy;
pub mod probe;
pub mod provider;
pub mod records;
pub mod replica;
pub mod server;
pub mod source;
pub mod telemetry;
pub mod transfer;
pub mod web;
