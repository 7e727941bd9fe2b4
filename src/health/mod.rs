//! Outcomes of checks in, verdicts out: whether an endpoint can be sent clients, and for how long
//! that may be believed. Pure: time is an argument.

mod check;

pub use check::{Check, Failure, Grpc, Http, Method, Outcome, Protocol, Statuses, Target, Tls};
