//! Zone transfers without their sockets: who may have a zone, what is sent and signed, what is taken.
//!
//! ```text
//! out  Zone ─▶ Journal ─▶ Outgoing ─▶ messages        (RFC 5936, RFC 1995)      Notices (RFC 1996)
//!               Past, on disk
//! in   messages ─▶ Incoming ─▶ Zone                   when: Refresh (RFC 1034 §4.3.5)
//! both Keys, Verified, Signer, Checker                (TSIG, RFC 8945)
//! ```
//! Time is an argument everywhere; `server` and `replica` bring the sockets.

mod catalog;
mod expire;
mod incoming;
mod journal;
mod message;
mod notices;
mod outgoing;
mod packer;
mod past;
mod record;
mod refresh;
mod rules;
mod stats;
mod tsig;

pub use catalog::catalog;
pub use expire::{EXPIRE, Expire, append_opt};
pub use incoming::{Incoming, Progress, Unusable};
pub use journal::{Delta, History, Journal, Line};
pub use message::{Malformed, Request, Rows, concerns, read_request, read_response};
pub use notices::{Due, Notices, Target};
pub use outgoing::{Outgoing, Wanted};
pub use packer::{Head, Packer};
pub use past::Past;
pub use record::Record;
pub use refresh::Refresh;
pub use rules::{Allow, Primary, PrimaryTls, Rules, ZoneRules};
pub use stats::{Event, Journaled, Reading, Replicated, Stats, StatsView};
pub use tsig::{
    Algorithm, Checker, FUDGE, Key, KeyFileError, Keys, Refused, Signer, TsigError, Verified,
    verify_request,
};

/// Reads the wall clock in seconds since 1970, as TSIG counts (RFC 8945 §4.2).
pub type Clock = fn() -> u64;

#[cfg(test)]
mod tests;
