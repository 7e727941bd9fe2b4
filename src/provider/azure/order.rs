//! In which order a batch is carried out where every set is a call of its own: no value goes before
//! its successor is there, and whenever the process ends, what is left is covered by a mark.
//!
//! ```text
//! generation record
//! marks that come, or cover more
//! each name   values or types change   put, delete
//!             it has fewer types       put, delete, mark
//!             to or from CNAME         delete, mark, put: a CNAME is alone
//!             taken over               put (the old owner's marks), mark
//! marks of names that go
//! ```

use crate::{
    plan::{Action, Change, Permitted, RecordSet, SetKey, is_bookkeeping},
    records::RecordType,
};

/// One call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Call<'b> {
    /// It must not be there.
    Create(&'b RecordSet),
    /// The first must be there as it was read; the second takes its place.
    Replace(&'b RecordSet, &'b RecordSet),
    /// It must be there as it was read.
    Delete(&'b RecordSet),
}

impl Call<'_> {
    /// Of which set.
    pub(super) fn key(&self) -> &SetKey {
        match self {
            Self::Create(set) | Self::Replace(_, set) | Self::Delete(set) => &set.key,
        }
    }
}

/// All calls of a batch.
pub(super) fn calls(batch: &Permitted) -> Vec<Call<'_>> {
    let (old, new) = batch.epoch();
    let mut first = vec![old.map_or(Call::Create(new), |old| Call::Replace(old, new))];
    let (mut middle, mut last) = (Vec::new(), Vec::new());
    for mut own in batch.changes().iter().map(Sorted::of) {
        last.append(&mut own.marks_gone);
        let parts = match own.order() {
            Order::Swap => [own.gone, own.marks, own.replaced, own.created],
            Order::Fewer => [own.replaced, own.created, own.gone, own.marks],
            Order::Usual => {
                first.append(&mut own.marks);
                [own.replaced, own.created, own.gone, own.marks]
            }
        };
        middle.extend(parts.into_iter().flatten());
    }
    first.into_iter().chain(middle).chain(last).collect()
}

/// A change, its calls told apart.
#[derive(Default)]
struct Sorted<'b> {
    marks: Vec<Call<'b>>,
    marks_gone: Vec<Call<'b>>,
    replaced: Vec<Call<'b>>,
    created: Vec<Call<'b>>,
    gone: Vec<Call<'b>>,
    alias: bool,
    adopted: bool,
}

enum Order {
    Usual,
    Fewer,
    Swap,
}

impl<'b> Sorted<'b> {
    fn of(change: &'b Change) -> Self {
        let adopted = change.action == Action::Adopt;
        let mut own = Self { adopted, ..Self::default() };
        for new in &change.create {
            let old = change.delete.iter().find(|old| old.key == new.key);
            let call = old.map_or(Call::Create(new), |old| Call::Replace(old, new));
            match (is_bookkeeping(&new.key), old) {
                (true, _) => own.marks.push(call),
                (false, Some(_)) => own.replaced.push(call),
                (false, None) => own.created.push(call),
            }
            own.alias |= new.key.rtype == RecordType::CNAME;
        }
        for old in &change.delete {
            if change.create.iter().any(|new| new.key == old.key) {
                continue;
            }
            let mark = is_bookkeeping(&old.key);
            let place = if mark { &mut own.marks_gone } else { &mut own.gone };
            place.push(Call::Delete(old));
            own.alias |= old.key.rtype == RecordType::CNAME;
        }
        own
    }

    fn order(&self) -> Order {
        match (self.gone.is_empty(), self.created.is_empty()) {
            (false, false) if self.alias => Order::Swap,
            (false, true) => Order::Fewer,
            _ if self.adopted => Order::Fewer,
            _ => Order::Usual,
        }
    }
}
