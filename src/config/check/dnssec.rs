//! Checks how a Federation's zone is to be signed: nothing may outlive its signatures.

use super::Findings;
use crate::{
    config::spec::{
        DnssecAlgorithmSpec, DnssecDenialSpec, DnssecKeysSpec, DnssecSpec, FederationSpec,
    },
    dnssec::{Algorithm, SIGNERS_OWN, Settings, longest, with_expire},
    model::{Federation, SoaValues, Ttl, parse_duration},
    records::Zone,
};
use std::{path::Path, time::Duration};

pub(super) fn dnssec(
    findings: &mut Findings,
    spec: &FederationSpec,
    federation: &Federation,
    folder: &Path,
) -> Option<Settings> {
    let own = spec.dnssec.as_ref()?;
    if !federation.served {
        findings.error(
            "spec.dnssec: the zone is signed where it is served, and spec.serve is false; have the \
             provider sign it, and leave spec.dnssec out"
                .to_owned(),
        );
        return None;
    }
    let lifetime = seconds(findings, "signaturesLast", own.signatures_last.as_deref(), LIFETIME);
    if lifetime < LEAST_LIFETIME {
        findings.error(format!(
            "spec.dnssec.signaturesLast: \"{}\" is less than 1h; signatures would end while clocks \
             of validators still differ",
            own.signatures_last.as_deref().unwrap_or_default()
        ));
        return None;
    }
    let zsk_lifetime = zsk_lifetime(findings, own)?;
    Some(Settings {
        zsk_lifetime,
        algorithm: algorithm(own),
        split: own.keys == Some(DnssecKeysSpec::Split),
        compact: own.denial == Some(DnssecDenialSpec::Compact),
        lifetime,
        key_ttl: findings.ttl("spec.dnssec.keyTtl", own.key_ttl).unwrap_or(KEY_TTL),
        ds_ttl: seconds(findings, "dsTtl", own.ds_ttl.as_deref(), DS_TTL),
        propagation: seconds(findings, "propagation", own.propagation.as_deref(), PROPAGATION),
        directory: own.key_directory.as_ref().map(|own| folder.join(own)),
    })
}

/// The outer `None` with an error.
fn zsk_lifetime(findings: &mut Findings, spec: &DnssecSpec) -> Option<Option<i64>> {
    let Some(text) = spec.zsk_lifetime.as_deref() else { return Some(None) };
    if spec.keys != Some(DnssecKeysSpec::Split) {
        findings.error(
            "spec.dnssec.zskLifetime: there is no key that signs all but the keys, and one that has \
             a DS cannot be changed without the parent; write keys: split, or leave it out"
                .to_owned(),
        );
        return None;
    }
    let lifetime = seconds(findings, "zskLifetime", Some(text), 0);
    if lifetime < LEAST_ZSK_LIFETIME {
        findings.error(format!(
            "spec.dnssec.zskLifetime: \"{text}\" is less than 24h; keys would come faster than \
             caches forget them"
        ));
        return None;
    }
    Some(Some(lifetime))
}

fn algorithm(spec: &DnssecSpec) -> Algorithm {
    match spec.algorithm {
        None | Some(DnssecAlgorithmSpec::EcdsaP256Sha256) => Algorithm::EcdsaP256,
        Some(DnssecAlgorithmSpec::Ed25519) => Algorithm::Ed25519,
    }
}

fn seconds(findings: &mut Findings, field: &str, text: Option<&str>, default: i64) -> i64 {
    let Some(text) = text else { return default };
    let read = parse_duration(text).as_ref().map(Duration::as_secs);
    let read = read.and_then(|seconds| i64::try_from(seconds).ok()).filter(|own| *own < MOST);
    let field = format!("spec.dnssec.{field}");
    findings.take(&field, text, "a duration such as 24h, less than a year", read).unwrap_or(default)
}

/// A secondary that cannot reach us must not serve signatures that have ended (RFC 6781 §4.4.2).
pub(super) fn expire(
    findings: &mut Findings,
    dnssec: Option<&Settings>,
    spec: &FederationSpec,
    soa: &mut SoaValues,
) {
    let Some(dnssec) = dnssec else { return };
    let most = longest(dnssec.lifetime).as_secs();
    match spec.soa.as_ref().and_then(|soa| soa.expire) {
        None => soa.expire = soa.expire.min(most),
        Some(expire) if expire > most => findings.warnings.push(format!(
            "spec.soa.expire: {expire} is more than a quarter of spec.dnssec.signaturesLast \
             ({most}): a secondary out of touch would serve signatures that have ended"
        )),
        Some(_) => {}
    }
}

/// A master file's own SOA, as that of the settings where they do not say.
pub(super) fn expire_of_file(dnssec: Option<&Settings>, generated: &Zone, file: Zone) -> Zone {
    match dnssec {
        Some(dnssec) if file.soa() != generated.soa() => with_expire(&file, dnssec.lifetime),
        _ => file,
    }
}

