//! Answers a question from the zones: RFC 1034 §4.3.2, with wildcards as RFC 4592 tells them,
//! DNAME (RFC 6672), negative answers of RFC 2308 and minimal answers to ANY (RFC 8482).
//!
//! A step looks one name up in one zone; an alias starts the next step, 16 at most:
//!
//! ```text
//! name's place in its zone      answered with
//! node                          its rrset, else its CNAME followed, else NODATA
//! empty non-terminal            NODATA
//! below a DNAME                 DNAME and the CNAME made from it, followed
//! at or below a delegation      referral; DS at the cut itself as in a node
//! under an encloser with `*`    as in the node of the `*`
//! elsewhere                     NXDOMAIN
//! ```
//!
//! Where signatures are wanted and the zone is signed, each rrset comes with its own, and
//! `denial` adds what proves that nothing else is there.

use super::{
    Answer, Chosen, Client, Completeness, DnssecOk, Entry, Node, Outcome, Owner, Question,
    RecordType, Rrset, Section, Signed, SignedName, Steered, Zone, ZoneSet,
};
use crate::{
    model::{Key, Name, Ttl},
    records::octets::{depth, labels, parent, prefixes, suffix, wildcard_of},
};
use std::{borrow::Cow, sync::Arc};

/// Decides the answer to one question, from these zones alone.
///
/// The asker matters only to names that are steered; records of a zone are the same for all.
#[must_use]
pub fn lookup<'z>(zones: &'z ZoneSet, question: &Question<'_>, client: &Client) -> Answer<'z> {
    let mut search = Search::new(zones, question, client);
    let outcome = search.run();
    search.finish(outcome)
}

/// What can be said to a question before anyone asks it: the answer up to where it depends on the
/// asker.
#[derive(Clone, Debug)]
pub struct Foreseen<'z> {
    /// What [`lookup`] answers to everyone; where a steered name comes in, what stands before its
    /// records.
    pub answer: Answer<'z>,
    /// The name whose records depend on the asker, and what chooses them.
    pub steered: Option<(Owner<'z>, &'z Arc<Steered>)>,
}

/// Decides the answer to one question as far as it is the same for all askers.
#[must_use]
pub fn foresee<'z>(zones: &'z ZoneSet, question: &Question<'_>) -> Foreseen<'z> {
    let mut search = Search::new(zones, question, &Client::NEUTRAL);
    search.ahead = true;
    let outcome = search.run();
    let steered = search.steered.take();
    Foreseen { answer: search.finish(outcome), steered }
}

impl Answer<'_> {
    fn empty() -> Self {
        Self {
            outcome: Outcome::Refused,
            authoritative: false,
            scope: 0,
            answer: Section::new(),
            authority: Section::new(),
            additional: Section::new(),
            compact: false,
            stale: false,
            fenced: false,
        }
    }
}

/// One question on its way through the zones.
pub(super) struct Search<'z, 'q> {
    zones: &'z ZoneSet,
    pub(super) question: &'q Question<'q>,
    client: &'q Client,
    pub(super) answer: Answer<'z>,
    /// A signature was wanted that may not be made now; an answer without it would be taken for a
    /// forged one.
    pub(super) unproven: bool,
    /// Nobody has asked yet: a steered name is where the search ends.
    ahead: bool,
    steered: Option<(Owner<'z>, &'z Arc<Steered>)>,
}

/// The node that answers for a name, and the name's own key.
#[derive(Clone, Copy)]
pub(super) struct Found<'z, 'k> {
    pub(super) node: &'z Node,
    pub(super) key: &'k [u8],
    /// Where a wildcard stands in: how much of the key is the closest encloser's.
    pub(super) wildcard: Option<usize>,
    /// Its signatures, where they are wanted.
    pub(super) signed: Option<&'z SignedName>,
}

/// What a step leads to.
pub(super) enum Step {
    Done(Outcome),
    Follow(Name),
}

impl<'z, 'q> Search<'z, 'q> {
    fn new(zones: &'z ZoneSet, question: &'q Question<'q>, client: &'q Client) -> Self {
        let answer = Answer::empty();
        Self { zones, question, client, answer, unproven: false, ahead: false, steered: None }
    }

    fn run(&mut self) -> Outcome {
        let mut alias = None;
        for _ in 0..=MAX_ALIASES {
            match self.step(alias.as_ref()) {
                Step::Done(outcome) => return outcome,
                Step::Follow(target) if self.came_by(&target) => break,
                Step::Follow(target) => alias = Some(target),
            }
        }
        Outcome::Alias
    }

