//! Master files (RFC 1035 §5) into zones.
//!
//! A reader turns lines into records; the rules of [`rules`] turn records into a zone. Both go on
//! after a fault, so that one reading tells all that is wrong with a file.

mod include;
mod reader;
mod rules;

pub use include::include_path;
pub use reader::period_from_text;

use super::{RecordType, Zone};
use crate::model::{Key, Name, Ttl};
use std::{collections::BTreeSet, fmt, sync::Arc};

/// Answers `$INCLUDE`: gets the file name as it is written, gives the text or why it may not be
/// had. See [`include_path`] for the guard that it should apply.
pub type Loader<'l> = dyn FnMut(&str) -> Result<String, String> + 'l;

/// A [`Loader`] for text that may not include anything.
///
/// # Errors
/// Always.
pub fn no_includes(_name: &str) -> Result<String, String> {
    Err("this text may not include files".to_owned())
}

/// A zone read from a master file, and what its author may want to know.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The zone.
    pub zone: Zone,
    /// What is allowed but looks wrong.
    pub warnings: Vec<Fault>,
}

/// Reads a master file of the zone at `apex`, which is the origin at first. `file` names it in
/// faults.
///
/// # Errors
/// All faults of the file, the first 20 at most.
pub fn parse_master(
    apex: &Name,
    file: &str,
    text: &str,
    load: &mut Loader<'_>,
) -> Result<Parsed, Faults> {
    let mut notes = Notes::default();
    let records = reader::read(apex, file, text, load, &mut notes);
    finish(apex, file, records, notes)
}

/// The same over a zone that is there already: each rrset of the file takes the place of the
/// zone's own, and SOA and NS may be left to it. All rules hold for the two together.
///
/// # Errors
/// As [`parse_master`].
pub fn parse_over(
    base: &Zone,
    file: &str,
    text: &str,
    load: &mut Loader<'_>,
) -> Result<Parsed, Faults> {
    let mut notes = Notes::default();
    let mut records = reader::read(base.apex(), file, text, load, &mut notes);
    let given: BTreeSet<(Key, u16)> =
        records.iter().map(|record| (record.owner.key(), record.rtype.0)).collect();
    let place = Place { file: file.into(), line: 0 };
    for (key, rrset) in base.nodes().flat_map(|(key, node)| node.iter().map(move |own| (key, own)))
    {
        if given.contains(&(key.clone(), rrset.rtype.0)) {
            continue;
        }
        records.extend(rrset.rdata().map(|data| Record {
            place: place.clone(),
            owner: key.to_name(),
            rtype: rrset.rtype,
            ttl: rrset.ttl,
            rdata: data.to_vec(),
        }));
    }
    finish(base.apex(), file, records, notes)
}

fn finish(
    apex: &Name,
    file: &str,
    records: Vec<Record>,
    mut notes: Notes,
) -> Result<Parsed, Faults> {
    let zone = rules::build(apex, file, records, &mut notes);
    if notes.faults.is_empty() {
        return Ok(Parsed { zone, warnings: notes.warnings });
    }
    notes.faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    notes.faults.truncate(MAX_FAULTS);
    Err(Faults(notes.faults))
}

/// One thing that is wrong with a line; prints as `file:line: text`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The file, as the caller or `$INCLUDE` names it.
    pub file: Arc<str>,
    /// From 1; 0 when no line but the whole file is meant.
    pub line: usize,
    /// What was found and what was expected.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.text),
            line => write!(f, "{}:{line}: {}", self.file, self.text),
        }
    }
}

/// Everything that keeps a file from being a zone, by file and line; prints a line for each.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

// === Between reader and rules ===

/// Where something is written.
#[derive(Clone, Debug)]
struct Place {
    file: Arc<str>,
    line: usize,
}

/// One record as it was read.
#[derive(Clone, Debug)]
struct Record {
    place: Place,
    owner: Name,
    rtype: RecordType,
    ttl: Ttl,
    rdata: Vec<u8>,
}

/// What was noticed on the way.
#[derive(Default)]
struct Notes {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Notes {
    fn fault(&mut self, place: &Place, text: impl Into<String>) {
        let Place { file, line } = place.clone();
        self.faults.push(Fault { file, line, text: text.into() });
    }

    /// Warnings beyond the limit of faults are dropped: nobody reads them.
    fn warn(&mut self, place: &Place, text: impl Into<String>) {
        if self.warnings.len() < MAX_FAULTS {
            let Place { file, line } = place.clone();
            self.warnings.push(Fault { file, line, text: text.into() });
        }
    }

    fn is_full(&self) -> bool {
        self.faults.len() >= MAX_FAULTS
    }
}

/// As many as fit a screen.
const MAX_FAULTS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scrap() -> impl Strategy<Value = String> {
        let known = vec![
            "\n",
            " ",
            "\t",
            "(",
            ")",
            "\"",
            ";",
            "\\",
            "\\0",
            "\\#",
            "@",
            ".",
            "$ORIGIN",
            "$TTL",
            "$INCLUDE",
            "IN",
            "60",
            "1h",
            "A",
            "SOA",
            "TXT",
            "CNAME",
            "192.0.2.1",
            "a",
            "z.test.",
            "HTTPS",
            "alpn=\"",
            "é",
        ];
        prop_oneof![
            8 => prop::sample::select(known).prop_map(str::to_owned),
            1 => "\\PC{0,4}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn no_file_is_too_strange(scraps in proptest::collection::vec(scrap(), 0..40)) {
            let text = scraps.concat();
            let apex = "z.test".parse().unwrap();
            let mut twice = 0;
            let mut load = |_: &str| {
                twice += 1;
                if twice < 3 { Ok(text.clone()) } else { no_includes("") }
            };
            if let Err(faults) = parse_master(&apex, "zone", &text, &mut load) {
                prop_assert!((1..=20).contains(&faults.0.len()));
                prop_assert!(faults.0.iter().all(|fault| fault.line <= text.len() + 1));
            }
        }
    }
}
