//! From Kubernetes objects to the model's thin values; what cannot be read is said, never guessed.

use super::{
    annotations,
    objects::{
        Backend, EndpointSlice, Endpoints, Ingress, Node, Rule, Service, ServicePort, ServiceSpec,
        WithLoadBalancer,
    },
};
use crate::model::{
    Address, IngressObject, IngressRule, Kind, Name, NodeObject, Object, ObjectKey, ServiceKey,
    ServiceObject, SliceCounts,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::{collections::BTreeSet, sync::Arc};

/// An object that a kind's watch yields.
pub(super) trait Convert {
    /// As the model has it; problems are pushed. `None` for objects that say nothing to us.
    fn convert(self, problems: &mut Vec<String>) -> Option<Object>;
}

impl Convert for Service {
    fn convert(self, problems: &mut Vec<String>) -> Option<Object> {
        let key = key(&self.metadata)?;
        let port = self.spec.as_ref().and_then(first_port);
        let type_ = self.spec.and_then(|spec| spec.type_);
        let labels = self.metadata.labels.unwrap_or_default();
        Some(Object::Service(ServiceObject {
            load_balancer: type_.as_deref() == Some("LoadBalancer"),
            ingress: ingress_addresses("Service", &key, self.status.as_ref(), problems),
            port,
            labels: labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            created: created(self.metadata.creation_timestamp.as_ref()),
            annotations: annotations::read(self.metadata.annotations.as_ref()),
            key,
        }))
    }
}

/// The first port that speaks TCP, which is what `protocol` means when it is left out.
fn first_port(spec: &ServiceSpec) -> Option<u16> {
    let tcp = |port: &&ServicePort| port.protocol.as_deref().unwrap_or("TCP") == "TCP";
    let first = spec.ports.as_ref()?.iter().find(tcp)?;
    u16::try_from(first.port?).ok().filter(|port| *port > 0)
}

impl Convert for EndpointSlice {
    fn convert(self, _problems: &mut Vec<String>) -> Option<Object> {
        let key = key(&self.metadata)?;
        let service = self.metadata.labels.as_ref()?.get("kubernetes.io/service-name")?;
        let endpoints = self.endpoints.unwrap_or_default();
        let ready = endpoints.iter().filter(|endpoint| {
            let conditions = endpoint.conditions.as_ref();
            let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
            let terminating = conditions.and_then(|conditions| conditions.terminating);
            ready && !terminating.unwrap_or(false)
        });
        Some(Object::Slice(SliceCounts {
            service: ServiceKey::new(key.namespace.clone(), service.as_str()),
            ready: count(ready.count()),
            total: count(endpoints.len()),
            key,
        }))
    }
}

/// Endpoints carry their Service's own name.
impl Convert for Endpoints {
    fn convert(self, _problems: &mut Vec<String>) -> Option<Object> {
        let service = key(&self.metadata)?;
        let (mut ready, mut total) = (0_usize, 0_usize);
        for subset in self.subsets.unwrap_or_default() {
            let up = subset.addresses.map_or(0, |addresses| addresses.len());
            ready += up;
            total += up + subset.not_ready_addresses.map_or(0, |addresses| addresses.len());
        }
        // No slice can have this name: object names hold no slash.
        let name = format!("endpoints/{}", service.name);
        let key = ServiceKey::new(service.namespace.clone(), name);
        Some(Object::Slice(SliceCounts { key, service, ready: count(ready), total: count(total) }))
    }
}

impl Convert for Ingress {
    fn convert(self, problems: &mut Vec<String>) -> Option<Object> {
        let key = key(&self.metadata)?;
        let spec = self.spec;
        let default = spec.as_ref().and_then(|spec| spec.default_backend.clone());
        let tls = spec.as_ref().and_then(|spec| spec.tls.as_ref());
        let tls = tls.is_some_and(|tls| !tls.is_empty());
        let rules = spec.and_then(|spec| spec.rules).unwrap_or_default();
        let mut rules: Vec<IngressRule> =
            rules.iter().filter_map(|one| rule(one, default.as_ref(), &key, problems)).collect();
        rules.extend(default.map(|backend| IngressRule {
            host: None,
            backends: backend.service.into_iter().map(|service| service.name.into()).collect(),
        }));
        Some(Object::Ingress(IngressObject {
            ingress: ingress_addresses("Ingress", &key, self.status.as_ref(), problems),
            rules,
            tls,
            created: created(self.metadata.creation_timestamp.as_ref()),
            annotations: annotations::read(self.metadata.annotations.as_ref()),
            key,
        }))
    }
}

impl Convert for Node {
    fn convert(self, problems: &mut Vec<String>) -> Option<Object> {
        let name = self.metadata.name.clone()?;
        let labels = self.metadata.labels.unwrap_or_default();
        let label = |wanted: &str| labels.get(wanted).filter(|value| !value.is_empty());
        let topology = |what: &str| {
            let now = label(&format!("topology.kubernetes.io/{what}"));
            let value = now.or_else(|| label(&format!("failure-domain.beta.kubernetes.io/{what}")));
            value.map(|value| Arc::from(value.as_str()))
        };
        let external = external_addresses(&name, self.status.as_ref(), problems);
        let conditions = self.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
        let excluded =
            labels.contains_key("node.kubernetes.io/exclude-from-external-load-balancers");
        Some(Object::Node(NodeObject {
            region: topology("region"),
            zone: topology("zone"),
            external,
            ready: ready.is_none_or(|condition| condition.status == "True") && !excluded,
            name: name.into(),
        }))
    }
}

fn rule(
    rule: &Rule,
    default: Option<&Backend>,
    key: &ServiceKey,
    problems: &mut Vec<String>,
) -> Option<IngressRule> {
    let host = match rule.host.as_deref().filter(|host| !host.is_empty()) {
        None => None,
        Some(text) => {
            let name = host_name(text);
            if name.is_none() {
                problems.push(format!(
                    "Ingress {key}: spec.rules[].host {text:?} is not a host name; the rule is \
                     left out"
                ));
            }
            Some(name?)
        }
    };
    let paths = rule.http.as_ref().and_then(|http| http.paths.as_ref());
    let own: Vec<&Backend> = paths.into_iter().flatten().map(|path| &path.backend).collect();
    let backends = if own.is_empty() { default.into_iter().collect() } else { own };
    let services: BTreeSet<Arc<str>> = backends
        .iter()
        .filter_map(|backend| backend.service.as_ref())
        .map(|service| service.name.as_str().into())
        .collect();
    Some(IngressRule { host, backends: services.into_iter().collect() })
}

/// `status.loadBalancer.ingress`: `ip` where it is set, else `hostname`.
fn ingress_addresses(
    kind: &str,
    key: &ServiceKey,
    status: Option<&WithLoadBalancer>,
    problems: &mut Vec<String>,
) -> Vec<Address> {
    let entries = status
        .and_then(|status| status.load_balancer.as_ref())
        .and_then(|load_balancer| load_balancer.ingress.as_ref());
    let mut addresses = Vec::new();
    for (at, entry) in entries.into_iter().flatten().enumerate() {
        let set = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let field = format!("{kind} {key}: status.loadBalancer.ingress[{at}]");
        let (part, text) = match (set(&entry.ip), set(&entry.hostname)) {
            (Some(ip), _) => ("ip", ip),
            (None, Some(hostname)) => ("hostname", hostname),
            (None, None) => {
                problems.push(format!("{field} has neither ip nor hostname; it is left out"));
                continue;
            }
        };
        match text.parse() {
            Ok(address @ Address::Ip(_)) => addresses.push(address),
            Ok(address @ Address::Host(_)) if part == "hostname" && host_name(&text).is_some() => {
                addresses.push(address);
            }
            _ => problems.push(format!(
                "{field}.{part} {text:?} is not {}; it is left out",
                if part == "ip" { "an IP address" } else { "a host name" }
            )),
        }
    }
    addresses
}

fn external_addresses(
    node: &str,
    status: Option<&super::objects::NodeStatus>,
    problems: &mut Vec<String>,
) -> Vec<std::net::IpAddr> {
    let addresses = status.and_then(|status| status.addresses.as_ref());
    let external = addresses.into_iter().flatten().filter(|own| own.type_ == "ExternalIP");
    let mut parsed = Vec::new();
    for address in external {
        match address.address.parse() {
            Ok(ip) => parsed.push(ip),
            Err(_) => problems.push(format!(
                "Node {node}: status.addresses[] ExternalIP {:?} is not an IP address; it is left \
                 out",
                address.address
            )),
        }
    }
    parsed
}

/// A host name in lower case, its first label `*` at most: letters, digits, hyphens (RFC 1123
/// §2.1), and the underscore that people use all the same.
pub(super) fn host_name(text: &str) -> Option<Name> {
    let plain = text.strip_prefix("*.").unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let name = text.to_lowercase().parse().ok()?;
    plain.bytes().all(allowed).then_some(name).filter(|name: &Name| !name.is_root())
}

/// Names an object by its metadata; `None` when it has no name.
pub(super) fn object_key(kind: Kind, metadata: &ObjectMeta) -> Option<ObjectKey> {
    let key = match kind {
        Kind::Node => ServiceKey::new("", metadata.name.as_deref()?),
        Kind::Service | Kind::EndpointSlice | Kind::Ingress => key(metadata)?,
    };
    Some(ObjectKey { kind, key })
}

fn key(metadata: &ObjectMeta) -> Option<ServiceKey> {
    let namespace = metadata.namespace.as_deref().unwrap_or("default");
    Some(ServiceKey::new(namespace, metadata.name.as_deref()?))
}

fn created(time: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>) -> i64 {
    time.map_or(0, |time| time.0.as_second())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn convert<K: Convert + serde::de::DeserializeOwned>(
        value: serde_json::Value,
    ) -> (Object, Vec<String>) {
        let mut problems = Vec::new();
        let object: K = serde_json::from_value(value).unwrap();
        (object.convert(&mut problems).unwrap(), problems)
    }

    #[test]
    fn a_services_bad_addresses_are_said_and_its_good_ones_stay() {
        let (object, problems) = convert::<Service>(json!({
            "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"type": "LoadBalancer"},
            "status": {"loadBalancer": {"ingress": [
                {"ip": "192.0.2.1"}, {"hostname": "LB.example.net"}, {}, {"ip": "nonsense"},
                {"ip": "192.0.2.300"}, {"hostname": "a..b"}
            ]}}
        }));
        let Object::Service(service) = object else { panic!("a Service") };
        assert!(service.load_balancer);
        assert_eq!(service.created, 1_767_225_600);
        let text: Vec<_> = service.ingress.iter().map(Address::to_string).collect();
        assert_eq!(text, ["192.0.2.1", "lb.example.net."]);
        assert_eq!(problems.len(), 4);
        assert_eq!(
            problems[1],
            "Service shop/web: status.loadBalancer.ingress[3].ip \"nonsense\" is not an IP \
             address; it is left out"
        );
    }

    #[test]
    fn readiness_counts_what_is_ready_or_does_not_say_and_is_not_terminating() {
        let (object, _) = convert::<EndpointSlice>(json!({
            "metadata": {"name": "web-x1", "namespace": "shop",
                         "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
                {"addresses": ["10.0.0.3"]},
                {"addresses": ["10.0.0.4"], "conditions": {"ready": true, "terminating": true}}
            ]
        }));
        let Object::Slice(slice) = object else { panic!("a slice") };
        assert_eq!(
            (slice.ready, slice.total, slice.service.to_string()),
            (2, 4, "shop/web".into())
        );
        let (empty, _) = convert::<EndpointSlice>(json!({
            "metadata": {"name": "web-x2", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": null
        }));
        assert!(matches!(empty, Object::Slice(SliceCounts { total: 0, .. })));
    }

    #[test]
    fn an_ingress_names_each_hosts_backends_once() {
        let path = |service: &str| json!({"path": "/", "backend": {"service": {"name": service}}});
        let (object, problems) = convert::<Ingress>(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "defaultBackend": {"service": {"name": "fallback"}},
                "rules": [
                    {"host": "WWW.example.org", "http": {"paths": [path("a"), path("b"), path("a")]}},
                    {"host": "*.example.org"},
                    {"host": "bad..example.org"},
                    {"host": "not a host"}
                ]
            }
        }));
        let Object::Ingress(ingress) = object else { panic!("an Ingress") };
        let shown: Vec<_> = ingress
            .rules
            .iter()
            .map(|rule| {
                let host = rule.host.as_ref().map_or("-".to_owned(), Name::to_string);
                format!("{host} {}", rule.backends.join(","))
            })
            .collect();
        assert_eq!(shown, ["www.example.org. a,b", "*.example.org. fallback", "- fallback"]);
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn a_nodes_place_comes_from_either_label_generation() {
        let node = |labels| {
            let (object, _) = convert::<Node>(json!({"metadata": {"name": "n", "labels": labels}}));
            let Object::Node(node) = object else { panic!("a Node") };
            (node.region.map(|r| r.to_string()), node.zone.map(|z| z.to_string()))
        };
        let some = |text: &str| Some(text.to_owned());
        let new = json!({"topology.kubernetes.io/region": "us", "topology.kubernetes.io/zone": "us-1",
                         "failure-domain.beta.kubernetes.io/region": "old"});
        assert_eq!(node(new), (some("us"), some("us-1")));
        let old = json!({"failure-domain.beta.kubernetes.io/region": "us",
                         "failure-domain.beta.kubernetes.io/zone": "us-1"});
        assert_eq!(node(old), (some("us"), some("us-1")));
        assert_eq!(node(json!({})), (None, None));
    }
}
