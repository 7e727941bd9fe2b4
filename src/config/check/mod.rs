//! From what was written to what is in force: each field read once, every error of an object said.

mod federation;
mod member;
mod policy;
mod probe;

pub(super) use federation::federation;
pub(super) use member::member;
pub(super) use policy::policy;

use super::{
    Config, FederationConfig, Loaded, MemberConfig, Problem,
    load::did_you_mean,
    spec::{AllDownPolicy, AllDownSpec, FederationSpec},
};
use crate::{
    model::{Address, AllDown, ClusterName, FederationName, Member, Name, ServiceKey, Ttl},
    policy::PolicyTarget,
    source::Access,
};
use ipnet::IpNet;
use policy::named_clusters;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// An object, or everything that is wrong with it.
pub(in crate::config) struct Checked<T> {
    pub(in crate::config) object: Result<T, Vec<String>>,
    pub(in crate::config) warnings: Vec<String>,
}

impl<T> Checked<T> {
    pub(in crate::config) fn refused(problem: String) -> Self {
        Self { object: Err(vec![problem]), warnings: Vec::new() }
    }

    pub(in crate::config) fn map<U>(self, change: impl FnOnce(T) -> U) -> Checked<U> {
        Checked { object: self.object.map(change), warnings: self.warnings }
    }
}

/// Collects what is wrong while going through the fields.
#[derive(Default)]
struct Findings {
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    fn error(&mut self, text: String) {
        self.errors.push(text);
    }

    /// The value, or an error that names field, value and what was expected.
    fn take<T>(&mut self, field: &str, value: &str, expected: &str, read: Option<T>) -> Option<T> {
        if read.is_none() {
            self.error(format!("{field}: {value:?} is not {expected}"));
        }
        read
    }

    fn name(&mut self, field: &str, text: &str) -> Option<Name> {
        match text.to_lowercase().parse::<Name>() {
            Ok(name) => Some(name),
            Err(error) => {
                self.error(format!("{field}: {text:?} is not a domain name: {error}"));
                None
            }
        }
    }

    fn ttl(&mut self, field: &str, seconds: Option<u32>) -> Option<Ttl> {
        let seconds = seconds?;
        let read = (1..=Ttl::MAX.as_secs()).contains(&seconds).then(|| Ttl::from_secs(seconds));
        self.take(field, &seconds.to_string(), "a TTL from 1 to 2147483647 seconds", read)
    }

    fn finish<T>(self, object: Option<T>) -> Checked<T> {
        let object = object.filter(|_| self.errors.is_empty()).ok_or(self.errors);
        Checked { object, warnings: self.warnings }
    }
}

fn all_down(findings: &mut Findings, spec: Option<&AllDownSpec>) -> Option<AllDown> {
    let spec = spec?;
    Some(match spec.policy {
        AllDownPolicy::LastKnown => AllDown::LastKnown,
        AllDownPolicy::AllConfigured => AllDown::AllConfigured,
        AllDownPolicy::NoData => AllDown::NoData,
        AllDownPolicy::Fallback => {
            if spec.targets.is_empty() {
                findings.error("spec.allDown.targets: fallback needs at least one".to_owned());
            }
            let mut targets: Vec<Address> = Vec::new();
            for text in &spec.targets {
                let expected = "an IP address or a host name";
                targets.extend(findings.take(
                    "spec.allDown.targets",
                    text,
                    expected,
                    text.parse().ok(),
                ));
            }
            AllDown::Fallback(targets)
        }
    })
}

fn networks(findings: &mut Findings, field: &str, texts: &[String]) -> Vec<IpNet> {
    let expected = "a network such as 192.0.2.0/24";
    texts
        .iter()
        .filter_map(|text| findings.take(field, text, expected, text.parse().ok()))
        .collect()
}

// === Several objects ===

