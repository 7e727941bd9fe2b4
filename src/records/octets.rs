//! Names and keys as the octets they are, cut up without copying.

use crate::model::Name;
use smallvec::SmallVec;

/// A name's labels, leftmost first; of octets that are no name, those before the fault.
pub(super) fn labels(wire: &[u8]) -> SmallVec<[&[u8]; 12]> {
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
pub(super) fn suffix(labels: &[&[u8]], count: usize) -> Name {
    let start = labels.len().saturating_sub(count);
    Name::from_labels(labels[start..].iter().copied())
        .expect("the last labels of a valid name are a valid name")
}

/// The keys at and above `key`, down from the one of `apex` octets, as lengths of prefixes.
pub(super) fn prefixes(key: &[u8], apex: usize) -> SmallVec<[usize; 12]> {
    let ends = (apex..key.len()).filter(|at| key[*at] == 0).map(|at| at + 1);
    std::iter::once(apex).chain(ends).collect()
}

/// How many labels a key has.
pub(super) fn depth(key: &[u8]) -> usize {
    key.iter().filter(|byte| **byte == 0).count()
}

/// The key one label up; `None` for the root's.
pub(super) fn parent(key: &[u8]) -> Option<&[u8]> {
    let inner = &key[..key.len().checked_sub(1)?];
    Some(&key[..inner.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1)])
}

/// The uncompressed name that these octets begin with.
pub(super) fn name_prefix(octets: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while *octets.get(at)? != 0 {
        at += 1 + usize::from(octets[at]);
    }
    octets.get(..=at)
}

/// The key of the wildcard right below an encloser.
pub(super) fn wildcard_of(encloser: &[u8]) -> SmallVec<[u8; 80]> {
    let mut wildcard: SmallVec<[u8; 80]> = SmallVec::from_slice(encloser);
    wildcard.extend_from_slice(WILDCARD);
    wildcard
}

/// `*` as the last label of a key.
const WILDCARD: &[u8] = b"*\0";
