//! Zones and their records, and the one function that answers a question from them.
//!
//! A [`Zone`] is frozen: an update makes a new one that shares all that did not change. Record
//! data is kept as it goes over the wire, so that answering copies octets and decides nothing.

mod answer;
mod export;
mod generated;
mod lookup;
mod master;
mod rrset;
mod text;
mod zone;

pub use answer::{Answer, Client, Entry, Outcome, Owner, Question, Section};
pub use export::{MasterFile, Row, rows};
pub use generated::generated;
pub use lookup::{MAX_ALIASES, lookup};
pub use master::{Loader, MAX_ERRORS, MasterError, Records, check_include};
pub use rrset::{Node, RecordType, Rrset};
pub use text::{Word, absolute, parse_rdata, parse_ttl, rdata_text};
pub use zone::{Completeness, Zone, ZoneSet};
