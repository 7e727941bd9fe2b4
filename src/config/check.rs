//! From what was written to what is in force: each field read once, every error of an object said.

use super::{
    Config, FederationConfig, Loaded, MemberConfig, Problem,
    load::did_you_mean,
    spec::{
        AccessSpec, AllDownPolicy, AllDownSpec, DrainSpec, FederationSpec, LocationSpec,
        MemberClusterSpec, NameServerSpec, OfflinePolicy, OfflineSpec, OrderSpec, SoaSpec,
        TargetKind, TrafficPolicySpec, WeightsSpec,
    },
    zone,
};
use crate::{
    model::{
        Address, AddressRules, AllDown, ClusterName, Drain, Federation, FederationName, Locality,
        Location, Member, Name, NameServer, Offline, Serial, ServiceKey, ServiceSelector,
        SoaValues, Ttl, Weight, parse_duration,
    },
    policy::{PolicyTarget, TrafficPolicy},
    records::generated,
    source::Access,
};
use ipnet::IpNet;
use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// An object, or everything that is wrong with it.
pub(super) struct Checked<T> {
    pub(super) object: Result<T, Vec<String>>,
    pub(super) warnings: Vec<String>,
}

impl<T> Checked<T> {
    pub(super) fn refused(problem: String) -> Self {
        Self { object: Err(vec![problem]), warnings: Vec::new() }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Checked<U> {
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

// === Federation ===

pub(super) fn federation(
    name: &str,
    spec: &FederationSpec,
    folder: &Path,
) -> Checked<FederationConfig> {
    let mut findings = Findings::default();
    if !is_label(name) {
        findings.error(format!(
            "metadata.name: {name:?} is not a DNS label of 1 to 63 lower-case letters, digits and \
             hyphens; it becomes part of every name"
        ));
    }
    let Some(zone) = findings.name("spec.zone", &spec.zone) else { return findings.finish(None) };
    if zone.is_root() {
        findings.error("spec.zone: \".\" is the root; expected a zone of your own".to_owned());
        return findings.finish(None);
    }
    let served = spec.serve.unwrap_or(true);
    let ttl = findings.ttl("spec.ttl", spec.ttl);
    let federation = Federation {
        name: FederationName(name.into()),
        ttl: ttl.unwrap_or(if served { Ttl::SERVED } else { Ttl::WRITTEN }),
        clusters: spec
            .clusters
            .as_ref()
            .map(|names| names.iter().map(|name| name.as_str().into()).collect()),
        services: selector(spec),
        targets: AddressRules {
            allow: networks(&mut findings, "spec.allowTargets", &spec.allow_targets),
        },
        offline: offline(&mut findings, spec.offline.as_ref()),
        all_down: all_down(&mut findings, spec.all_down.as_ref()).unwrap_or_default(),
        zone,
    };
    let base = base_zone(&mut findings, spec, &federation, folder);
    for own in &spec.publish {
        findings.warnings.push(format!(
            "spec.publish: this version does not write to providers ({:?}); it serves the zone itself",
            own.provider
        ));
    }
    let base = base.map(Arc::new);
    findings.finish(base.map(|base| FederationConfig { federation: Arc::new(federation), base }))
}

fn base_zone(
    findings: &mut Findings,
    spec: &FederationSpec,
    federation: &Federation,
    folder: &Path,
) -> Option<crate::records::Zone> {
    let servers = name_servers(findings, &spec.name_servers, &federation.zone)?;
    let soa = soa(findings, spec.soa.as_ref(), &federation.zone, &servers, federation.ttl)?;
    let generated = generated(&federation.zone, &soa, &servers, Serial(1), federation.ttl);
    let Some(file) = &spec.master_file else { return Some(generated) };
    match zone::read(&folder.join(file), file, &federation.zone) {
        Ok(records) => {
            findings.warnings.extend(records.warnings.iter().map(ToString::to_string));
            Some(records.over(&generated))
        }
        Err(errors) => {
            errors.iter().for_each(|error| findings.error(format!("spec.masterFile: {error}")));
            None
        }
    }
}

fn name_servers(
    findings: &mut Findings,
    specs: &[NameServerSpec],
    zone: &Name,
) -> Option<Vec<NameServer>> {
    if specs.is_empty() {
        let name = zone.prepend(b"ns1").ok()?;
        findings.warnings.push(format!(
            "spec.nameServers: none given, so NS is {name} without an address; give the names and \
             addresses of your name servers before the zone is delegated"
        ));
        return Some(vec![NameServer { name, addresses: Vec::new() }]);
    }
    let mut servers = Vec::new();
    for (at, spec) in specs.iter().enumerate() {
        let field = format!("spec.nameServers[{at}]");
        let Some(name) = findings.name(&format!("{field}.name"), &spec.name) else { continue };
        let mut addresses = Vec::new();
        for text in &spec.addresses {
            let read: Option<IpAddr> = text.parse().ok();
            addresses.extend(findings.take(
                &format!("{field}.addresses"),
                text,
                "an IP address",
                read,
            ));
        }
        if name.is_within(zone) && addresses.is_empty() {
            findings.warnings.push(format!(
                "{field}: {name} lies inside the zone but has no addresses; resolvers cannot reach \
                 it without glue"
            ));
        }
        servers.push(NameServer { name, addresses });
    }
    Some(servers)
}

fn soa(
    findings: &mut Findings,
    spec: Option<&SoaSpec>,
    zone: &Name,
    servers: &[NameServer],
    ttl: Ttl,
) -> Option<SoaValues> {
    let spec = spec.cloned().unwrap_or_default();
    let mname = match &spec.mname {
        Some(text) => findings.name("spec.soa.mname", text)?,
        None => servers.first().map_or_else(|| zone.clone(), |server| server.name.clone()),
    };
    let rname = match &spec.rname {
        Some(text) => findings.name("spec.soa.rname", text)?,
        None => zone.prepend(b"hostmaster").ok()?,
    };
    Some(SoaValues {
        mname,
        rname,
        refresh: spec.refresh.unwrap_or(7_200),
        retry: spec.retry.unwrap_or(900),
        expire: spec.expire.unwrap_or(1_209_600),
        minimum: spec.minimum.unwrap_or(30),
        ttl: findings.ttl("spec.soa.ttl", spec.ttl).unwrap_or(ttl),
    })
}

fn selector(spec: &FederationSpec) -> ServiceSelector {
    let pair = |(key, value): (&String, &String)| (key.as_str().into(), value.as_str().into());
    match &spec.service_selector {
        Some(selector) => ServiceSelector::Labels(selector.match_labels.iter().map(pair).collect()),
        None => ServiceSelector::All,
    }
}

fn offline(findings: &mut Findings, spec: Option<&OfflineSpec>) -> Offline {
    let Some(spec) = spec else { return Offline::Keep };
    match spec.policy {
        OfflinePolicy::Keep => Offline::Keep,
        OfflinePolicy::Drop => Offline::Drop,
        OfflinePolicy::DrainAfter => {
            let text = spec.after.as_deref().unwrap_or_default();
            let read = parse_duration(text).filter(|delay| !delay.is_zero());
            let read = findings.take("spec.offline.after", text, "a duration such as 10m", read);
            read.map_or(Offline::Keep, Offline::DrainAfter)
        }
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

// === MemberCluster ===

pub(super) fn member(
    spec: &MemberClusterSpec,
    beside: impl Fn(&str) -> PathBuf,
) -> Checked<MemberConfig> {
    let mut findings = Findings::default();
    let access = access(&mut findings, &spec.access, beside);
    let member = Member {
        localities: localities(&mut findings, spec),
        location: spec.location.as_ref().and_then(|own| location(&mut findings, own)),
        weight: weight(&mut findings, spec.weight),
        drain: spec.drain.as_ref().and_then(|own| drain(&mut findings, own)),
    };
    findings.finish(access.map(|access| MemberConfig { member, access }))
}

fn access(
    findings: &mut Findings,
    spec: &AccessSpec,
    beside: impl Fn(&str) -> PathBuf,
) -> Option<Access> {
    match (&spec.kubeconfig, &spec.directory, &spec.kubeconfig_secret_ref) {
        (Some(own), None, None) => Some(Access::Kubeconfig {
            path: own.path.as_deref().map(beside),
            context: own.context.clone(),
            trusted: spec.trusted.unwrap_or(false),
        }),
        (None, Some(directory), None) => Some(Access::Directory(beside(directory))),
        (None, None, Some(_)) => {
            findings.error(
                "spec.access.kubeconfigSecretRef: Secrets are read in a hub cluster only; expected \
                 kubeconfig or directory here"
                    .to_owned(),
            );
            None
        }
        _ => {
            findings.error(
                "spec.access: expected exactly one of kubeconfig, directory and kubeconfigSecretRef"
                    .to_owned(),
            );
            None
        }
    }
}

fn localities(findings: &mut Findings, spec: &MemberClusterSpec) -> Option<Vec<Locality>> {
    let Some(region) = &spec.region else {
        if !spec.zones.is_empty() {
            findings.error("spec.zones: needs spec.region beside it".to_owned());
        }
        return None;
    };
    for label in std::iter::once(region).chain(&spec.zones) {
        if !is_label(&label.to_lowercase()) {
            findings.error(format!("spec.region, spec.zones: {label:?} is not a DNS label"));
        }
    }
    let locality = |zone: Option<&String>| Locality {
        region: region.to_lowercase().into(),
        zone: zone.map(|zone| zone.to_lowercase().into()),
    };
    match spec.zones.is_empty() {
        true => Some(vec![locality(None)]),
        false => Some(spec.zones.iter().map(|zone| locality(Some(zone))).collect()),
    }
}

fn location(findings: &mut Findings, spec: &LocationSpec) -> Option<Location> {
    let coordinates = match (spec.latitude, spec.longitude) {
        (None, None) => None,
        (Some(north), Some(east)) if north.abs() <= 90.0 && east.abs() <= 180.0 => {
            Some((north, east))
        }
        _ => {
            findings.error(
                "spec.location: latitude (-90 to 90) and longitude (-180 to 180) go together"
                    .to_owned(),
            );
            None
        }
    };
    let text = |own: &Option<String>| own.as_deref().map(|own| own.to_uppercase().into());
    let continents = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];
    let (continent, country) = (text(&spec.continent), text(&spec.country));
    if continent.as_ref().is_some_and(|own: &Arc<str>| !continents.contains(&&**own)) {
        findings
            .error(format!("spec.location.continent: expected one of {}", continents.join(", ")));
    }
    if country.as_ref().is_some_and(|own: &Arc<str>| own.len() != 2) {
        findings
            .error("spec.location.country: expected two letters (ISO 3166-1), as in DE".to_owned());
    }
    Some(Location { continent, country, subdivision: text(&spec.subdivision), coordinates })
}

fn weight(findings: &mut Findings, weight: Option<u32>) -> Weight {
    let Some(number) = weight else { return Weight::default() };
    let read = Weight::new(number);
    findings.take("spec.weight", &number.to_string(), "from 0 to 1048576", read).unwrap_or_default()
}

fn drain(findings: &mut Findings, spec: &DrainSpec) -> Option<Drain> {
    let until = match &spec.until {
        None => None,
        Some(text) => {
            let expected = "a time such as 2026-01-31T18:00:00Z";
            Some(findings.take("spec.drain.until", text, expected, text.parse().ok())?)
        }
    };
    Some(Drain { reason: spec.reason.clone(), until })
}

// === TrafficPolicy ===

pub(super) fn policy(key: ServiceKey, spec: &TrafficPolicySpec) -> Checked<TrafficPolicy> {
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

// === Several objects ===

/// What concerns several objects at once; `file` finds where one stands.
pub(super) fn together(loaded: &mut Loaded, file: &dyn Fn(&str, &str) -> String) {
    one_owner_per_zone(loaded, file);
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
    if !loaded.config.federations.is_empty() && names.is_empty() {
        loaded.warnings.push(Problem {
            file: String::new(),
            object: String::new(),
            text: "there is no MemberCluster, so no federation will have any service".to_owned(),
        });
    }
}

/// Of several that claim one zone, the first by name has it.
fn one_owner_per_zone(loaded: &mut Loaded, file: &dyn Fn(&str, &str) -> String) {
    let mut owners: Vec<(Name, FederationName)> = Vec::new();
    let mut refused = Vec::new();
    for (name, own) in &loaded.config.federations {
        let zone = &own.federation.zone;
        match owners.iter().find(|(owned, _)| owned == zone) {
            None => owners.push((zone.clone(), name.clone())),
            Some((_, first)) => refused.push((name.clone(), format!(
                "spec.zone: {zone} is claimed by Federation {first} too, which has it; this one is \
                 not in force"
            ))),
        }
    }
    for (name, text) in refused {
        loaded.config.federations.remove(&name);
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
