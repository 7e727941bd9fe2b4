//! DNSSEC for the zones that are served: keys and their changes, signatures, and proofs of what is
//! not there. No clock, no file, no socket: times are arguments.
//!
//! ```text
//! bind ─▶ key ─▶ roll, algorithm ─▶ Keys ─▶ zone ─▶ records::Signed ─▶ records::lookup
//!                                            online ────────────────────────┘  (names that do not exist)
//! ```
//! A zone is signed when it changes, never when it is asked for, but for the names that compact
//! denial (RFC 9824) has to make up.

mod algorithm;
pub mod bind;
mod bitmap;
pub mod canonical;
mod fit;
mod key;
mod online;
mod roll;
mod settings;
mod sign;
mod zone;

pub use bitmap::bitmap;
pub use fit::{SIGNERS_OWN, fitted, longest, with_expire};
pub use key::{Algorithm, Key, KeyError, Role, ds_text, key_tag};
pub use online::{ONLINE_RATE, OnlineSigner};
pub use roll::{KeyState, Refusal, Rollover, Signatures, Stage, Timing, Track, Turn};
pub use settings::{KeyView, Settings, View};
pub use sign::{Validity, rrsig};
pub use zone::{Before, Keys, Signing, signers};
