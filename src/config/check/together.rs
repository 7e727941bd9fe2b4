//! Checks what concerns several objects at once.

use super::policy::named_clusters;
use crate::{
    config::{Config, Loaded, Problem, head::did_you_mean},
    model::{ClusterName, Name, ServiceKey},
    policy::{PolicyTarget, TrafficPolicy},
    records::{RecordType, Zone},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Where an object stands: kind, namespace and name in, its file out.
type FileOf<'f> = &'f dyn Fn(&str, &str, &str) -> String;

/// What came of the policies, which may be tens of thousands, when they were looked at last.
#[derive(Debug, Default)]
pub(in crate::config) struct Judged {
    written: Policies,
    members: BTreeSet<ClusterName>,
    in_force: Policies,
    slips: Vec<Problem>,
}

type Policies = BTreeMap<ServiceKey, Arc<TrafficPolicy>>;

impl Judged {
    /// Whether it is of that configuration. A policy whose file has another text is another one.
    fn is_of(&self, config: &Config) -> bool {
        let all = self.written.values().zip(config.policies.values());
        self.written.len() == config.policies.len()
            && self.members.iter().eq(config.members.keys())
            && all.into_iter().all(|(one, other)| Arc::ptr_eq(one, other))
    }

    fn of(config: &Config, file: FileOf<'_>) -> Self {
        let mut in_force = config.policies.clone();
        let mut slips = policies(config, file);
        slips.extend(one_policy_per_target(&mut in_force, file));
        let (written, members) =
            (config.policies.clone(), config.members.keys().cloned().collect());
        Self { written, members, in_force, slips }
    }
}

/// Checks them, and takes out of the configuration what only one of them can have.
///
/// `strict` makes an error of what a running process passes over.
pub(in crate::config) fn together(
    loaded: &mut Loaded,
    judged: &mut Judged,
    strict: bool,
    file: FileOf<'_>,
) {
    federations(loaded, file);
    if !judged.is_of(&loaded.config) {
        *judged = Judged::of(&loaded.config, file);
    }
    loaded.config.policies = judged.in_force.clone();
    let slips = judged.slips.iter().cloned();
    if strict { &mut loaded.errors } else { &mut loaded.warnings }.extend(slips);
    loaded.warnings.extend(nested_zones(&loaded.config, file));
    if !loaded.config.federations.is_empty() && loaded.config.members.is_empty() {
        loaded.warnings.push(Problem {
            file: String::new(),
            object: String::new(),
            text: "there is no MemberCluster, so no federation will have any service".to_owned(),
        });
    }
}

fn federations(loaded: &mut Loaded, file: FileOf<'_>) {
    for (name, own) in &loaded.config.federations {
        for cluster in own.federation.clusters.iter().flatten() {
            if let Some(unknown) = unknown(&loaded.config, cluster) {
                loaded.errors.push(Problem {
                    file: file("Federation", "", &name.0),
                    object: format!("Federation {name}"),
                    text: format!("spec.clusters: {unknown}; it is left out"),
                });
            }
        }
    }
}

/// Clusters may also come from elsewhere where the directory has none.
fn policies(config: &Config, file: FileOf<'_>) -> Vec<Problem> {
    if config.members.is_empty() {
        return Vec::new();
    }
    let of = |(key, policy): (&ServiceKey, &Arc<TrafficPolicy>)| {
        let mut slips = Vec::new();
        for (field, clusters) in named_clusters(policy) {
            let unknown = clusters.into_iter().filter_map(|cluster| unknown(config, cluster));
            slips.extend(unknown.map(|unknown| {
                about_policy(key, format!("{field}: {unknown}; it is ignored"), file)
            }));
        }
        slips
    };
    config.policies.iter().flat_map(of).collect()
}

fn unknown(config: &Config, cluster: &ClusterName) -> Option<String> {
    let names = config.members.keys().map(|name| &*name.0);
    (!config.members.contains_key(cluster)).then(|| {
        format!("there is no MemberCluster {:?}{}", cluster.0, did_you_mean(&cluster.0, names))
    })
}

/// Of several policies for one target, the first by name counts; the others lose the target.
fn one_policy_per_target(all: &mut Policies, file: FileOf<'_>) -> Vec<Problem> {
    let (mut owners, mut slips) = (BTreeMap::<PolicyTarget, ServiceKey>::new(), Vec::new());
    for (key, policy) in all {
        let mut lost = BTreeSet::new();
        for (at, target) in policy.targets.iter().enumerate() {
            let Some(first) = owners.get(target) else {
                owners.insert(target.clone(), key.clone());
                continue;
            };
            let text = format!(
                "spec.targets: {target} is a target of TrafficPolicy {first} (in {}) too, which \
                 counts for it; expected one policy for each target",
                file_of(first, file)
            );
            slips.push(about_policy(key, text, file));
            lost.insert(at);
        }
        // As it was written it is remembered with its file.
        if !lost.is_empty() {
            let mut at = 0..;
            let stays = |_: &PolicyTarget| at.next().is_some_and(|at| !lost.contains(&at));
            Arc::make_mut(policy).targets.retain(stays);
        }
    }
    slips
}

fn about_policy(key: &ServiceKey, text: String, file: FileOf<'_>) -> Problem {
    Problem { file: file_of(key, file), object: format!("TrafficPolicy {key}"), text }
}

fn file_of(key: &ServiceKey, file: FileOf<'_>) -> String {
    file("TrafficPolicy", &key.namespace, &key.name)
}

// === Zones within zones ===

/// A zone inside another one of ours that does not delegate it: we answer for both, so it works
/// here, but nobody who asks elsewhere is led to it (RFC 1034 §4.2.1).
fn nested_zones(config: &Config, file: FileOf<'_>) -> Vec<Problem> {
    let zones = zones(config);
    let nested = |(apex, (kind, name, _)): (&&Name, &Owned<'_>)| {
        let (outer, (outer_kind, outer_name, zone)) = enclosing(apex, &zones)?;
        let delegated =
            zone.node(apex.key().as_bytes()).is_some_and(|own| own.get(RecordType::NS).is_some());
        let spec = if *kind == "Federation" { "spec.zone: " } else { "" };
        (!delegated).then(|| Problem {
            file: file(kind, "", name),
            object: format!("{kind} {name}"),
            text: format!(
                "{spec}{apex} lies inside {outer}, the zone of {outer_kind} {outer_name}, which \
                 does not delegate it; expected NS records for {apex} in the master file of {outer}"
            ),
        })
    };
    zones.iter().filter_map(nested).collect()
}

/// Kind and name of the object that a zone belongs to, and its static part.
type Owned<'c> = (&'static str, String, &'c Zone);

fn zones(config: &Config) -> BTreeMap<&Name, Owned<'_>> {
    let federations = config.federations.iter().map(|(name, own)| {
        (&own.federation.zone, ("Federation", name.0.to_string(), own.base.as_ref()))
    });
    let plain =
        config.zones.iter().map(|(apex, zone)| (apex, ("Zone", apex.without_dot(), zone.as_ref())));
    plain.chain(federations).collect()
}