    /// Looks up the name that was asked for, or the one that an alias led to.
    fn step(&mut self, alias: Option<&Name>) -> Step {
        let wire = alias.map_or(self.question.name, Name::as_wire);
        let labels = labels(wire);
        let key = Key::of(labels.iter().copied());
        let Some(zone) = self.zone_of(key.as_bytes()) else {
            return Step::Done(if alias.is_none() { Outcome::Refused } else { Outcome::Alias });
        };
        if zone.completeness == Completeness::Pending {
            return Step::Done(Outcome::NotReady);
        }
        self.answer.stale |= alias.is_none() && zone.stale;
        let key = key.as_bytes();
        match place(zone, key, self.question.rtype) {
            Place::Node { node, wildcard } => {
                let signed = self.signatures_of(zone, key, wildcard);
                self.at_node(zone, Found { node, key, wildcard, signed }, alias)
            }
            Place::Empty { wildcard } => {
                let step = self.negative(zone, Outcome::NoData);
                self.prove_empty(zone, key, wildcard, alias);
                step
            }
            Place::Nowhere { encloser } => {
                let step = self.negative(zone, Outcome::NxDomain);
                self.prove_nowhere(zone, key, encloser, alias, step)
            }
            Place::Delegated { depth, ns } => self.refer(zone, suffix(&labels, depth), ns),
            Place::Redirected { depth, dname } => self.redirect(zone, &labels, depth, dname, alias),
        }
    }

