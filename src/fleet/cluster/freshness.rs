//! How fresh our view of a cluster is: signs of life in, [`Freshness`] out.

use super::{Cluster, Touched};
use crate::model::{Freshness, Kind, KindState, Moment};

impl Cluster {
    pub(super) fn heard(&mut self, kind: Kind, at: Moment) {
        self.refused = None;
        if let Some(watch) = self.kinds.get_mut(&kind) {
            watch.contact = Some(at);
        }
    }

    pub(super) fn watch_is(&mut self, kind: Kind, state: KindState, at: Moment) -> Vec<Touched> {
        let settled = self.is_settled();
        let Some(watch) = self.kinds.get_mut(&kind) else { return Vec::new() };
        if matches!(state, KindState::Denied(_) | KindState::Missing(_)) {
            watch.contact = Some(at);
        }
        // A failing watch keeps what it had listed: only a kind never seen goes on waiting.
        let keeps = matches!(state, KindState::Failing(_)) && watch.state == KindState::Watching;
        let changed = !keeps && watch.state != state;
        if changed {
            watch.state = state;
        }
        if self.is_listed() {
            self.restored = false;
        }
        let readiness = changed && kind == Kind::EndpointSlice;
        if readiness || settled != self.is_settled() { vec![Touched::Everything] } else { vec![] }
    }

    pub(super) fn refresh(&mut self, at: Moment) {
        self.freshness = self.freshness_at(at);
        self.stale_since = match self.freshness {
            Freshness::Fresh => None,
            Freshness::Stale | Freshness::Unreachable => self.stale_since.or(Some(at)),
        };
    }

    /// Whether its last word is as good as its state now.
    pub(in crate::fleet) fn is_fresh(&self, at: Moment) -> bool {
        self.freshness_at(at) == Freshness::Fresh
    }

    fn freshness_at(&self, at: Moment) -> Freshness {
        let contact = self.oldest_contact();
        let age = contact.map(|contact| at.mono.saturating_duration_since(contact.mono));
        Freshness::of(age, self.failed_probes)
    }

    pub(super) fn oldest_contact(&self) -> Option<Moment> {
        let contacts: Option<Vec<_>> = self.kinds.values().map(|watch| watch.contact).collect();
        contacts?.into_iter().min_by_key(|contact| contact.mono)
    }
}
