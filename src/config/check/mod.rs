//! From what was written to what is in force: each field read once, every error of an object said.

mod azure_conf;
mod cloud_dns;
mod dns_conf;
mod dnssec;
mod federation;
mod member;
mod policy;
mod probe;
mod publish;
mod together;
mod transfer;

pub(super) use federation::federation;
pub(super) use member::member;
pub(super) use policy::policy;
pub(super) use together::{Judged, together};

use super::{
    Config, MemberConfig, Problem,
    spec::{AllDownPolicy, AllDownSpec, FederationSpec},
};
use crate::{
    geo,
    model::{Address, AllDown, ClusterName, Member, Name, Ttl},
    source::Access,
};
use ipnet::IpNet;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// An object, or everything that is wrong with it.
#[derive(Clone, Debug)]
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

    fn continent(&mut self, field: &str, text: &str) -> Option<Arc<str>> {
        let upper = text.to_uppercase();
        let own = CONTINENTS.contains(&upper.as_str()).then(|| upper.into());
        self.take(field, text, &format!("one of {}", CONTINENTS.join(", ")), own)
    }

    fn country(&mut self, field: &str, text: &str) -> Option<Arc<str>> {
        let expected = "a country of ISO 3166-1, two letters as in DE";
        self.take(field, text, expected, country_code(text))
    }

    fn finish<T>(self, object: Option<T>) -> Checked<T> {
        let object = object.filter(|_| self.errors.is_empty()).ok_or(self.errors);
        Checked { object, warnings: self.warnings }
    }
}

fn country_code(text: &str) -> Option<Arc<str>> {
    let upper = text.to_uppercase();
    geo::continent_of(&upper).map(|_| upper.into())
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
        transfer_from: None,
        transfer: None,
        serve: None,
        publish: Vec::new(),
        dnssec: None,
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

const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];
