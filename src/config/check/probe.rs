//! Checks `spec.health` of a TrafficPolicy: how endpoints are probed.

use super::Findings;
use crate::{
    config::spec::{HealthSpec, ProbeMethod, ProbeProtocol},
    health::{Check, Grpc, Http, Method, Protocol, Statuses, Tls},
    model::parse_duration,
    policy::HealthCheck,
};
use std::{sync::Arc, time::Duration};

pub(super) fn health(findings: &mut Findings, spec: &HealthSpec) -> Option<HealthCheck> {
    let interval = duration(findings, "interval", spec.interval.as_ref(), Check::INTERVAL);
    let timeout =
        duration(findings, "timeout", spec.timeout.as_ref(), Check::TIMEOUT.min(interval / 2));
    if interval < SHORTEST {
        findings.error(format!("spec.health.interval: expected at least {SHORTEST:?}"));
    }
    if timeout >= interval || timeout.is_zero() {
        findings.error(
            "spec.health.timeout: expected more than nothing and less than spec.health.interval"
                .to_owned(),
        );
    }
    for (field, own) in [("fall", spec.fall), ("rise", spec.rise)] {
        if let Some(number) = own.filter(|own| !(1..=100).contains(own)) {
            findings.error(format!("spec.health.{field}: {number} is not from 1 to 100"));
        }
    }
    if spec.port == Some(0) {
        findings.error("spec.health.port: 0 is not from 1 to 65535".to_owned());
    }
    let protocol = protocol(findings, spec);
    Some(HealthCheck {
        protocol,
        port: spec.port,
        interval,
        timeout,
        fall: spec.fall.unwrap_or(Check::FALL),
        rise: spec.rise.unwrap_or(Check::RISE),
        expected: spec.expected,
    })
}

fn duration(
    findings: &mut Findings,
    field: &str,
    text: Option<&String>,
    default: Duration,
) -> Duration {
    let Some(text) = text else { return default };
    let field = format!("spec.health.{field}");
    findings.take(&field, text, "a duration such as 10s", parse_duration(text)).unwrap_or(default)
}

fn protocol(findings: &mut Findings, spec: &HealthSpec) -> Protocol {
    let word = spec.protocol.unwrap_or(ProbeProtocol::Tcp);
    let with_http = matches!(word, ProbeProtocol::Http | ProbeProtocol::Https);
    let with_tls = matches!(word, ProbeProtocol::Https | ProbeProtocol::Grpc);
    let out_of_place = [
        (spec.path.is_some() && !with_http, "path", "http or https"),
        (spec.method.is_some() && !with_http, "method", "http or https"),
        (!spec.expected_status.is_empty() && !with_http, "expectedStatus", "http or https"),
        (spec.body_match.is_some() && !with_http, "bodyMatch", "http or https"),
        (spec.service.is_some() && word != ProbeProtocol::Grpc, "service", "grpc"),
        (spec.tls.is_some() && !with_tls, "tls", "https or grpc"),
        (spec.host.is_some() && word == ProbeProtocol::Tcp, "host", "http, https or grpc"),
    ];
    for (_, field, needed) in out_of_place.iter().filter(|(wrong, ..)| *wrong) {
        findings.error(format!("spec.health.{field}: needs spec.health.protocol {needed}"));
    }
    let host = host(findings, spec);
    match word {
        ProbeProtocol::Tcp => Protocol::Tcp,
        ProbeProtocol::Http => Protocol::Http(http(findings, spec, host)),
        ProbeProtocol::Https => {
            Protocol::Https(http(findings, spec, host), tls(findings, spec).unwrap_or_default())
        }
        ProbeProtocol::Grpc => {
            let service = spec.service.as_deref().unwrap_or_default().into();
            Protocol::Grpc(Grpc { service, host }, tls(findings, spec))
        }
    }
}

/// Empty where it is the name of the service itself.
fn host(findings: &mut Findings, spec: &HealthSpec) -> Arc<str> {
    let Some(text) = &spec.host else { return "".into() };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let fits = !text.is_empty() && text.len() <= 255 && text.bytes().all(plain);
    let own = fits.then(|| text.to_lowercase().into());
    findings.take("spec.health.host", text, "a host name", own).unwrap_or_default()
}

fn http(findings: &mut Findings, spec: &HealthSpec, host: Arc<str>) -> Http {
    let path = spec.path.as_deref().unwrap_or("/");
    let fits = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits || path.len() > 2_048 {
        findings.error(format!(
            "spec.health.path: {path:?} is not a path such as /healthz: printable ASCII, at most \
             2048 octets"
        ));
    }
    let method = match spec.method {
        Some(ProbeMethod::Head) => Method::Head,
        Some(ProbeMethod::Get) | None => Method::Get,
    };
    if method == Method::Head && spec.body_match.is_some() {
        findings.error("spec.health.bodyMatch: a HEAD request has no body to look at".to_owned());
    }
    if spec.body_match.as_ref().is_some_and(|text| text.is_empty() || text.len() > Http::BODY) {
        findings.error(format!("spec.health.bodyMatch: expected 1 to {} octets", Http::BODY));
    }
    Http {
        method,
        path: path.into(),
        host,
        statuses: statuses(findings, &spec.expected_status),
        body: spec.body_match.as_deref().map(Into::into),
    }
}

fn statuses(findings: &mut Findings, texts: &[String]) -> Statuses {
    if texts.is_empty() {
        return Statuses::default();
    }
    let code = |text: &str| text.trim().parse().ok().filter(|code| (100..=599).contains(code));
    let range = |text: &String| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let read = code(first).zip(code(last)).filter(|(first, last)| first <= last);
        let expected = "a response code or a range such as 200-299";
        findings.take("spec.health.expectedStatus", text, expected, read)
    };
    Statuses(texts.iter().filter_map(range).collect())
}

fn tls(findings: &mut Findings, spec: &HealthSpec) -> Option<Tls> {
    let spec = spec.tls.as_ref()?;
    let ca = spec.ca_bundle.as_deref();
    if ca.is_some_and(|pem| !pem.contains("-----BEGIN CERTIFICATE-----")) {
        findings.error("spec.health.tls.caBundle: holds no PEM certificate".to_owned());
    }
    let insecure = spec.insecure_skip_verify.unwrap_or_default();
    if insecure && ca.is_some() {
        findings.error(
            "spec.health.tls: caBundle has no effect with insecureSkipVerify; give one of them"
                .to_owned(),
        );
    }
    Some(Tls { insecure, ca: ca.map(Into::into) })
}

/// A shorter interval is an attack more than a check.
const SHORTEST: Duration = Duration::from_secs(1);