/// Records live no longer than their signatures, and nobody else has signed them.
pub(super) fn fits(
    findings: &mut Findings,
    dnssec: Option<&Settings>,
    base: Option<&Zone>,
    ttl: Ttl,
) {
    let (Some(dnssec), Some(base)) = (dnssec, base) else { return };
    let most = dnssec.lifetime / 4;
    let rrsets = || base.nodes().flat_map(|(key, node)| node.iter().map(move |own| (key, own)));
    let own = [("spec.ttl".to_owned(), ttl), ("spec.dnssec.keyTtl".to_owned(), dnssec.key_ttl)];
    let file = rrsets().map(|(key, own)| (format!("{} {}", key.to_name(), own.rtype), own.ttl));
    let all = own.into_iter().chain(file);
    if let Some((what, ttl)) = all.into_iter().find(|(_, ttl)| i64::from(ttl.as_secs()) > most) {
        findings.error(format!(
            "{what}: a TTL of {ttl} is more than a quarter of spec.dnssec.signaturesLast ({most}); \
             records would outlive their signatures"
        ));
    }
    if let Some((key, own)) = rrsets().find(|(_, own)| SIGNERS_OWN.contains(&own.rtype)) {
        findings.error(format!(
            "spec.masterFile: {} has {}, but spec.dnssec signs the zone; leave another signer's \
             records out",
            key.to_name(),
            own.rtype
        ));
    }
}

/// Two weeks: long enough to mend what is broken, short enough that what was signed is forgotten.
const LIFETIME: i64 = 14 * 86_400;
const LEAST_LIFETIME: i64 = 3_600;
const LEAST_ZSK_LIFETIME: i64 = 86_400;
const KEY_TTL: Ttl = Ttl::from_secs(3_600);
/// As most registries have it.
const DS_TTL: i64 = 86_400;
const PROPAGATION: i64 = 3_600;
/// A year.
const MOST: i64 = 366 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{federation, one_error, place};

    fn load(spec: &str) -> crate::config::Loaded {
        let text = federation("fed", &format!("{{zone: z.test, {spec}}}"));
        place(&[("fed.yaml", &text), ("static", "$TTL 500000\nold A 192.0.2.1\n")]).loader.load()
    }

    #[test]
    fn what_is_said_is_in_force_and_the_rest_is_as_documented() {
        let loaded = load("dnssec: {algorithm: ED25519, keys: split, signaturesLast: 24h}");
        let own = &loaded.config.federations.values().next().unwrap();
        let dnssec = own.dnssec.as_ref().unwrap();
        assert_eq!(
            (dnssec.algorithm, dnssec.split, dnssec.compact),
            (Algorithm::Ed25519, true, false)
        );
        assert_eq!((dnssec.lifetime, dnssec.ds_ttl, dnssec.key_ttl), (86_400, DS_TTL, KEY_TTL));
        let soa = own.base.soa().unwrap().rdata().next().unwrap();
        let expire = &soa[soa.len() - 8..soa.len() - 4];
        assert_eq!(expire, 21_600_u32.to_be_bytes(), "a secondary gives up before signatures end");
        // Also where a file says it.
        let text = federation("fed", "{zone: z.test, masterFile: static, dnssec: {}}");
        let file = "@ 300 SOA ns h 7 3600 600 1209600 300\n";
        let loaded = place(&[("fed.yaml", &text), ("static", file)]).loader.load();
        let base = &loaded.config.federations.values().next().unwrap().base;
        let soa = base.soa().unwrap().rdata().next().unwrap();
        assert_eq!(soa[soa.len() - 8..soa.len() - 4], (14 * 21_600_u32).to_be_bytes());
        let plain = load("dnssec: {}");
        let dnssec = plain.config.federations.values().next().unwrap().dnssec.clone().unwrap();
        assert_eq!((dnssec.algorithm, dnssec.lifetime), (Algorithm::EcdsaP256, LIFETIME));
        assert!(load("ttl: 30").config.federations.values().all(|own| own.dnssec.is_none()));
    }

    #[test]
    fn a_key_that_goes_by_itself_has_no_ds_and_a_day_at_least() {
        let own = load("dnssec: {keys: split, zskLifetime: 720h}");
        let own = own.config.federations.values().next().unwrap().dnssec.clone().unwrap();
        assert_eq!(own.zsk_lifetime, Some(720 * 3_600));
        one_error(&load("dnssec: {zskLifetime: 720h}"), &["zskLifetime", "keys: split"]);
        one_error(&load("dnssec: {keys: split, zskLifetime: 23h}"), &["\"23h\"", "24h"]);
    }

    #[test]
    fn nothing_may_outlive_its_signatures() {
        one_error(&load("dnssec: {signaturesLast: 30m}"), &["spec.dnssec.signaturesLast", "1h"]);
        one_error(&load("dnssec: {signaturesLast: often}"), &["\"often\"", "24h"]);
        one_error(&load("ttl: 400000, dnssec: {}"), &["spec.ttl", "outlive"]);
        one_error(&load("masterFile: static, dnssec: {}"), &["old.z.test. A", "500000"]);
        one_error(&load("serve: false, dnssec: {}"), &["spec.dnssec", "spec.serve"]);
        let warned = load("soa: {expire: 1209600}, dnssec: {}").warnings;
        assert!(warned.iter().any(|own| own.to_string().contains("spec.soa.expire")), "{warned:?}");
    }
}