    /// The zone to answer from: the lowest, but for DS at an apex the one above it, when we have
    /// it and it knows of the cut (RFC 4035 §3.1.4.1).
    fn zone_of(&self, key: &[u8]) -> Option<&'z Zone> {
        let zone = self.zones.find(key)?;
        if self.question.rtype != RecordType::DS || zone.key().as_bytes() != key {
            return Some(zone);
        }
        let above = parent(key).and_then(|parent| self.zones.find(parent));
        Some(above.filter(|above| above.exists(key)).unwrap_or(zone))
    }

    fn at_node(&mut self, zone: &'z Zone, found: Found<'z, '_>, alias: Option<&Name>) -> Step {
        let node = found.node;
        let own = node.steering().filter(|own| self.ahead && own.steers(self.question.rtype));
        if let Some(own) = own {
            self.steered = Some((owner(alias), own));
            return Step::Done(Outcome::Data);
        }
        let steered = node.steering().filter(|_| self.client.place().is_some());
        if let Some(chosen) = steered.and_then(|own| own.choose(self.question.rtype, self.client)) {
            return self.at_steered(zone, &found, chosen, alias);
        }
        let asked = match self.question.rtype {
            RecordType::ANY => node.iter().next(), // RFC 8482 §4.1: one rrset, any one
            RecordType::RRSIG | RecordType::NSEC if zone.signed().is_some() => {
                self.own_proof(zone, &found)
            }
            rtype => node.get(rtype),
        };
        if let Some(rrset) = asked {
            self.put(zone, &found, rrset, alias);
            self.add_useful(zone, &found, rrset, alias);
            return Step::Done(Outcome::Data);
        }
        match node.get(RecordType::CNAME).and_then(|cname| Some((cname, target(cname)?))) {
            Some((cname, target)) => {
                self.put(zone, &found, cname, alias);
                Step::Follow(target)
            }
            None => self.no_data(zone, &found, alias),
        }
    }

    /// A name whose addresses depend on the client: those that were chosen for this one.
    fn at_steered(
        &mut self,
        zone: &'z Zone,
        found: &Found<'z, '_>,
        chosen: Chosen<'z>,
        alias: Option<&Name>,
    ) -> Step {
        let Some(rrset) = chosen.rrset else {
            let step = self.no_data(zone, found, alias);
            let soa = self.answer.authority.iter_mut();
            soa.for_each(|entry| entry.ttl = entry.ttl.min(FENCED_TTL));
            self.answer.fenced = chosen.variant.is_none();
            return step;
        };
        self.answer.scope = self.answer.scope.max(chosen.scope);
        let v6 = self.question.rtype == RecordType::AAAA;
        let known = found.signed.and_then(|signed| signed.variant(v6, chosen.variant));
        let rrsig = self.signature(zone, found, rrset, known, alias);
        let (owner, ttl) = (owner(alias), chosen.ttl);
        self.answer.answer.push(Entry { owner, rrset: Cow::Borrowed(rrset), ttl, rrsig });
        self.prove_expanded(zone, found);
        match target(rrset).filter(|_| rrset.rtype == RecordType::CNAME) {
            Some(target) => Step::Follow(target),
            None => Step::Done(Outcome::Data),
        }
    }

    /// Answers with a rrset of the node, its signatures, and the proof that a wildcard may stand
    /// in.
    fn put(
        &mut self,
        zone: &'z Zone,
        found: &Found<'z, '_>,
        rrset: &'z Rrset,
        alias: Option<&Name>,
    ) {
        let known = found.signed.and_then(|signed| signed.rrsig(rrset.rtype));
        let rrsig = self.signature(zone, found, rrset, known, alias);
        self.answer.answer.push(Entry { rrsig, ..entry(owner(alias), rrset) });
        self.prove_expanded(zone, found);
    }

    fn no_data(&mut self, zone: &'z Zone, found: &Found<'z, '_>, alias: Option<&Name>) -> Step {
        let step = self.negative(zone, Outcome::NoData);
        self.prove_no_data(zone, found, alias);
        step
    }

    /// The zone's signatures, where they are wanted.
    pub(super) fn signed(&self, zone: &'z Zone) -> Option<&'z Signed> {
        zone.signed().filter(|_| self.question.dnssec != DnssecOk::No).map(|signed| &**signed)
    }

    fn signatures_of(
        &self,
        zone: &'z Zone,
        key: &[u8],
        wildcard: Option<usize>,
    ) -> Option<&'z SignedName> {
        let signed = self.signed(zone)?;
        match wildcard {
            None => signed.name(key),
            Some(encloser) => signed.name(&wildcard_of(&key[..encloser])),
        }
    }

    /// RFC 2308 §3: the SOA, with the TTL that the negative answer may be kept for. While a
    /// cluster was never seen, "no" may not be said (invariant I13).
    fn negative(&mut self, zone: &'z Zone, outcome: Outcome) -> Step {
        if zone.completeness != Completeness::Complete {
            return Step::Done(Outcome::NotReady);
        }
        if let Some(soa) = zone.soa() {
            let ttl = soa_minimum(soa).map_or(soa.ttl, |minimum| minimum.min(soa.ttl));
            let owner = Owner::Name(Cow::Borrowed(zone.apex()));
            let rrsig = self.known_signature(zone, zone.key().as_bytes(), RecordType::SOA);
            let rrset = Cow::Borrowed(soa);
            self.answer.authority.push(Entry { owner, rrset, ttl, rrsig });
        }
        Step::Done(outcome)
    }

    fn refer(&mut self, zone: &'z Zone, cut: Name, ns: &'z Rrset) -> Step {
        let key = cut.key();
        self.answer.authority.push(entry(Owner::Name(Cow::Owned(cut)), ns));
        self.prove_delegation(zone, key.as_bytes());
        self.add_addresses(zone, ns);
        Step::Done(Outcome::Referral)
    }

    /// RFC 6672 §3.2: the owner's labels in the name give way to the target's.
    fn redirect(
        &mut self,
        zone: &'z Zone,
        labels: &[&[u8]],
        depth: usize,
        dname: &'z Rrset,
        alias: Option<&Name>,
    ) -> Step {
        let dname_owner = suffix(labels, depth);
        let rrsig = self.known_signature(zone, dname_owner.key().as_bytes(), RecordType::DNAME);
        // A chain may come by one DNAME often; a message has an rrset once.
        let known =
            |own: &Entry<'_>| own.rrset.rtype == RecordType::DNAME && own.owner.is(&dname_owner);
        if !self.answer.answer.iter().any(known) {
            let owner = Owner::Name(Cow::Owned(dname_owner));
            self.answer.answer.push(Entry { rrsig, ..entry(owner, dname) });
        }
        let kept = &labels[..labels.len().saturating_sub(depth)];
        let new = target(dname)
            .and_then(|to| Name::from_labels(kept.iter().copied().chain(to.labels())).ok());
        let Some(new) = new else { return Step::Done(Outcome::YxDomain) };
        let cname = Rrset::cname(dname.ttl, &new);
        let ttl = cname.ttl;
        // RFC 6672 §5.3.1: what is made from a signed DNAME is not signed.
        let rrset = Cow::Owned(cname);
        self.answer.answer.push(Entry { owner: owner(alias), rrset, ttl, rrsig: None });
        match self.question.rtype {
            RecordType::CNAME | RecordType::ANY => Step::Done(Outcome::Data),
            _ => Step::Follow(new),
        }
    }

    /// Whether the chain has been at that name, so that following it would go round.
    fn came_by(&self, target: &Name) -> bool {
        self.answer.answer.iter().filter(|e| e.rrset.rtype == RecordType::CNAME).any(|entry| {
            match &entry.owner {
                Owner::Asked => target.as_wire().eq_ignore_ascii_case(self.question.name),
                Owner::Name(name) => **name == *target,
            }
        })
    }

    fn finish(self, outcome: Outcome) -> Answer<'z> {
        match outcome {
            Outcome::Refused | Outcome::NotReady => Answer { outcome, ..Answer::empty() },
            _ if self.unproven => Answer { outcome: Outcome::NotReady, ..Answer::empty() },
            // RFC 7871 §7.4: "no" is kept for all clients.
            Outcome::NoData | Outcome::NxDomain => {
                Answer { outcome, authoritative: true, scope: 0, ..self.answer }
            }
            // RFC 1035 §4.1.1: AA speaks of the first owner name in the answer.
            Outcome::Referral => {
                Answer { outcome, authoritative: !self.answer.answer.is_empty(), ..self.answer }
            }
            _ => Answer { outcome, authoritative: true, ..self.answer },
        }
    }
}

