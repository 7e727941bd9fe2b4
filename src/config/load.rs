//! Reads a directory of objects, and keeps what was good of those that are bad now.

use super::{
    Config, FederationConfig, MemberConfig, Problem,
    check::{self, Checked},
    files::{self, ReadFile, beside, has_extension, real},
    spec::{Federation, MemberCluster, TrafficPolicy},
    zone,
};
use crate::{
    model::{ClusterName, FederationName, Name, ServiceKey},
    policy,
    records::Zone,
    source::Access,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What one look at the directory gave.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What is in force now.
    pub config: Config,
    /// What is wrong; the last good version of each stays in force.
    pub errors: Vec<Problem>,
    /// What is not wrong but not as it seems.
    pub warnings: Vec<Problem>,
}

/// Reads the directory again and again, remembering what was good.
#[derive(Debug)]
pub struct Loader {
    directory: PathBuf,
    good: BTreeMap<Id, Good>,
    /// Master files of federations at the last look.
    taken: BTreeSet<PathBuf>,
    /// The federations that were in force, each with the zone it had.
    in_force: BTreeMap<FederationName, FederationConfig>,
}

/// Kind, namespace and name.
type Id = (String, String, String);

#[derive(Clone, Debug)]
struct Good {
    file: PathBuf,
    object: Object,
}

#[derive(Clone, Debug)]
enum Object {
    Federation(FederationConfig),
    Member(MemberConfig),
    Policy(policy::TrafficPolicy),
    Zone(Arc<Zone>),
}

const API_VERSION: &str = "meridian.dev/v1alpha1";
const KINDS: [&str; 3] = ["Federation", "MemberCluster", "TrafficPolicy"];

impl Loader {
    /// A loader that knows nothing yet.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        let (good, taken, in_force) = Default::default();
        Self { directory, good, taken, in_force }
    }

    /// Reads all files.
    pub fn load(&mut self) -> Loaded {
        let mut pass = Pass::new(&self.good, &self.taken, &self.directory);
        pass.run();
        let (good, taken, mut loaded) = (pass.good, pass.taken, Loaded::default());
        loaded.errors = pass.errors;
        loaded.warnings = pass.warnings;
        (self.good, self.taken) = (good, taken);
        self.assemble(&mut loaded);
        self.in_force = loaded.config.federations.clone();
        loaded.errors.sort();
        loaded.warnings.sort();
        loaded
    }

    /// Puts the good objects together, and checks what concerns several.
    fn assemble(&self, loaded: &mut Loaded) {
        for ((_, namespace, name), good) in &self.good {
            let config = &mut loaded.config;
            match good.object.clone() {
                Object::Federation(federation) => {
                    config.federations.insert(FederationName(name.as_str().into()), federation);
                }
                Object::Member(member) => {
                    config.members.insert(ClusterName::from(name.as_str()), member);
                }
                Object::Policy(policy) => {
                    config
                        .policies
                        .insert(ServiceKey::new(namespace.as_str(), name.as_str()), policy);
                }
                Object::Zone(zone) => {
                    config.zones.insert(zone.apex().clone(), zone);
                }
            }
        }
        let file = |kind: &str, name: &str| {
            let (namespace, name) = name.split_once('/').unwrap_or(("", name));
            let id = (kind.to_owned(), namespace.to_owned(), name.to_owned());
            self.good.get(&id).map(|good| self.shown(&good.file)).unwrap_or_default()
        };
        check::together(loaded, &self.in_force, &file);
    }

    fn shown(&self, path: &Path) -> String {
        shown(&self.directory, path)
    }
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// One look at the directory.
struct Pass<'p> {
    root: &'p Path,
    old: &'p BTreeMap<Id, Good>,
    was_taken: &'p BTreeSet<PathBuf>,
    good: BTreeMap<Id, Good>,
    /// Files, and names in them, whose objects could not even be told apart: what they held last
    /// stays, unless it is found elsewhere.
    lost: Vec<(PathBuf, String)>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Master files that a federation takes its static records from.
    taken: BTreeSet<PathBuf>,
}

impl<'p> Pass<'p> {
    fn new(old: &'p BTreeMap<Id, Good>, was_taken: &'p BTreeSet<PathBuf>, root: &'p Path) -> Self {
        Self {
            root,
            old,
            was_taken,
            lost: Vec::new(),
            good: BTreeMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            taken: BTreeSet::new(),
        }
    }

