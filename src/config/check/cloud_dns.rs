//! Checks what a Federation says of Google Cloud DNS: its own fields, and the `dns.conf` and the
//! credentials that it names.

use super::{Findings, dns_conf};
use crate::{
    config::spec::PublishSpec,
    provider::{CloudDnsSettings, GoogleCredentials},
};
use std::{fs, path::Path};

/// The keys of `dns.conf` for this provider, all optional.
const KEYS: &[&str] = &["token-url", "token-body", "project-id"];

pub(super) fn settings(
    findings: &mut Findings,
    field: &str,
    spec: &PublishSpec,
    [endpoint, compute_endpoint]: [Option<String>; 2],
    folder: &Path,
) -> Option<CloudDnsSettings> {
    let errors = findings.errors.len();
    let conf = spec.config_file.as_ref().and_then(|file| {
        let path = folder.join(file);
        dns_conf::read(findings, &format!("{field}.configFile"), &path, KEYS)
    });
    let conf = conf.unwrap_or_default();
    tokens_of_old(findings, field, &conf);
    let in_conf = conf.get("project-id").filter(|own| !own.is_empty());
    let said = said_once(findings, field, spec.project.as_ref(), in_conf);
    let file = spec.credentials_file.as_ref().map(|file| folder.join(file));
    let field_of_file = format!("{field}.credentialsFile");
    let own = file.as_ref().and_then(|path| credentials(findings, &field_of_file, path));
    let project = said.or_else(|| own.as_ref()?.project().map(str::to_owned));
    if own.is_some() && project.is_none() {
        findings.error(format!(
            "{field}.project: missing; {field_of_file} names none, expected the project that the zone is in"
        ));
    }
    if let Some(project) = &project {
        let good = is_word(project, ":.-");
        findings.take(
            &format!("{field}.project"),
            project,
            "the id of a project, as in my-project-123",
            good.then_some(()),
        );
    }
    if let Some(zone) = &spec.zone_id {
        let expected = "the name of a managed zone, as in example-org, or its number";
        let good = is_word(zone, "-");
        findings.take(&format!("{field}.zoneId"), zone, expected, good.then_some(()));
    }
    (findings.errors.len() == errors).then(|| CloudDnsSettings {
        project,
        zone_id: spec.zone_id.clone(),
        endpoint,
        credentials_file: file,
        health_checks: spec.health_checks.unwrap_or_default(),
        compute_endpoint,
    })
}

/// Federation v1 could fetch tokens from anywhere; Google's own ways have taken its place.
fn tokens_of_old(findings: &mut Findings, field: &str, conf: &dns_conf::DnsConf) {
    for key in ["token-url", "token-body"] {
        // What Google's own setup scripts wrote where there was none.
        if conf.get(key).is_some_and(|own| !own.is_empty() && own != "nil") {
            findings.warnings.push(format!(
                "{field}.configFile: {key} is not supported and does nothing; tokens come from \
                 credentialsFile, GOOGLE_APPLICATION_CREDENTIALS or the metadata server"
            ));
        }
    }
}

/// The project, where both places that may say it do not contradict each other.
fn said_once(
    findings: &mut Findings,
    field: &str,
    own: Option<&String>,
    in_conf: Option<&String>,
) -> Option<String> {
    if let (Some(own), Some(other)) = (own, in_conf)
        && own != other
    {
        findings.error(format!(
            "{field}.project: is {own:?}, and project-id of configFile is {other:?}; remove one"
        ));
    }
    own.or(in_conf).cloned()
}

/// The file as it is now; the provider reads it again for each token.
fn credentials(findings: &mut Findings, field: &str, path: &Path) -> Option<GoogleCredentials> {
    let read = fs::read_to_string(path).map_err(|error| format!(": {error}"));
    let read = read.and_then(|text| text.parse().map_err(|error| format!(" {error}")));
    match read {
        Ok(own) => Some(own),
        Err(problem) => {
            findings.error(format!("{field}: {}{problem}", path.display()));
            None
        }
    }
}

fn is_word(text: &str, others: &str) -> bool {
    let good = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || others.contains(letter)
    };
    !text.is_empty() && text.chars().all(good) && text.starts_with(|c: char| c.is_alphanumeric())
}
