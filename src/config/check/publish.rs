//! Checks what a Federation is to be written to: each provider's own settings, and nothing that is
//! another's.

use super::{
    Findings,
    azure_conf::{self, AzureConf},
    cloud_dns, dns_conf,
};
use crate::{
    config::{
        Publish,
        spec::{FederationSpec, ProviderName, PublishSpec, ReadSpec, TsigAlgorithmSpec, TsigSpec},
    },
    model::{Ttl, parse_duration},
    plan::{Limits, Manner},
    provider::{
        AzureSettings, Reading, Rfc2136Settings, Route53Settings, Settings, TsigAlgorithm, TsigKey,
    },
};
use data_encoding::BASE64;
use std::{fs, path::Path, time::Duration};

/// The providers of a Federation.
pub(super) fn publish(
    findings: &mut Findings,
    spec: &FederationSpec,
    folder: &Path,
) -> Vec<Publish> {
    let default = Limits::default();
    let guard = spec.guard.as_ref();
    let percent = guard.and_then(|guard| guard.max_removed_percent);
    let names = guard.and_then(|guard| guard.max_removed_names);
    if percent.is_some_and(|percent| percent > 100) {
        findings.error("spec.guard.maxRemovedPercent: expected 0 to 100".to_owned());
    }
    let limits = Limits {
        percent: percent.unwrap_or(default.percent),
        names: names.map_or(default.names, |names| usize::try_from(names).unwrap_or(usize::MAX)),
    };
    let ttl = spec.ttl.map_or(Ttl::WRITTEN, Ttl::from_secs);
    let of = |(at, own): (usize, &PublishSpec)| {
        let field = format!("spec.publish[{at}]");
        let look = look(findings, &field, own.look.as_deref());
        let settings = settings(findings, &field, own, folder)?;
        let dry_run = own.dry_run.unwrap_or_default();
        Some(Publish { settings, limits, look, dry_run, ttl })
    };
    let all: Vec<Publish> = spec.publish.iter().enumerate().filter_map(of).collect();
    for (at, own) in all.iter().enumerate() {
        let place = |own: &Publish| (own.settings.name(), own.settings.place());
        if all[..at].iter().any(|other| place(other) == place(own)) {
            findings.error(format!(
                "spec.publish[{at}]: the same zone at the same provider is named before; two \
                 writers of one zone would only lose to each other"
            ));
        }
    }
    all
}

/// Less often than this is no look, more often is a burden.
const LOOKS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(30)..=Duration::from_secs(86_400);

fn look(findings: &mut Findings, field: &str, text: Option<&str>) -> Duration {
    let Some(text) = text else { return Manner::default().look };
    let read = parse_duration(text).filter(|look| LOOKS.contains(look));
    let field = format!("{field}.look");
    let read = findings.take(&field, text, "a duration from 30s to 24h", read);
    read.unwrap_or(Manner::default().look)
}

fn settings(
    findings: &mut Findings,
    field: &str,
    spec: &PublishSpec,
    folder: &Path,
) -> Option<Settings> {
    if spec.secret_ref.is_some() {
        findings
            .error(format!("{field}.secretRef: a directory has no Secrets; name a file instead"));
        return None;
    }
    foreign_fields(findings, field, spec);
    if spec.health_checks == Some(true) && spec.cluster_switches == Some(true) {
        findings.error(format!(
            "{field}.clusterSwitches: not together with healthChecks, since a record set at Route \
             53 names one health check; choose one"
        ));
    }
    match spec.provider {
        ProviderName::Memory => Some(Settings::Memory),
        ProviderName::Rfc2136 => rfc2136(findings, field, spec, folder).map(Settings::Rfc2136),
        ProviderName::AwsRoute53 => Some(Settings::Route53(Route53Settings {
            zone_id: spec.zone_id.clone(),
            endpoint: endpoint(findings, field, spec)?,
            health_checks: spec.health_checks.unwrap_or_default(),
            cluster_switches: spec.cluster_switches.unwrap_or_default(),
        })),
        ProviderName::AzureAzuredns => azure(findings, field, spec, folder).map(Settings::Azure),
        ProviderName::GoogleClouddns => {
            let endpoints = [
                endpoint(findings, field, spec)?,
                url(findings, &format!("{field}.computeEndpoint"), spec.compute_endpoint.as_ref())?,
            ];
            let own = cloud_dns::settings(findings, field, spec, endpoints, folder);
            own.map(Settings::CloudDns)
        }
    }
}

/// A field that another provider has is a misunderstanding, not a wish.
fn foreign_fields(findings: &mut Findings, field: &str, spec: &PublishSpec) {
    use ProviderName::{AwsRoute53, AzureAzuredns, GoogleClouddns, Memory, Rfc2136};
    let clouds: &[ProviderName] = &[AwsRoute53, GoogleClouddns, AzureAzuredns];
    let fields: [(&str, bool, &[ProviderName]); 13] = [
        ("zoneId", spec.zone_id.is_some(), &[AwsRoute53, GoogleClouddns]),
        ("server", spec.server.is_some(), &[Rfc2136]),
        ("tsig", spec.tsig.is_some(), &[Rfc2136]),
        ("read", spec.read.is_some(), &[Rfc2136]),
        ("endpoint", spec.endpoint.is_some(), clouds),
        ("computeEndpoint", spec.compute_endpoint.is_some(), &[GoogleClouddns]),
        ("healthChecks", spec.health_checks.is_some(), &[AwsRoute53, GoogleClouddns]),
        ("clusterSwitches", spec.cluster_switches.is_some(), &[AwsRoute53]),
        ("project", spec.project.is_some(), &[GoogleClouddns]),
        ("subscriptionId", spec.subscription_id.is_some(), &[AzureAzuredns]),
        ("resourceGroup", spec.resource_group.is_some(), &[AzureAzuredns]),
        ("configFile", spec.config_file.is_some(), &[GoogleClouddns, AzureAzuredns]),
        ("credentialsFile", spec.credentials_file.is_some(), &[GoogleClouddns]),
    ];
    for (name, given, of) in fields {
        if given && !of.contains(&spec.provider) {
            let own =
                if spec.provider == Memory { "memory takes none" } else { "another provider's" };
            findings.error(format!("{field}.{name}: is {own}; remove it"));
        }
    }
}

