//! Random zones, as a master file has them, and random questions about them.

use fastrand::Rng;
use meridian::{
    model::Name,
    records::{self, MasterFile, RecordType, Zone},
};
use std::collections::{BTreeMap, BTreeSet};

/// A zone that all servers load.
pub(crate) struct Made {
    pub(crate) zone: Zone,
    /// As we export it.
    pub(crate) text: String,
    /// Its names, those above them, and those that its records lead to.
    names: Vec<Name>,
}

/// So many zones. Every third is a child of the one before it, which delegates to it.
pub(crate) fn zones(rng: &mut Rng, count: usize) -> Vec<Made> {
    (0..count).map(|number| made(rng, number, count)).collect()
}

fn apex(number: usize) -> String {
    match number % 3 {
        2 => format!("c.z{}.test.", number - 1),
        _ => format!("z{number}.test."),
    }
}

fn made(rng: &mut Rng, number: usize, zones: usize) -> Made {
    let draft = Draft { rng, apex: apex(number), zones, names: BTreeMap::new() };
    let apex: Name = draft.apex.parse().unwrap();
    let text = draft.fill(number).text();
    let parsed = records::parse_master(&apex, "zone", &text, &mut records::no_includes);
    let zone = parsed.unwrap_or_else(|faults| panic!("{faults:?} in\n{text}")).zone;
    let names = names(&zone);
    Made { text: MasterFile(&zone).to_string(), zone, names }
}

fn names(zone: &Zone) -> Vec<Name> {
    let owners = zone.nodes().map(|(key, _)| key.to_name());
    let targets = zone.nodes().flat_map(|(_, node)| node.iter()).filter_map(|rrset| {
        let aliases = matches!(rrset.rtype, RecordType::CNAME | RecordType::DNAME);
        Name::from_wire(rrset.rdata().next().filter(|_| aliases)?).ok()
    });
    let all: BTreeSet<Name> = owners.chain(targets).collect();
    let above: BTreeSet<Name> = all.iter().filter_map(Name::parent).collect();
    all.union(&above).cloned().collect()
}

// === Zones ===

/// A zone in the making: records (TTL, type, data) by owner, labels from the apex down.
struct Draft<'r> {
    rng: &'r mut Rng,
    apex: String,
    zones: usize,
    names: BTreeMap<Vec<String>, Vec<String>>,
}

/// Few, so that names meet.
const LABELS: [&str; 10] = ["a", "b", "d", "e", "ns", "*", "*", "MiXed", "_srv", "x-1"];

