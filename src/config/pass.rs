//! One look at the directory: every object that is written, one version of each that is in force.
//!
//! All copies of an object are gathered first, and one is chosen then: a good one before the one
//! remembered, and the one in the file where it stood before one elsewhere. What was in force is
//! given up only for a good version, or when its file can be read and does not name it.

use super::{
    Problem,
    check::{self, Checked},
    claims,
    files::{self, Written, has_extension, placed, real},
    head::{Head, Id, typed},
    load::{Good, Object},
    spec::{Federation, MemberCluster},
    texts::{Item, Texts},
    zone,
};
use crate::{model::Name, source::Access};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is in force after the look, what is wrong, and what is not as it seems.
pub(super) type Outcome = (BTreeMap<Id, Good>, Vec<Problem>, Vec<Problem>);

/// One look at the directory.
pub(super) struct Pass<'p> {
    root: &'p Path,
    old: &'p BTreeMap<Id, Good>,
    texts: &'p mut Texts,
    copies: BTreeMap<Id, Vec<Copy>>,
    good: BTreeMap<Id, Good>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// An object as one file has it.
struct Copy {
    file: PathBuf,
    shown: String,
    object: Result<Object, Vec<Problem>>,
    warnings: Vec<Problem>,
}

/// An object whose head leaves open which one it is.
struct Lost {
    file: PathBuf,
    head: Head,
    problem: String,
}

pub(super) fn shown(root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(below) if below != Path::new("") => below.display().to_string(),
        _ => path.display().to_string(),
    }
}