    fn run(&mut self) {
        let files = match files::files(self.root) {
            Ok(files) => files,
            Err(error) => {
                let text =
                    format!("the directory cannot be read ({error}); what was read last stands");
                self.error(self.root, "", text);
                self.good = self.old.clone();
                self.taken = self.was_taken.clone();
                return;
            }
        };
        let documents = files::documents(&files);
        let manifests = self.manifest_directories(&documents);
        let outside =
            |file: &Path| !manifests.iter().any(|directory| real(file).starts_with(directory));
        for document in documents {
            match document {
                Ok((file, values)) if outside(&file) => {
                    values.into_iter().for_each(|value| self.document(&file, value));
                }
                Err((file, error)) if outside(&file) => self.lose_file(&file, &error),
                _ => {}
            }
        }
        self.keep_lost();
        if !self.errors.is_empty() {
            // The federation that has a master file may be among what is wrong.
            self.taken.extend(self.was_taken.iter().cloned());
        }
        let zones = files.iter().filter(|file| has_extension(file, &["zone"]) && outside(file));
        for file in zones.filter(|file| !self.taken.contains(*file)).cloned().collect::<Vec<_>>() {
            self.plain_zone(&file, &files);
        }
        if self.good.is_empty() && self.errors.is_empty() {
            let text = "no object found; expected .yaml files with Federation and MemberCluster \
                        objects of meridian.dev/v1alpha1, or .zone master files";
            self.error(self.root, "", text.to_owned());
        }
    }

    /// Directories that hold a cluster's manifests are no configuration, wherever they lie; those
    /// of clusters whose file cannot be read now, neither.
    fn manifest_directories(&self, documents: &[ReadFile]) -> BTreeSet<PathBuf> {
        let of = |(file, value): (&PathBuf, &Value)| {
            let member = value.get("kind")?.as_str()? == "MemberCluster";
            let directory = value.pointer("/spec/access/directory")?.as_str()?;
            member.then(|| real(&beside(file, directory)))
        };
        let values = documents.iter().flatten();
        let pairs = values.flat_map(|(file, values)| {
            values.iter().flat_map(files::objects).map(move |value| (file, value))
        });
        let before = self.old.values().filter_map(|good| match &good.object {
            Object::Member(MemberConfig { access: Access::Directory(directory), .. }) => {
                Some(real(directory))
            }
            _ => None,
        });
        pairs.filter_map(of).chain(before).collect()
    }

    /// A file that cannot be read at all keeps every object that it held.
    fn lose_file(&mut self, file: &Path, error: &str) {
        let stays = match self.old.values().filter(|good| good.file == file).count() {
            0 => String::new(),
            count => format!("; the {count} objects it held last stay in force"),
        };
        self.lost.push((file.to_owned(), String::new()));
        self.error(file, "", format!("{error}{stays}"));
    }

    /// Whatever stood where nothing could be told apart, and stands nowhere else now.
    fn keep_lost(&mut self) {
        for (file, name) in std::mem::take(&mut self.lost) {
            let held = self.old.iter().filter(|((_, _, own), good)| {
                good.file == file && (name.is_empty() || *own == name)
            });
            for (id, good) in held {
                self.good.entry(id.clone()).or_insert_with(|| good.clone());
            }
        }
    }