/// What concerns several objects at once; `file` finds where one stands.
pub(super) fn together(
    loaded: &mut Loaded,
    in_force: &BTreeMap<FederationName, FederationConfig>,
    file: &dyn Fn(&str, &str) -> String,
) {
    one_owner_per_zone(loaded, in_force, file);
    zones_within_zones(loaded, file);
    let names: Vec<String> = loaded.config.members.keys().map(ToString::to_string).collect();
    for (name, own) in &loaded.config.federations {
        for cluster in own.federation.clusters.iter().flatten() {
            if !loaded.config.members.contains_key(cluster) {
                loaded.errors.push(Problem {
                    file: file("Federation", &name.0),
                    object: format!("Federation {name}"),
                    text: format!(
                        "spec.clusters: there is no MemberCluster {:?}{}; it is left out",
                        cluster.0,
                        did_you_mean(&cluster.0, names.iter().map(String::as_str))
                    ),
                });
            }
        }
    }
    known_clusters(loaded, file, &names);
    one_policy_per_target(loaded, file);
    if !loaded.config.federations.is_empty() && names.is_empty() {
        loaded.warnings.push(Problem {
            file: String::new(),
            object: String::new(),
            text: "there is no MemberCluster, so no federation will have any service".to_owned(),
        });
    }
}

/// Policies name clusters of this directory; others they name are left out of every decision.
fn known_clusters(loaded: &mut Loaded, file: &dyn Fn(&str, &str) -> String, names: &[String]) {
    let known = |cluster: &ClusterName| loaded.config.members.contains_key(cluster);
    let mut errors = Vec::new();
    for policy in loaded.config.policies.values().filter(|_| !names.is_empty()) {
        for (field, cluster) in named_clusters(policy).into_iter().filter(|own| !known(&own.1)) {
            errors.push(Problem {
                file: file("TrafficPolicy", &policy.key.to_string()),
                object: format!("TrafficPolicy {}", policy.key),
                text: format!(
                    "{field}: there is no MemberCluster {:?}{}; it is left out, the rest of the \
                     policy is in force",
                    cluster.0,
                    did_you_mean(&cluster.0, names.iter().map(String::as_str))
                ),
            });
        }
    }
    loaded.errors.append(&mut errors);
}

/// Of several policies for one Service or host, the first by name is in force there.
fn one_policy_per_target(loaded: &mut Loaded, file: &dyn Fn(&str, &str) -> String) {
    let mut owners: BTreeMap<&PolicyTarget, &ServiceKey> = BTreeMap::new();
    let mut errors = Vec::new();
    for policy in loaded.config.policies.values() {
        for target in &policy.targets {
            let Some(first) = owners.get(target).filter(|first| **first != &policy.key) else {
                owners.insert(target, &policy.key);
                continue;
            };
            errors.push(Problem {
                file: file("TrafficPolicy", &policy.key.to_string()),
                object: format!("TrafficPolicy {}", policy.key),
                text: format!(
                    "spec.targets: {target} has TrafficPolicy {first} already, which is in force \
                     there; expected one policy for each"
                ),
            });
        }
    }
    loaded.errors.append(&mut errors);
}

/// Of several that claim one zone, the one that had it keeps it, else the first by name has it.
/// One that loses goes on with the zone it had.
fn one_owner_per_zone(
    loaded: &mut Loaded,
    in_force: &BTreeMap<FederationName, FederationConfig>,
    file: &dyn Fn(&str, &str) -> String,
) {
    let had = |name: &FederationName, zone: &Name| {
        in_force.get(name).is_some_and(|own| own.federation.zone == *zone)
    };
    let mut owners: Vec<(Name, FederationName)> = Vec::new();
    let mut refused = Vec::new();
    let all = &loaded.config.federations;
    let zone_of = |name: &FederationName| all.get(name).map(|own| own.federation.zone.clone());
    let before = all.iter().filter(|(name, own)| had(name, &own.federation.zone));
    let after = all.iter().filter(|(name, own)| !had(name, &own.federation.zone));
    for (name, own) in before.chain(after) {
        let zone = &own.federation.zone;
        match owners.iter().find(|(owned, _)| owned == zone) {
            None => owners.push((zone.clone(), name.clone())),
            Some((_, first)) => {
                let last = in_force.get(name).filter(|last| {
                    let zone = &last.federation.zone;
                    !all.keys().any(|other| zone_of(other).as_ref() == Some(zone))
                });
                let stays = match last {
                    Some(_) => "its last good version stays in force",
                    None => "this one is not in force",
                };
                refused.push((name.clone(), last.cloned(), format!(
                    "spec.zone: {zone} is claimed by Federation {first} too, which has it; {stays}"
                )));
            }
        }
    }
    for (name, last, text) in refused {
        loaded.config.federations.remove(&name);
        if let Some(last) = last {
            owners.push((last.federation.zone.clone(), name.clone()));
            loaded.config.federations.insert(name.clone(), last);
        }
        let (file, object) = (file("Federation", &name.0), format!("Federation {name}"));
        loaded.errors.push(Problem { file, object, text });
    }
    for (zone, federation) in owners {
        if loaded.config.zones.remove(&zone).is_some() {
            let stem = zone.without_dot();
            loaded.errors.push(Problem {
                file: file("Zone", &stem),
                object: format!("zone {zone}"),
                text: format!(
                    "is Federation {federation}'s zone; name this file as its spec.masterFile to \
                     serve both together"
                ),
            });
        }
    }
}

