//! What an object says of itself before its spec is looked at, and what is wrong with that.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Kind, namespace (of policies) and name.
pub(super) type Id = (String, String, String);

/// The head of an object; empty where nothing is said.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) kind: String,
    version: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Head {
    pub(super) fn of(value: &Value) -> Self {
        let text = |pointer: &str| {
            value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Self {
            kind: text("/kind"),
            version: text("/apiVersion"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        }
    }

    /// Which object it is; `None` when kind or name leave that open.
    pub(super) fn id(&self) -> Option<Id> {
        if !KINDS.contains(&self.kind.as_str()) || self.name.is_empty() {
            return None;
        }
        let namespace = match (self.kind == "TrafficPolicy", self.namespace.as_str()) {
            (true, "") => "default",
            (true, own) => own,
            (false, _) => "",
        };
        Some((self.kind.clone(), namespace.to_owned(), self.name.clone()))
    }

    /// Whether that object may be what was meant by a head that leaves it open.
    pub(super) fn may_be(&self, (kind, namespace, name): &Id) -> bool {
        let ours =
            self.version.starts_with("meridian") || ["", "List"].contains(&self.kind.as_str());
        let fits = |own: &str, other: &str| own.is_empty() || own == other;
        nearest(&self.kind, KINDS.into_iter()).map_or(ours, |nearest| nearest == kind)
            && fits(&self.name, name)
            && (namespace.is_empty() || fits(&self.namespace, namespace))
    }

    /// As in `TrafficPolicy shop/web`.
    pub(super) fn shown(&self) -> String {
        match (self.kind.is_empty(), self.namespace.is_empty()) {
            (true, _) => "an object without kind".to_owned(),
            (false, true) => format!("{} {}", self.kind, self.name).trim_end().to_owned(),
            (false, false) => format!("{} {}/{}", self.kind, self.namespace, self.name),
        }
    }

    /// What is wrong with it.
    pub(super) fn problem(&self, value: &Value) -> Option<String> {
        let Self { kind, version, name, .. } = self;
        let (ours, known_kind) =
            (version.starts_with("meridian.dev/"), KINDS.contains(&kind.as_str()));
        if kind == "List" {
            return Some("items: expected a list of objects".to_owned());
        }
        if !ours {
            let text = format!("apiVersion {version:?} is not ours; expected {API_VERSION}");
            let nearest = did_you_mean(kind, KINDS.into_iter());
            let manifests = "the manifests of a member cluster belong into the directory that its \
                             MemberCluster names";
            return Some(match (known_kind, nearest.is_empty()) {
                (true, _) => text,
                (false, true) => format!("{text} ({manifests})"),
                (false, false) => format!("{text}, and a kind of ours{nearest}"),
            });
        }
        if version != API_VERSION {
            return Some(format!("apiVersion {version:?} is not known; expected {API_VERSION}"));
        }
        if !known_kind {
            return Some(format!(
                "kind {kind:?} is not known; expected {}{}",
                KINDS.join(", "),
                did_you_mean(kind, KINDS.into_iter())
            ));
        }
        odd_field(value).or_else(|| {
            name.is_empty()
                .then(|| "metadata.name is missing or no text; every object needs one".to_owned())
        })
    }
}

fn odd_field(value: &Value) -> Option<String> {
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let odd = value.as_object()?.keys().find(|field| !known.contains(&field.as_str()))?;
    Some(format!(
        "{odd}: unknown field; expected {}{}",
        known.join(", "),
        did_you_mean(odd, known.into_iter())
    ))
}

/// The object as its type, or the field and value that do not fit.
pub(super) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().clone();
        let text = with_suggestion(&error.into_inner().to_string());
        let at = path.to_string();
        let found = path.iter().try_fold(value, |value, segment| match segment {
            serde_path_to_error::Segment::Seq { index } => value.get(index),
            serde_path_to_error::Segment::Map { key } => value.get(key),
            _ => None,
        });
        // A whole object would only be repeated, unless it stands where something small belongs.
        let small = |found: &&Value| !found.is_object() || text.starts_with("expected");
        match found.filter(|found| small(found) && !text.contains("unknown field")) {
            Some(found) => format!("{at}: {text} (found {found})"),
            None => format!("{at}: {text}"),
        }
    })
}

/// serde lists what it expected in backticks; the nearest of them is what was meant.
fn with_suggestion(text: &str) -> String {
    let mut quoted = text.split('`').skip(1).step_by(2);
    let Some(found) = quoted.next().filter(|_| text.starts_with("unknown ")) else {
        return text.to_owned();
    };
    format!("{text}{}", did_you_mean(found, quoted))
}

/// As in `; did you mean "zone"?`, or nothing.
pub(super) fn did_you_mean<'c>(found: &str, candidates: impl Iterator<Item = &'c str>) -> String {
    nearest(found, candidates)
        .map(|candidate| format!("; did you mean {candidate:?}?"))
        .unwrap_or_default()
}

fn nearest<'c>(found: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let score = |candidate| strsim::normalized_damerau_levenshtein(candidate, found);
    let scored = candidates.map(|candidate| (score(candidate), candidate));
    let best = scored.filter(|(score, _)| *score > 0.6).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, candidate)| candidate)
}

const API_VERSION: &str = "meridian.dev/v1alpha1";
const KINDS: [&str; 3] = ["Federation", "MemberCluster", "TrafficPolicy"];
