//! Record data: which fields each type has on the wire, which values they take, and how they are
//! written in a master file.

use super::refused::Refused;
use serde_json::{Map, Value, json};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A type of record that public zones have.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The property that holds its records.
    pub(super) key: &'static str,
    /// False where the property is one record and not a list of them.
    pub(super) list: bool,
    fields: &'static [(&'static str, Field)],
}

#[derive(Clone, Copy, Debug)]
enum Field {
    V4,
    V6,
    Host,
    Number(u64),
    Word,
    Text,
    Strings,
}

impl Kind {
    /// The type of that name, however it is capitalised.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name))
    }

    /// The records that `properties` bring, checked, in canonical form.
    pub(super) fn read(&self, properties: &Map<String, Value>) -> Result<Vec<Value>, Refused> {
        if let Some(foreign) = KINDS.iter().find(|kind| {
            kind.name != self.name && properties.get(kind.key).is_some_and(|own| !empty(own))
        }) {
            return Err(bad(format!(
                "The record set of type '{}' cannot have '{}'.",
                self.name, foreign.key
            )));
        }
        let records: Vec<&Value> = match properties.get(self.key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(all)) if self.list => all.iter().collect(),
            Some(one @ Value::Object(_)) if !self.list => vec![one],
            Some(_) => return Err(unreadable(self.key)),
        };
        let read: Vec<Value> =
            records.into_iter().map(|one| self.record(one)).collect::<Result<_, _>>()?;
        let shown: std::collections::BTreeSet<String> =
            read.iter().map(|one| self.shown(one)).collect();
        if shown.len() < read.len() {
            return Err(bad("The record set has the same record more than once."));
        }
        Ok(read)
    }

    fn record(&self, record: &Value) -> Result<Value, Refused> {
        let Some(record) = record.as_object() else { return Err(unreadable(self.key)) };
        let mut read = Map::new();
        for (name, field) in self.fields {
            let value = record.get(*name).unwrap_or(&Value::Null);
            read.insert((*name).to_owned(), field.read(name, value)?);
        }
        Ok(Value::Object(read))
    }

    /// A record as a master file has it, host names in lower case with their final dot.
    pub(super) fn shown(&self, record: &Value) -> String {
        let words = self.fields.iter().map(|(name, field)| field.shown(&record[*name]));
        words.collect::<Vec<_>>().join(" ")
    }

    /// The record that a master file has in these words.
    pub(super) fn parsed(&self, text: &str) -> Value {
        let mut words = words(text).into_iter();
        let mut record = Map::new();
        for (name, field) in self.fields {
            let value = match field {
                Field::Strings => words.by_ref().collect(),
                Field::Number(_) => json!(words.next().unwrap().parse::<u64>().unwrap()),
                _ => json!(words.next().unwrap()),
            };
            record.insert((*name).to_owned(), value);
        }
        self.record(&Value::Object(record)).unwrap()
    }

    /// The property that holds these records; none for an empty record set.
    pub(super) fn written(&self, records: &[Value]) -> Option<Value> {
        let first = records.first()?;
        Some(if self.list { json!(records) } else { first.clone() })
    }
}

impl Field {
    fn read(self, name: &str, value: &Value) -> Result<Value, Refused> {
        match self {
            Self::V4 => match text(name, value)?.parse::<Ipv4Addr>() {
                Ok(ip) => Ok(json!(ip)),
                Err(_) => Err(bad(format!("The IPv4 address {value} is invalid."))),
            },
            Self::V6 => match text(name, value)?.parse::<Ipv6Addr>() {
                Ok(ip) => Ok(json!(ip)),
                Err(_) => Err(bad(format!("The IPv6 address {value} is invalid."))),
            },
            Self::Host => {
                let host = text(name, value)?;
                if !is_host(host) {
                    return Err(bad(format!("The domain name '{host}' is invalid.")));
                }
                Ok(json!(host))
            }
            Self::Number(most) => match value.as_u64() {
                Some(number) if number <= most => Ok(json!(number)),
                _ => Err(bad(format!("The value {value} of '{name}' is not within 0 to {most}."))),
            },
            Self::Word if text(name, value)?.is_empty() => {
                Err(bad(format!("The property '{name}' is required.")))
            }
            Self::Word => Ok(value.clone()),
            Self::Text => Ok(json!(text(name, value)?)),
            Self::Strings => strings(name, value),
        }
    }