/// A zone within another is served by itself, which hides what the other says below it.
fn zones_within_zones(loaded: &mut Loaded, file: &dyn Fn(&str, &str) -> String) {
    let all = &loaded.config.federations;
    let mut warnings = Vec::new();
    for (name, own) in all {
        let zone = &own.federation.zone;
        let above = all.iter().find(|(_, other)| {
            other.federation.zone != *zone && zone.is_within(&other.federation.zone)
        });
        if let Some((other, above)) = above {
            warnings.push(Problem {
                file: file("Federation", &name.0),
                object: format!("Federation {name}"),
                text: format!(
                    "spec.zone: {zone} lies within {}, the zone of Federation {other}; whatever \
                     that has at or below {zone} is not answered",
                    above.federation.zone
                ),
            });
        }
    }
    loaded.warnings.append(&mut warnings);
}

/// What the command line alone says: a start without any file.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `<fed>`.
    pub federation: String,
    /// The DNS zone.
    pub zone: String,
    /// The kubeconfig; `$KUBECONFIG` or `~/.kube/config` when `None`.
    pub kubeconfig: Option<PathBuf>,
    /// Its contexts that are member clusters.
    pub contexts: Vec<String>,
    /// Whether the kubeconfig may run commands and read files.
    pub trusted: bool,
}

impl Flags {
    /// The configuration that the flags describe.
    ///
    /// # Errors
    /// Every flag that cannot be taken.
    pub fn config(&self) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        let problem = |text: String| Problem { file: String::new(), object: String::new(), text };
        let spec = FederationSpec { zone: self.zone.clone(), ..empty_federation() };
        let checked = federation(&self.federation, &spec, Path::new("."));
        let said = |text: String| {
            text.replace("metadata.name", "--federation").replace("spec.zone", "--zone")
        };
        let own = checked.object.map_err(|errors| {
            errors.into_iter().map(|text| problem(said(text))).collect::<Vec<_>>()
        })?;
        let member = |context: &String| {
            let access = Access::Kubeconfig {
                path: self.kubeconfig.clone(),
                context: Some(context.clone()),
                trusted: self.trusted,
            };
            (
                ClusterName::from(context.as_str()),
                MemberConfig { member: Member::default(), access },
            )
        };
        let config = Config {
            federations: [(own.federation.name.clone(), own)].into(),
            members: self.contexts.iter().map(member).collect(),
            ..Config::default()
        };
        Ok((config, checked.warnings.into_iter().map(|text| problem(said(text))).collect()))
    }
}

fn empty_federation() -> FederationSpec {
    FederationSpec {
        zone: String::new(),
        name_servers: Vec::new(),
        soa: None,
        ttl: None,
        min_ttl: None,
        master_file: None,
        serve: None,
        publish: Vec::new(),
        clusters: None,
        service_selector: None,
        allow_targets: Vec::new(),
        offline: None,
        all_down: None,
        guard: None,
    }
}

/// A DNS label as Kubernetes takes it (RFC 1123): letters, digits, hyphens inside.
fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| plain(byte) || byte == b'-')
        && text.bytes().next().is_some_and(plain)
        && text.bytes().next_back().is_some_and(plain)
}