fn rfc2136(
    findings: &mut Findings,
    field: &str,
    spec: &PublishSpec,
    folder: &Path,
) -> Option<Rfc2136Settings> {
    let Some(server) = &spec.server else {
        findings.error(format!(
            "{field}.server: missing; expected the zone's primary server, as in 192.0.2.1:53"
        ));
        return None;
    };
    let server = with_port(server);
    if spec.tsig.is_none() {
        findings.warnings.push(format!(
            "{field}.tsig: none, so whoever can send from an allowed address can change the zone"
        ));
    }
    let key = spec.tsig.as_ref().map(|tsig| key(findings, &format!("{field}.tsig"), tsig, folder));
    let key = key.map_or(Some(None), |key| key.map(Some))?;
    let reading = match spec.read {
        None | Some(ReadSpec::Axfr) => Reading::Axfr,
        Some(ReadSpec::Query) => Reading::Query,
    };
    Some(Rfc2136Settings { server, key, reading })
}

fn azure(
    findings: &mut Findings,
    field: &str,
    spec: &PublishSpec,
    folder: &Path,
) -> Option<AzureSettings> {
    let endpoint = endpoint(findings, field, spec)?;
    let conf = match &spec.config_file {
        None => AzureConf::default(),
        Some(file) => {
            let path = folder.join(file);
            let own = format!("{field}.configFile");
            let conf = dns_conf::read(findings, &own, &path, &azure_conf::KEYS)?;
            let given = (spec.subscription_id.is_some(), spec.resource_group.is_some());
            let read = AzureConf::of(conf, given);
            let fail = |errors: Vec<String>| {
                let place = format!("{own}: {}", path.display());
                errors.iter().for_each(|text| findings.error(format!("{place}: {text}")));
            };
            read.map_err(fail).ok()?
        }
    };
    let Some(subscription_id) = spec.subscription_id.clone().or(conf.subscription_id) else {
        findings.error(format!(
            "{field}.subscriptionId: missing; say it here, or name a configFile with subscription-id"
        ));
        return None;
    };
    Some(AzureSettings {
        subscription_id,
        resource_group: spec.resource_group.clone().or(conf.resource_group),
        tenant_id: conf.tenant_id,
        client_id: conf.client_id,
        secret: conf.secret,
        endpoint,
    })
}

/// The outer `None` for one that cannot be.
#[allow(clippy::option_option)] // said so by the line above
fn endpoint(findings: &mut Findings, field: &str, spec: &PublishSpec) -> Option<Option<String>> {
    url(findings, &format!("{field}.endpoint"), spec.endpoint.as_ref())
}

/// The outer `None` for one that cannot be.
#[allow(clippy::option_option)] // said so by the line above
fn url(findings: &mut Findings, field: &str, text: Option<&String>) -> Option<Option<String>> {
    let Some(text) = text else { return Some(None) };
    let url = text
        .parse::<http::Uri>()
        .ok()
        .filter(|url| url.host().is_some() && matches!(url.scheme_str(), Some("http" | "https")));
    let known = findings.take(field, text, "a URL such as https://192.0.2.1:8443", url);
    known.map(|_| Some(text.trim_end_matches('/').to_owned()))
}

/// Port 53 where none is given.
fn with_port(server: &str) -> String {
    let bare = server.parse::<std::net::IpAddr>();
    match (bare, server.rsplit_once(':')) {
        (Ok(std::net::IpAddr::V6(ip)), _) => format!("[{ip}]:53"),
        (Err(_), Some((_, port))) if port.parse::<u16>().is_ok() => server.to_owned(),
        _ => format!("{server}:53"),
    }
}

fn key(findings: &mut Findings, field: &str, spec: &TsigSpec, folder: &Path) -> Option<TsigKey> {
    let name = findings.name(&format!("{field}.name"), &spec.name)?;
    let path = folder.join(&spec.secret_file);
    let problem = |text: String| format!("{field}.secretFile: {}: {text}", path.display());
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            findings.error(problem(error.to_string()));
            return None;
        }
    };
    let secret = BASE64.decode(text.trim().as_bytes()).ok().filter(|secret| secret.len() >= 16);
    let Some(secret) = secret else {
        findings.error(problem(
            "is not a secret of 16 octets or more in base 64, as tsig-keygen makes it".to_owned(),
        ));
        return None;
    };
    let algorithm = match spec.algorithm {
        None | Some(TsigAlgorithmSpec::HmacSha256) => TsigAlgorithm::Sha256,
        Some(TsigAlgorithmSpec::HmacSha384) => TsigAlgorithm::Sha384,
        Some(TsigAlgorithmSpec::HmacSha512) => TsigAlgorithm::Sha512,
    };
    Some(TsigKey { name, algorithm, secret })
}
