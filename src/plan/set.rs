//! Record sets as providers keep them, in words that all providers share.

use crate::{
    model::{Key, Name, Ttl},
    records::{RecordType, Rrset, rdata_to_text},
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// What tells one record set of a zone from another.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SetKey {
    /// The owner, as zones sort it.
    pub owner: Key,
    /// The type.
    pub rtype: RecordType,
    /// Tells sets of one name and type apart where a provider routes between them (Route 53's
    /// SetIdentifier); `None` for a plain set.
    pub id: Option<Arc<str>>,
}

impl SetKey {
    /// The plain set of that name and type.
    #[must_use]
    pub fn plain(name: &Name, rtype: RecordType) -> Self {
        Self { owner: name.key(), rtype, id: None }
    }

    /// The owner's name, in lower case.
    #[must_use]
    pub fn name(&self) -> Name {
        self.owner.to_name()
    }
}

impl fmt::Display for SetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.rtype)?;
        self.id.iter().try_for_each(|id| write!(f, " [{id}]"))
    }
}

/// What a provider keeps beside TTL and data: routing, alias target, health check, by the
/// provider's own words. `plan` compares them; only the provider's renderer and wire know them.
pub type Attributes = BTreeMap<Arc<str>, Arc<str>>;

/// One record set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordSet {
    /// Which.
    pub key: SetKey,
    /// `None` where the provider has none for it (an alias).
    pub ttl: Option<Ttl>,
    /// Record data in wire form, in octet order, each once; none for an alias or a policy.
    pub data: Vec<Arc<[u8]>>,
    /// What else makes it up.
    pub more: Attributes,
    /// What a provider asks for when it is changed (an etag); says nothing about its content.
    pub version: Option<Arc<str>>,
}

impl RecordSet {
    /// A plain set.
    #[must_use]
    pub fn of(name: &Name, rrset: &Rrset) -> Self {
        Self::plain(name, rrset.rtype, rrset.ttl, rrset.rdata())
    }

    /// A plain set of these data.
    #[must_use]
    pub fn plain<D: AsRef<[u8]>>(
        name: &Name,
        rtype: RecordType,
        ttl: Ttl,
        data: impl IntoIterator<Item = D>,
    ) -> Self {
        let mut data: Vec<Arc<[u8]>> =
            data.into_iter().map(|one| Arc::from(one.as_ref())).collect();
        data.sort();
        data.dedup();
        let key = SetKey::plain(name, rtype);
        Self { key, ttl: Some(ttl), data, more: Attributes::new(), version: None }
    }

    /// One TXT record of that text, in strings of at most 255 octets (RFC 1035 §3.3.14).
    #[must_use]
    pub fn text(name: &Name, ttl: Ttl, text: &str) -> Self {
        let strings = text.as_bytes().chunks(255).flat_map(|part| {
            let length = u8::try_from(part.len()).expect("chunks have at most 255 octets");
            std::iter::once(length).chain(part.iter().copied())
        });
        Self::plain(name, RecordType::TXT, ttl, [strings.collect::<Vec<u8>>()])
    }

    /// The texts of a TXT set, each record's strings joined.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        let own = if self.key.rtype == RecordType::TXT { self.data.as_slice() } else { &[] };
        own.iter().map(|data| {
            let mut text = Vec::new();
            let mut rest: &[u8] = data;
            while let Some((length, tail)) = rest.split_first() {
                let (one, tail) = tail.split_at(usize::from(*length).min(tail.len()));
                text.extend_from_slice(one);
                rest = tail;
            }
            String::from_utf8_lossy(&text).into_owned()
        })
    }

    /// Whether both say the same: names in data compare without case, versions do not count.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let same_data = || {
            let pairs = self.data.iter().zip(&other.data);
            self.data.len() == other.data.len()
                && pairs.into_iter().all(|(a, b)| same_data(self.key.rtype, a, b))
        };
        self.key == other.key && self.ttl == other.ttl && self.more == other.more && same_data()
    }

    /// Its records, counted as providers count them: an alias or a policy is one.
    #[must_use]
    pub fn records(&self) -> usize {
        self.data.len().max(1)
    }

    /// Its data in presentation form.
    pub fn texts_of_data(&self) -> impl Iterator<Item = String> + '_ {
        self.data.iter().map(|data| rdata_to_text(self.key.rtype, data))
    }
}

/// Where names stand in the data of a type, they compare without case (RFC 4343 §4.1).
fn same_data(rtype: RecordType, a: &[u8], b: &[u8]) -> bool {
    let before = match rtype {
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | RecordType(12) => 0,
        RecordType::MX => 2,
        RecordType::SRV => 6,
        _ => return a == b,
    };
    match (a.split_at_checked(before), b.split_at_checked(before)) {
        (Some((head, name)), Some((other_head, other))) => {
            head == other_head && name.eq_ignore_ascii_case(other)
        }
        _ => a == b,
    }
}

/// `A 60 192.0.2.1,192.0.2.2`, with what else there is behind it.
impl fmt::Display for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key.rtype)?;
        self.key.id.iter().try_for_each(|id| write!(f, " [{id}]"))?;
        self.ttl.iter().try_for_each(|ttl| write!(f, " {ttl}"))?;
        let data: Vec<_> = self.texts_of_data().collect();
        if !data.is_empty() {
            write!(f, " {}", data.join(","))?;
        }
        self.more.iter().try_for_each(|(word, value)| write!(f, " {word}={value}"))
    }
}

/// As in JSON output: name, type, ttl, data, and what else there is.
impl Serialize for RecordSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.key.name())?;
        map.serialize_entry("type", &self.key.rtype.to_string())?;
        if let Some(id) = &self.key.id {
            map.serialize_entry("id", id)?;
        }
        if let Some(ttl) = self.ttl {
            map.serialize_entry("ttl", &ttl)?;
        }
        map.serialize_entry("data", &self.texts_of_data().collect::<Vec<_>>())?;
        if !self.more.is_empty() {
            map.serialize_entry("more", &self.more)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_comes_back() {
        let name: Name = "x.test".parse().unwrap();
        for length in [0, 1, 255, 256, 700] {
            let text = "a".repeat(length);
            let set = RecordSet::text(&name, Ttl::SERVED, &text);
            assert_eq!(set.texts().collect::<Vec<_>>(), [text]);
        }
    }

    #[test]
    fn order_and_the_case_of_targets_are_no_difference() {
        let name: Name = "x.test".parse().unwrap();
        let set = |rtype, data: &[&[u8]]| RecordSet::plain(&name, rtype, Ttl::SERVED, data);
        assert!(
            set(RecordType::A, &[&[1, 2, 3, 4], &[0; 4]])
                .says_as(&set(RecordType::A, &[&[0; 4], &[1, 2, 3, 4]]))
        );
        assert!(
            set(RecordType::CNAME, &[b"\x01A\0"]).says_as(&set(RecordType::CNAME, &[b"\x01a\0"]))
        );
        assert!(!set(RecordType::TXT, &[b"\x01A"]).says_as(&set(RecordType::TXT, &[b"\x01a"])));
        assert!(
            !set(RecordType::MX, &[b"\0A\x01a\0"]).says_as(&set(RecordType::MX, &[b"\0a\x01a\0"]))
        );
    }
}