    fn document(&mut self, file: &Path, mut value: Value) {
        if value.is_null() {
            return;
        }
        if value.get("kind").and_then(Value::as_str) == Some("List") {
            if let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) {
                items.into_iter().for_each(|item| self.document(file, item));
            }
            return;
        }
        let text =
            |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, version) = (text("/kind").to_owned(), text("/apiVersion").to_owned());
        let (namespace, name) =
            (text("/metadata/namespace").to_owned(), text("/metadata/name").to_owned());
        let object = describe(&kind, &namespace, &name);
        if let Some(problem) = wrong_head(&kind, &version, &name, &value) {
            let held = self
                .old
                .iter()
                .any(|((_, _, own), good)| good.file == file && (name.is_empty() || *own == name));
            let stays = if held { "; its last good version stays in force" } else { "" };
            self.lost.push((file.to_owned(), name));
            return self.error(file, &object, format!("{problem}{stays}"));
        }
        let policy = kind == "TrafficPolicy";
        let namespace = match (policy, namespace.is_empty()) {
            (true, true) => "default".to_owned(),
            (true, false) => namespace,
            (false, _) => String::new(),
        };
        let id: Id = (kind.clone(), namespace.clone(), name.clone());
        if let Some(other) = self.good.get(&id) {
            let first = shown(self.root, &other.file);
            return self.error(
                file,
                &object,
                format!("stands a second time; the first, in {first}, is in force"),
            );
        }
        let checked = self.check(file, &kind, &namespace, &name, value);
        for text in checked.warnings {
            let warning = self.problem(file, &object, text);
            self.warnings.push(warning);
        }
        match checked.object {
            Ok(object) => {
                self.good.insert(id, Good { file: file.to_owned(), object });
            }
            Err(problems) => {
                let old = self.old.get(&id).cloned();
                let stays =
                    if old.is_some() { "; its last good version stays in force" } else { "" };
                for problem in problems {
                    self.error(file, &object, format!("{problem}{stays}"));
                }
                self.good.extend(old.map(|old| (id, old)));
            }
        }
    }

    fn check(
        &mut self,
        file: &Path,
        kind: &str,
        namespace: &str,
        name: &str,
        value: Value,
    ) -> Checked<Object> {
        match kind {
            "Federation" => {
                let master = value.pointer("/spec/masterFile").and_then(Value::as_str);
                self.taken.extend(master.map(|own| beside(file, own)));
                match typed::<Federation>(value) {
                    Err(problem) => Checked::refused(problem),
                    Ok(written) => {
                        let folder = file.parent().unwrap_or(self.root);
                        check::federation(name, &written.spec, folder).map(Object::Federation)
                    }
                }
            }
            "MemberCluster" => match typed::<MemberCluster>(value) {
                Err(problem) => Checked::refused(problem),
                Ok(written) => {
                    check::member(&written.spec, |path| beside(file, path)).map(Object::Member)
                }
            },
            _ => match typed::<TrafficPolicy>(value) {
                Err(problem) => Checked::refused(problem),
                Ok(written) => {
                    let key = ServiceKey::new(namespace, name);
                    check::policy(key, &written.spec).map(Object::Policy)
                }
            },
        }
    }

    fn plain_zone(&mut self, file: &Path, files: &BTreeSet<PathBuf>) {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let id: Id = ("Zone".to_owned(), String::new(), stem.to_ascii_lowercase());
        // Of two files for one zone, the one that is in force stays, else the first.
        let before = self.old.get(&id).map(|old| &old.file).filter(|old| files.contains(*old));
        let first = before.or_else(|| self.good.get(&id).map(|good| &good.file));
        if let Some(first) = first.filter(|first| *first != file) {
            let text = format!(
                "zone {stem} has the file {} already, which is in force; expected one file for each",
                shown(self.root, first)
            );
            return self.error(file, "", text);
        }
        let apex: Name = match stem.parse() {
            Ok(apex) => apex,
            Err(error) => {
                let text = format!(
                    "the file's name {stem:?} is no zone name ({error}); expected <zone>.zone"
                );
                return self.error(file, "", text);
            }
        };
        match zone::read_zone(file, &shown(self.root, file), &apex) {
            Ok(parsed) => {
                let about = format!("zone {apex}");
                for warning in parsed.warnings {
                    let warning = self.problem(file, &about, warning.to_string());
                    self.warnings.push(warning);
                }
                let object = Object::Zone(Arc::new(parsed.zone));
                self.good.insert(id, Good { file: file.to_owned(), object });
            }
            Err(errors) => {
                let old = self.old.get(&id).cloned();
                let stays =
                    if old.is_some() { "; its last good version stays in force" } else { "" };
                for error in errors.0 {
                    let problem = Problem {
                        file: format!("{}:{}", error.file, error.line),
                        object: format!("zone {apex}"),
                        text: format!("{}{stays}", error.text),
                    };
                    self.errors.push(problem);
                }
                self.good.extend(old.map(|old| (id, old)));
            }
        }
    }

    fn error(&mut self, file: &Path, object: &str, text: String) {
        let problem = self.problem(file, object, text);
        self.errors.push(problem);
    }

    fn problem(&self, file: &Path, object: &str, text: String) -> Problem {
        let file = match file == self.root {
            true => file.display().to_string(),
            false => shown(self.root, file),
        };
        Problem { file, object: object.to_owned(), text }
    }
}

