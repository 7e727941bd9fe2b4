//! What operators order, carried out: each word is checked against what is served now.

use super::{Controller, now, writers::Freeze};
use crate::{
    fleet::{Event, served_by_alone},
    health::{Forced, Override},
    model::ClusterName,
    plan::Approval,
    web::{Forcing, Order, ProviderOrder},
};
use std::time::Duration;

impl Controller {
    pub(super) fn carry_out(&mut self, order: Order) {
        // Whoever asked may have gone; the order stands all the same.
        match order {
            Order::Force { cluster, forcing, lasting, reply } => {
                drop(reply.send(self.force(&cluster, forcing, lasting)));
            }
            Order::Report { reply } => drop(reply.send(Ok(self.fleet.report(now())))),
            Order::Release { cluster, reply } => drop(reply.send(self.release(&cluster))),
            Order::Provider(order) => self.about_providers(order),
            Order::Dnssec(order) => {
                self.signing.carry_out(order);
                self.publish();
            }
            Order::Suppose { all, reply } => {
                // Beside the fleet's own work: compiling a large one takes half a second.
                let (copy, at) = (self.fleet.clone(), now());
                tokio::task::spawn_blocking(move || drop(reply.send(copy.suppose(at, &all))));
            }
        }
    }

    fn about_providers(&mut self, order: ProviderOrder) {
        let writers = &mut self.writers;
        match order {
            ProviderOrder::Plans { zone, reply } => drop(reply.send(writers.plans(zone.as_ref()))),
            ProviderOrder::Approve { zone, ceiling, by, lasting, reply } => {
                let approval = Approval { ceiling, by, until: now().after(lasting).wall };
                drop(reply.send(writers.approve(zone.as_ref(), &approval)));
            }
            ProviderOrder::TakeOver { zone, instance, reply } => {
                drop(reply.send(writers.take_over(zone.as_ref(), &instance)));
            }
            ProviderOrder::Adopt { zone, adoption, go, reply } => {
                drop(reply.send(writers.adopt(zone.as_ref(), &adoption, go)));
            }
            ProviderOrder::Freeze { freeze, reply } => {
                let since = now().wall;
                let freeze = freeze.map(|own| Freeze { reason: own.reason, by: own.by, since });
                drop(reply.send(writers.freeze(freeze)));
                let text = writers.frozen();
                tracing::warn!("{}", text.as_deref().unwrap_or("writes to providers go on"));
            }
            ProviderOrder::History { name, most, reply } => {
                drop(reply.send(Ok(writers.history(name.as_ref(), most))));
            }
        }
    }

    fn force(
        &mut self,
        cluster: &ClusterName,
        forcing: Forcing,
        lasting: Option<Duration>,
    ) -> Result<Override, String> {
        self.is_member(cluster)?;
        if forcing.kind != Forced::Up && !forcing.anyway {
            self.leaves_targets(cluster)?;
        }
        let since = now().wall;
        let until = lasting.map(|lasting| since.checked_add(lasting));
        let until = until.transpose().map_err(|_| "that is too long a time".to_owned())?;
        let Forcing { kind, reason, by, .. } = forcing;
        let word = Override { kind, reason, by, since, until };
        tracing::warn!("cluster {cluster}: {word}");
        self.fleet.apply(now(), Event::Forced(cluster.clone(), Some(word.clone())));
        self.publish();
        self.save();
        Ok(word)
    }

    fn release(&mut self, cluster: &ClusterName) -> Result<Override, String> {
        self.is_member(cluster)?;
        let snapshot = self.published.load();
        let word = snapshot.clusters.get(cluster).and_then(|view| view.forced.clone());
        let word = word.ok_or_else(|| {
            let drained = snapshot.clusters.get(cluster).is_some_and(|view| view.drain.is_some());
            match drained {
                true => format!("cluster {cluster} is drained by its MemberCluster's spec.drain"),
                false => format!("cluster {cluster} is neither drained nor forced"),
            }
        })?;
        tracing::warn!("cluster {cluster}: no longer {word}");
        self.fleet.apply(now(), Event::Forced(cluster.clone(), None));
        self.publish();
        self.save();
        Ok(word)
    }

    fn is_member(&self, cluster: &ClusterName) -> Result<(), String> {
        let snapshot = self.published.load();
        if snapshot.clusters.contains_key(cluster) {
            return Ok(());
        }
        let members: Vec<_> = snapshot.clusters.keys().map(ToString::to_string).collect();
        Err(format!("there is no cluster {cluster}; members are {}", members.join(", ")))
    }

    /// A drain or an outage on purpose must not take a name's last healthy endpoints.
    fn leaves_targets(&self, cluster: &ClusterName) -> Result<(), String> {
        let names = served_by_alone(&self.published.load(), cluster);
        if names.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = names.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = names.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Err(format!(
            "cluster {cluster} alone is healthy for {}{more}; nothing was changed. Bring another \
             cluster up first, or say --force: they would then be answered as a last resort",
            shown.join(", ")
        ))
    }
}

/// Names that a refusal lists.
const SHOWN: usize = 5;