    fn shown(self, value: &Value) -> String {
        match self {
            Self::Strings => {
                let all = value.as_array().unwrap();
                all.iter().map(|one| quoted(one.as_str().unwrap())).collect::<Vec<_>>().join(" ")
            }
            Self::Text => quoted(value.as_str().unwrap()),
            Self::Host => {
                let name = value.as_str().unwrap().trim_end_matches('.').to_ascii_lowercase();
                format!("{name}.")
            }
            Self::Number(_) => value.to_string(),
            Self::V4 | Self::V6 | Self::Word => value.as_str().unwrap().to_owned(),
        }
    }
}

/// The strings of one TXT record: 255 octets each at most, 4,096 together.
fn strings(name: &str, value: &Value) -> Result<Value, Refused> {
    let Some(all) = value.as_array().filter(|all| !all.is_empty()) else {
        return Err(unreadable(name));
    };
    let mut together = 0;
    for one in all {
        let length = text(name, one)?.len();
        if length > 255 {
            return Err(bad("A string of a TXT record is longer than 255 characters."));
        }
        together += length;
    }
    if together > 4096 {
        return Err(bad("The strings of a TXT record are together longer than 4096 characters."));
    }
    Ok(value.clone())
}

fn text<'v>(name: &str, value: &'v Value) -> Result<&'v str, Refused> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Err(bad(format!("The property '{name}' is required."))),
        _ => Err(unreadable(name)),
    }
}

/// A host name as a target: labels of letters, digits, hyphens and underscores.
pub(super) fn is_host(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    (1..=253).contains(&name.len()) && name.split('.').all(is_label)
}

pub(super) fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Words between blanks; quotes keep blanks, a backslash keeps what follows it.
pub(super) fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quotes) = (Vec::new(), None::<String>, false);
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        match c {
            '"' => {
                quotes = !quotes;
                word.get_or_insert_default();
            }
            ' ' if !quotes => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(letters.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

pub(super) fn bad(message: impl Into<String>) -> Refused {
    Refused::dns(400, "BadRequest", message)
}

fn unreadable(name: &str) -> Refused {
    bad(format!("The request content was invalid and could not be deserialized: '{name}'."))
}

const U16: u64 = 65_535;
const I32: u64 = 2_147_483_647;
const KINDS: &[Kind] = &[
    Kind { name: "A", key: "ARecords", list: true, fields: &[("ipv4Address", Field::V4)] },
    Kind { name: "AAAA", key: "AAAARecords", list: true, fields: &[("ipv6Address", Field::V6)] },
    Kind {
        name: "CAA",
        key: "caaRecords",
        list: true,
        fields: &[("flags", Field::Number(255)), ("tag", Field::Word), ("value", Field::Text)],
    },
    Kind { name: "CNAME", key: "CNAMERecord", list: false, fields: &[("cname", Field::Host)] },
    Kind {
        name: "MX",
        key: "MXRecords",
        list: true,
        fields: &[("preference", Field::Number(U16)), ("exchange", Field::Host)],
    },
    Kind { name: "NS", key: "NSRecords", list: true, fields: &[("nsdname", Field::Host)] },
    Kind { name: "PTR", key: "PTRRecords", list: true, fields: &[("ptrdname", Field::Host)] },
    Kind {
        name: "SOA",
        key: "SOARecord",
        list: false,
        fields: &[
            ("host", Field::Host),
            ("email", Field::Host),
            ("serialNumber", Field::Number(4_294_967_295)),
            ("refreshTime", Field::Number(I32)),
            ("retryTime", Field::Number(I32)),
            ("expireTime", Field::Number(I32)),
            ("minimumTTL", Field::Number(I32)),
        ],
    },
    Kind {
        name: "SRV",
        key: "SRVRecords",
        list: true,
        fields: &[
            ("priority", Field::Number(U16)),
            ("weight", Field::Number(U16)),
            ("port", Field::Number(U16)),
            ("target", Field::Host),
        ],
    },
    Kind { name: "TXT", key: "TXTRecords", list: true, fields: &[("value", Field::Strings)] },
];
