//! How much a process can answer: the one that takes another one's place waits until it can answer
//! what that one could.

use crate::{
    fleet::Snapshot,
    model::Name,
    records::{Completeness, Zone},
};

/// What there is to answer from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::controller) struct Standing {
    /// Whether every cluster was seen, and there is something to serve.
    pub(in crate::controller) ready: bool,
    /// How many zones are not answered from as they should be: something of them is not known yet
    /// (no copy of the primary's, say), or their signatures are still being made.
    pub(in crate::controller) lacking: usize,
}

impl Standing {
    /// Of a process that serves that, and signs the zones that are named.
    pub(in crate::controller) fn of<'z>(
        snapshot: &Snapshot,
        signed: impl IntoIterator<Item = &'z Name>,
    ) -> Self {
        let unsigned = signed.into_iter().filter_map(|zone| snapshot.served.get(zone));
        let unsigned = unsigned.filter(|zone| is_whole(zone) && zone.signed().is_none()).count();
        let partial = snapshot.served.iter().filter(|zone| !is_whole(zone)).count();
        Self { ready: snapshot.is_ready(), lacking: partial + unsigned }
    }

    /// Whether every cluster was seen where the other process has seen its own.
    pub(super) fn is_as_ready_as(self, other: Self) -> bool {
        self.ready || !other.ready
    }

    /// Whether no more zones lack something than do there: one whose primary has been out of reach
    /// for long keeps nobody from an upgrade.
    pub(super) fn is_as_whole_as(self, other: Self) -> bool {
        self.lacking <= other.lacking
    }
}

fn is_whole(zone: &Zone) -> bool {
    zone.completeness == Completeness::Complete
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{no_includes, parse_master};
    use std::sync::Arc;

    fn zone(apex: &str, completeness: Completeness) -> Arc<Zone> {
        let text = "$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS b.\n";
        let mut zone =
            parse_master(&apex.parse().unwrap(), "z", text, &mut no_includes).unwrap().zone;
        zone.completeness = completeness;
        Arc::new(zone)
    }

    fn lacking(zones: &[(&str, Completeness)], signed: &[&str]) -> usize {
        let mut snapshot = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        zones.iter().for_each(|(apex, own)| snapshot.served.put(zone(apex, *own)));
        let signed: Vec<Name> = signed.iter().map(|own| own.parse().unwrap()).collect();
        Standing::of(&snapshot, &signed).lacking
    }

    #[test]
    fn zones_that_are_not_known_whole_or_not_signed_yet_are_lacking_each_once() {
        use Completeness::{Complete, Partial, Pending};
        assert_eq!(lacking(&[("a.test", Complete), ("b.test", Complete)], &[]), 0);
        assert_eq!(lacking(&[("a.test", Complete), ("b.test", Partial)], &[]), 1);
        assert_eq!(lacking(&[("a.test", Pending), ("b.test", Partial)], &["a.test"]), 2);
        assert_eq!(lacking(&[("a.test", Complete), ("b.test", Complete)], &["a.test"]), 1);
        assert_eq!(lacking(&[("a.test", Complete)], &["elsewhere.test"]), 0);
    }

    #[test]
    fn nobody_has_to_be_better_than_the_one_before() {
        let [best, few, unseen] =
            [(true, 0), (true, 1), (false, 3)].map(|(ready, lacking)| Standing { ready, lacking });
        assert!(best.is_as_ready_as(few) && best.is_as_whole_as(few));
        assert!(few.is_as_ready_as(best) && !few.is_as_whole_as(best));
        assert!(!unseen.is_as_ready_as(best) && unseen.is_as_ready_as(unseen));
        assert!(few.is_as_whole_as(unseen));
    }
}