/// What is wrong with an object before its spec is looked at.
fn wrong_head(kind: &str, version: &str, name: &str, value: &Value) -> Option<String> {
    if !version.starts_with("meridian.dev/") {
        return Some(format!(
            "apiVersion {version:?} is not ours; expected {API_VERSION} (the manifests of a member \
             cluster belong into the directory that its MemberCluster names)"
        ));
    }
    if version != API_VERSION {
        return Some(format!("apiVersion {version:?} is not known; expected {API_VERSION}"));
    }
    if !KINDS.contains(&kind) {
        return Some(format!(
            "kind {kind:?} is not known; expected {}{}",
            KINDS.join(", "),
            did_you_mean(kind, KINDS.into_iter())
        ));
    }
    if name.is_empty() {
        return Some("metadata.name is missing; every object needs one".to_owned());
    }
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let fields = value.as_object()?;
    let odd = fields.keys().find(|field| !known.contains(&field.as_str()))?;
    Some(format!(
        "{odd}: unknown field; expected {}{}",
        known.join(", "),
        did_you_mean(odd, known.into_iter())
    ))
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    let copy = value.clone();
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().clone();
        let text = with_suggestion(&error.into_inner().to_string());
        let at = path.to_string();
        let found = path.iter().try_fold(&copy, |value, segment| match segment {
            serde_path_to_error::Segment::Seq { index } => value.get(index),
            serde_path_to_error::Segment::Map { key } => value.get(key),
            _ => None,
        });
        match found.filter(|found| !found.is_object() && !text.contains("unknown field")) {
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
    let score = |candidate| strsim::normalized_damerau_levenshtein(candidate, found);
    let scored = candidates.map(|candidate| (score(candidate), candidate));
    let best = scored.filter(|(score, _)| *score > 0.6).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, candidate)| format!("; did you mean {candidate:?}?")).unwrap_or_default()
}

