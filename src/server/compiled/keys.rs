//! Which names concern one another: those above a name, and those whose signatures changed.

use crate::{model::Key, records::Zone};
use imbl::ordmap::DiffItem;
use smallvec::SmallVec;

/// The names whose signatures are others.
pub(super) fn signed_anew<'z>(before: &'z Zone, after: &'z Zone) -> impl Iterator<Item = &'z Key> {
    let signed = before.signed().zip(after.signed());
    let changes = signed.into_iter().flat_map(|(one, other)| one.names().diff(other.names()));
    changes.map(|change| match change {
        DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key,
        DiffItem::Update { new, .. } => new.0,
    })
}

/// How many labels.
pub(super) fn labels(key: &Key) -> usize {
    key.as_bytes().iter().filter(|byte| **byte == 0).count()
}

/// The name itself and all above it.
pub(super) fn above(key: &Key) -> impl Iterator<Item = Key> {
    let bytes = key.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at + 1);
    ends.map(|end| Key::from_bytes(&bytes[..end])).collect::<SmallVec<[Key; 8]>>().into_iter()
}
