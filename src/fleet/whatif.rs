//! What would be answered if clusters were otherwise: the same compilation, on a copy.

use super::{Fleet, Snapshot, UnitView, cluster::Touched, view::EndpointState};
use crate::{
    health::{Forced, Override},
    model::{ClusterName, Moment, Name},
};
use std::{fmt, str::FromStr, sync::Arc};

/// One thing that is supposed to be otherwise, as in `aws=down`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Supposed {
    /// Of which cluster.
    pub cluster: ClusterName,
    /// What.
    pub state: SupposedState,
}

/// See [`Supposed`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SupposedState {
    /// All its endpoints fail.
    Down,
    /// All its endpoints work.
    Up,
    /// It is drained.
    Drained,
    /// It has that weight, whatever its configuration or a policy says; 0 to 2²⁰.
    Weight(u32),
}

/// The largest weight.
const MAX_WEIGHT: u32 = 1 << 20;

impl FromStr for Supposed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || {
            format!(
                "{text:?}: expected CLUSTER=down, CLUSTER=up, CLUSTER=drained or CLUSTER=N, a weight \
                 from 0 to {MAX_WEIGHT}"
            )
        };
        let (cluster, word) = text.trim().split_once('=').ok_or_else(expected)?;
        let state = match word.trim() {
            "down" => SupposedState::Down,
            "up" => SupposedState::Up,
            "drained" | "drain" => SupposedState::Drained,
            weight => match weight.parse() {
                Ok(weight) if weight <= MAX_WEIGHT => SupposedState::Weight(weight),
                _ => return Err(expected()),
            },
        };
        Ok(Self { cluster: cluster.trim().into(), state })
    }
}

impl fmt::Display for Supposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            SupposedState::Down => write!(f, "{}=down", self.cluster),
            SupposedState::Up => write!(f, "{}=up", self.cluster),
            SupposedState::Drained => write!(f, "{}=drained", self.cluster),
            SupposedState::Weight(weight) => write!(f, "{}={weight}", self.cluster),
        }
    }
}

impl Fleet {
    /// The snapshot as it would be. Costs the compilation of what those clusters offer; a copy of
    /// the fleet is used up for it.
    ///
    /// # Errors
    /// Names a cluster that is not a member, and those that are.
    pub fn suppose(mut self, at: Moment, all: &[Supposed]) -> Result<Arc<Snapshot>, String> {
        for Supposed { cluster, state } in all {
            if !self.clusters.contains_key(cluster) {
                let members: Vec<_> = self.clusters.keys().map(ToString::to_string).collect();
                return Err(format!(
                    "there is no cluster {cluster}; members are {}",
                    members.join(", ")
                ));
            }
            self.suppose_one(at, cluster, *state);
        }
        Ok(self.snapshot(at))
    }

    fn suppose_one(&mut self, at: Moment, cluster: &ClusterName, state: SupposedState) {
        let word = |kind| Override {
            kind,
            reason: "supposed".to_owned(),
            by: None,
            since: at.wall,
            until: None,
        };
        match state {
            SupposedState::Down => self.force(cluster, Some(word(Forced::Down))),
            SupposedState::Up => self.force(cluster, Some(word(Forced::Up))),
            SupposedState::Drained => self.force(cluster, Some(word(Forced::Drain))),
            SupposedState::Weight(weight) => {
                if let Some(own) = self.clusters.get_mut(cluster) {
                    own.supposed_weight = Some(weight);
                }
                self.touch(cluster, vec![Touched::Everything]);
            }
        }
    }
}

/// The names that would be left without a healthy endpoint if that cluster took no clients: those
/// that are served by it alone.
#[must_use]
pub fn served_by_alone(snapshot: &Snapshot, cluster: &ClusterName) -> Vec<Name> {
    let alone = |unit: &&Arc<UnitView>| {
        let works = |state| matches!(state, EndpointState::Ready | EndpointState::Held);
        let mut working = unit.endpoints.iter().filter(|one| works(one.state)).peekable();
        working.peek().is_some() && working.all(|one| one.cluster == *cluster)
    };
    snapshot.units.values().filter(alone).map(|unit| unit.name.clone()).collect()
}
