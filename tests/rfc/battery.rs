//! Zones from text, and questions whose answers read like a listing.

use meridian::{
    model::Name,
    records::{
        Answer, Client, Completeness, DnssecOk, Outcome, Owner, Parsed, Question, RecordType,
        Section, Zone, ZoneSet, include_path, lookup, no_includes, parse_master, rdata_to_text,
    },
};
use std::{fs, path::Path, sync::Arc};

pub(crate) const SOA: &str = "@ 3600 IN SOA ns.example.net. hostmaster.example.net. 1 7200 600 1209600 300\n\
                       @ 3600 IN NS ns.example.net.\n";

/// The zones that a test asks.
#[derive(Default)]
pub(crate) struct Dns(pub(crate) ZoneSet);

/// `example.org` as `zones/example.org.zone` has it.
pub(crate) fn example_org() -> Dns {
    Dns::default().with(read("example.org", "example.org.zone").zone)
}

/// A zone of these lines, with SOA and NS added: `300` is the longest that "no" may be kept.
pub(crate) fn zone(apex: &str, lines: &str) -> Dns {
    Dns::default().and(apex, lines)
}

/// A file of `zones/`, which must be without fault.
pub(crate) fn read(apex: &str, file: &str) -> Parsed {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
    let load = |name: &str| {
        fs::read_to_string(folder.join(include_path(name)?)).map_err(|error| error.to_string())
    };
    let text = load(file).unwrap();
    parse_master(&name(apex), file, &text, &mut { load })
        .unwrap_or_else(|faults| panic!("{faults}"))
}

/// The faults of a text, a line each.
pub(crate) fn faults(apex: &str, text: &str) -> String {
    parse_master(&name(apex), "zone", text, &mut no_includes).unwrap_err().to_string()
}

pub(crate) fn parse(apex: &str, text: &str) -> Parsed {
    parse_master(&name(apex), "zone", text, &mut no_includes).unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Dns {
    /// These zones and one more.
    pub(crate) fn and(self, apex: &str, lines: &str) -> Self {
        self.with(parse(apex, &format!("{SOA}{lines}")).zone)
    }

    pub(crate) fn with(mut self, zone: Zone) -> Self {
        self.0.put(Arc::new(zone));
        self
    }

    /// The same zones, known that well.
    pub(crate) fn known(self, completeness: Completeness) -> Self {
        let known = |zone: &Arc<Zone>| {
            let mut zone = Zone::clone(zone);
            zone.completeness = completeness;
            zone
        };
        self.0.iter().map(known).fold(Self::default(), Self::with)
    }

    /// Asks `<name> <type>`.
    pub(crate) fn ask(&self, question: &str) -> Reply<'_> {
        let (asked, rtype) = question.split_once(' ').unwrap();
        let (asked, rtype) = (name(asked), rtype.parse::<RecordType>().unwrap());
        let own = Question { name: asked.as_wire(), rtype, dnssec: DnssecOk::No };
        let answer = lookup(&self.0, &own, &Client::NEUTRAL);
        Reply { question: question.to_owned(), asked, answer }
    }
}

/// An answer that is being looked at; what is not asked about it may be anything.
pub(crate) struct Reply<'z> {
    question: String,
    asked: Name,
    pub(crate) answer: Answer<'z>,
}

impl Reply<'_> {
    /// How it ended, and the whole answer section as `name TTL type data` per record.
    #[track_caller]
    pub(crate) fn gives(&self, outcome: Outcome, answer: &[&str]) -> &Self {
        assert_eq!(self.answer.outcome, outcome, "{}", self.question);
        assert_eq!(self.lines(&self.answer.answer), answer, "answer to {}", self.question);
        self
    }

    #[track_caller]
    pub(crate) fn authority(&self, lines: &[&str]) -> &Self {
        assert_eq!(self.lines(&self.answer.authority), lines, "authority for {}", self.question);
        self
    }

    #[track_caller]
    pub(crate) fn additional(&self, lines: &[&str]) -> &Self {
        assert_eq!(self.lines(&self.answer.additional), lines, "additional to {}", self.question);
        self
    }

    #[track_caller]
    pub(crate) fn authoritative(&self, expected: bool) -> &Self {
        assert_eq!(self.answer.authoritative, expected, "AA for {}", self.question);
        self
    }

    fn lines(&self, section: &Section<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in section {
            let owner = match &entry.owner {
                Owner::Asked => &self.asked,
                Owner::Name(name) => name,
            };
            let (ttl, rtype) = (entry.ttl, entry.rrset.rtype);
            lines.extend(entry.rrset.rdata().map(|rdata| {
                format!("{} {ttl} {rtype} {}", owner.without_dot(), rdata_to_text(rtype, rdata))
            }));
        }
        lines
    }
}
