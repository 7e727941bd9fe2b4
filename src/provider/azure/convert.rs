//! Between record sets and Azure's own: names relative to the zone, values as objects of fields,
//! and what else a set has as attributes:
//!
//! ```text
//! target=<id of the resource that an alias stands for>   metadata.<key>=<value>
//! ```

use crate::{
    model::{Name, Ttl},
    plan::{Attributes, RecordSet, SetKey},
    records::RecordType,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    #[serde(default = "Vec::new")]
    pub(super) value: Vec<T>,
    pub(super) next_link: Option<String>,
}

/// A zone, as lists have it.
#[derive(Debug, Deserialize)]
pub(super) struct Zone {
    pub(super) id: String,
    pub(super) name: String,
}

/// A record set, as lists have it.
#[derive(Debug, Deserialize)]
pub(super) struct Set {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    etag: Option<String>,
    properties: Properties,
}

/// What a record set holds; the odd capitals are the service's.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Properties {
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "targetResource", skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    /// The records, under the name that their type has.
    #[serde(flatten)]
    records: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Target {
    id: Option<String>,
}

// === Names ===

/// The name within the zone, `@` at its apex; or what is wrong with it.
pub(super) fn relative(name: &Name, zone: &Name) -> Result<String, String> {
    let outside = || format!("{name} is not within {zone}");
    let count = name.label_count().checked_sub(zone.label_count()).ok_or_else(outside)?;
    let plain = |label: &[u8]| {
        label == b"*" || label.iter().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(c))
    };
    let lower = name.to_lowercase();
    let labels: Vec<&[u8]> = lower.labels().take(count).collect();
    if let Some(odd) = labels.iter().find(|label| !plain(label)) {
        return Err(format!(
            "{name}: Azure DNS takes letters, digits, hyphens and underscores in names; \"{}\" has \
             others",
            odd.escape_ascii()
        ));
    }
    let texts: Vec<_> = labels.iter().map(|label| String::from_utf8_lossy(label)).collect();
    Ok(if texts.is_empty() { "@".to_owned() } else { texts.join(".") })
}

fn absolute(relative: &str, zone: &Name) -> Option<Name> {
    let lower = relative.to_ascii_lowercase();
    let own = lower.split('.').filter(|_| relative != "@").map(str::as_bytes);
    Name::from_labels(own.chain(zone.labels())).ok()
}

// === Reading ===

/// A set as Azure has it. What we cannot read is kept as an attribute, so that it is seen, is
/// nobody's but its owner's, and does not spoil the rest of the zone.
pub(super) fn read(set: &Set, zone: &Name) -> RecordSet {
    let mut more = attributes(&set.properties);
    let mut note = |word: &str, text: &str| drop(more.insert(word.into(), text.into()));
    let owner = absolute(&set.name, zone).unwrap_or_else(|| {
        note("unreadable-name", &set.name);
        Name::root()
    });
    let kind = set.rtype.rsplit('/').next().unwrap_or_default();
    let rtype = kind.parse().unwrap_or_else(|_| {
        note("unreadable-type", kind);
        RecordType(0)
    });
    let mut data: Vec<Arc<[u8]>> = Vec::new();
    for record in Kind::of(rtype).into_iter().flat_map(|own| own.records(&set.properties)) {
        let fields = Kind::of(rtype).map_or(&[][..], |own| own.fields);
        match decode(fields, record) {
            Some(octets) => data.push(octets.into()),
            None => note("unreadable-value", &record.to_string()),
        }
    }
    data.sort();
    data.dedup();
    let ttl = set.properties.ttl.map(Ttl::from_secs);
    let version = set.etag.as_deref().map(Into::into);
    RecordSet { key: SetKey { owner: owner.key(), rtype, id: None }, ttl, data, more, version }
}

fn attributes(properties: &Properties) -> Attributes {
    let mut more = Attributes::new();
    if let Some(id) = properties.target.as_ref().and_then(|target| target.id.as_deref()) {
        more.insert(TARGET.into(), id.into());
    }
    for (word, value) in properties.metadata.iter().flatten() {
        more.insert(format!("{METADATA}{word}").into(), value.as_str().into());
    }
    more
}

