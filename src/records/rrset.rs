//! Rrsets (RFC 2181 §5) and the node that holds those of one name.

use super::Steered;
use crate::model::{Name, Ttl};
use serde::Serialize;
use smallvec::SmallVec;
use std::{net::IpAddr, sync::Arc};

/// A record type's number (RFC 1035 §3.2.2 and the IANA registry).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordType(pub u16);

impl RecordType {
    /// IPv4 address (RFC 1035 §3.4.1).
    pub const A: Self = Self(1);
    /// Name server (RFC 1035 §3.3.11).
    pub const NS: Self = Self(2);
    /// Alias (RFC 1035 §3.3.1).
    pub const CNAME: Self = Self(5);
    /// Start of authority (RFC 1035 §3.3.13).
    pub const SOA: Self = Self(6);
    /// Mail exchange (RFC 1035 §3.3.9).
    pub const MX: Self = Self(15);
    /// Text (RFC 1035 §3.3.14).
    pub const TXT: Self = Self(16);
    /// IPv6 address (RFC 3596 §2.1).
    pub const AAAA: Self = Self(28);
    /// Service location (RFC 2782).
    pub const SRV: Self = Self(33);
    /// Alias of a subtree (RFC 6672 §2.1).
    pub const DNAME: Self = Self(39);
    /// EDNS (RFC 6891 §6.1.1): only in messages, never in a zone.
    pub const OPT: Self = Self(41);
    /// Delegation signer (RFC 4034 §5): lives above the cut that it belongs to.
    pub const DS: Self = Self(43);
    /// Signature over an rrset (RFC 4034 §3).
    pub const RRSIG: Self = Self(46);
    /// The next name, and the types at this one (RFC 4034 §4).
    pub const NSEC: Self = Self(47);
    /// A zone's public key (RFC 4034 §2).
    pub const DNSKEY: Self = Self(48);
    /// [`Self::NSEC`] of hashed names (RFC 5155 §3).
    pub const NSEC3: Self = Self(50);
    /// How a zone's names are hashed (RFC 5155 §4).
    pub const NSEC3PARAM: Self = Self(51);
    /// The DS that the zone wishes for at its parent (RFC 7344 §3.1).
    pub const CDS: Self = Self(59);
    /// The same as a key (RFC 7344 §3.2).
    pub const CDNSKEY: Self = Self(60);
    /// Service binding (RFC 9460 §2).
    pub const SVCB: Self = Self(64);
    /// Service binding for HTTPS (RFC 9460 §9).
    pub const HTTPS: Self = Self(65);
    /// In type bitmaps alone: the name does not exist (RFC 9824 §2).
    pub const NXNAME: Self = Self(128);
    /// Question type for all types (RFC 8482).
    pub const ANY: Self = Self(255);
}

/// All records of one name and type: one TTL, no duplicates, in octet order (RFC 2181 §5).
///
/// The data are kept in wire form without compression; never empty.
#[derive(Clone, Debug, Eq)]
pub struct Rrset {
    /// The type of all its records.
    pub rtype: RecordType,
    /// The TTL of all its records.
    pub ttl: Ttl,
    /// Each record's data behind two octets of length.
    data: Arc<[u8]>,
    led: Led,
}

/// Whom records lead to, as a number that whoever made them has for it; 0 is nobody in particular.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Led(pub u16);

/// Whom they lead to is noted beside the records, and no part of them.
impl PartialEq for Rrset {
    fn eq(&self, other: &Self) -> bool {
        self.rtype == other.rtype && self.ttl == other.ttl && self.data == other.data
    }
}

impl Rrset {
    /// An rrset of these records' data; `None` when there are none. Data over 65,535 octets
    /// cannot exist and are left out.
    pub fn new<D: AsRef<[u8]>>(
        rtype: RecordType,
        ttl: Ttl,
        rdata: impl IntoIterator<Item = D>,
    ) -> Option<Self> {
        let mut sorted: SmallVec<[D; 8]> = rdata.into_iter().collect();
        sorted.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        sorted.dedup_by(|a, b| a.as_ref() == b.as_ref());
        let mut data: SmallVec<[u8; 128]> = SmallVec::new();
        for one in &sorted {
            let Ok(length) = u16::try_from(one.as_ref().len()) else { continue };
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(one.as_ref());
        }
        let led = Led::default();
        (!data.is_empty()).then(|| Self { rtype, ttl, data: Arc::from(data.as_slice()), led })
    }

    /// The A records of the IPv4 addresses among `addresses`.
    pub fn a(ttl: Ttl, addresses: impl IntoIterator<Item = IpAddr>) -> Option<Self> {
        let v4 = addresses.into_iter().filter_map(|ip| match ip {
            IpAddr::V4(v4) => Some(v4.octets()),
            IpAddr::V6(_) => None,
        });
        Self::new(RecordType::A, ttl, v4)
    }

