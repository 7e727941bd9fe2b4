//! What the state directory holds, read from octets by the readers that a start uses: an entrance
//! for those who try what damage to a file does (`tests/fuzz/`). Nothing else needs it.

use super::{installation, state, transfers, writers::Freeze, writing::Remembered};
use crate::{dnssec::Rollover, fleet::Saved, model::Name, plan::Entry};

/// The files beside the state itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// `rollover.json`: how far each key of a zone has come.
    Rollover,
    /// `installation.json`: who we are to providers.
    Installation,
    /// `written-….json`: what a writer remembers.
    Written,
    /// `frozen.json`: why writes are stopped.
    Frozen,
    /// A line of `history.jsonl`.
    History,
    /// The copy of a zone that lives elsewhere.
    Copy,
}

impl Kept {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Rollover,
        Self::Installation,
        Self::Written,
        Self::Frozen,
        Self::History,
        Self::Copy,
    ];
}

/// The state that a file of these octets holds.
///
/// # Errors
/// Why it is not used.
pub fn read_state(octets: &[u8]) -> Result<Saved, String> {
    state::parse(octets)
}

/// Reads any of the other files; a copy as one of the zone at `apex`.
///
/// # Errors
/// What is wrong with it.
pub fn check_kept(kind: Kept, octets: &[u8], apex: &Name) -> Result<(), String> {
    match kind {
        Kept::Rollover => json::<Rollover>(octets),
        Kept::Installation => installation::parse(octets).map(drop),
        Kept::Written => json::<Remembered>(octets),
        Kept::Frozen => json::<Freeze>(octets),
        Kept::History => json::<Entry>(octets),
        Kept::Copy => {
            let text = std::str::from_utf8(octets).map_err(|error| error.to_string())?;
            transfers::parse_copy(text, "copy", apex).map(drop)
        }
    }
}

fn json<T: serde::de::DeserializeOwned>(octets: &[u8]) -> Result<(), String> {
    serde_json::from_slice::<T>(octets).map(drop).map_err(|error| error.to_string())
}