fn decode(fields: &[(&str, Field)], record: &Value) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    for (name, field) in fields {
        field.decode(record.get(name)?, &mut octets)?;
    }
    Some(octets)
}

// === Writing ===

/// What the service is to hold, or what of it cannot be said.
pub(super) fn write(set: &RecordSet) -> Result<Properties, String> {
    let kind = Kind::of(set.key.rtype).ok_or_else(|| {
        format!("{}: Azure DNS has no records of type {}", set.key.name(), set.key.rtype)
    })?;
    let mut own = Properties { ttl: set.ttl.map(Ttl::as_secs), ..Properties::default() };
    for (word, value) in &set.more {
        match word.strip_prefix(METADATA) {
            Some(key) => {
                own.metadata.get_or_insert_default().insert(key.to_owned(), value.to_string());
            }
            None if &**word == TARGET => own.target = Some(Target { id: Some(value.to_string()) }),
            None => return Err(format!("{}: {set}: {word} cannot be said", set.key.name())),
        }
    }
    let encoded = |data: &Arc<[u8]>| encode(kind.fields, data);
    let records: Option<Vec<Value>> = set.data.iter().map(encoded).collect();
    let records =
        records.ok_or_else(|| format!("{}: {set}: is no text for JSON", set.key.name()))?;
    let value = match (kind.list, records.len()) {
        (_, 0) => return Ok(own),
        (true, _) => Value::Array(records),
        (false, 1) => records.into_iter().next().unwrap_or_default(),
        (false, _) => return Err(format!("{}: {set}: has more than one value", set.key.name())),
    };
    own.records.insert(kind.property.to_owned(), value);
    Ok(own)
}

fn encode(fields: &[(&str, Field)], mut octets: &[u8]) -> Option<Value> {
    let mut record = Map::new();
    for (name, field) in fields {
        record.insert((*name).to_owned(), field.encode(&mut octets)?);
    }
    octets.is_empty().then_some(Value::Object(record))
}

// === Types ===

/// How records of a type are written.
struct Kind {
    rtype: RecordType,
    property: &'static str,
    /// False where the property is one record and not a list of them.
    list: bool,
    fields: &'static [(&'static str, Field)],
}

/// A field of record data, in the order in which octets have them.
#[derive(Clone, Copy)]
enum Field {
    V4,
    V6,
    Name,
    U8,
    U16,
    U32,
    /// A string with its length before it.
    Word,
    /// A string up to the end.
    Rest,
    /// Strings with their lengths before them, up to the end.
    Strings,
}

impl Kind {
    fn of(rtype: RecordType) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.rtype == rtype)
    }

    fn records<'p>(&self, properties: &'p Properties) -> &'p [Value] {
        match properties.records.get(self.property) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(all)) => all,
            Some(one) => std::slice::from_ref(one),
        }
    }
}

impl Field {
    fn decode(self, value: &Value, octets: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::V4 => octets.extend(value.as_str()?.parse::<Ipv4Addr>().ok()?.octets()),
            Self::V6 => octets.extend(value.as_str()?.parse::<Ipv6Addr>().ok()?.octets()),
            Self::Name => octets.extend(value.as_str()?.parse::<Name>().ok()?.as_wire()),
            Self::U8 => octets.push(value.as_u64()?.try_into().ok()?),
            Self::U16 => octets.extend(u16::try_from(value.as_u64()?).ok()?.to_be_bytes()),
            Self::U32 => octets.extend(u32::try_from(value.as_u64()?).ok()?.to_be_bytes()),
            Self::Word => put_string(value, octets)?,
            Self::Rest => octets.extend(value.as_str()?.bytes()),
            Self::Strings => {
                let all = value.as_array().filter(|all| !all.is_empty())?;
                all.iter().try_for_each(|one| put_string(one, octets))?;
            }
        }
        Some(())
    }

    fn encode(self, octets: &mut &[u8]) -> Option<Value> {
        Some(match self {
            Self::V4 => Ipv4Addr::from(*take::<4>(octets)?).to_string().into(),
            Self::V6 => Ipv6Addr::from(*take::<16>(octets)?).to_string().into(),
            Self::Name => take_name(octets)?.to_string().into(),
            Self::U8 => take::<1>(octets)?[0].into(),
            Self::U16 => u16::from_be_bytes(*take(octets)?).into(),
            Self::U32 => u32::from_be_bytes(*take(octets)?).into(),
            Self::Word => take_string(octets)?.into(),
            Self::Rest => std::str::from_utf8(std::mem::take(octets)).ok()?.into(),
            Self::Strings => {
                let mut all: Vec<Value> = Vec::new();
                while !octets.is_empty() {
                    all.push(take_string(octets)?.into());
                }
                all.into()
            }
        })
    }
}

