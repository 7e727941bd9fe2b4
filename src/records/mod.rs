//! Zones and their records, and the one function that answers a question from them.
//!
//! A [`Zone`] is frozen: an update makes a new one that shares all that did not change. Record
//! data is kept as it goes over the wire, so that answering copies octets and decides nothing.
//! Zones come from settings ([`generated`]) and master files ([`parse_master`]), and go out as
//! [`MasterFile`] or [`rows`].

mod additional;
mod answer;
mod denial;
mod export;
mod full;
mod generated;
mod lookup;
mod master;
mod names;
mod octets;
mod rrset;
mod signed;
mod steered;
mod text;
mod zone;

pub use crate::{model::Client, policy::Settled};
pub use answer::{Answer, DnssecOk, Entry, Outcome, Owner, Question, Section};
pub use denial::{compact_nsec, denial_ttl};
pub use export::{MasterFile, Row, rows};
pub use full::{can_be_copied, changed_in_full, in_full, node_in_full};
pub use generated::generated;
pub use lookup::{Foreseen, foresee, lookup};
pub use master::{
    Fault, Faults, Loader, Parsed, include_path, no_includes, parse_master, parse_over,
    period_from_text,
};
pub use names::names_in;
pub use rrset::{Led, Node, RecordType, Rrset};
pub use signed::{Denial, Online, Proof, Signed, SignedFamily, SignedName};
pub use steered::{Chosen, Steered};
pub use text::{TextError, rdata_from_text, rdata_to_text};
pub use zone::{Completeness, Zone, ZoneSet};