fn enclosing<'z, 'c>(
    apex: &Name,
    zones: &'z BTreeMap<&'c Name, Owned<'c>>,
) -> Option<(&'c Name, &'z Owned<'c>)> {
    let above = std::iter::successors(apex.parent(), Name::parent);
    above.filter_map(|name| zones.get_key_value(&name)).next().map(|(name, own)| (*name, own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Loader,
        tests::{FEDERATION, MEMBER, federation, one_error, place, zones},
    };

    #[test]
    fn a_zone_inside_another_is_warned_of_unless_it_is_delegated() {
        let inner = federation("inner", "{zone: in.demo.example.org}");
        let mut place = place(&[("a.yaml", FEDERATION), ("b.yaml", &inner), ("aws.yaml", MEMBER)]);
        let warned = |loaded: &Loaded| {
            let texts = loaded.warnings.iter().map(ToString::to_string);
            texts.filter(|text| text.contains("lies inside demo")).collect::<Vec<_>>()
        };
        let loaded = place.loader.load();
        assert_eq!(
            warned(&loaded),
            ["b.yaml: Federation inner: spec.zone: in.demo.example.org. lies inside \
             demo.example.org., the zone of Federation magicring, which does not delegate it; \
             expected NS records for in.demo.example.org. in the master file of demo.example.org.",]
        );
        assert_eq!(zones(&loaded).len(), 2);
        let with = "{zone: demo.example.org, masterFile: static.zone}";
        place.write("static.zone", "in 60 NS ns.example.net.\n");
        place.write("a.yaml", &federation("magicring", with));
        let loaded = place.loader.load();
        assert_eq!((loaded.errors.len(), warned(&loaded).len()), (0, 0));
    }

    const POLICY: &str = "apiVersion: meridian.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: \
                          p, namespace: shop}\nspec: {targets: [{kind: Service, name: web}], order: \
                          {failover: [asw]}}\n";

    /// The same files before they are used, and in a running process.
    fn both_ways(files: &[(&str, &str)]) -> (Loaded, Loaded) {
        let mut place = place(files);
        let strict = Loader::strict(place.directory.path().to_owned()).load();
        (strict, place.loader.load())
    }

    #[test]
    fn a_policys_unknown_cluster_is_an_error_to_check_and_a_warning_to_run() {
        let (checked, running) = both_ways(&[("p.yaml", POLICY), ("aws.yaml", MEMBER)]);
        one_error(
            &checked,
            &[
                "p.yaml: TrafficPolicy shop/p: spec.order.failover: there is no MemberCluster \"asw\"; \
             did you mean \"aws\"?; it is ignored",
            ],
        );
        assert_eq!((checked.warnings.len(), running.errors.len()), (0, 0));
        assert_eq!(running.warnings, checked.errors);
        assert_eq!(running.config.policies.len(), 1);
        // Clusters may come from elsewhere where the directory has none.
        let (checked, running) = both_ways(&[("p.yaml", POLICY)]);
        assert_eq!((checked.errors, running.warnings), (vec![], vec![]));
    }

    #[test]
    fn of_two_policies_for_one_target_the_first_by_name_counts() {
        let first = POLICY.replace("name: p", "name: a").replace("spec: {", "spec: {ttl: 7, ");
        let files = [("p.yaml", POLICY), ("z.yaml", &first)];
        let (checked, running) = both_ways(&files);
        one_error(
            &checked,
            &["p.yaml: TrafficPolicy shop/p: spec.targets: service shop/web is a target of \
             TrafficPolicy shop/a (in z.yaml) too, which counts for it"],
        );
        assert_eq!((&running.warnings, running.errors.len()), (&checked.errors, 0));
        let fleet = running.config.fleet(&[]);
        let with: Vec<_> = fleet.policies.iter().filter(|own| !own.targets.is_empty()).collect();
        assert_eq!(with.len(), 1);
        assert_eq!(with[0].ttl.map(crate::model::Ttl::as_secs), Some(7));
    }
}