    /// The AAAA records of the IPv6 addresses among `addresses`.
    pub fn aaaa(ttl: Ttl, addresses: impl IntoIterator<Item = IpAddr>) -> Option<Self> {
        let v6 = addresses.into_iter().filter_map(|ip| match ip {
            IpAddr::V6(v6) => Some(v6.octets()),
            IpAddr::V4(_) => None,
        });
        Self::new(RecordType::AAAA, ttl, v6)
    }

    /// The CNAME record that points at `target`.
    #[must_use]
    pub fn cname(ttl: Ttl, target: &Name) -> Self {
        Self::new(RecordType::CNAME, ttl, [target.as_wire()])
            .expect("one record makes a set that is not empty")
    }

    /// The same, with a note of whom they lead to.
    #[must_use]
    pub fn leading(self, led: Led) -> Self {
        Self { led, ..self }
    }

    /// Whom they lead to.
    #[must_use]
    pub fn led(&self) -> Led {
        self.led
    }

    /// Each record's data in wire form.
    pub fn rdata(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mut rest: &[u8] = &self.data;
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first_chunk::<2>()?;
            let (one, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)));
            rest = tail;
            Some(one)
        })
    }

    /// Each record's data behind its length, as RDLENGTH and RDATA go over the wire where no name
    /// within is compressed (RFC 1035 §4.1.3).
    pub fn framed(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = &self.data;
        std::iter::from_fn(move || {
            let length = usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?));
            let (one, tail) = rest.split_at(2 + length);
            rest = tail;
            Some(one)
        })
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rdata().count()
    }

    /// Never: an rrset has at least one record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

/// The rrsets of one name, by type. A name with none of its own is not a node but an empty
/// non-terminal (RFC 8020 §1), which a [`Zone`](super::Zone) finds by what lies below it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Node {
    rrsets: SmallVec<[Rrset; 2]>,
    /// Set where A and AAAA depend on the client; the rrsets then hold the neutral view.
    steered: Option<Arc<Steered>>,
}

impl Node {
    /// A node of these rrsets; of two with one type the later stays.
    pub fn new(rrsets: impl IntoIterator<Item = Rrset>) -> Self {
        let mut node = Self::default();
        rrsets.into_iter().for_each(|rrset| node.put(rrset));
        node
    }

    /// A node of a steered name: what it holds for nobody in particular, and its steering.
    #[must_use]
    pub fn steered(ttl: Ttl, steered: Steered) -> Self {
        let neutral = Self::new(steered.neutral(ttl));
        Self { steered: Some(Arc::new(steered)), ..neutral }
    }

    /// The same, with a note of whom its records lead to.
    #[must_use]
    pub fn leading(mut self, led: Led) -> Self {
        self.rrsets = self.rrsets.into_iter().map(|rrset| rrset.leading(led)).collect();
        self
    }

    /// What decides A and AAAA for each client, where it is steered.
    #[must_use]
    pub fn steering(&self) -> Option<&Arc<Steered>> {
        self.steered.as_ref()
    }

    /// The same steering under this node, which has other types of its own.
    #[must_use]
    pub fn with_steering_of(mut self, other: &Self) -> Self {
        self.steered.clone_from(&other.steered);
        self
    }

    /// The rrset of that type.
    #[must_use]
    pub fn get(&self, rtype: RecordType) -> Option<&Rrset> {
        self.rrsets.iter().find(|rrset| rrset.rtype == rtype)
    }

    /// Adds it, in place of the one of its type.
    pub fn put(&mut self, rrset: Rrset) {
        match self.rrsets.binary_search_by_key(&rrset.rtype, |own| own.rtype) {
            Ok(at) => self.rrsets[at] = rrset,
            Err(at) => self.rrsets.insert(at, rrset),
        }
    }

    /// All of them, by type number.
    pub fn iter(&self) -> impl Iterator<Item = &Rrset> {
        self.rrsets.iter()
    }

    /// Whether it has no rrset and is not steered: a steered name is there for all clients, also
    /// where it has no address for most.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rrsets.is_empty() && self.steered.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rrset_is_a_set() {
        let ips = ["192.0.2.2", "192.0.2.1", "192.0.2.2", "2001:db8::1"];
        let rrset = Rrset::a(Ttl::SERVED, ips.iter().map(|ip| ip.parse().unwrap())).unwrap();
        let data: Vec<_> = rrset.rdata().collect();
        assert_eq!(data, [[192, 0, 2, 1], [192, 0, 2, 2]]);
        assert_eq!(Rrset::aaaa(Ttl::SERVED, []), None);
    }
}
