//! Reads manifests: YAML or JSON, many documents, Lists. Pure; each object stands or falls alone.

use super::{
    convert::Convert,
    objects::{EndpointSlice, Endpoints, Ingress, Node, Service},
};
use crate::model::{Kind, Object, ObjectKey};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

/// What one file holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Manifest {
    pub(super) objects: Vec<Object>,
    /// Whether it holds Endpoints or EndpointSlices, even empty ones.
    pub(super) tells_readiness: bool,
    /// Objects that could not be read, and odd values.
    pub(super) problems: Vec<String>,
    /// Whether an object could not be read, so that what is missing here may only be unreadable.
    pub(super) incomplete: bool,
}

/// Reads a file's text.
///
/// # Errors
/// When the text as a whole is neither YAML nor JSON.
pub(super) fn parse(text: &str) -> Result<Manifest, String> {
    serde_saphyr::from_str_multiple_with_options::<Value, _>(text, yaml_options())
        .map_err(|error| error.to_string())
}

/// Each document is taken as soon as it is read: a dump of a large cluster is many times its text
/// while it is all values.
impl Extend<Value> for Manifest {
    fn extend<D: IntoIterator<Item = Value>>(&mut self, documents: D) {
        documents.into_iter().for_each(|document| self.take(document));
    }
}

/// A dump of a whole cluster is one document of millions of nodes; depth and aliases stay bounded.
#[must_use]
pub fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1_000_000,
            max_events: 100_000_000,
            max_nodes: 50_000_000,
            max_total_scalar_bytes: 1 << 30,
        },
        with_snippet: false,
    }
}

impl Manifest {
    /// Takes over what `older` had and this one lacks, if that may only be unreadable: a mistake
    /// in a file is no deletion.
    pub(super) fn keep(&mut self, older: Self) {
        if self.incomplete {
            let own: BTreeSet<ObjectKey> = self.objects.iter().map(Object::key).collect();
            self.objects.extend(older.objects.into_iter().filter(|old| !own.contains(&old.key())));
            self.tells_readiness |= older.tells_readiness;
        }
    }

    fn take(&mut self, mut document: Value) {
        let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if kind.ends_with("List") {
            // Items of a typed list (ServiceList) need not repeat their kind.
            let item_kind = kind.trim_end_matches("List").to_owned();
            let version = document.get("apiVersion").cloned().unwrap_or_default();
            let items = document.get_mut("items").map(Value::take);
            for mut item in items.and_then(as_array).into_iter().flatten() {
                if let (Value::Object(fields), false) = (&mut item, item_kind.is_empty()) {
                    fields.entry("kind").or_insert_with(|| item_kind.clone().into());
                    fields.entry("apiVersion").or_insert_with(|| version.clone());
                }
                self.take(item);
            }
            return;
        }
        let group = group(&document);
        match kind.as_str() {
            "Ingress" if group == Some("extensions") => {
                let name = describe(&document);
                self.problems.push(format!(
                    "{name}: apiVersion extensions/v1beta1 is not read; write it as \
                     networking.k8s.io/v1"
                ));
            }
            // Such as Knative's Service.
            known if group.is_some_and(|group| group_of(known).is_some_and(|own| own != group)) => {
            }
            "Service" => self.object::<Service>(document),
            "EndpointSlice" => self.slice::<EndpointSlice>(document),
            "Endpoints" => self.slice::<Endpoints>(document),
            "Ingress" => self.object::<Ingress>(document),
            "Node" => self.object::<Node>(document),
            _ => {}
        }
    }

    fn slice<K: Convert + DeserializeOwned>(&mut self, document: Value) {
        self.tells_readiness = true;
        self.object::<K>(document);
    }

    fn object<K: Convert + DeserializeOwned>(&mut self, document: Value) {
        let name = describe(&document);
        match serde_path_to_error::deserialize::<_, K>(document) {
            Ok(object) => self.objects.extend(object.convert(&mut self.problems)),
            Err(error) => {
                let (field, reason) = (error.path().to_string(), error.into_inner());
                self.incomplete = true;
                self.problems.push(format!(
                    "{name}: {field}: {reason}; its last good version stays, and nothing of this \
                     file is removed until all of it can be read"
                ));
            }
        }
    }
}

/// Slices tell readiness where a Service has both; Endpoints are their older form.
pub(super) fn prefer_slices(objects: &mut Vec<Object>) {
    let legacy = |object: &Object| match object {
        Object::Slice(slice) => slice.key.name.starts_with("endpoints/"),
        _ => false,
    };
    let sliced: std::collections::BTreeSet<_> = objects
        .iter()
        .filter(|object| !legacy(object))
        .filter_map(|object| match object {
            Object::Slice(slice) => Some(slice.service.clone()),
            _ => None,
        })
        .collect();
    objects.retain(|object| match object {
        Object::Slice(slice) => !legacy(object) || !sliced.contains(&slice.service),
        _ => true,
    });
}

