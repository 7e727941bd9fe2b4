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

use super::{
    Answer, Chosen, Client, Completeness, Entry, Node, Outcome, Owner, Question, RecordType, Rrset,
    Section, Steered, Zone, ZoneSet,
};
use crate::model::{Key, Name, Ttl};
use smallvec::SmallVec;
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
        }
    }
}

/// One question on its way through the zones.
struct Search<'z, 'q> {
    zones: &'z ZoneSet,
    question: &'q Question<'q>,
    client: &'q Client,
    answer: Answer<'z>,
    /// Nobody has asked yet: a steered name is where the search ends.
    ahead: bool,
    steered: Option<(Owner<'z>, &'z Arc<Steered>)>,
}

/// What a step leads to.
enum Step {
    Done(Outcome),
    Follow(Name),
}

impl<'z, 'q> Search<'z, 'q> {
    fn new(zones: &'z ZoneSet, question: &'q Question<'q>, client: &'q Client) -> Self {
        Self { zones, question, client, answer: Answer::empty(), ahead: false, steered: None }
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
        match place(zone, key.as_bytes(), self.question.rtype) {
            Place::Node(node) => self.at_node(zone, node, alias),
            Place::Empty => self.negative(zone, Outcome::NoData),
            Place::Nowhere => self.negative(zone, Outcome::NxDomain),
            Place::Delegated { depth, ns } => self.refer(zone, suffix(&labels, depth), ns),
            Place::Redirected { depth, dname } => self.redirect(&labels, depth, dname, alias),
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

    fn at_node(&mut self, zone: &'z Zone, node: &'z Node, alias: Option<&Name>) -> Step {
        let own = node.steering().filter(|own| self.ahead && own.steers(self.question.rtype));
        if let Some(own) = own {
            self.steered = Some((owner(alias), own));
            return Step::Done(Outcome::Data);
        }
        let steered = node.steering().filter(|_| self.client.place().is_some());
        if let Some(chosen) = steered.and_then(|own| own.choose(self.question.rtype, self.client)) {
            return self.at_steered(zone, chosen, alias);
        }
        let asked = match self.question.rtype {
            RecordType::ANY => node.iter().next(), // RFC 8482 §4.1: one rrset, any one
            rtype => node.get(rtype),
        };
        if let Some(rrset) = asked {
            self.answer.answer.push(entry(owner(alias), rrset));
            self.add_addresses(zone, rrset);
            return Step::Done(Outcome::Data);
        }
        match node.get(RecordType::CNAME).and_then(|cname| Some((cname, target(cname)?))) {
            Some((cname, target)) => {
                self.answer.answer.push(entry(owner(alias), cname));
                Step::Follow(target)
            }
            None => self.negative(zone, Outcome::NoData),
        }
    }

    /// A name whose addresses depend on the client: those that were chosen for this one.
    fn at_steered(&mut self, zone: &'z Zone, chosen: Chosen<'z>, alias: Option<&Name>) -> Step {
        let Some(rrset) = chosen.rrset else {
            let step = self.negative(zone, Outcome::NoData);
            self.answer.authority.iter_mut().for_each(|soa| soa.ttl = soa.ttl.min(FENCED_TTL));
            return step;
        };
        self.answer.scope = self.answer.scope.max(chosen.scope);
        let (owner, ttl) = (owner(alias), chosen.ttl);
        self.answer.answer.push(Entry { owner, rrset: Cow::Borrowed(rrset), ttl });
        match target(rrset).filter(|_| rrset.rtype == RecordType::CNAME) {
            Some(target) => Step::Follow(target),
            None => Step::Done(Outcome::Data),
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
            self.answer.authority.push(Entry { owner, rrset: Cow::Borrowed(soa), ttl });
        }
        Step::Done(outcome)
    }

    fn refer(&mut self, zone: &'z Zone, cut: Name, ns: &'z Rrset) -> Step {
        self.answer.authority.push(entry(Owner::Name(Cow::Owned(cut)), ns));
        self.add_addresses(zone, ns);
        Step::Done(Outcome::Referral)
    }

    /// RFC 6672 §3.2: the owner's labels in the name give way to the target's.
    fn redirect(
        &mut self,
        labels: &[&[u8]],
        depth: usize,
        dname: &'z Rrset,
        alias: Option<&Name>,
    ) -> Step {
        let dname_owner = Owner::Name(Cow::Owned(suffix(labels, depth)));
        self.answer.answer.push(entry(dname_owner, dname));
        let kept = &labels[..labels.len().saturating_sub(depth)];
        let new = target(dname)
            .and_then(|to| Name::from_labels(kept.iter().copied().chain(to.labels())).ok());
        let Some(new) = new else { return Step::Done(Outcome::YxDomain) };
        let cname = Rrset::cname(dname.ttl, &new);
        let ttl = cname.ttl;
        self.answer.answer.push(Entry { owner: owner(alias), rrset: Cow::Owned(cname), ttl });
        match self.question.rtype {
            RecordType::CNAME | RecordType::ANY => Step::Done(Outcome::Data),
            _ => Step::Follow(new),
        }
    }

    /// Adds what the zone knows of the addresses of the names that the records point at: all of
    /// them for name servers (RFC 9471 §3), the first few otherwise.
    fn add_addresses(&mut self, zone: &'z Zone, rrset: &Rrset) {
        let Some(offset) = target_offset(rrset.rtype) else { return };
        let is_ns = rrset.rtype == RecordType::NS;
        let limit = if is_ns { usize::MAX } else { MAX_TARGETS };
        for data in rrset.rdata().take(limit) {
            let Some(name) = data.get(offset..).and_then(name_prefix) else { continue };
            let key = Key::of(labels(name).into_iter());
            if is_ns || !behind_cut(zone, key.as_bytes()) {
                self.add_addresses_of(zone, &key, name);
            }
        }
    }

    fn add_addresses_of(&mut self, zone: &'z Zone, key: &Key, wire: &[u8]) {
        let Some(node) = zone.node(key.as_bytes()) else { return };
        let families = [RecordType::A, RecordType::AAAA];
        let mut found = families.into_iter().filter_map(|family| node.get(family)).peekable();
        if found.peek().is_none() {
            return;
        }
        let Ok(name) = Name::from_wire(wire) else { return };
        if self.answer.additional.iter().take(2 * MAX_TARGETS).any(|known| known.owner.is(&name)) {
            return;
        }
        self.answer
            .additional
            .extend(found.map(|addresses| entry(Owner::Name(Cow::Owned(name.clone())), addresses)));
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
    fn is(&self, other: &Name) -> bool {
        matches!(self, Owner::Name(name) if **name == *other)
    }
}

// === Place ===

/// Where a name stands in its zone.
enum Place<'z> {
    /// On a node, its own or the wildcard's that stands in for it.
    Node(&'z Node),
    /// On no node, but there is one below it.
    Empty,
    /// At or below a delegation, which is that many labels deep.
    Delegated { depth: usize, ns: &'z Rrset },
    /// Below a name with DNAME, which is that many labels deep.
    Redirected { depth: usize, dname: &'z Rrset },
    /// The zone does not know it.
    Nowhere,
}

fn place<'z>(zone: &'z Zone, key: &[u8], rtype: RecordType) -> Place<'z> {
    if zone.has_cuts()
        && let Some(cut) = topmost_cut(zone, key, rtype)
    {
        return cut;
    }
    match zone.node(key) {
        Some(node) => Place::Node(node),
        None => place_without_node(zone, key),
    }
}

/// The first delegation or DNAME on the way down from the apex to the name.
fn topmost_cut<'z>(zone: &'z Zone, key: &[u8], rtype: RecordType) -> Option<Place<'z>> {
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
        return Place::Empty;
    }
    let Some(encloser) = known.checked_sub(1).map(|last| &key[..ends[last]]) else {
        return Place::Nowhere;
    };
    let mut wildcard: SmallVec<[u8; 80]> = SmallVec::from_slice(encloser);
    wildcard.extend_from_slice(WILDCARD);
    match zone.node(&wildcard) {
        Some(node) => Place::Node(node),
        None if zone.exists(&wildcard) => Place::Empty,
        None => Place::Nowhere,
    }
}

