//! What is checked, for whom, and what verdicts touch: the tracker's side of the fleet.

use super::{Fleet, Touched, Unit, federation::FederationState, snapshot::Snapshot};
use crate::{
    geo::Database,
    health::{Outcome, Override, Report, Target},
    model::{ClusterName, FederationName, Moment},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// All targets, each with whom it is checked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Checking {
    users: BTreeMap<Target, BTreeSet<(FederationName, Unit)>>,
    targets: BTreeMap<(FederationName, Unit), BTreeSet<Target>>,
}

impl Checking {
    /// Replaces what one unit needs checked; whether a target came or went.
    fn put(&mut self, id: &(FederationName, Unit), targets: BTreeSet<Target>) -> bool {
        let before = self.targets.remove(id).unwrap_or_default();
        let mut changed = false;
        for gone in before.difference(&targets) {
            let Some(users) = self.users.get_mut(gone) else { continue };
            users.remove(id);
            if users.is_empty() {
                self.users.remove(gone);
                changed = true;
            }
        }
        for new in targets.difference(&before) {
            changed |= !self.users.contains_key(new);
            self.users.entry(new.clone()).or_default().insert(id.clone());
        }
        if !targets.is_empty() {
            self.targets.insert(id.clone(), targets);
        }
        changed
    }
}

impl Fleet {
    /// What this process finds itself, for other vantage points.
    #[must_use]
    pub fn report(&self, at: Moment) -> Report {
        self.tracker.report(at)
    }

    pub(super) fn check(&mut self, at: Moment, outcome: &Outcome) {
        if self.tracker.observe(at, outcome) {
            self.touch_target(&outcome.target);
        }
    }

    pub(super) fn hear(&mut self, at: Moment, vantage: &str, report: &Report) {
        match self.tracker.hear(at, vantage, report) {
            Ok(touched) => {
                touched.iter().for_each(|target| self.touch_target(target));
                self.zones_due |= self.deaf.remove(vantage).is_some();
            }
            Err(problem) => {
                let problem = problem.to_string();
                self.zones_due |= self.deaf.insert(vantage.to_owned(), problem).is_none();
            }
        }
    }

    pub(super) fn tick_checks(&mut self, at: Moment) {
        for target in self.tracker.tick(at) {
            self.touch_target(&target);
        }
        let ended = self.forced.iter().filter(|(_, word)| word.expired(at.wall));
        let ended: Vec<ClusterName> = ended.map(|(cluster, _)| cluster.clone()).collect();
        ended.iter().for_each(|cluster| self.force(cluster, None));
    }

    pub(super) fn locate(&mut self, database: Arc<Database>) {
        self.workshop.get_mut().relocate(database);
        self.federations.values_mut().for_each(FederationState::touch_all);
    }

    /// Takes up an operator's word on a cluster, or forgets it.
    pub(super) fn force(&mut self, cluster: &ClusterName, word: Option<Override>) {
        match &word {
            Some(word) => self.forced.insert(cluster.clone(), word.clone()),
            None => self.forced.remove(cluster),
        };
        if let Some(state) = self.clusters.get_mut(cluster) {
            state.forced = word;
            self.views_due.insert(cluster.clone());
            self.touch(cluster, vec![Touched::Everything]);
        }
    }

    /// Takes over what the last compilation wants checked; whether that changed.
    pub(super) fn retarget(&mut self, at: Moment, next: &mut Snapshot) -> bool {
        let gone = self.checking.targets.keys();
        let gone = gone.filter(|(name, _)| !self.federations.contains_key(name));
        let mut due: Vec<_> = gone.map(|id| (id.clone(), BTreeSet::new())).collect();
        for (name, state) in &mut self.federations {
            for unit in std::mem::take(&mut state.retargeted) {
                let targets = state.targets.get(&unit).cloned().unwrap_or_default();
                due.push(((name.clone(), unit), targets));
            }
        }
        let mut changed = false;
        for (id, targets) in due {
            changed |= self.checking.put(&id, targets);
        }
        if changed {
            let targets: BTreeSet<Target> = self.checking.users.keys().cloned().collect();
            self.tracker.want(at, &targets);
            next.targets = Arc::new(targets);
        }
        changed
    }

    fn touch_target(&mut self, target: &Target) {
        for (federation, unit) in self.checking.users.get(target).into_iter().flatten() {
            if let Some(state) = self.federations.get_mut(federation) {
                state.touch(unit.clone());
            }
        }
    }
}
