//! Directories of objects: what is read of them, and what is said of what is wrong.

use super::*;
use crate::{
    health::Protocol,
    model::AllDown,
    policy::{Family, Fenced, Order, Pick, PolicyTarget, Weights},
    provider::{CloudDnsSettings, Settings},
    source::Access,
};
use std::fs;

pub(super) const FEDERATION: &str = "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {name: \
                          magicring}\nspec: {zone: demo.example.org}\n";
pub(super) const STATIC: &str =
    "$TTL 60\n@ SOA ns.example.net. host 1 2 3 4 5\n@ NS ns.example.net.\n";
pub(super) const MEMBER: &str = "apiVersion: meridian.dev/v1alpha1\nkind: MemberCluster\nmetadata: {name: \
                      aws}\nspec: {access: {directory: clusters/aws}}\n";

pub(super) struct Place {
    pub(super) directory: tempfile::TempDir,
    pub(super) loader: Loader,
}

pub(super) fn place(files: &[(&str, &str)]) -> Place {
    let directory = tempfile::tempdir().unwrap();
    let loader = Loader::new(directory.path().to_owned());
    let place = Place { directory, loader };
    files.iter().for_each(|(file, text)| place.write(file, text));
    place
}

impl Place {
    pub(super) fn write(&self, file: &str, text: &str) {
        let path = self.directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn errors(&mut self) -> Vec<String> {
        self.loader.load().errors.iter().map(ToString::to_string).collect()
    }
}

/// The text of a federation.
pub(super) fn federation(name: &str, spec: &str) -> String {
    FEDERATION.replace("magicring", name).replace("{zone: demo.example.org}", spec)
}

pub(super) fn zones(loaded: &Loaded) -> Vec<String> {
    let federations = &loaded.config.federations;
    federations.iter().map(|(name, own)| format!("{name} {}", own.federation.zone)).collect()
}

#[track_caller]
pub(super) fn one_error(loaded: &Loaded, parts: &[&str]) {
    let errors: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    parts.iter().for_each(|part| assert!(errors[0].contains(part), "{part}: {errors:#?}"));
}

#[test]
fn a_federation_its_members_and_a_plain_zone_are_read() {
    let mut place = place(&[
        ("fed.yaml", &format!("{FEDERATION}---\n{MEMBER}")),
        ("clusters/aws/svc.yaml", "kind: Service\n"),
        ("example.net.zone", "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n"),
    ]);
    let loaded = place.loader.load();
    assert_eq!(loaded.errors, []);
    let aws = &loaded.config.members["aws"];
    let expected = Access::Directory(place.directory.path().join("clusters/aws"));
    assert_eq!(aws.access, expected);
    let fed = &loaded.config.federations[&FederationName("magicring".into())];
    assert_eq!(fed.federation.ttl.as_secs(), 30);
    assert_eq!(loaded.config.zones.len(), 1);
}

#[test]
fn each_error_names_file_object_field_value_and_what_was_expected() {
    for (text, expected) in [
        (
            FEDERATION.replace("zone:", "zoen:"),
            "a.yaml: Federation magicring: spec.zoen: unknown field `zoen`, expected one of",
        ),
        (FEDERATION.replace("zone:", "zoen:"), "; did you mean \"zone\"?"),
        (
            FEDERATION.replace("{zone: demo", "{ttl: soon, zone: demo"),
            "a.yaml: Federation magicring: spec.ttl: invalid type: string \"soon\", expected u32 \
                 (found \"soon\")",
        ),
        (
            FEDERATION.replace("demo.example.org", "demo..org"),
            "spec.zone: \"demo..org\" is not a domain name: a label is empty",
        ),
        (
            FEDERATION.replace("{zone", "{ttl: 0, zone"),
            "spec.ttl: \"0\" is not a TTL from 1 to 2147483647 seconds",
        ),
        (
            FEDERATION.replace("name: magicring", "name: Magic_Ring"),
            "metadata.name: \"Magic_Ring\" is not a DNS label",
        ),
        (FEDERATION.replace("kind: Federation", "kind: Federaton"), "did you mean \"Federation\"?"),
        (
            FEDERATION.replace("meridian.dev/v1alpha1", "v1"),
            "is not ours; expected meridian.dev/v1alpha1",
        ),
        (FEDERATION.replace("spec:", "spce:"), "spce: unknown field; expected"),
        (
            FEDERATION.replace("{zone", "{allDown: {policy: lastKnwon}, zone"),
            "unknown variant `lastKnwon`",
        ),
        (
            FEDERATION.replace("{zone", "{clusters: [asw], zone") + "---\n" + MEMBER,
            "spec.clusters: there is no MemberCluster \"asw\"; did you mean \"aws\"?",
        ),
        (
            MEMBER.replace("directory: clusters/aws", "directory: a, kubeconfig: {}"),
            "spec.access: expected exactly one of",
        ),
        ("a: [".to_owned(), "a.yaml: is not YAML:"),
    ] {
        let errors = place(&[("a.yaml", &text)]).errors().join("\n");
        assert!(errors.contains(expected), "{text}\ngave\n{errors}\nnot\n{expected}");
    }
}

#[test]
fn an_empty_directory_says_what_was_expected() {
    assert!(place(&[]).errors()[0].contains("expected .yaml files with Federation"));
}

#[test]
fn two_federations_cannot_claim_one_zone() {
    let second = FEDERATION.replace("magicring", "other");
    let mut place = place(&[("a.yaml", FEDERATION), ("b.yaml", &second)]);
    let errors = place.errors();
    assert!(errors[0].contains("b.yaml: Federation other: spec.zone: demo.example.org. is claimed by Federation magicring"), "{errors:?}");
    assert_eq!(place.loader.load().config.federations.len(), 1);
}

#[test]
fn a_bad_edit_keeps_the_last_good_object_and_says_so() {
    let mut place = place(&[("fed.yaml", FEDERATION), ("aws.yaml", MEMBER)]);
    assert_eq!(place.errors(), Vec::<String>::new());
    place.write("fed.yaml", &FEDERATION.replace("demo.example.org", "demo..org"));
    let loaded = place.loader.load();
    assert!(loaded.errors[0].text.contains("its last good version stays in force"));
    assert_eq!(loaded.config.federations.len(), 1);
    place.write("fed.yaml", "a: [");
    let loaded = place.loader.load();
    assert!(loaded.errors[0].text.contains("the object it held last stays in force"));
    assert_eq!(loaded.config.federations.len(), 1);
    fs::remove_file(place.directory.path().join("fed.yaml")).unwrap();
    assert_eq!(place.loader.load().config.federations.len(), 0);
}

#[test]
fn a_master_file_belongs_to_its_federation_and_its_errors_name_the_line() {
    let with = FEDERATION.replace("{zone", "{masterFile: static.zone, zone");
    let mut place = place(&[("fed.yaml", &with), ("static.zone", "www 60 A 192.0.2.1\n")]);
    let loaded = place.loader.load();
    assert_eq!(loaded.errors, []);
    let fed = &loaded.config.federations[&FederationName("magicring".into())];
    assert_eq!(fed.base.len(), 2);
    place.write("static.zone", "www 60 A 192.0.2.1\nmail 60 MX nonsense\n");
    let errors = place.errors();
    assert!(errors[0].contains("spec.masterFile: static.zone:2: "), "{errors:?}");
    assert!(errors[0].contains("last good version"), "{errors:?}");
}

#[test]
fn every_field_of_a_policy_is_in_force() {
    let policy = "apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: p, namespace: shop}
spec:
  targets: [{kind: Service, name: web}, {kind: Host, name: WWW.demo.example.org}]
  order: {failover: [aws, gke]}
  fence: {allow: {gke: {continents: [eu]}}, allowNoData: true}
  weights: {aws: 80, gke: 20}
  pick: random
  family: independent
  limit: 4
  spill: 2
  ttl: 20
  allDown: {policy: noData}
  health: {protocol: http, path: /healthz, interval: 5s}
";
    let mut place = place(&[("p.yaml", policy)]);
    let loaded = place.loader.load();
    assert_eq!((loaded.errors, loaded.warnings), (vec![], vec![]));
    let own = &loaded.config.policies[&ServiceKey::new("shop", "p")];
    let targets = [
        PolicyTarget::Service(ServiceKey::new("shop", "web")),
        PolicyTarget::Host("www.demo.example.org".parse().unwrap()),
    ];
    assert_eq!(own.targets, targets);
    let steer = &own.steer;
    assert_eq!(steer.order, Order::Failover(vec!["aws".into(), "gke".into()]));
    assert_eq!(steer.fence.allow["gke"].continents, ["EU".into()]);
    assert_eq!(steer.fence.outside, Fenced::NoData);
    assert_eq!(steer.weights, Weights::Fixed([("aws".into(), 80), ("gke".into(), 20)].into()));
    assert_eq!((steer.pick, steer.family), (Pick::Random, Family::Independent));
    assert_eq!((steer.limit, steer.spill), (4, 2.0));
    assert_eq!(own.ttl.map(crate::model::Ttl::as_secs), Some(20));
    assert_eq!(own.all_down, Some(AllDown::NoData));
    let health = own.health.as_ref().unwrap();
    assert_eq!(health.interval, std::time::Duration::from_secs(5));
    assert!(matches!(&health.protocol, Protocol::Http(http) if &*http.path == "/healthz"));
}
#[test]
fn the_least_ttl_is_five_seconds_and_never_more_than_the_ttl() {
    for (spec, expected) in [
        ("{zone: demo.example.org}", Ok(5)),
        ("{zone: demo.example.org, minTtl: 12}", Ok(12)),
        ("{zone: demo.example.org, ttl: 3}", Ok(3)),
        (
            "{zone: demo.example.org, minTtl: 31}",
            Err("\"31\" is not at most spec.ttl, which is 30"),
        ),
        ("{zone: demo.example.org, minTtl: 0}", Err("spec.minTtl: \"0\" is not a TTL from 1")),
    ] {
        let loaded = place(&[("f.yaml", &federation("f", spec))]).loader.load();
        let found =
            loaded.config.federations.values().next().map(|own| own.federation.min_ttl.as_secs());
        assert_eq!(found, expected.ok(), "{spec}");
        if let Err(text) = expected {
            one_error(&loaded, &["f.yaml: Federation f: ", text]);
        }
    }
}

#[test]
fn a_provider_is_read_with_its_own_settings_and_no_others() {
    let load = |publish: &str| {
        let spec = format!(
            "{{zone: demo.example.org, serve: false, guard: {{maxRemovedNames: 3}}, publish: [{publish}]}}"
        );
        let key = ("k.key", "c2VjcmV0c2VjcmV0c2VjcmV0\n");
        place(&[("f.yaml", &federation("f", &spec)), ("m.yaml", MEMBER), key]).loader.load()
    };
    let good = "{provider: rfc2136, server: 192.0.2.1, look: 5m, tsig: {name: k, secretFile: k.key, \
                algorithm: hmac-sha512}}";
    let loaded = load(good);
    assert_eq!(loaded.errors, []);
    let own = &loaded.config.federations.values().next().unwrap().publish[0];
    assert_eq!((own.limits.names, own.limits.percent, own.look.as_secs()), (3, 30, 300));
    assert_eq!((&*own.settings.place(), own.ttl.as_secs()), ("192.0.2.1:53", 180));
    for (bad, said) in [
        ("{provider: rfc2136}", "spec.publish[0].server: missing"),
        (
            "{provider: rfc2136, server: a, look: 5s}",
            "spec.publish[0].look: \"5s\" is not a duration",
        ),
        (
            "{provider: rfc2136, server: a, zoneId: Z}",
            "spec.publish[0].zoneId: is another provider's",
        ),
        ("{provider: memory}, {provider: memory}", "spec.publish[1]: the same zone at the same"),
        (
            "{provider: rfc2136, server: a, tsig: {name: k, secretFile: none.key}}",
            "spec.publish[0].tsig.secretFile:",
        ),
    ] {
        one_error(&load(bad), &["f.yaml: Federation f: ", said]);
    }
}

#[test]
fn azures_settings_come_from_its_file_and_the_fields_beside_it() {
    let load = |publish: &str, conf: &str| {
        let publish = format!("{{provider: azure-azuredns, {publish}}}");
        let spec = format!("{{zone: demo.example.org, serve: false, publish: [{publish}]}}");
        let conf = ("dns.conf", conf);
        place(&[("f.yaml", &federation("f", &spec)), ("m.yaml", MEMBER), conf]).loader.load()
    };
    let whole = "[Global]\nsubscription-id = s\ntenant-id = t\nclient-id = c\nsecret = hush\n\
                 resourceGroup = g\n";
    for (publish, conf, place) in [
        ("configFile: dns.conf", whole, "s/g"),
        ("configFile: dns.conf, resourceGroup: other", whole, "s/other"),
        ("subscriptionId: x, endpoint: \"https://management.chinacloudapi.cn/\"", "", "x/"),
    ] {
        let loaded = load(publish, conf);
        assert_eq!(loaded.errors, []);
        let own = &loaded.config.federations.values().next().unwrap().publish[0];
        assert_eq!((own.settings.name(), &*own.settings.place()), ("azure-azuredns", place));
        assert!(!format!("{own:?}").contains("hush"), "secrets are not shown");
    }
    for (publish, conf, said) in [
        ("resourceGroup: g", "", "spec.publish[0].subscriptionId: missing"),
        ("configFile: none.conf", "", "none.conf: No such file"),
        ("configFile: dns.conf", "[Global]\nsubscription-id = s\n", "resourceGroup is missing"),
        (
            "configFile: dns.conf",
            "[Global]\nsubscriptionid = s\n",
            "did you mean \"subscription-id\"?",
        ),
        ("subscriptionId: s, zoneId: z", "", "spec.publish[0].zoneId: is another provider's"),
        ("subscriptionId: s, endpoint: nowhere", "", "is not a URL"),
    ] {
        one_error(&load(publish, conf), &["f.yaml: Federation f: spec.publish[0].", said]);
    }
}

#[test]
fn cloud_dns_is_read_with_the_files_that_it_names() {
    let external = r#"{"type": "external_account", "audience": "//iam.googleapis.com/x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": {"file": "/var/run/token"}}"#;
    let load = |fields: &str, conf: &str| {
        let spec = format!(
            "{{zone: demo.example.org, serve: false, publish: [{{provider: google-clouddns{fields}}}]}}"
        );
        let files = [
            ("f.yaml", &*federation("f", &spec)),
            ("m.yaml", MEMBER),
            ("dns.conf", conf),
            (if fields.contains(".json") { "external.json" } else { "external" }, external),
            ("key", r#"{"type": "service_account", "private_key": "s3cret", "client_email": ""}"#),
        ];
        place(&files).loader.load()
    };
    let own = |loaded: &Loaded| {
        assert_eq!(loaded.errors, []);
        loaded.config.federations.values().next().unwrap().publish[0].settings.place()
    };
    assert_eq!(own(&load("", "")), "");
    let conf = "[Global]\nproject-id = my-project\ntoken-body = s3cret\n";
    let loaded = load(", configFile: dns.conf, zoneId: example-org", conf);
    assert_eq!(own(&loaded), "my-project/example-org");
    let warned: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(warned.iter().any(|text| text.contains("token-body is not supported")), "{warned:?}");
    assert!(!warned.concat().contains("s3cret"), "{warned:?}");
    // Beside the configuration, and yet no object of it.
    let external = ", credentialsFile: external.json, project: example.com:p";
    assert_eq!(own(&load(external, "")), "example.com:p");
    let checks = ", healthChecks: true, computeEndpoint: \"http://127.0.0.1:1/\"";
    let loaded = load(checks, "");
    assert_eq!(own(&loaded), "");
    let settings = &loaded.config.federations.values().next().unwrap().publish[0].settings;
    let said = |own: &CloudDnsSettings| (own.health_checks, own.compute_endpoint.clone());
    let expected = (true, Some("http://127.0.0.1:1".to_owned()));
    assert!(matches!(settings, Settings::CloudDns(own) if said(own) == expected), "{settings:?}");
    for (fields, conf, said) in [
        (", computeEndpoint: nowhere", "", "spec.publish[0].computeEndpoint: \"nowhere\" is not"),
        (", clusterSwitches: true", "", "spec.publish[0].clusterSwitches: is another provider's"),
        (", credentialsFile: f.yaml", "", "f.yaml is not JSON"),
        (", configFile: none.conf", "", "spec.publish[0].configFile: "),
        (", configFile: dns.conf", "[Global]\nproject = a", "dns.conf:2: unknown key \"project\""),
        (", configFile: dns.conf, project: b", "[Global]\nproject-id = a", "remove one"),
        (", credentialsFile: none", "", "spec.publish[0].credentialsFile: "),
        (", credentialsFile: key", "", "key private_key is not an RSA key in PEM form"),
        (", credentialsFile: external", "", "spec.publish[0].project: missing"),
        (", project: My Project", "", "spec.publish[0].project: \"My Project\" is not the id"),
        (", zoneId: a/b", "", "spec.publish[0].zoneId: \"a/b\" is not the name"),
        (", server: a", "", "spec.publish[0].server: is another provider's"),
        (", endpoint: nowhere", "", "spec.publish[0].endpoint: \"nowhere\" is not a URL"),
    ] {
        one_error(&load(fields, conf), &["f.yaml: Federation f: ", said]);
    }
}

#[test]
fn a_members_location_and_weight_are_read() {
    let spec = "{weight: 20, location: {country: de, subdivision: be, latitude: 52.5, longitude: \
                    13.4}, access";
    let mut place = place(&[("m.yaml", &MEMBER.replace("{access", spec))]);
    let loaded = place.loader.load();
    assert_eq!((loaded.errors.len(), loaded.warnings.len()), (0, 0));
    let own = &loaded.config.members["aws"].member;
    let location = own.location.as_ref().unwrap();
    assert_eq!(own.weight.get(), 20);
    assert_eq!(location.country.as_deref(), Some("DE"));
    assert_eq!(location.coordinates, Some((52.5, 13.4)));
    for (bad, said) in [
        ("continent: EUR", "spec.location.continent: \"EUR\" is not one of AF, AN"),
        ("country: DEU", "spec.location.country: \"DEU\" is not a country"),
        ("latitude: 95.5, longitude: 1", "latitude is 95.5 and longitude is 1; expected both"),
        ("latitude: 9", "latitude is 9 and longitude is not given; expected both"),
        ("subdivision: CA", "spec.location.subdivision: needs spec.location.country"),
    ] {
        place
            .write("m.yaml", &MEMBER.replace("{access", &format!("{{location: {{{bad}}}, access")));
        one_error(&place.loader.load(), &[said]);
    }
}