pub(super) fn of_kind(objects: &[Object], kind: Kind) -> Vec<Object> {
    objects.iter().filter(|object| object.key().kind == kind).cloned().collect()
}

fn as_array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// `apiVersion` without the version: empty for the core group, `None` where it is left out.
fn group(document: &Value) -> Option<&str> {
    let version = document.get("apiVersion").and_then(Value::as_str)?;
    Some(version.rsplit_once('/').map_or("", |(group, _)| group))
}

/// The API group of each kind that we read.
fn group_of(kind: &str) -> Option<&'static str> {
    match kind {
        "Service" | "Endpoints" | "Node" => Some(""),
        "EndpointSlice" => Some("discovery.k8s.io"),
        "Ingress" => Some("networking.k8s.io"),
        _ => None,
    }
}

fn describe(document: &Value) -> String {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    let namespace = document.pointer("/metadata/namespace").and_then(Value::as_str);
    let name = text("/metadata/name");
    match namespace {
        Some(namespace) => format!("{} {namespace}/{name}", text("/kind")),
        None => format!("{} {name}", text("/kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {type: LoadBalancer},
   status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}}
- {apiVersion: v1, kind: Endpoints, metadata: {name: web, namespace: shop},
   subsets: [{addresses: [{ip: 10.0.0.1}], notReadyAddresses: [{ip: 10.0.0.2}]}]}
- {apiVersion: v1, kind: Pod, metadata: {name: web-1}}
---
apiVersion: v1
kind: NodeList
items:
- metadata: {name: n1, labels: {topology.kubernetes.io/region: us}}
";

    #[test]
    fn lists_documents_and_typed_lists_are_read_and_other_kinds_passed_over() {
        let manifest = parse(LIST).unwrap();
        let keys: Vec<_> = manifest.objects.iter().map(|o| o.key().to_string()).collect();
        assert_eq!(keys, ["Service shop/web", "EndpointSlice shop/endpoints/web", "Node n1"]);
        assert!(manifest.tells_readiness && manifest.problems.is_empty());
    }

    #[test]
    fn json_is_read_too() {
        let json =
            r#"{"kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "ClusterIP"}}"#;
        assert_eq!(parse(json).unwrap().objects[0].key().to_string(), "Service default/web");
    }

    #[test]
    fn one_bad_object_is_named_with_its_field_and_leaves_the_others() {
        let text = "kind: Service\nmetadata: {name: a}\nspec: {type: 7}\n---\nkind: Service\nmetadata: {name: b}\n";
        let manifest = parse(text).unwrap();
        assert_eq!(manifest.objects.len(), 1);
        assert!(
            manifest.problems[0].starts_with("Service a: spec.type: "),
            "{:?}",
            manifest.problems
        );
    }

    #[test]
    fn text_that_is_no_yaml_is_an_error() {
        assert!(parse("a: [").is_err());
        assert!(parse("").unwrap().objects.is_empty());
    }

    #[test]
    fn slices_stand_before_endpoints_of_the_same_service() {
        let text = format!(
            "{LIST}---\nkind: EndpointSlice\nmetadata: {{name: web-x, namespace: shop, labels: \
             {{kubernetes.io/service-name: web}}}}\n"
        );
        let mut objects = parse(&text).unwrap().objects;
        prefer_slices(&mut objects);
        let slices = of_kind(&objects, Kind::EndpointSlice);
        assert_eq!(slices.len(), 1);
        assert_eq!(slices[0].key().key.to_string(), "shop/web-x");
    }

    #[test]
    fn other_groups_kinds_of_the_same_name_are_passed_over() {
        let text = "
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: knative}
---
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: old, namespace: shop}
";
        let manifest = parse(text).unwrap();
        assert!(manifest.objects.is_empty());
        assert_eq!(manifest.problems.len(), 1);
        assert!(manifest.problems[0].starts_with("Ingress shop/old: apiVersion extensions"));
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_older_version_and_the_others_are_new() {
        let text = |kind: &str, ip: &str| {
            format!(
                "kind: Service\nmetadata: {{name: a}}\nspec: {{type: {kind}}}\n---\nkind: Service\n\
                 metadata: {{name: b}}\nstatus: {{loadBalancer: {{ingress: [{{ip: {ip}}}]}}}}\n"
            )
        };
        let older = parse(&text("LoadBalancer", "192.0.2.1")).unwrap();
        let mut newer = parse(&text("7", "192.0.2.2")).unwrap();
        newer.keep(older.clone());
        let b = parse(&text("LoadBalancer", "192.0.2.2")).unwrap().objects.remove(1);
        assert_eq!(newer.objects, [b, older.objects[0].clone()]);
    }

    #[test]
    fn a_dump_of_a_large_cluster_is_read() {
        let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
        for number in 0..20_000 {
            text += &format!(
                "- kind: Service\n  metadata: {{name: s{number}, labels: {{a: b, c: d, e: f}}}}\n"
            );
        }
        assert_eq!(parse(&text).unwrap().objects.len(), 20_000);
    }
}