impl Draft<'_> {
    fn fill(mut self, number: usize) -> Self {
        let lone = number % 6 == 3; // with a DNAME at its apex, which leaves room for nothing else
        self.apex_records(lone);
        for _ in 0..if lone { 0 } else { self.rng.usize(12..45) } {
            let owner = self.owner();
            self.name(owner);
        }
        if number % 3 == 1 {
            self.names.retain(|owner, _| owner.first().is_none_or(|label| label != "c"));
            self.delegation(vec!["c".into()]);
        }
        self.without_what_may_not_be();
        self
    }

    fn text(&self) -> String {
        let mut text = format!("$ORIGIN {}\n", self.apex);
        for (owner, records) in &self.names {
            let labels: Vec<&str> = owner.iter().rev().map(String::as_str).collect();
            let owner = if labels.is_empty() { "@".to_owned() } else { labels.join(".") };
            records.iter().for_each(|record| text += &format!("{owner} {record}\n"));
        }
        text
    }

    fn apex_records(&mut self, lone: bool) {
        let (ttl, minimum) = (self.ttl(), self.ttl());
        let mut own = vec![format!("{ttl} SOA ns1 Host.master 7 3600 600 86400 {minimum}")];
        let ttl = self.ttl();
        own.push(format!("{ttl} NS ns.elsewhere.example."));
        if lone {
            let target = self.redirection(&[]);
            own.push(target);
        } else {
            own.push(format!("{ttl} NS ns1"));
            self.names.insert(vec!["ns1".into()], vec!["300 A 192.0.2.53".into()]);
            own.extend(self.data());
        }
        self.names.insert(Vec::new(), own);
    }

    fn owner(&mut self) -> Vec<String> {
        let depth = [1, 1, 1, 2, 2, 3, 4][self.rng.usize(0..7)];
        (0..depth).map(|_| self.label()).collect()
    }

    fn label(&mut self) -> String {
        match self.rng.usize(0..40) {
            0 => "l".repeat(63),
            1 => "un\\.dotted".to_owned(),
            at => LABELS[at % LABELS.len()].to_owned(),
        }
    }

    fn ttl(&mut self) -> u32 {
        [0, 30, 300, 3_600, 86_400][self.rng.usize(0..5)]
    }

    fn name(&mut self, owner: Vec<String>) {
        if self.names.keys().any(|known| lowered(known) == lowered(&owner)) {
            return;
        }
        let is_wildcard = owner.last().is_some_and(|label| label == "*");
        let records = match self.rng.usize(0..20) {
            0..=5 => vec![format!("{} CNAME {}", self.ttl(), self.target())],
            6..=7 if !is_wildcard => vec![self.redirection(&owner)],
            8..=10 if !is_wildcard => return self.delegation(owner),
            _ => self.data(),
        };
        self.names.insert(owner, records);
    }

    /// Few lead to below themselves, where names grow until they are too long.
    fn redirection(&mut self, owner: &[String]) -> String {
        let ttl = self.ttl();
        let labels: Vec<&str> = owner.iter().rev().map(String::as_str).collect();
        let own = format!("{}.{}", labels.join("."), self.apex).to_lowercase();
        let own = own.trim_start_matches('.').to_owned();
        let mut target = self.target();
        while target.to_lowercase().ends_with(&own) && self.rng.u8(0..6) > 0 {
            target = self.target();
        }
        format!("{ttl} DNAME {target}")
    }

    /// Name servers within, beside and outside of the zone, with glue and without.
    fn delegation(&mut self, owner: Vec<String>) {
        let (ttl, mut records) = (self.ttl(), Vec::new());
        if self.rng.bool() {
            let below = [&owner[..], &["ns".to_owned()]].concat();
            let labels: Vec<&str> = below.iter().rev().map(String::as_str).collect();
            records.push(format!("{ttl} NS {}.{}", labels.join("."), self.apex));
            if self.rng.u8(0..4) > 0 {
                let glue = ["300 A 192.0.2.7".to_owned(), "300 AAAA 2001:db8::7".to_owned()];
                self.names.insert(below, glue[..self.rng.usize(1..3)].to_vec());
            }
        }
        let other = self.target();
        if records.is_empty() || self.rng.bool() {
            records.push(format!("{ttl} NS {other}"));
        }
        if self.rng.bool() {
            records.push(format!("{} DS 12345 13 2 {}", self.ttl(), "ab".repeat(32)));
        }
        self.names.insert(owner, records);
    }

    /// Some types side by side.
    fn data(&mut self) -> Vec<String> {
        let mut types: Vec<usize> = (0..6).collect();
        self.rng.shuffle(&mut types);
        let count = self.rng.usize(1..4);
        types[..count].iter().flat_map(|rtype| self.rrset(*rtype)).collect()
    }

    fn rrset(&mut self, rtype: usize) -> Vec<String> {
        let ttl = self.ttl();
        // Some are too large for UDP.
        let count = if self.rng.u8(0..30) == 0 { self.rng.u8(25..80) } else { self.rng.u8(1..4) };
        let one = |at: u8, draft: &mut Self| match rtype {
            0 => format!("{ttl} A 192.0.2.{at}"),
            1 => format!("{ttl} AAAA 2001:db8::{at:x}"),
            2 => format!("{ttl} MX {at} {}", draft.target()),
            3 => format!("{ttl} TXT \"text; {at} of \\\"some\\\" \\200\" tail"),
            4 => format!("{ttl} SRV {at} 0 443 {}", draft.target()),
            _ => format!("{ttl} TYPE65280 \\# 3 0102{at:02x}"),
        };
        (0..count).map(|at| one(at, self)).collect()
    }

    /// Where an alias, a redirection or a server leads: mostly to what may be in the zone.
    fn target(&mut self) -> String {
        match self.rng.usize(0..12) {
            0 => "far.elsewhere.example.".to_owned(),
            1 => format!("{}.{}", self.label(), apex(self.rng.usize(0..self.zones))),
            2 => self.apex.clone(),
            _ => {
                let labels: Vec<String> = self.owner().into_iter().rev().collect();
                format!("{}.{}", labels.join("."), self.apex)
            }
        }
    }

    /// Nothing stands below a DNAME (RFC 6672 §2.4: the servers refuse such zones), and no other
    /// cut below a delegation.
    fn without_what_may_not_be(&mut self) {
        let has = |records: &[String], rtype: &str| {
            records.iter().any(|record| record.split(' ').nth(1) == Some(rtype))
        };
        let with = |rtype: &str| -> Vec<Vec<String>> {
            let all = self.names.iter().filter(|(_, records)| has(records, rtype));
            all.map(|(owner, _)| lowered(owner)).collect()
        };
        let (dnames, cuts) = (with("DNAME"), with("NS"));
        let below = |owner: &[String], above: &[Vec<String>]| {
            above.iter().any(|own| owner.len() > own.len() && owner.starts_with(own))
        };
        let inner: Vec<_> = cuts.into_iter().filter(|cut| !cut.is_empty()).collect();
        self.names.retain(|owner, records| {
            let owner = lowered(owner);
            let hidden = has(records, "DNAME") && below(&owner, &inner);
            !hidden && !below(&owner, &dnames)
        });
    }
}

