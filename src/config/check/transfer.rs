//! Checks who may have a Federation's zone, who is told of it, and where its static part lives.
//! Whether the keys that it names exist is known where the key files are read.

use super::{Findings, networks};
use crate::{
    config::spec::{
        DnssecDenialSpec, FederationSpec, TransferAllowSpec, TransferFromSpec, TransferPeerSpec,
        TransferTlsSpec,
    },
    model::Name,
    transfer::{Allow, Primary, PrimaryTls, Target, ZoneRules},
};
use std::net::{IpAddr, SocketAddr};

/// What the object says of transfers.
pub(super) fn transfer(findings: &mut Findings, spec: &FederationSpec) -> ZoneRules {
    let transfer = spec.transfer.clone().unwrap_or_default();
    let mut rules = ZoneRules::default();
    for (at, own) in transfer.allow.iter().enumerate() {
        rules.allow.extend(allow(findings, &format!("spec.transfer.allow[{at}]"), own));
    }
    for (at, own) in transfer.notify.iter().enumerate() {
        rules.notify.extend(peer(findings, &format!("spec.transfer.notify[{at}]"), own));
    }
    if spec.serve == Some(false) && (!rules.allow.is_empty() || !rules.notify.is_empty()) {
        findings.error(
            "spec.transfer: the zone is not served here (spec.serve: false), so nobody can have \
             it from here; leave it out, or serve the zone"
                .to_owned(),
        );
    }
    let denial = spec.dnssec.as_ref().and_then(|own| own.denial);
    let given = !transfer.allow.is_empty() || !transfer.notify.is_empty();
    if denial == Some(DnssecDenialSpec::Compact) && given {
        findings.error(
            "spec.dnssec.denial: \"compact\" signs denials when they are asked for, which the \
             secondaries of spec.transfer cannot do; write denial: nsec, or leave spec.transfer out"
                .to_owned(),
        );
    }
    rules.primary = spec.transfer_from.as_ref().and_then(|own| primary(findings, spec, own));
    rules
}

fn allow(findings: &mut Findings, field: &str, spec: &TransferAllowSpec) -> Option<Allow> {
    if spec.key.is_none() && spec.networks.is_empty() {
        findings.error(format!(
            "{field}: says neither key nor networks; to give the zone to everyone, write networks: \
             [0.0.0.0/0, \"::/0\"]"
        ));
        return None;
    }
    let key = key(findings, &format!("{field}.key"), spec.key.as_deref())?;
    let networks = networks(findings, &format!("{field}.networks"), &spec.networks);
    Some(Allow { key, networks, tls: spec.tls.unwrap_or_default() })
}

fn peer(findings: &mut Findings, field: &str, spec: &TransferPeerSpec) -> Option<Target> {
    let address = address(findings, &format!("{field}.address"), &spec.address, DNS)?;
    Some(Target { address, key: key(findings, &format!("{field}.key"), spec.key.as_deref())? })
}

fn primary(
    findings: &mut Findings,
    spec: &FederationSpec,
    own: &TransferFromSpec,
) -> Option<Primary> {
    if spec.master_file.is_some() {
        findings.error(
            "spec.transferFrom: not together with spec.masterFile: the zone's static part comes \
             from one place; choose one"
                .to_owned(),
        );
    }
    let port = if own.tls.is_some() { DNS_OVER_TLS } else { DNS };
    let address = address(findings, "spec.transferFrom.primary", &own.primary, port)?;
    let key = key(findings, "spec.transferFrom.key", own.key.as_deref())?;
    let tls = match &own.tls {
        None => None,
        Some(own) => Some(tls(findings, own)?),
    };
    Some(Primary { address, key, tls })
}

fn tls(findings: &mut Findings, own: &TransferTlsSpec) -> Option<PrimaryTls> {
    let name = own.server_name.as_str();
    let known =
        name.parse::<IpAddr>().is_ok() || name.parse::<Name>().is_ok_and(|own| !own.is_root());
    let expected = "the name or address that the primary's certificate is for";
    let field = "spec.transferFrom.tls.serverName";
    findings.take(field, name, expected, known.then_some(()))?;
    let ca = own.ca_bundle.clone();
    if ca.as_ref().is_some_and(|pem| !pem.contains("-----BEGIN CERTIFICATE-----")) {
        findings.error(
            "spec.transferFrom.tls.caBundle: holds no certificate; expected PEM, beginning with \
             -----BEGIN CERTIFICATE-----"
                .to_owned(),
        );
        return None;
    }
    Some(PrimaryTls { name: name.to_owned(), ca })
}

/// `None` with an error for what is no name; a key that is not said is none.
fn key(findings: &mut Findings, field: &str, text: Option<&str>) -> Option<Option<Name>> {
    match text {
        None => Some(None),
        Some(text) => findings.name(field, text).map(Some),
    }
}

fn address(findings: &mut Findings, field: &str, text: &str, port: u16) -> Option<SocketAddr> {
    let expected = "an address such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53";
    findings.take(field, text, expected, server_address(text, port))
}

/// The ports of RFC 1035 §4.2 and RFC 7858 §3.1.
const DNS: u16 = 53;
const DNS_OVER_TLS: u16 = 853;

/// An address with its port, or that one when not said.
fn server_address(text: &str, port: u16) -> Option<SocketAddr> {
    let plain = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
    text.parse().ok().or_else(plain).filter(|own: &SocketAddr| own.port() != 0)
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{federation, one_error, place};

    fn load(spec: &str) -> crate::config::Loaded {
        let text = federation("fed", &format!("{{zone: z.test, {spec}}}"));
        place(&[("fed.yaml", &text)]).loader.load()
    }

    #[test]
    fn a_primary_over_tls_is_named_and_has_another_port() {
        let loaded = load("transferFrom: {primary: 192.0.2.1, tls: {serverName: ns.example}}");
        assert_eq!(loaded.errors, []);
        let own = loaded.config.federations.values().next().unwrap();
        let primary = own.transfer.primary.clone().unwrap();
        assert_eq!(primary.address, "192.0.2.1:853".parse().unwrap());
        assert_eq!(primary.tls.unwrap().name, "ns.example");
        let bad = load("transferFrom: {primary: 192.0.2.1, tls: {serverName: \"a b..\"}}");
        one_error(&bad, &["spec.transferFrom.tls.serverName", "certificate is for"]);
        let bad = load(
            "transferFrom: {primary: 192.0.2.1, tls: {serverName: ns.example, caBundle: nothing}}",
        );
        one_error(&bad, &["spec.transferFrom.tls.caBundle", "PEM"]);
        one_error(&load("transfer: {allow: [{tls: true}]}"), &["neither key nor networks"]);
    }

    #[test]
    fn a_zone_that_denies_compactly_is_given_to_nobody() {
        let given = "transfer: {allow: [{networks: [192.0.2.0/24]}]}";
        let told = "transfer: {notify: [{address: 192.0.2.1}]}";
        for transfer in [given, told] {
            let loaded = load(&format!("dnssec: {{denial: compact}}, {transfer}"));
            let parts = ["spec.dnssec.denial", "\"compact\"", "spec.transfer", "denial: nsec"];
            one_error(&loaded, &parts);
            assert_eq!(load(&format!("dnssec: {{denial: nsec}}, {transfer}")).errors, []);
        }
        assert_eq!(load("dnssec: {denial: compact}, transfer: {}").errors, []);
    }
}
