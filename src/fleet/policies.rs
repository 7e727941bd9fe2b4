//! Which TrafficPolicy is in force for which service or host.

use super::{offers::Offer, view::Unit};
use crate::{
    model::ServiceKey,
    policy::{PolicyTarget, TrafficPolicy},
};
use std::{collections::BTreeMap, sync::Arc};

/// The policies, by what they are for and by name.
#[derive(Clone, Debug, Default)]
pub(in crate::fleet) struct Policies {
    by_key: BTreeMap<ServiceKey, Arc<TrafficPolicy>>,
    by_unit: BTreeMap<Unit, Vec<Arc<TrafficPolicy>>>,
}

/// What they are for follows from the policies themselves; comparing that too would take a policy
/// of many targets as often as it has targets, and the configuration is compared at every look.
impl PartialEq for Policies {
    fn eq(&self, other: &Self) -> bool {
        let same = |(own, other): (&Arc<TrafficPolicy>, &Arc<TrafficPolicy>)| {
            Arc::ptr_eq(own, other) || own == other
        };
        self.by_key.len() == other.by_key.len()
            && self.by_key.keys().eq(other.by_key.keys())
            && self.by_key.values().zip(other.by_key.values()).all(same)
    }
}

impl Policies {
    pub(in crate::fleet) fn new(all: &[Arc<TrafficPolicy>]) -> Self {
        let mut policies = Self::default();
        for policy in all {
            policies.by_key.insert(policy.key.clone(), policy.clone());
            for target in &policy.targets {
                let unit = match target {
                    PolicyTarget::Service(key) => Unit::Service(key.clone()),
                    PolicyTarget::Host(name) => Unit::Host(name.clone()),
                };
                policies.by_unit.entry(unit).or_default().push(policy.clone());
            }
        }
        policies
    }

    /// The policy of a service or host: the one that its objects name, else the one that names it.
    /// A host's policy comes from the namespace that owns the host (invariant I4).
    pub(in crate::fleet) fn of<'o>(
        &self,
        unit: &Unit,
        offers: &(impl Iterator<Item = &'o Offer> + Clone),
        problems: &mut Vec<String>,
    ) -> Option<Arc<TrafficPolicy>> {
        for offer in offers.clone() {
            let Some(name) = &offer.policy else { continue };
            let key = ServiceKey::new(offer.object.key.namespace.clone(), name.clone());
            match self.by_key.get(&key) {
                Some(policy) => return Some(policy.clone()),
                None => problems.push(format!(
                    "{} in {}: annotation meridian.dev/policy: there is no TrafficPolicy {key}; \
                     it is left out",
                    offer.object, offer.cluster
                )),
            }
        }
        let mut named = self.by_unit.get(unit)?.iter().filter(|policy| {
            offers.clone().any(|offer| offer.object.key.namespace == policy.key.namespace)
        });
        let first = named.next()?;
        for other in named {
            problems.push(format!(
                "{unit}: TrafficPolicy {} names it too; {} comes first by name and is in force",
                other.key, first.key
            ));
        }
        Some(first.clone())
    }
}
