//! Whether a zone is as fresh as its clusters.

use super::{FederationState, Inventory};

impl FederationState {
    /// Whether what the zone holds is as old as the last word of its clusters: none of them is
    /// fresh, be it that they are out of reach, or that none was heard since a restart.
    pub(super) fn is_stale(&self, inventory: &Inventory<'_>) -> bool {
        let members = inventory.clusters.values().filter(|own| self.federation.has(&own.name));
        let mut fresh = members.map(|own| own.is_fresh(inventory.at)).peekable();
        fresh.peek().is_some() && !fresh.any(|own| own)
    }
}