fn lowered(owner: &[String]) -> Vec<String> {
    owner.iter().map(|label| label.to_lowercase()).collect()
}

// === Questions ===

/// A question, and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Which of the zones it is about.
    pub(crate) zone: usize,
    pub(crate) name: Name,
    pub(crate) rtype: u16,
    /// The size that is offered, and DO.
    pub(crate) edns: Option<(u16, bool)>,
}

/// A, NS, CNAME, SOA, MX, TXT, AAAA, SRV, DNAME, DS, ANY, and one that nobody knows.
const TYPES: [u16; 13] = [1, 1, 2, 5, 6, 15, 16, 28, 33, 39, 43, 255, 65_280];

pub(crate) fn question(rng: &mut Rng, zones: &[Made]) -> Asked {
    let zone = rng.usize(0..zones.len());
    let made = &zones[zone];
    let base = &made.names[rng.usize(0..made.names.len())];
    let label = |rng: &mut Rng| match rng.usize(0..8) {
        0 => "m".repeat(63),
        1 => "*".to_owned(),
        2 => "\\000".to_owned(),
        at => LABELS[at].to_owned(),
    };
    let below = |name: &Name, rng: &mut Rng| {
        format!("{}.{name}", label(rng)).parse().unwrap_or_else(|_| name.clone())
    };
    let name = match rng.usize(0..10) {
        0..=3 => base.clone(),
        4 => base.parent().unwrap_or_else(Name::root),
        5 | 6 => below(base, rng),
        7 => below(&base.parent().unwrap_or_else(Name::root), rng),
        _ => (0..rng.usize(2..5)).fold(base.clone(), |name, _| below(&name, rng)),
    };
    let rtype = TYPES[rng.usize(0..TYPES.len())];
    let sizes = [None, None, Some((512, false)), Some((1_232, false)), Some((4_096, true))];
    Asked { zone, name: in_any_case(rng, &name), rtype, edns: sizes[rng.usize(0..sizes.len())] }
}

fn in_any_case(rng: &mut Rng, name: &Name) -> Name {
    let labels = name.labels().map(|label| {
        let flip = |octet: &u8| if rng.bool() { octet.to_ascii_uppercase() } else { *octet };
        label.iter().map(flip).collect::<Vec<u8>>()
    });
    let labels: Vec<_> = labels.collect();
    Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap()
}
