//! The prober's side of the controller: what it is to check, and what it may.

use super::{Probing, now};
use crate::{
    health::{Outcome, Target},
    model::AddressRules,
    probe::{self, Guard, Wanted},
};
use ipnet::IpNet;
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A prober at work.
#[derive(Debug)]
pub(super) struct Checks {
    wanted: watch::Sender<Wanted>,
    stats: Arc<probe::Stats>,
    /// As the operator allows, before what the federations allow.
    guard: Guard,
}

impl Checks {
    pub(super) fn start(
        probing: &Probing,
        listeners: Vec<SocketAddr>,
        outcomes: mpsc::Sender<Outcome>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        let loopback = |net: &&IpNet| net.addr().is_loopback();
        let guard = Guard {
            allowed: probing.allow.clone(),
            listeners,
            allow_loopback: probing.allow.iter().any(|net| loopback(&net)),
            ..Guard::default()
        };
        let wanted = Wanted { targets: Arc::default(), guard: guard.clone() };
        let (wanted, receiver) = watch::channel(wanted);
        let stats = Arc::new(probe::Stats::default());
        let settings = probe::Settings { seed: fastrand::u64(..), ..probe::Settings::new(now) };
        let (stats_of, shutdown) = (stats.clone(), shutdown.clone());
        tasks.spawn(probe::run(settings, receiver, outcomes, stats_of, shutdown));
        Self { wanted, stats, guard }
    }

    pub(super) fn stats(&self) -> Arc<probe::Stats> {
        self.stats.clone()
    }

    /// Has exactly these checked from now on.
    pub(super) fn want(&self, targets: &Arc<BTreeSet<Target>>) {
        self.wanted.send_if_modified(|wanted| {
            let changed = !Arc::ptr_eq(&wanted.targets, targets);
            wanted.targets = targets.clone();
            changed
        });
    }

    /// Private ranges that a federation publishes may be checked too: who writes a Federation
    /// runs the clusters.
    pub(super) fn allow<'r>(&self, rules: impl Iterator<Item = &'r AddressRules>) {
        let mut guard = self.guard.clone();
        guard.allowed.extend(rules.flat_map(|own| own.allow.iter().copied()));
        self.wanted.send_if_modified(|wanted| {
            let changed = wanted.guard != guard;
            wanted.guard = guard;
            changed
        });
    }
}
