//! `ask("www A").gives("…")`: one question, its whole answer as text.

use meridian::{
    model::Name,
    records::{self, Client, Entry, Outcome, Owner, Question, Records, Zone, ZoneSet},
};
use std::{fs, path::Path};

/// A zone from `zones/`.
pub(crate) fn zone(apex: &str, file: &str) -> Zone {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones").join(file);
    parse(apex, &fs::read_to_string(path).unwrap())
}

/// A zone from text.
pub(crate) fn parse(apex: &str, text: &str) -> Zone {
    let apex: Name = apex.parse().unwrap();
    let records = Records::parse("zone", text, &apex, &mut |_| Err("no includes".into())).unwrap();
    records.into_zone("zone", &apex).unwrap()
}

/// Zones to ask.
pub(crate) struct Asked(pub(crate) ZoneSet);

/// What was answered.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Given {
    pub(crate) outcome: Outcome,
    pub(crate) authoritative: bool,
    pub(crate) answer: Vec<String>,
    pub(crate) authority: Vec<String>,
    pub(crate) additional: Vec<String>,
}

impl Asked {
    pub(crate) fn example_org() -> Self {
        Self(zone("example.org", "example.org.zone").into())
    }

    /// As in `"www.example.org A"`.
    pub(crate) fn ask(&self, question: &str) -> Given {
        let (name, rtype) = question.split_once(' ').unwrap();
        let name: Name = name.parse().unwrap();
        let question = Question { name: name.as_wire(), rtype: rtype.parse().unwrap() };
        let answer = records::lookup(&self.0, &question, &Client::NEUTRAL);
        let texts = |section: &[Entry<'_>]| -> Vec<String> {
            section.iter().flat_map(|entry| lines(entry, &name)).collect()
        };
        Given {
            outcome: answer.outcome,
            authoritative: answer.authoritative,
            answer: texts(&answer.answer),
            authority: texts(&answer.authority),
            additional: texts(&answer.additional),
        }
    }
}

fn lines(entry: &Entry<'_>, asked: &Name) -> Vec<String> {
    let owner = match &entry.owner {
        Owner::Asked => asked.clone(),
        Owner::Name(name) => Name::clone(name),
    };
    let rtype = entry.rrset.rtype;
    let text =
        |data: &[u8]| format!("{owner} {} {rtype} {}", entry.ttl, records::rdata_text(rtype, data));
    entry.rrset.rdata().map(text).collect()
}

impl Given {
    /// Exactly these answers, and that outcome.
    #[track_caller]
    pub(crate) fn gives(&self, outcome: Outcome, answer: &[&str]) -> &Self {
        assert_eq!(
            (self.outcome, self.answer.iter().map(String::as_str).collect::<Vec<_>>()),
            (outcome, answer.to_vec())
        );
        self
    }

    #[track_caller]
    pub(crate) fn authority(&self, expected: &[&str]) -> &Self {
        assert_eq!(self.authority, expected);
        self
    }

    #[track_caller]
    pub(crate) fn additional(&self, expected: &[&str]) -> &Self {
        assert_eq!(self.additional, expected);
        self
    }
}
