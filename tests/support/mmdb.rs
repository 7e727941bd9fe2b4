//! Writes MaxMind DB files for tests (MaxMind DB file format specification 2.0).

#![allow(dead_code, reason = "each test that takes it in uses a part")]

use std::{collections::BTreeMap, net::IpAddr};

/// A value of the data section.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// UTF-8.
    Text(String),
    /// As MaxMind writes coordinates.
    Double(f64),
    /// As flat files write them.
    Float(f32),
    /// 16 bits.
    Short(u16),
    /// 32 bits.
    Number(u32),
    /// 64 bits.
    Long(u64),
    /// In this order.
    List(Vec<Self>),
    /// In this order.
    Map(Vec<(String, Self)>),
}

/// A map from literal keys.
pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A text.
pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A file of one kind with these networks; of IP version 4 or 6. Later networks must not contain
/// earlier ones.
pub(crate) fn write(kind: &str, version: u16, networks: &[(IpAddr, u8, Value)]) -> Vec<u8> {
    let mut tree = Tree { nodes: vec![[Slot::Empty, Slot::Empty]] };
    let (mut data, mut known) = (Vec::new(), BTreeMap::new());
    for (address, length, value) in networks {
        let mut octets = Vec::new();
        encode(value, &mut octets);
        let at = *known.entry(octets.clone()).or_insert_with(|| {
            let at = data.len();
            data.extend_from_slice(&octets);
            at
        });
        let (bits, length) = match (address, version) {
            (IpAddr::V4(ip), 4) => (u128::from(ip.to_bits()) << 96, *length),
            // IPv4 lies at ::/96 of an IPv6 tree.
            (IpAddr::V4(ip), _) => (u128::from(ip.to_bits()), length + 96),
            (IpAddr::V6(ip), _) => (ip.to_bits(), *length),
        };
        tree.insert(bits, length, at);
    }
    let mut file = Vec::new();
    let count = u32::try_from(tree.nodes.len()).unwrap();
    for slot in tree.nodes.iter().flatten() {
        let record = match slot {
            Slot::Empty => count,
            Slot::Node(at) => u32::try_from(*at).unwrap(),
            Slot::Data(at) => count + 16 + u32::try_from(*at).unwrap(),
        };
        file.extend_from_slice(&record.to_be_bytes());
    }
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(&data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let metadata = map([
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1_781_654_400)),
        ("database_type", text(kind)),
        ("description", Value::Map(Vec::new())),
        ("ip_version", Value::Short(version)),
        ("languages", Value::List(Vec::new())),
        ("node_count", Value::Number(count)),
        ("record_size", Value::Short(32)),
    ]);
    encode(&metadata, &mut file);
    file
}

#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Node(usize),
    Data(usize),
}

struct Tree {
    nodes: Vec<[Slot; 2]>,
}

impl Tree {
    fn insert(&mut self, bits: u128, length: u8, data: usize) {
        let mut node = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                self.nodes[node][side] = Slot::Data(data);
                return;
            }
            node = match self.nodes[node][side] {
                Slot::Node(next) => next,
                // A wider network is split, so that both sides keep what it says.
                old => {
                    self.nodes.push([old, old]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][side] = Slot::Node(next);
                    next
                }
            };
        }
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            head(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Double(number) => {
            head(3, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Short(number) => {
            head(5, 2, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Long(number) => {
            head(9, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Number(number) => {
            head(6, 4, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Map(entries) => {
            head(7, entries.len(), out);
            for (key, value) in entries {
                encode(&Value::Text(key.clone()), out);
                encode(value, out);
            }
        }
        Value::List(values) => {
            head(11, values.len(), out);
            values.iter().for_each(|value| encode(value, out));
        }
        Value::Float(number) => {
            head(15, 4, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// Types from 8 up are written as 0 with the type less 7 behind.
fn head(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (short, extra) = match size {
        0..29 => (u8::try_from(size).unwrap(), vec![]),
        _ => (29, vec![u8::try_from(size - 29).expect("tests have no longer values")]),
    };
    if kind < 8 {
        out.push(kind << 5 | short);
    } else {
        out.extend_from_slice(&[short, kind - 7]);
    }
    out.extend_from_slice(&extra);
}
