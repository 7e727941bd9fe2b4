//! A zone: an apex, its SOA and serial, and its nodes in canonical order, shared between versions.

use super::{Node, RecordType, Rrset, Signed};
use crate::model::{Key, Name, Serial};
use imbl::{OrdMap, ordmap::DiffItem};
use std::sync::Arc;

/// How much of what belongs into a zone is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Completeness {
    /// Nothing may be answered yet: SERVFAIL (invariant I13).
    #[default]
    Pending,
    /// What is there may be answered; "no such name" may not, since a member cluster was never
    /// seen: SERVFAIL in its place.
    Partial,
    /// Everything.
    Complete,
}

/// One DNS zone at one serial, frozen; cloning shares all nodes.
#[derive(Clone, Debug)]
pub struct Zone {
    apex: Name,
    key: Key,
    serial: Serial,
    nodes: OrdMap<Key, Node>,
    /// How many names below the apex own NS or any name owns DNAME: while 0, lookup need not look
    /// for cuts.
    cuts: usize,
    /// Signatures and proofs, where the zone is signed.
    signed: Option<Arc<Signed>>,
    /// How much is known.
    pub completeness: Completeness,
    /// What it holds may have changed since: none of those that tell of it was heard lately. It is
    /// answered all the same, and answers say so (RFC 8914 §4.4).
    pub stale: bool,
}

impl Zone {
    /// A zone of these nodes. The apex should own an SOA; its serial becomes the zone's.
    pub fn new(apex: Name, nodes: impl IntoIterator<Item = (Key, Node)>) -> Self {
        let key = apex.key();
        let nodes: OrdMap<Key, Node> = nodes.into_iter().collect();
        let mut zone = Self {
            apex,
            key,
            serial: Serial::default(),
            cuts: 0,
            nodes,
            signed: None,
            completeness: Completeness::Complete,
            stale: false,
        };
        zone.cuts = zone.nodes.iter().filter(|(key, node)| zone.is_cut(key, node)).count();
        zone.serial = zone.soa().and_then(soa_serial).unwrap_or_default();
        zone
    }

    /// The same zone with some names' nodes changed (`None` removes) and that serial, in the SOA
    /// too; not signed. Costs what the changes cost, not what the zone costs.
    #[must_use]
    pub fn with(
        &self,
        changes: impl IntoIterator<Item = (Key, Option<Node>)>,
        serial: Serial,
    ) -> Self {
        let mut next = Self { signed: None, ..self.clone() };
        for (key, node) in changes {
            next.change(key, node);
        }
        next.set_serial(serial);
        next
    }

    /// The same zone with signatures over what it holds.
    #[must_use]
    pub fn with_signatures(self, signed: Arc<Signed>) -> Self {
        Self { signed: Some(signed), ..self }
    }

    /// Its signatures and proofs; `None` where it is not signed.
    #[must_use]
    pub fn signed(&self) -> Option<&Arc<Signed>> {
        self.signed.as_ref()
    }

