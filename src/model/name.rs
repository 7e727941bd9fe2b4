//! Domain names (RFC 1035 §3.1): parsed once at the edge, then always valid.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::{borrow::Borrow, cmp::Ordering, fmt, hash, str::FromStr, sync::Arc};

/// An absolute domain name in wire form: at most 255 octets, labels of 1 to 63 (RFC 1035 §2.3.4).
///
/// Keeps the case it was written in; compares, orders and hashes without it (RFC 4343), in the
/// canonical order of RFC 4034 §6.1.
#[derive(Clone)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// Most octets of a name, the root's zero octet included.
    pub const MAX_OCTETS: usize = 255;
    /// Most octets of a label.
    pub const MAX_LABEL: usize = 63;

    /// The root, `.`.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from([0_u8]))
    }

    /// From uncompressed wire octets that end with the root's zero.
    ///
    /// # Errors
    /// When a label or the whole is too long, or the octets end early or late.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        let mut at = 0;
        loop {
            let length = usize::from(*wire.get(at).ok_or(NameError::Truncated)?);
            if length == 0 {
                break;
            }
            if length > Self::MAX_LABEL {
                return Err(NameError::LongLabel { octets: length });
            }
            at += 1 + length;
        }
        if at + 1 != wire.len() {
            return Err(NameError::Truncated);
        }
        if wire.len() > Self::MAX_OCTETS {
            return Err(NameError::TooLong { octets: wire.len() });
        }
        Ok(Self(Arc::from(wire)))
    }

    /// From labels, leftmost first, each taken as it is.
    ///
    /// # Errors
    /// When a label is empty or over 63 octets, or the name over 255.
    pub fn from_labels<'l>(labels: impl IntoIterator<Item = &'l [u8]>) -> Result<Self, NameError> {
        let mut wire: SmallVec<[u8; 64]> = SmallVec::new();
        for label in labels {
            push_label(&mut wire, label)?;
        }
        Self::finish(wire)
    }

    /// `label` in front of this name.
    ///
    /// # Errors
    /// When the label is empty or over 63 octets, or the result over 255.
    pub fn prepend(&self, label: &[u8]) -> Result<Self, NameError> {
        let mut wire: SmallVec<[u8; 64]> = SmallVec::new();
        push_label(&mut wire, label)?;
        wire.extend_from_slice(&self.0);
        Self::check_length(wire.len())?;
        Ok(Self(Arc::from(wire.as_slice())))
    }

    /// The uncompressed wire form, the root's zero octet included.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels, leftmost first, without the root's empty one.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        self.label_offsets().into_iter().map(|at| {
            let length = usize::from(self.0[at]);
            &self.0[at + 1..at + 1 + length]
        })
    }

    /// How many labels, the root's not counted (as RFC 4034 §3.1.3 counts).
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.label_offsets().len()
    }

    /// This name without its leftmost label; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let length = usize::from(self.0[0]);
        (length > 0).then(|| Self(Arc::from(&self.0[1 + length..])))
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0[0] == 0
    }

    /// Whether this name is `ancestor` or below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        let (own, other) = (self.0.len(), ancestor.0.len());
        own >= other
            && self.0[own - other..].eq_ignore_ascii_case(&ancestor.0)
            && (own == other || self.label_offsets().contains(&(own - other)))
            || ancestor.is_root()
    }

    /// Whether the leftmost label is `*` (RFC 4592 §2.1.1).
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(&[1, b'*'])
    }

    /// All ASCII letters in lower case.
    #[must_use]
    pub fn to_lowercase(&self) -> Self {
        Self(self.0.iter().map(u8::to_ascii_lowercase).collect())
    }

    /// What this name is found by in a zone.
    #[must_use]
    pub fn key(&self) -> Key {
        let mut key = SmallVec::new();
        write_key(&mut key, self.labels());
        Key(key)
    }

    /// The text without the final dot, as Kubernetes writes host names; `.` for the root.
    #[must_use]
    pub fn without_dot(&self) -> String {
        let mut text = self.to_string();
        if text.len() > 1 {
            text.pop();
        }
        text
    }

    fn label_offsets(&self) -> SmallVec<[usize; 16]> {
        let mut offsets = SmallVec::new();
        let mut at = 0;
        while self.0[at] != 0 {
            offsets.push(at);
            at += 1 + usize::from(self.0[at]);
        }
        offsets
    }

    fn finish(mut wire: SmallVec<[u8; 64]>) -> Result<Self, NameError> {
        wire.push(0);
        Self::check_length(wire.len())?;
        Ok(Self(Arc::from(wire.as_slice())))
    }

    fn check_length(octets: usize) -> Result<(), NameError> {
        if octets > Self::MAX_OCTETS { Err(NameError::TooLong { octets }) } else { Ok(()) }
    }
}