fn describe(kind: &str, namespace: &str, name: &str) -> String {
    match (kind.is_empty(), namespace.is_empty()) {
        (true, _) => "an object without kind".to_owned(),
        (false, true) => format!("{kind} {name}").trim_end().to_owned(),
        (false, false) => format!("{kind} {namespace}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const FEDERATION: &str = "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {name: \
                              magicring}\nspec: {zone: demo.example.org}\n";
    const MEMBER: &str = "apiVersion: meridian.dev/v1alpha1\nkind: MemberCluster\nmetadata: {name: \
                          aws}\nspec: {access: {directory: clusters/aws}}\n";

    struct Place {
        directory: tempfile::TempDir,
        loader: Loader,
    }

    fn place(files: &[(&str, &str)]) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let loader = Loader::new(directory.path().to_owned());
        let place = Place { directory, loader };
        files.iter().for_each(|(file, text)| place.write(file, text));
        place
    }

    impl Place {
        fn write(&self, file: &str, text: &str) {
            let path = self.directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn errors(&mut self) -> Vec<String> {
            self.loader.load().errors.iter().map(ToString::to_string).collect()
        }
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
            (
                FEDERATION.replace("kind: Federation", "kind: Federaton"),
                "did you mean \"Federation\"?",
            ),
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
        assert!(loaded.errors[0].text.contains("the 1 objects it held last stay in force"));
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
    fn a_policy_comes_into_force_with_all_its_fields() {
        let policy = "apiVersion: meridian.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: p, namespace: \
                      shop}\nspec: {targets: [{kind: Service, name: web}], ttl: 20, order: {failover: [a]}, \
                      health: {protocol: http}}\n";
        let mut place = place(&[("p.yaml", policy)]);
        let loaded = place.loader.load();
        assert_eq!((loaded.errors, loaded.warnings), (vec![], vec![]));
        let own = loaded.config.policies.values().next().unwrap();
        assert_eq!(own.ttl.map(crate::model::Ttl::as_secs), Some(20));
        assert_eq!(own.steer.order, crate::policy::Order::Failover(vec!["a".into()]));
        assert!(own.health.is_some());
    }

    fn policy(name: &str, spec: &str) -> String {
        format!(
            "apiVersion: meridian.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: {name}, \
             namespace: shop}}\nspec: {{targets: [{{kind: Service, name: web}}], {spec}}}\n"
        )
    }

    #[test]
    fn a_policy_that_names_an_unknown_cluster_is_said_and_in_force_for_the_others() {
        let member = "apiVersion: meridian.dev/v1alpha1\nkind: MemberCluster\nmetadata: {name: azure}\nspec: \
                      {access: {directory: azure}}\n";
        let own = policy("p", "order: {failover: [azrue, azure]}");
        let mut place = place(&[("p.yaml", &own), ("azure.yaml", member)]);
        let loaded = place.loader.load();
        let text = &loaded.errors[0].to_string();
        assert!(text.contains("p.yaml: TrafficPolicy shop/p: spec.order.failover"), "{text}");
        assert!(text.contains("did you mean \"azure\"?"), "{text}");
        assert_eq!((loaded.errors.len(), loaded.config.policies.len()), (1, 1));
    }

    #[test]
    fn without_any_member_cluster_the_clusters_come_from_elsewhere_and_may_be_named() {
        let own = policy("p", "order: {failover: [azure]}");
        assert_eq!(place(&[("p.yaml", &own)]).errors(), Vec::<String>::new());
    }

    #[test]
    fn two_policies_for_one_service_are_said_with_both_names() {
        let (one, two) = (policy("one", "ttl: 5"), policy("two", "ttl: 6"));
        let mut place = place(&[("1.yaml", &one), ("2.yaml", &two)]);
        let errors = place.errors();
        let expected = "2.yaml: TrafficPolicy shop/two: spec.targets: service shop/web has \
                        TrafficPolicy shop/one already";
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}");
    }

    #[test]
    fn a_misspelt_kind_version_or_field_keeps_the_object_that_is_in_force() {
        for (good, bad) in [
            ("kind: Federation", "kind: Fedaration"),
            ("meridian.dev/v1alpha1", "meridian.dev/v1alpah1"),
            ("metadata:", "metadatta:"),
            ("spec:", "sepc:"),
        ] {
            let mut place = place(&[("fed.yaml", FEDERATION)]);
            assert_eq!(place.loader.load().config.federations.len(), 1);
            place.write("fed.yaml", &FEDERATION.replacen(good, bad, 1));
            let loaded = place.loader.load();
            assert_eq!(loaded.config.federations.len(), 1, "{bad}");
            let text = loaded.errors[0].to_string();
            assert!(text.contains("its last good version stays in force"), "{text}");
        }
    }

    #[test]
    fn an_object_that_was_lost_and_stands_elsewhere_now_is_what_it_is_there() {
        let mut place = place(&[("a.yaml", FEDERATION)]);
        place.loader.load();
        place.write("a.yaml", "kind: [broken");
        place.write("b.yaml", &FEDERATION.replace("{zone", "{ttl: 77, zone"));
        for _ in 0..2 {
            let loaded = place.loader.load();
            assert_eq!(loaded.errors.len(), 1, "{:?}", loaded.errors);
            let fed = &loaded.config.federations[&FederationName("magicring".into())];
            assert_eq!(fed.federation.ttl.as_secs(), 77);
        }
    }

    fn federation(name: &str, zone: &str) -> String {
        FEDERATION.replace("magicring", name).replace("demo.example.org", zone)
    }

    #[test]
    fn a_zone_that_is_in_force_is_not_taken_over_by_a_newcomer() {
        let mut place = place(&[("m.yaml", &federation("middle", "demo.example.org"))]);
        place.loader.load();
        place.write("a.yaml", &federation("aardvark", "demo.example.org"));
        let loaded = place.loader.load();
        assert!(loaded.config.federations.keys().eq([&FederationName("middle".into())]));
        let text = loaded.errors[0].to_string();
        assert!(text.starts_with("a.yaml: Federation aardvark: spec.zone"), "{text}");
        assert!(text.contains("Federation middle") && text.contains("not in force"), "{text}");
    }

    #[test]
    fn a_federation_that_is_moved_to_a_zone_that_is_taken_keeps_its_own() {
        let (one, two) = (federation("one", "one.example"), federation("two", "two.example"));
        let mut place = place(&[("1.yaml", &one), ("2.yaml", &two)]);
        place.loader.load();
        place.write("1.yaml", &federation("one", "two.example"));
        for _ in 0..2 {
            let loaded = place.loader.load();
            let zones: Vec<String> = loaded
                .config
                .federations
                .values()
                .map(|own| own.federation.zone.to_string())
                .collect();
            assert_eq!(zones, ["one.example.", "two.example."]);
            let text = loaded.errors[0].to_string();
            assert!(text.contains("its last good version stays in force"), "{text}");
        }
    }

    #[test]
    fn two_federations_may_swap_their_zones() {
        let (one, two) = (federation("one", "one.example"), federation("two", "two.example"));
        let mut place = place(&[("1.yaml", &one), ("2.yaml", &two)]);
        place.loader.load();
        place.write("1.yaml", &federation("one", "two.example"));
        place.write("2.yaml", &federation("two", "one.example"));
        let loaded = place.loader.load();
        assert_eq!((loaded.errors, loaded.config.federations.len()), (vec![], 2));
    }

    #[test]
    fn a_master_file_stays_its_federations_when_that_breaks() {
        let with = FEDERATION.replace("{zone", "{masterFile: static.zone, zone");
        let mut place = place(&[("fed.yaml", &with), ("static.zone", "www 60 A 192.0.2.1\n")]);
        place.loader.load();
        for broken in [with.replace("zone: demo", "zoen: demo"), "kind: [broken".to_owned()] {
            place.write("fed.yaml", &broken);
            let loaded = place.loader.load();
            assert!(loaded.config.zones.is_empty(), "{broken}");
            assert_eq!(loaded.config.federations.len(), 1);
        }
    }

    #[test]
    fn of_two_files_for_one_plain_zone_the_one_in_force_stays_and_both_are_named() {
        let zone =
            |ttl: u32| format!("@ {ttl} SOA ns1 host 1 2 3 4 5\n@ {ttl} NS ns1.example.net.\n");
        let mut place = place(&[("b/example.net.zone", &zone(60))]);
        place.loader.load();
        place.write("a/example.net.zone", &zone(70));
        let loaded = place.loader.load();
        let text = loaded.errors[0].to_string();
        assert!(
            text.contains("a/example.net.zone") && text.contains("b/example.net.zone"),
            "{text}"
        );
        let own = loaded.config.zones.values().next().unwrap();
        assert_eq!(own.soa().unwrap().ttl.as_secs(), 60);
    }

    #[test]
    fn manifests_are_no_configuration_however_their_cluster_is_written() {
        let list = format!(
            "kind: List\nitems:\n- {}",
            MEMBER.replace("clusters/aws", "x/../clusters/aws").trim().replace('\n', "\n  ")
        );
        let manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
        let mut place =
            place(&[("aws.yaml", &list), ("clusters/aws/web.yaml", manifest), ("x/y.yaml", "")]);
        let loaded = place.loader.load();
        assert_eq!((loaded.errors, loaded.config.members.len()), (vec![], 1));
        place.write("aws.yaml", "kind: [broken");
        assert_eq!(place.errors().len(), 1, "the broken file alone");
    }

    #[test]
    fn a_link_to_the_directory_itself_is_not_followed_around() {
        let mut place = place(&[("bad.yaml", "kind: Federatoin\n")]);
        std::os::unix::fs::symlink(".", place.directory.path().join("again")).unwrap();
        assert_eq!(place.errors().len(), 1);
    }

    #[test]
    fn a_zone_within_another_is_warned_of() {
        let (one, two) = (federation("one", "example.org"), federation("two", "sub.example.org"));
        let mut place = place(&[("1.yaml", &one), ("2.yaml", &two)]);
        let loaded = place.loader.load();
        assert_eq!(loaded.errors, []);
        let warned =
            loaded.warnings.iter().any(|own| own.text.contains("lies within example.org."));
        assert!(warned, "{:?}", loaded.warnings);
    }

    #[test]
    fn what_has_no_effect_in_this_version_is_said() {
        let with = FEDERATION.replace("{zone", "{serve: false, zone");
        let mut place = place(&[("fed.yaml", &with)]);
        let texts: Vec<String> =
            place.loader.load().warnings.iter().map(ToString::to_string).collect();
        assert!(
            texts.iter().any(|text| text.contains("spec.serve: false has no effect")),
            "{texts:?}"
        );
    }
}