fn put_string(value: &Value, octets: &mut Vec<u8>) -> Option<()> {
    let text = value.as_str()?;
    octets.push(text.len().try_into().ok()?);
    octets.extend(text.bytes());
    Some(())
}

fn take<'o, const N: usize>(octets: &mut &'o [u8]) -> Option<&'o [u8; N]> {
    let (own, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(own)
}

fn take_string<'o>(octets: &mut &'o [u8]) -> Option<&'o str> {
    let (length, rest) = octets.split_first()?;
    let (own, rest) = rest.split_at_checked(usize::from(*length))?;
    *octets = rest;
    std::str::from_utf8(own).ok()
}

fn take_name(octets: &mut &[u8]) -> Option<Name> {
    let mut end = 0;
    while octets.get(end).copied()? > 0 {
        end += 1 + usize::from(octets[end]);
    }
    let (own, rest) = octets.split_at_checked(end + 1)?;
    *octets = rest;
    Name::from_wire(own).ok()
}

pub(super) const TARGET: &str = "target";
const METADATA: &str = "metadata.";

const KINDS: &[Kind] = &[
    list(RecordType::A, "ARecords", &[("ipv4Address", Field::V4)]),
    list(RecordType::AAAA, "AAAARecords", &[("ipv6Address", Field::V6)]),
    one(RecordType::CNAME, "CNAMERecord", &[("cname", Field::Name)]),
    list(RecordType::MX, "MXRecords", &[("preference", Field::U16), ("exchange", Field::Name)]),
    list(RecordType::TXT, "TXTRecords", &[("value", Field::Strings)]),
    list(RecordType::NS, "NSRecords", &[("nsdname", Field::Name)]),
    list(
        RecordType::SRV,
        "SRVRecords",
        &[
            ("priority", Field::U16),
            ("weight", Field::U16),
            ("port", Field::U16),
            ("target", Field::Name),
        ],
    ),
    list(RecordType(12), "PTRRecords", &[("ptrdname", Field::Name)]),
    list(
        RecordType(257),
        "caaRecords",
        &[("flags", Field::U8), ("tag", Field::Word), ("value", Field::Rest)],
    ),
    one(
        RecordType::SOA,
        "SOARecord",
        &[
            ("host", Field::Name),
            ("email", Field::Name),
            ("serialNumber", Field::U32),
            ("refreshTime", Field::U32),
            ("retryTime", Field::U32),
            ("expireTime", Field::U32),
            ("minimumTTL", Field::U32),
        ],
    ),
];

const fn list(
    rtype: RecordType,
    property: &'static str,
    fields: &'static [(&'static str, Field)],
) -> Kind {
    Kind { rtype, property, list: true, fields }
}

