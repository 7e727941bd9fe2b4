//! One record on its way from one server to another.

use crate::{
    model::{Key, Name, Ttl},
    records::{Node, RecordType, Rrset, Zone},
};
use std::collections::BTreeMap;

/// One record of class IN, its data in wire form without compression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Whose record.
    pub owner: Name,
    /// Its type.
    pub rtype: RecordType,
    /// Its TTL.
    pub ttl: Ttl,
    /// Its data.
    pub data: Vec<u8>,
}

impl Record {
    /// The records of a set.
    pub fn of<'r>(owner: &'r Name, rrset: &'r Rrset) -> impl Iterator<Item = Self> + 'r {
        rrset.rdata().map(|data| Self {
            owner: owner.clone(),
            rtype: rrset.rtype,
            ttl: rrset.ttl,
            data: data.to_vec(),
        })
    }

    /// The record of a zone's SOA.
    #[must_use]
    pub fn soa(zone: &Zone) -> Option<Self> {
        Self::of(zone.apex(), zone.soa()?).next()
    }

    /// The numbers that an SOA's data end with: serial, refresh, retry, expire and minimum
    /// (RFC 1035 §3.3.13); `None` for another type.
    #[must_use]
    pub fn soa_numbers(&self) -> Option<[u32; 5]> {
        if self.rtype != RecordType::SOA {
            return None;
        }
        let numbers = self.data.get(self.data.len().checked_sub(20)?..)?;
        let mut all = [0; 5];
        for (number, octets) in all.iter_mut().zip(numbers.chunks_exact(4)) {
            *number = u32::from_be_bytes(*octets.first_chunk()?);
        }
        Some(all)
    }
}

/// Records by name and type, as they are gathered into a zone.
pub(super) type Sets = BTreeMap<(Key, RecordType), (Ttl, Vec<Vec<u8>>)>;

/// The zone of these sets.
pub(super) fn zone(apex: &Name, sets: Sets) -> Zone {
    let mut nodes: BTreeMap<Key, Node> = BTreeMap::new();
    for ((key, rtype), (ttl, data)) in sets {
        if let Some(rrset) = Rrset::new(rtype, ttl, data) {
            nodes.entry(key).or_default().put(rrset);
        }
    }
    Zone::new(apex.clone(), nodes)
}