impl Owner<'_> {
    pub(super) fn is(&self, other: &Name) -> bool {
        matches!(self, Owner::Name(name) if **name == *other)
    }
}

// === Place ===

/// Where a name stands in its zone.
pub(super) enum Place<'z> {
    /// On a node, its own or that of a wildcard that stands in for it: under an encloser whose key
    /// is so long.
    Node { node: &'z Node, wildcard: Option<usize> },
    /// On no node, but there is one below it, or below the wildcard that stands in for it.
    Empty { wildcard: Option<usize> },
    /// At or below a delegation, which is that many labels deep.
    Delegated { depth: usize, ns: &'z Rrset },
    /// Below a name with DNAME, which is that many labels deep.
    Redirected { depth: usize, dname: &'z Rrset },
    /// The zone does not know it; the closest encloser's key is so long.
    Nowhere { encloser: usize },
}

pub(super) fn place<'z>(zone: &'z Zone, key: &[u8], rtype: RecordType) -> Place<'z> {
    if zone.has_cuts()
        && let Some(cut) = topmost_cut(zone, key, rtype)
    {
        return cut;
    }
    match zone.node(key) {
        Some(node) => Place::Node { node, wildcard: None },
        None => place_without_node(zone, key),
    }
}

/// The first delegation or DNAME on the way down from the apex to the name.
pub(super) fn topmost_cut<'z>(zone: &'z Zone, key: &[u8], rtype: RecordType) -> Option<Place<'z>> {
    let apex = zone.key().as_bytes().len();
    for end in prefixes(key, apex) {
        let Some(node) = zone.node(&key[..end]) else { continue };
        let answers_itself = end == apex || (end == key.len() && rtype == RecordType::DS);
        if let Some(ns) = node.get(RecordType::NS).filter(|_| !answers_itself) {
            return Some(Place::Delegated { depth: depth(&key[..end]), ns });
        }
        if let Some(dname) = node.get(RecordType::DNAME).filter(|_| end < key.len()) {
            return Some(Place::Redirected { depth: depth(&key[..end]), dname });
        }
    }
    None
}

/// An empty non-terminal, or what RFC 4592 §3.3 makes of the closest encloser's wildcard.
fn place_without_node<'z>(zone: &'z Zone, key: &[u8]) -> Place<'z> {
    let ends = prefixes(key, zone.key().as_bytes().len());
    // A name that exists has only ancestors that exist, so the known ones come first.
    let known = ends.partition_point(|end| zone.exists(&key[..*end]));
    if known == ends.len() {
        return Place::Empty { wildcard: None };
    }
    let Some(encloser) = known.checked_sub(1).map(|last| ends[last]) else {
        return Place::Nowhere { encloser: zone.key().as_bytes().len() };
    };
    let wildcard = wildcard_of(&key[..encloser]);
    match zone.node(&wildcard) {
        Some(node) => Place::Node { node, wildcard: Some(encloser) },
        None if zone.exists(&wildcard) => Place::Empty { wildcard: Some(encloser) },
        None => Place::Nowhere { encloser },
    }
}

// === Records ===

pub(super) fn owner<'z>(alias: Option<&Name>) -> Owner<'z> {
    alias.map_or(Owner::Asked, |name| Owner::Name(Cow::Owned(name.clone())))
}

pub(super) fn entry<'z>(owner: Owner<'z>, rrset: &'z Rrset) -> Entry<'z> {
    Entry { owner, rrset: Cow::Borrowed(rrset), ttl: rrset.ttl, rrsig: None }
}

/// Where a CNAME or DNAME points.
fn target(alias: &Rrset) -> Option<Name> {
    Name::from_wire(alias.rdata().next()?).ok()
}