impl<'p> Pass<'p> {
    pub(super) fn new(root: &'p Path, old: &'p BTreeMap<Id, Good>, texts: &'p mut Texts) -> Self {
        texts.begin();
        Self {
            root,
            old,
            texts,
            copies: BTreeMap::new(),
            good: BTreeMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Outcome {
        let found = files::collect(self.root);
        let (written, manifests) = self.read(&found.files);
        let mut masters = BTreeSet::new();
        let mut broken: Vec<(PathBuf, String)> = found
            .unreadable
            .into_iter()
            .map(|(path, error)| (path, format!("the directory cannot be read: {error}")))
            .collect();
        let mut lost = Vec::new();
        for Written { file, text, masters: named, .. } in written {
            masters.extend(named);
            match &text.objects {
                Ok(items) => lost.extend(items.iter().filter_map(|item| self.item(&file, item))),
                Err(error) => broken.push((file, error.clone())),
            }
        }
        self.choose();
        lost.into_iter().for_each(|own| self.keep_lost(own));
        self.settle_claims();
        masters.extend(self.masters(&broken));
        for file in found.files.iter().filter(|file| has_extension(file, &["zone"])) {
            let placed = placed(file);
            if !masters.contains(&placed) && !is_below(&placed, &manifests) {
                self.plain_zone(file);
            }
        }
        self.choose();
        broken.iter().for_each(|(path, error)| self.keep_all(path, error));
        self.settle_claims();
        if self.good.is_empty() && self.errors.is_empty() {
            let text = "no object found; expected .yaml files with Federation and MemberCluster \
                        objects of meridian.dev/v1alpha1, or .zone master files";
            self.error(self.root, "", text.to_owned());
        }
        (self.good, self.errors, self.warnings)
    }

    /// Reads what may hold objects, and says which directories hold manifests of clusters: they
    /// are no configuration, wherever they lie.
    fn read(&mut self, files: &[PathBuf]) -> (Vec<Written>, BTreeSet<PathBuf>) {
        let mut manifests: BTreeSet<PathBuf> = self.old.values().filter_map(manifests_of).collect();
        let mut written = Vec::new();
        for file in files.iter().filter(|file| has_extension(file, &["yaml", "yml", "json"])) {
            if !is_below(&placed(file), &manifests) {
                let own = Written::new(file, self.texts.read(file));
                manifests.extend(own.manifests.iter().cloned());
                written.push(own);
            }
        }
        written.retain(|own| !is_below(&placed(&own.file), &manifests));
        // A provider's key lies beside what names it, and looks like JSON that is ours.
        let keys: BTreeSet<_> = written.iter().flat_map(|own| own.credentials.clone()).collect();
        written.retain(|own| !(own.text.is_no_object() && keys.contains(&placed(&own.file))));
        (written, manifests)
    }

    // === One object ===

    /// Takes an object up; gives it back when its head leaves open which one it is.
    fn item(&mut self, file: &Path, item: &Item) -> Option<Lost> {
        match item {
            Item::Policy { id, shown, checked } => {
                let checked = checked.clone().map(Object::Policy);
                self.copy(file, id.clone(), shown.clone(), checked);
                None
            }
            Item::Other(value) => self.object(file, value),
        }
    }

    fn object(&mut self, file: &Path, value: &Value) -> Option<Lost> {
        let head = Head::of(value);
        let problem = head.problem(value);
        let Some(id) = head.id() else {
            let problem = problem.unwrap_or_default();
            return Some(Lost { file: file.to_owned(), head, problem });
        };
        let checked = match problem {
            Some(problem) => Checked::refused(problem),
            None => self.check(file, &id, value),
        };
        self.copy(file, id, head.shown(), checked);
        None
    }

    fn copy(&mut self, file: &Path, id: Id, shown: String, checked: Checked<Object>) {
        let problem = |text: String| self.problem(file, &shown, text);
        let copy = Copy {
            file: file.to_owned(),
            object: checked.object.map_err(|texts| texts.into_iter().map(problem).collect()),
            warnings: checked.warnings.into_iter().map(problem).collect(),
            shown,
        };
        self.copies.entry(id).or_default().push(copy);
    }

    /// Checks what other files have a say in; policies are not among it.
    fn check(&self, file: &Path, (kind, _, name): &Id, value: &Value) -> Checked<Object> {
        if kind == "MemberCluster" {
            return match typed::<MemberCluster>(value) {
                Err(problem) => Checked::refused(problem),
                Ok(written) => check::member(&written.spec, file).map(Object::Member),
            };
        }
        match typed::<Federation>(value) {
            Err(problem) => Checked::refused(problem),
            Ok(written) => {
                let folder = file.parent().unwrap_or(self.root);
                check::federation(name, &written.spec, folder).map(Object::Federation)
            }
        }
    }

    fn plain_zone(&mut self, file: &Path) {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let apex: Name = match stem.to_lowercase().parse() {
            Ok(apex) => apex,
            Err(error) => {
                let text = format!(
                    "the file's name {stem:?} is no zone name ({error}); expected <zone>.zone"
                );
                return self.error(file, "", text);
            }
        };
        let about = format!("zone {apex}");
        let mut copy = Copy {
            file: file.to_owned(),
            shown: about.clone(),
            object: Err(Vec::new()),
            warnings: Vec::new(),
        };
        match zone::read_zone(file, &shown(self.root, file), &apex) {
            Ok(parsed) => {
                let warning = |own: &_| self.problem(file, &about, ToString::to_string(own));
                copy.warnings = parsed.warnings.iter().map(warning).collect();
                copy.object = Ok(Object::Zone(Arc::new(parsed.zone)));
            }
            Err(faults) => {
                let problems = faults.0.into_iter().map(|fault| Problem {
                    file: format!("{}:{}", fault.file, fault.line),
                    object: about.clone(),
                    text: fault.text,
                });
                copy.object = Err(problems.collect());
            }
        }
        let id: Id = ("Zone".to_owned(), String::new(), apex.without_dot());
        self.copies.entry(id).or_default().push(copy);
    }

    // === Which version is in force ===

    fn choose(&mut self) {
        for (id, copies) in std::mem::take(&mut self.copies) {
            self.choose_one(&id, copies);
        }
    }

    fn choose_one(&mut self, id: &Id, copies: Vec<Copy>) {
        let old = self.old.get(id);
        let stood = |copy: &Copy| old.is_some_and(|old| old.file == copy.file);
        let fits = |copy: &&Copy| copy.object.is_ok();
        let chosen = copies.iter().filter(fits).find(|copy| stood(copy));
        let chosen = chosen.or_else(|| copies.iter().find(fits)).map(|copy| copy.file.clone());
        let stays = match (&chosen, old) {
            (Some(file), _) => format!("; the one in {} is in force", shown(self.root, file)),
            (None, Some(_)) => "; its last good version stays in force".to_owned(),
            (None, None) => String::new(),
        };
        if chosen.is_none() {
            self.good.extend(old.map(|old| (id.clone(), old.clone())));
        }
        for copy in copies {
            match copy.object {
                Ok(object)
                    if !self.good.contains_key(id) && chosen.as_ref() == Some(&copy.file) =>
                {
                    self.warnings.extend(copy.warnings);
                    self.good.insert(id.clone(), Good { file: copy.file, object });
                }
                Ok(_) => {
                    let text = format!("stands a second time{stays}");
                    self.error(&copy.file, &copy.shown, text);
                }
                Err(problems) => {
                    self.warnings.extend(copy.warnings);
                    self.errors.extend(problems.into_iter().map(|own| {
                        let text = format!("{}{stays}", own.text);
                        Problem { text, ..own }
                    }));
                }
            }
        }
    }

    /// What an unknown head may have meant stays as it was.
    fn keep_lost(&mut self, Lost { file, head, problem }: Lost) {
        let kept = self.keep(|id, good| good.file == file && head.may_be(id));
        let names: Vec<String> =
            kept.iter().map(|(kind, _, name)| format!("{kind} {name}")).collect();
        let stays = match names.len() {
            0 => String::new(),
            1 => format!("; the last good version of {} stays in force", names[0]),
            _ => format!("; the last good versions of {} stay in force", names.join(" and ")),
        };
        self.error(&file, &head.shown(), format!("{problem}{stays}"));
    }

    /// A file or directory that cannot be read at all keeps every object that it held.
    fn keep_all(&mut self, path: &Path, error: &str) {
        let stays = match self.keep(|_, good| good.file.starts_with(path)).len() {
            0 => String::new(),
            1 => "; the object it held last stays in force".to_owned(),
            count => format!("; the {count} objects it held last stay in force"),
        };
        self.error(path, "", format!("{error}{stays}"));
    }

    /// Keeps those that were in force and stand nowhere else now.
    fn keep(&mut self, which: impl Fn(&Id, &Good) -> bool) -> Vec<Id> {
        let free = self.old.iter().filter(|(id, _)| !self.good.contains_key(*id));
        let kept: Vec<_> = free.filter(|(id, good)| which(id, good)).collect();
        self.good.extend(kept.iter().map(|(id, good)| ((*id).clone(), (*good).clone())));
        kept.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// Of several that want one zone, the one that has it keeps it.
    fn settle_claims(&mut self) {
        for refused in claims::settle(&mut self.good, self.old, &|file| shown(self.root, file)) {
            self.error(&refused.file, &refused.shown, refused.text);
        }
    }

    /// Master files of the federations in force, and of those in files that cannot be read.
    fn masters(&self, broken: &[(PathBuf, String)]) -> Vec<PathBuf> {
        let held = |good: &&Good| broken.iter().any(|(path, _)| good.file.starts_with(path));
        let all = self.good.values().chain(self.old.values().filter(held));
        let master = |good: &Good| match &good.object {
            Object::Federation(own) => own.master_file.as_deref().map(placed),
            _ => None,
        };
        all.filter_map(master).collect()
    }

    fn error(&mut self, file: &Path, object: &str, text: String) {
        let problem = self.problem(file, object, text);
        self.errors.push(problem);
    }

    fn problem(&self, file: &Path, object: &str, text: String) -> Problem {
        Problem { file: shown(self.root, file), object: object.to_owned(), text }
    }
}

fn manifests_of(good: &Good) -> Option<PathBuf> {
    match &good.object {
        Object::Member(own) => match &own.access {
            Access::Directory(path) => Some(real(path)),
            Access::Kubeconfig { .. } => None,
        },
        _ => None,
    }
}

fn is_below(file: &Path, directories: &BTreeSet<PathBuf>) -> bool {
    file.ancestors().any(|own| directories.contains(own))
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{FEDERATION, MEMBER, STATIC, federation, one_error, place, zones};
    use crate::model::FederationName;

    #[test]
    fn a_misspelled_head_keeps_the_object_that_was_in_force() {
        for (good, bad, said) in [
            ("kind: Federation", "kind: Federaton", "did you mean \"Federation\"?"),
            ("kind: Federation", "kind: federation", "did you mean \"Federation\"?"),
            ("kind: Federation", "knid: Federation", "kind \"\" is not known"),
            ("v1alpha1", "v1alhpa1", "expected meridian.dev/v1alpha1"),
            ("meridian.dev/", "meridan.dev/", "expected meridian.dev/v1alpha1"),
            ("apiVersion", "apiVerison", "expected meridian.dev/v1alpha1"),
            ("spec:", "spce:", "did you mean \"spec\"?"),
            ("metadata:", "metdata:", "did you mean \"metadata\"?"),
            ("name: magicring", "nmae: magicring", "metadata.name is missing"),
            ("v1alpha1\nkind: Fed", "v1\nkind: Fde", "apiVersion \"meridian.dev/v1\" is not known"),
        ] {
            let mut place = place(&[("fed.yaml", FEDERATION), ("aws.yaml", MEMBER)]);
            assert_eq!(place.errors(), Vec::<String>::new());
            place.write("fed.yaml", &FEDERATION.replace(good, bad));
            for _ in 0..2 {
                let loaded = place.loader.load();
                one_error(&loaded, &["fed.yaml: ", said, "stays in force"]);
                assert_eq!(zones(&loaded), ["magicring demo.example.org."], "{bad}");
            }
            place.write("fed.yaml", "");
            assert_eq!(zones(&place.loader.load()), Vec::<String>::new());
        }
    }

    #[test]
    fn what_is_not_ours_or_another_object_keeps_nothing() {
        let mut place = place(&[("fed.yaml", &format!("{FEDERATION}---\n{MEMBER}"))]);
        place.errors();
        place.write("fed.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: magicring}\n");
        assert_eq!(zones(&place.loader.load()), Vec::<String>::new());
    }

    #[test]
    fn a_list_without_its_items_keeps_what_the_file_held() {
        let list = |items: &str| format!("apiVersion: v1\nkind: List\n{items}\n");
        let one = "items: [{apiVersion: meridian.dev/v1alpha1, kind: Federation, metadata: {name: \
                   magicring}, spec: {zone: demo.example.org}}]";
        let mut place = place(&[("all.yaml", &list(one)), ("aws.yaml", MEMBER)]);
        assert_eq!(place.errors(), Vec::<String>::new());
        place.write("all.yaml", &list("itmes: []"));
        let loaded = place.loader.load();
        one_error(&loaded, &["items: expected a list of objects", "Federation magicring stays"]);
        assert_eq!(zones(&loaded), ["magicring demo.example.org."]);
    }

    #[test]
    fn an_object_that_moved_does_not_come_back_from_a_file_that_cannot_be_read() {
        for (old, new) in [("a.yaml", "b.yaml"), ("b.yaml", "a.yaml")] {
            let mut place = place(&[(old, FEDERATION), ("aws.yaml", MEMBER)]);
            assert_eq!(place.errors(), Vec::<String>::new());
            place.write(old, "a: [");
            place.write(new, &federation("magicring", "{zone: demo.example.org, ttl: 77}"));
            let loaded = place.loader.load();
            one_error(&loaded, &["is not YAML"]);
            assert!(!loaded.errors[0].text.contains("stay"), "{:?}", loaded.errors);
            let fed = &loaded.config.federations[&FederationName("magicring".into())];
            assert_eq!(fed.federation.ttl.as_secs(), 77);
        }
    }

    #[test]
    fn a_second_copy_does_not_replace_the_one_in_force() {
        let mut place = place(&[("b.yaml", FEDERATION), ("aws.yaml", MEMBER)]);
        place.errors();
        place.write("a.yaml", &federation("magicring", "{zone: other.example.org}"));
        let loaded = place.loader.load();
        one_error(
            &loaded,
            &["a.yaml: Federation magicring: stands a second time; the one in b.yaml"],
        );
        assert_eq!(zones(&loaded), ["magicring demo.example.org."]);
    }

    #[test]
    fn a_master_file_is_no_plain_zone_while_its_federation_is_wrong() {
        let with = federation("magicring", "{zone: demo.example.org, masterFile: static.zone}");
        for bad in [with.replace("zone: demo", "zoen: demo"), with.replace("{zone", "[{zone")] {
            let mut place =
                place(&[("fed.yaml", &bad), ("static.zone", STATIC), ("aws.yaml", MEMBER)]);
            assert_eq!(place.loader.load().config.zones.len(), 0, "{bad}");
            place.write("fed.yaml", &with);
            assert_eq!(place.errors(), Vec::<String>::new());
            for bad in [&bad, "a: ["] {
                place.write("fed.yaml", bad);
                let loaded = place.loader.load();
                assert_eq!(loaded.config.zones.len(), 0, "{bad}");
                assert_eq!(loaded.config.federations.len(), 1, "{bad}");
            }
        }
    }

    #[test]
    fn two_files_for_one_plain_zone_are_an_error_and_the_first_stays() {
        let mut place = place(&[("b/example.net.zone", STATIC)]);
        assert_eq!(place.errors(), Vec::<String>::new());
        place.write("a/EXAMPLE.net.zone", &format!("{STATIC}www A 192.0.2.1\n"));
        let loaded = place.loader.load();
        one_error(
            &loaded,
            &["a/EXAMPLE.net.zone: zone example.net.: stands a second time; the one in \
             b/example.net.zone is in force"],
        );
        assert_eq!(loaded.config.zones.values().next().unwrap().len(), 1);
    }

    #[test]
    fn the_manifests_of_a_cluster_are_no_configuration_however_it_is_written() {
        let list = "apiVersion: v1\nkind: List\nitems: [{apiVersion: meridian.dev/v1alpha1, kind: \
                    MemberCluster, metadata: {name: aws}, spec: {access: {directory: clusters/aws}}}]\n";
        for (member, wrong) in [
            (MEMBER.to_owned(), 0),
            (list.to_owned(), 0),
            (MEMBER.replace("clusters/aws", "../main/clusters/aws"), 0),
            (MEMBER.replace("clusters/aws", "./clusters/../link"), 0),
            (MEMBER.replace("access", "[access"), 1),
            (MEMBER.replace("MemberCluster", "MemberClutser"), 1),
            (MEMBER.replace("{access: ", "{wieght: 3, access: "), 1),
        ] {
            let mut place = place(&[
                ("main/aws.yaml", &member),
                ("main/clusters/aws/svc.yaml", "apiVersion: v1\nkind: Service\n"),
                ("main/clusters/aws/broken.yaml", "a: ["),
                ("main/clusters/aws/example.net.zone", STATIC),
            ]);
            let link = place.directory.path().join("main/link");
            std::os::unix::fs::symlink("clusters/aws", link).unwrap();
            let loaded = place.loader.load();
            assert_eq!(loaded.errors.len(), wrong, "{member} {:#?}", loaded.errors);
            assert_eq!(loaded.config.zones.len(), 0, "{member}");
        }
    }

    #[test]
    fn the_manifests_stay_out_while_the_file_that_names_them_is_broken() {
        let manifest = "apiVersion: v1\nkind: Service\n";
        let mut place = place(&[("aws.yaml", MEMBER), ("clusters/aws/svc.yaml", manifest)]);
        assert_eq!(place.errors(), Vec::<String>::new());
        place.write("aws.yaml", "a: [");
        for _ in 0..2 {
            one_error(&place.loader.load(), &["aws.yaml: is not YAML", "stays in force"]);
        }
    }

    #[test]
    fn a_directory_of_manifests_cannot_hold_the_configuration_too() {
        for own in [".", "..", "../x/"] {
            let member = MEMBER.replace("clusters/aws", own);
            let mut place = place(&[("x/aws.yaml", &member)]);
            let said =
                format!("spec.access.directory: {own:?} is not a directory of manifests alone");
            one_error(&place.loader.load(), &[&said]);
        }
    }

    #[test]
    fn a_link_to_the_directory_itself_says_nothing_twice() {
        let mut place = place(&[("a.yaml", "a: ["), ("aws.yaml", MEMBER)]);
        std::os::unix::fs::symlink(".", place.directory.path().join("again")).unwrap();
        let loaded = place.loader.load();
        one_error(&loaded, &["a.yaml: is not YAML"]);
        assert_eq!(loaded.config.members.len(), 1);
    }
}