fn behind_cut(zone: &Zone, key: &[u8]) -> bool {
    zone.has_cuts() && topmost_cut(zone, key, RecordType::A).is_some()
}

// === Names as octets ===

/// A name's labels, leftmost first; of octets that are no name, those before the fault.
fn labels(wire: &[u8]) -> SmallVec<[&[u8]; 12]> {
    let mut labels = SmallVec::new();
    let mut rest = wire;
    while let Some((&length @ 1..=63, tail)) = rest.split_first()
        && let Some((label, tail)) = tail.split_at_checked(usize::from(length))
    {
        labels.push(label);
        rest = tail;
    }
    labels
}

/// The name of the last `count` labels.
fn suffix(labels: &[&[u8]], count: usize) -> Name {
    let start = labels.len().saturating_sub(count);
    Name::from_labels(labels[start..].iter().copied())
        .expect("the last labels of a valid name are a valid name")
}

/// The keys at and above `key`, down from the one of `apex` octets, as lengths of prefixes.
fn prefixes(key: &[u8], apex: usize) -> SmallVec<[usize; 12]> {
    let ends = (apex..key.len()).filter(|at| key[*at] == 0).map(|at| at + 1);
    std::iter::once(apex).chain(ends).collect()
}

/// How many labels a key has.
fn depth(key: &[u8]) -> usize {
    key.iter().filter(|byte| **byte == 0).count()
}

