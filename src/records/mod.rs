//! Zones and their records, and the one function that answers a question from them.
//!
//! A [`Zone`] is frozen: an update makes a new one that shares all that did not change. Record
//! data is kept as it goes over the wire, so that answering copies octets and decides nothing.

mod answer;
mod rrset;
mod zone;

pub use answer::{Answer, Client, Entry, Outcome, Owner, Question, Section};
pub use rrset::{Node, RecordType, Rrset};
pub use zone::{Completeness, Zone, ZoneSet};