    /// The names whose nodes differ from those of an older version, with what they own now. Passes
    /// by what both share.
    pub fn changes<'z>(
        &'z self,
        older: &'z Self,
    ) -> impl Iterator<Item = (&'z Key, Option<&'z Node>)> {
        self.changes_since(older).map(|(key, _, node)| (key, node))
    }

    /// Whether a name lies below a delegation or a DNAME, so that what it owns is no data of this
    /// zone (RFC 4035 §2.2, RFC 6672 §2.4).
    #[must_use]
    pub fn is_occluded(&self, key: &[u8]) -> bool {
        let apex = self.key.as_bytes().len();
        let ends = (apex..key.len().saturating_sub(1)).filter(|at| key[*at] == 0);
        let above = std::iter::once(apex).filter(|end| *end < key.len());
        self.has_cuts()
            && above.chain(ends.map(|at| at + 1)).any(|end| {
                let cuts = |node: &Node| {
                    node.get(RecordType::DNAME).is_some()
                        || (end > apex && node.get(RecordType::NS).is_some())
                };
                self.node(&key[..end]).is_some_and(cuts)
            })
    }

    /// The name at its top.
    #[must_use]
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The apex's key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its version.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The node of exactly that name.
    #[must_use]
    pub fn node(&self, key: &[u8]) -> Option<&Node> {
        self.nodes.get(key)
    }

    /// The same, with the zone's own copy of the key.
    #[must_use]
    pub fn entry(&self, key: &[u8]) -> Option<(&Key, &Node)> {
        self.nodes.get_key_value(key)
    }

    /// Whether a name at or below `key` owns records: true for nodes and empty non-terminals.
    #[must_use]
    pub fn exists(&self, key: &[u8]) -> bool {
        self.below(key).next().is_some()
    }

    /// The nodes at and below `key`, in canonical order.
    pub fn below<'z>(&'z self, key: &'z [u8]) -> impl Iterator<Item = (&'z Key, &'z Node)> {
        self.nodes
            .range::<_, [u8]>((std::ops::Bound::Included(key), std::ops::Bound::Unbounded))
            .take_while(move |(at, _)| at.as_bytes().starts_with(key))
    }

    /// All nodes in canonical order (RFC 4034 §6.1), the apex first.
    pub fn nodes(&self) -> impl Iterator<Item = (&Key, &Node)> {
        self.nodes.iter()
    }

    /// The nodes behind that key in canonical order; all of them without one. A long reading goes
    /// on with it where it stopped.
    pub fn after<'z>(&'z self, key: Option<&'z Key>) -> impl Iterator<Item = (&'z Key, &'z Node)> {
        let from = key.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.nodes.range::<_, Key>((from, std::ops::Bound::Unbounded))
    }

    /// The names whose nodes are not as in `before`, with what they were and what they are. Skips
    /// what both share, so it costs about what changed.
    pub fn changes_since<'z>(
        &'z self,
        before: &'z Self,
    ) -> impl Iterator<Item = (&'z Key, Option<&'z Node>, Option<&'z Node>)> {
        before.nodes.diff(&self.nodes).map(|change| match change {
            DiffItem::Add(key, new) => (key, None, Some(new)),
            DiffItem::Update { old: (key, old), new: (_, new) } => (key, Some(old), Some(new)),
            DiffItem::Remove(key, old) => (key, Some(old), None),
        })
    }

    /// How many names own records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no name owns records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The SOA rrset at the apex.
    #[must_use]
    pub fn soa(&self) -> Option<&Rrset> {
        self.node(self.key.as_bytes())?.get(RecordType::SOA)
    }

    /// Whether the zone has delegations below its apex, or DNAMEs.
    #[must_use]
    pub fn has_cuts(&self) -> bool {
        self.cuts > 0
    }

    fn change(&mut self, key: Key, node: Option<Node>) {
        if let Some(old) = self.nodes.get(&key) {
            self.cuts -= usize::from(self.is_cut(&key, old));
        }
        match node.filter(|node| !node.is_empty()) {
            Some(node) => {
                self.cuts += usize::from(self.is_cut(&key, &node));
                self.nodes.insert(key, node);
            }
            None => {
                self.nodes.remove(&key);
            }
        }
    }

    fn is_cut(&self, key: &Key, node: &Node) -> bool {
        node.get(RecordType::DNAME).is_some()
            || (node.get(RecordType::NS).is_some() && *key != self.key)
    }

    fn set_serial(&mut self, serial: Serial) {
        self.serial = serial;
        let Some(soa) = self.soa().and_then(|soa| with_soa_serial(soa, serial)) else { return };
        let Some(mut apex) = self.nodes.get(&self.key).cloned() else { return };
        apex.put(soa);
        self.nodes.insert(self.key.clone(), apex);
    }
}

/// SOA data end with five 32-bit numbers, the serial first (RFC 1035 §3.3.13).
const SOA_NUMBERS: usize = 20;

fn soa_serial(soa: &Rrset) -> Option<Serial> {
    let data = soa.rdata().next()?;
    let numbers = data.get(data.len().checked_sub(SOA_NUMBERS)?..)?;
    Some(Serial(u32::from_be_bytes(*numbers.first_chunk()?)))
}

fn with_soa_serial(soa: &Rrset, serial: Serial) -> Option<Rrset> {
    let mut data = soa.rdata().next()?.to_vec();
    let at = data.len().checked_sub(SOA_NUMBERS)?;
    data.get_mut(at..at + 4)?.copy_from_slice(&serial.0.to_be_bytes());
    Rrset::new(RecordType::SOA, soa.ttl, [data])
}

/// All zones that are served, by apex; cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct ZoneSet(OrdMap<Key, Arc<Zone>>);

impl ZoneSet {
    /// The zone that a name lies in: of all whose apex is at or above it, the lowest.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<&Arc<Zone>> {
        // Each shorter prefix that ends a label is an ancestor's key; 127 labels at most.
        let mut end = key.len();
        loop {
            if let Some(zone) = self.0.get(&key[..end]) {
                return Some(zone);
            }
            let inner = key[..end.checked_sub(1)?].iter().rposition(|byte| *byte == 0);
            end = inner.map_or(0, |at| at + 1);
        }
    }

    /// Adds a zone, in place of the one with its apex.
    pub fn put(&mut self, zone: Arc<Zone>) {
        self.0.insert(zone.key.clone(), zone);
    }

    /// Takes the zone of that apex out.
    pub fn remove(&mut self, apex: &Name) {
        self.0.remove(&apex.key());
    }

    /// The zone of exactly that apex.
    #[must_use]
    pub fn get(&self, apex: &Name) -> Option<&Arc<Zone>> {
        self.0.get(&apex.key())
    }

    /// All of them, in canonical order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.0.values()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A set of one zone, for those who look names up in it alone.
impl From<Zone> for ZoneSet {
    fn from(zone: Zone) -> Self {
        let mut set = Self::default();
        set.put(Arc::new(zone));
        set
    }
}