fn push_label(wire: &mut SmallVec<[u8; 64]>, label: &[u8]) -> Result<(), NameError> {
    match u8::try_from(label.len()) {
        Ok(0) => Err(NameError::EmptyLabel),
        Ok(length) if label.len() <= Name::MAX_LABEL => {
            wire.push(length);
            wire.extend_from_slice(label);
            Ok(())
        }
        _ => Err(NameError::LongLabel { octets: label.len() }),
    }
}

/// Why something is not a domain name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or nothing at all.
    #[error("a label is empty")]
    EmptyLabel,
    /// RFC 1035 §2.3.4: 63 octets at most.
    #[error("a label has {octets} octets, at most 63 are allowed")]
    LongLabel {
        /// How many it has.
        octets: usize,
    },
    /// RFC 1035 §2.3.4: 255 octets at most, which is 253 characters of text.
    #[error("the name takes {octets} octets, at most 255 are allowed (253 characters of text)")]
    TooLong {
        /// How many it takes on the wire.
        octets: usize,
    },
    /// `\` without a character or three digits up to 255 behind it (RFC 1035 §5.1).
    #[error("a backslash is followed by neither a character nor three digits up to 255")]
    BadEscape,
    /// The octets are not one whole name.
    #[error("the octets are not one whole name")]
    Truncated,
}

/// Presentation form (RFC 1035 §5.1); always taken as absolute, the final dot may be left out.
impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let mut wire = SmallVec::new();
        let mut label: SmallVec<[u8; 64]> = SmallVec::new();
        let mut rest = text.strip_suffix('.').filter(|s| !ends_escaped(s)).unwrap_or(text).bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'.' => push_label(&mut wire, &std::mem::take(&mut label))?,
                b'\\' => label.push(unescape(&mut rest)?),
                other => label.push(other),
            }
        }
        push_label(&mut wire, &label)?;
        Self::finish(wire)
    }
}

