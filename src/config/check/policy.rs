//! Checks a TrafficPolicy, and says what of it has no effect yet.

use super::{Checked, Findings, all_down, networks};
use crate::{
    config::spec::{OrderSpec, TargetKind, TrafficPolicySpec, WeightsSpec},
    model::{ServiceKey, Weight, parse_duration},
    policy::{PolicyTarget, TrafficPolicy},
};
use ipnet::IpNet;
use std::collections::BTreeSet;

pub(in crate::config) fn policy(
    key: ServiceKey,
    spec: &TrafficPolicySpec,
) -> Checked<TrafficPolicy> {
    let mut findings = Findings::default();
    let mut targets = Vec::new();
    for (at, target) in spec.targets.iter().enumerate() {
        let field = format!("spec.targets[{at}].name");
        targets.extend(match target.kind {
            TargetKind::Service => {
                let service = ServiceKey::new(key.namespace.clone(), target.name.as_str());
                Some(PolicyTarget::Service(service))
            }
            TargetKind::Host => findings.name(&field, &target.name).map(PolicyTarget::Host),
        });
    }
    if spec.targets.is_empty() {
        findings.error("spec.targets: expected at least one Service or Host".to_owned());
    }
    check_order(&mut findings, spec.order.as_ref());
    check_weights(&mut findings, spec.weights.as_ref());
    check_numbers(&mut findings, spec);
    warn_without_effect(&mut findings, spec);
    let policy = TrafficPolicy {
        key,
        targets,
        ttl: findings.ttl("spec.ttl", spec.ttl),
        all_down: all_down(&mut findings, spec.all_down.as_ref()),
    };
    findings.finish(Some(policy))
}

fn check_order(findings: &mut Findings, order: Option<&OrderSpec>) {
    let Some(order) = order else { return };
    let set = [order.geo.is_some(), order.proximity.is_some(), order.failover.is_some()];
    if set.iter().filter(|set| **set).count() != 1 {
        findings
            .error("spec.order: expected exactly one of geo, proximity and failover".to_owned());
    }
    if order.failover.as_ref().is_some_and(Vec::is_empty) {
        findings.error("spec.order.failover: expected at least one cluster".to_owned());
    }
    let Some(geo) = &order.geo else { return };
    if geo.map.is_empty() {
        findings.error("spec.order.geo.map: is empty; expected at least one row".to_owned());
    }
    let mut seen: BTreeSet<IpNet> = BTreeSet::new();
    for (at, row) in geo.map.iter().enumerate() {
        if row.clusters.is_empty() {
            findings.error(format!("spec.order.geo.map[{at}].clusters: expected at least one"));
        }
        for net in networks(findings, &format!("spec.order.geo.map[{at}].networks"), &row.networks)
        {
            if !seen.insert(net.trunc()) {
                findings
                    .error(format!("spec.order.geo.map[{at}].networks: {net} stands in two rows"));
            }
        }
    }
}

fn check_weights(findings: &mut Findings, weights: Option<&WeightsSpec>) {
    let Some(WeightsSpec::Fixed(weights)) = weights else { return };
    for (cluster, weight) in weights {
        let field = format!("spec.weights.{cluster}");
        findings.take(&field, &weight.to_string(), "from 0 to 1048576", Weight::new(*weight));
    }
}

fn check_numbers(findings: &mut Findings, spec: &TrafficPolicySpec) {
    if let Some(limit) = spec.limit.filter(|limit| !(1..=64).contains(limit)) {
        findings.error(format!("spec.limit: {limit} is not from 1 to 64"));
    }
    if let Some(spill) = spec.spill.filter(|spill| !(1.0..=100.0).contains(spill)) {
        findings.error(format!("spec.spill: {spill} is not from 1 to 100"));
    }
    let Some(health) = &spec.health else { return };
    for (field, text) in [("interval", &health.interval), ("timeout", &health.timeout)] {
        let Some(text) = text else { continue };
        let field = format!("spec.health.{field}");
        findings.take(&field, text, "a duration such as 10s", parse_duration(text));
    }
}

fn warn_without_effect(findings: &mut Findings, spec: &TrafficPolicySpec) {
    let fields = [
        (spec.order.is_some(), "order"),
        (spec.fence.is_some(), "fence"),
        (spec.weights.is_some(), "weights"),
        (spec.pick.is_some(), "pick"),
        (spec.limit.is_some(), "limit"),
        (spec.spill.is_some(), "spill"),
        (spec.health.is_some(), "health"),
    ];
    let set: Vec<_> = fields.iter().filter(|(set, _)| *set).map(|(_, field)| *field).collect();
    if !set.is_empty() {
        findings.warnings.push(format!(
            "spec.{}: accepted, but without effect in this version, which answers every client \
             alike; ttl and allDown are in force",
            set.join(", spec.")
        ));
    }
}