const fn one(
    rtype: RecordType,
    property: &'static str,
    fields: &'static [(&'static str, Field)],
) -> Kind {
    Kind { rtype, property, list: false, fields }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::rdata_from_text;
    use proptest::prelude::*;

    fn zone() -> Name {
        "fed.example.org".parse().unwrap()
    }

    /// As the service would hand it back.
    fn back(set: &RecordSet) -> RecordSet {
        let own = Set {
            name: relative(&set.key.name(), &zone()).unwrap(),
            rtype: format!("Microsoft.Network/dnszones/{}", set.key.rtype),
            etag: None,
            properties: serde_json::from_value(serde_json::to_value(write(set).unwrap()).unwrap())
                .unwrap(),
        };
        read(&own, &zone())
    }

    #[test]
    fn names_are_relative_to_the_zone() {
        for (text, own) in [
            ("fed.example.org", "@"),
            ("*.fed.example.org", "*"),
            ("*.A_b.fed.example.org", "*.a_b"),
            ("_meridian.x.fed.example.org", "_meridian.x"),
        ] {
            let name: Name = text.parse().unwrap();
            assert_eq!(relative(&name, &zone()).unwrap(), own);
            assert_eq!(absolute(own, &zone()), Some(name.to_lowercase()));
        }
        for odd in [r"a\.b.fed.example.org", "a b.fed.example.org", "a*.fed.example.org", "org"] {
            let odd = odd.replace(' ', r"\032").parse().unwrap();
            assert!(relative(&odd, &zone()).is_err(), "{odd}");
        }
    }

    #[test]
    fn every_type_reads_back() {
        for (rtype, text) in [
            ("A", "1.2.3.4"),
            ("AAAA", "2001:db8::1"),
            ("CNAME", "a.b.example."),
            ("MX", "0 ."),
            ("NS", "ns1.example."),
            ("SRV", "1 2 3 a.example."),
            ("TYPE12", "a.example."),
            ("TYPE257", "128 issue \"ca.example; a=b\""),
            ("SOA", "ns1.example. hostmaster.example. 1 2 3 4 5"),
        ] {
            let rtype: RecordType = rtype.parse().unwrap();
            let data = rdata_from_text(rtype, text, &Name::root()).unwrap();
            let set = RecordSet::plain(&zone(), rtype, Ttl::SERVED, [data]);
            assert_eq!(back(&set), set, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_stays_visible() {
        let own = serde_json::json!({"name": "a..b", "type": "Microsoft.Network/dnszones/A",
            "properties": {"TTL": 1, "ARecords": [{"ipv4Address": "x"}, {"ipv4Address": "1.2.3.4"}],
            "targetResource": {}}});
        let set = read(&serde_json::from_value(own).unwrap(), &zone());
        assert_eq!(set.data.len(), 1);
        let words: Vec<_> = set.more.keys().map(|word| &**word).collect();
        assert_eq!(words, ["unreadable-name", "unreadable-value"]);
        assert!(write(&set).is_err(), "it is nobody's to write");
    }

    #[test]
    fn octets_that_are_no_text_are_refused_here() {
        let set = RecordSet::plain(&zone(), RecordType::TXT, Ttl::SERVED, [b"\x01\xff"]);
        assert!(write(&set).unwrap_err().contains("no text"));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            texts in prop::collection::vec("\\PC{0,60}", 1..4),
            ips in prop::collection::vec(any::<[u8; 4]>(), 0..20),
            ttl in 1_u32..2_147_483_647,
            label in "[a-z0-9_-]{1,20}",
            more in prop::collection::btree_map("[a-z]{1,8}", "\\PC{0,20}", 0..3),
        ) {
            let owner = zone().prepend(label.as_bytes()).unwrap();
            let ttl = Ttl::from_secs(ttl);
            let strings: Vec<u8> = texts.iter().flat_map(|text| {
                std::iter::once(u8::try_from(text.len()).unwrap()).chain(text.bytes())
            }).collect();
            let text = RecordSet::plain(&owner, RecordType::TXT, ttl, [strings]);
            prop_assert_eq!(back(&text), text);
            let mut set = RecordSet::plain(&owner, RecordType::A, ttl, ips);
            set.more = more.into_iter()
                .map(|(word, value)| (format!("metadata.{word}").into(), value.into()))
                .collect();
            if set.data.is_empty() {
                set.more.insert("target".into(), "/subscriptions/x/profile".into());
            }
            prop_assert_eq!(back(&set), set);
        }
    }
}