/// The key one label up; `None` for the root's.
fn parent(key: &[u8]) -> Option<&[u8]> {
    let inner = &key[..key.len().checked_sub(1)?];
    Some(&key[..inner.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1)])
}

/// The uncompressed name that these octets begin with.
fn name_prefix(octets: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while *octets.get(at)? != 0 {
        at += 1 + usize::from(octets[at]);
    }
    octets.get(..=at)
}

// === Records ===

fn owner<'z>(alias: Option<&Name>) -> Owner<'z> {
    alias.map_or(Owner::Asked, |name| Owner::Name(Cow::Owned(name.clone())))
}

fn entry<'z>(owner: Owner<'z>, rrset: &'z Rrset) -> Entry<'z> {
    Entry { owner, rrset: Cow::Borrowed(rrset), ttl: rrset.ttl }
}

/// Where a CNAME or DNAME points.
fn target(alias: &Rrset) -> Option<Name> {
    Name::from_wire(alias.rdata().next()?).ok()
}

/// How far into the data of a type stands the name whose addresses help the asker
/// (RFC 1035 §3.3, RFC 2782, RFC 9460 §4.1).
fn target_offset(rtype: RecordType) -> Option<usize> {
    match rtype {
        RecordType::NS => Some(0),
        RecordType::MX | RecordType::SVCB | RecordType::HTTPS => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    }
}

/// The last of an SOA's numbers (RFC 2308 §4).
fn soa_minimum(soa: &Rrset) -> Option<Ttl> {
    let minimum = soa.rdata().next()?.last_chunk::<4>()?;
    Some(Ttl::from_secs(u32::from_be_bytes(*minimum)))
}

/// Steps along aliases in one answer: more than any honest chain (ours has two), and few enough
/// that a query stays cheap.
const MAX_ALIASES: usize = 16;

/// Targets of one MX, SRV or SVCB rrset that are looked up on top: all that fits an answer.
const MAX_TARGETS: usize = 16;

/// `*` as the last label of a key.
const WILDCARD: &[u8] = b"*\0";
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
            Place::Node(node) => {
                let owner = zone.nodes().find(|(_, other)| std::ptr::eq(*other, *node));
                format!("node {}", owner.unwrap().0.to_name())
            }
            Place::Empty => "empty".to_owned(),
            Place::Delegated { depth, .. } => format!("delegated at {depth}"),
            Place::Redirected { depth, .. } => format!("redirected at {depth}"),
            Place::Nowhere => "nowhere".to_owned(),
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
            let question = Question { name: &wire, rtype: RecordType(rtype) };
            let _ = lookup(&zones, &question, &Client::NEUTRAL);
        }
    }
}
