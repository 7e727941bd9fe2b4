//! Speaks with other servers of our zones: reads those that live elsewhere, and tells secondaries
//! of changes.
//!
//! Decides nothing: what is asked and what an answer means is [`transfer`](crate::transfer)'s.

mod connect;
mod fetch;
mod tell;

pub use fetch::{Fetched, fetch};
pub use tell::tell;