/// The last of an SOA's numbers (RFC 2308 §4).
fn soa_minimum(soa: &Rrset) -> Option<Ttl> {
    let minimum = soa.rdata().next()?.last_chunk::<4>()?;
    Some(Ttl::from_secs(u32::from_be_bytes(*minimum)))
}

/// Steps along aliases in one answer: more than any honest chain (ours has two), and few enough
/// that a query stays cheap.
const MAX_ALIASES: usize = 16;

/// How long "no address for you" may be kept: resolvers give it to all their clients.
const FENCED_TTL: Ttl = Ttl::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn name() -> impl Strategy<Value = Name> {
        let label = prop::sample::select(vec!["a", "b", "*"]);
        proptest::collection::vec(label, 0..5).prop_map(|labels| {
            format!("{}z.test", labels.iter().map(|l| format!("{l}.")).collect::<String>())
                .parse()
                .unwrap()
        })
    }

    fn rtype() -> impl Strategy<Value = RecordType> {
        prop_oneof![
            4 => Just(RecordType::A),
            1 => Just(RecordType::NS),
            1 => Just(RecordType::DNAME),
            1 => Just(RecordType::DS),
        ]
    }

    type Rows = Vec<(Name, RecordType)>;

    fn zone(rows: &Rows) -> Zone {
        let mut nodes = BTreeMap::<Key, Node>::new();
        for (owner, rtype) in rows {
            let rrset = Rrset::new(*rtype, Ttl::SERVED, [owner.as_wire()]).unwrap();
            nodes.entry(owner.key()).or_default().put(rrset);
        }
        Zone::new("z.test".parse().unwrap(), nodes)
    }

    /// RFC 1034 §4.3.2 and RFC 4592 word for word, by looking at every row each time.
    fn by_the_book(apex: &Name, rows: &Rows, asked: &Name, rtype: RecordType) -> String {
        let has = |owner: &Name, rtype| rows.contains(&(owner.clone(), rtype));
        let owns = |owner: &Name| rows.iter().any(|row| row.0 == *owner);
        let exists = |name: &Name| rows.iter().any(|row| row.0.is_within(name));
        let mut down: Vec<Name> = vec![asked.clone()];
        while down[0] != *apex {
            down.insert(0, down[0].parent().unwrap());
        }
        for at in &down {
            let own_ds = at == asked && rtype == RecordType::DS;
            if at != apex && !own_ds && has(at, RecordType::NS) {
                return format!("delegated at {}", at.label_count());
            }
            if at != asked && has(at, RecordType::DNAME) {
                return format!("redirected at {}", at.label_count());
            }
        }
        let Some(encloser) = down.iter().rev().find(|at| exists(at)) else {
            return "nowhere".to_owned();
        };
        let source =
            if encloser == asked { asked.clone() } else { encloser.prepend(b"*").unwrap() };
        match (owns(&source), exists(&source)) {
            (true, _) => format!("node {source}"),
            (false, true) => "empty".to_owned(),
            (false, false) => "nowhere".to_owned(),
        }
    }

    fn describe(zone: &Zone, place: &Place<'_>) -> String {
        match place {
            Place::Node { node, .. } => {
                let owner = zone.nodes().find(|(_, other)| std::ptr::eq(*other, *node));
                format!("node {}", owner.unwrap().0.to_name())
            }
            Place::Empty { .. } => "empty".to_owned(),
            Place::Delegated { depth, .. } => format!("delegated at {depth}"),
            Place::Redirected { depth, .. } => format!("redirected at {depth}"),
            Place::Nowhere { .. } => "nowhere".to_owned(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

        #[test]
        fn every_place_is_where_the_book_says(
            rows in proptest::collection::vec((name(), rtype()), 0..8),
            asked in name(),
            rtype in rtype(),
        ) {
            let zone = zone(&rows);
            let found = place(&zone, asked.key().as_bytes(), rtype);
            let expected = by_the_book(zone.apex(), &rows, &asked, rtype);
            prop_assert_eq!(describe(&zone, &found), expected);
        }

        /// Also with octets that are no name: nobody should ask so, nothing may break.
        #[test]
        fn no_question_is_too_strange(
            rows in proptest::collection::vec((name(), rtype()), 0..8),
            mut wire in proptest::collection::vec(0..70_u8, 0..300),
            rtype in any::<u16>(),
        ) {
            let mut zones = ZoneSet::default();
            zones.put(std::sync::Arc::new(zone(&rows)));
            wire.extend_from_slice(b"\x01a\x01z\x04test\0");
            let dnssec = DnssecOk::Yes;
            let question = Question { name: &wire, rtype: RecordType(rtype), dnssec };
            let _ = lookup(&zones, &question, &Client::NEUTRAL);
        }
    }
}