/// Whether the text ends within an escape, so that a dot behind it would be a letter.
fn ends_escaped(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn unescape(rest: &mut impl Iterator<Item = u8>) -> Result<u8, NameError> {
    let first = rest.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = rest.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(*byte))?;
                    }
                    0x21..=0x7e => write!(f, "{}", char::from(*byte))?,
                    other => write!(f, "\\{other:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl hash::Hash for Name {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        for byte in self.0.iter() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

// === Key ===

/// A name turned around for looking up: labels from the root down, in lower case, each ended by
/// an octet below any that a label can hold.
///
/// Plain octet order on keys is the canonical order of names (RFC 4034 §6.1), and the key of a
/// name is a prefix of the key of every name below it, and of no other.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(SmallVec<[u8; 80]>);

impl Key {
    /// Of labels, leftmost first, in any case.
    pub fn of<'l>(labels: impl DoubleEndedIterator<Item = &'l [u8]>) -> Self {
        let mut key = SmallVec::new();
        write_key(&mut key, labels);
        Self(key)
    }

    /// From octets that [`Key::as_bytes`] gave, or a prefix of them that ends a label.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// The octets that are compared.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name it was made from, in lower case.
    #[must_use]
    pub fn to_name(&self) -> Name {
        let mut labels: SmallVec<[SmallVec<[u8; 24]>; 12]> = SmallVec::new();
        let mut label: SmallVec<[u8; 24]> = SmallVec::new();
        let mut bytes = self.0.iter();
        while let Some(byte) = bytes.next() {
            match *byte {
                END => labels.push(std::mem::take(&mut label)),
                ESCAPE => label.push(bytes.next().map_or(0, |escaped| escaped - 1)),
                other => label.push(other),
            }
        }
        // A key is made from a name's own labels, so they make a name again.
        Name::from_labels(labels.iter().rev().map(SmallVec::as_slice))
            .unwrap_or_else(|_| Name::root())
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

const END: u8 = 0;
const ESCAPE: u8 = 1;

/// Octets 0 and 1 become `1, octet + 1`, so that [`END`] sorts below whatever a label holds.
fn write_key<'l>(key: &mut SmallVec<[u8; 80]>, labels: impl DoubleEndedIterator<Item = &'l [u8]>) {
    for label in labels.rev() {
        for byte in label {
            match byte.to_ascii_lowercase() {
                low @ (END | ESCAPE) => key.extend_from_slice(&[ESCAPE, low + 1]),
                other => key.push(other),
            }
        }
        key.push(END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn text_and_wire_agree() {
        let parsed = name(r"a\.b.ex\065mple.org");
        assert_eq!(parsed.as_wire(), b"\x03a.b\x07exAmple\x03org\0");
        assert_eq!(parsed.to_string(), r"a\.b.exAmple.org.");
        assert_eq!(name(r"end\.").to_string(), r"end\..");
        assert_eq!(name(".").to_string(), ".");
    }

    #[test]
    fn bad_names_say_why() {
        assert_eq!("a..b".parse::<Name>(), Err(NameError::EmptyLabel));
        assert_eq!("".parse::<Name>(), Err(NameError::EmptyLabel));
        assert_eq!("x".repeat(64).parse::<Name>(), Err(NameError::LongLabel { octets: 64 }));
        let long = ["y".repeat(50).as_str(); 6].join(".");
        assert_eq!(long.parse::<Name>(), Err(NameError::TooLong { octets: 307 }));
        assert_eq!(r"a\25".parse::<Name>(), Err(NameError::BadEscape));
        assert_eq!(r"a\256".parse::<Name>(), Err(NameError::BadEscape));
    }

    #[test]
    fn within_goes_by_whole_labels() {
        assert!(name("a.example.org").is_within(&name("Example.ORG")));
        assert!(name("example.org").is_within(&name("example.org")));
        assert!(!name("badexample.org").is_within(&name("example.org")));
        assert!(name("example.org").is_within(&Name::root()));
    }

    /// RFC 4034 §6.1's own example.
    #[test]
    fn rfc4034_s6_1_canonical_order() {
        let sorted = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            r"\001.z.example",
            "*.z.example",
            r"\200.z.example",
        ];
        let mut names: Vec<_> = sorted.iter().rev().map(|text| name(text)).collect();
        names.sort();
        let text: Vec<_> = names.iter().map(Name::without_dot).collect();
        assert_eq!(text, sorted);
    }

    fn any_name() -> impl Strategy<Value = Name> {
        let label = proptest::collection::vec(any::<u8>(), 1..8);
        proptest::collection::vec(label, 0..6)
            .prop_map(|labels| Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap())
    }

    proptest! {
        #[test]
        fn every_name_survives_text_wire_and_key(name in any_name()) {
            prop_assert_eq!(&name.to_string().parse::<Name>().unwrap(), &name);
            prop_assert_eq!(&Name::from_wire(name.as_wire()).unwrap(), &name);
            prop_assert_eq!(&name.key().to_name(), &name);
        }

        #[test]
        fn a_key_is_a_prefix_of_exactly_the_keys_below(a in any_name(), b in any_name()) {
            let prefix = b.key().as_bytes().starts_with(a.key().as_bytes());
            prop_assert_eq!(prefix, b.is_within(&a));
        }
    }
}
