//! A directory of manifests as a cluster: for demos, tests, air-gapped sites and machines outside
//! Kubernetes. What cannot be read keeps its last good state; a directory that is gone is a
//! cluster out of sight, never a deletion.

use super::{
    Reporter,
    manifest::{self, Manifest},
    problems::bounded,
};
use crate::model::{ClusterEvent, Kind, KindState, Object, ObjectKey};
use notify::{RecursiveMode, Watcher};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::{sync::mpsc, task::spawn_blocking, time::sleep};

/// Editors write in several steps: they are read as one.
const SETTLE: Duration = Duration::from_millis(30);
/// Looked at this often also without a notice, since not every file system gives one.
const POLL: Duration = Duration::from_secs(2);
/// How deep directories may nest.
const MAX_DEPTH: usize = 16;

pub(super) async fn watch(reporter: &Reporter, path: &Path) {
    let (notices, mut noticed) = mpsc::channel(1);
    let mut watcher = start_watcher(notices);
    let mut directory = Directory::new(path);
    loop {
        if let Some(watcher) = &mut watcher {
            // Again each time: a directory that vanished and came back is a new one to the kernel.
            let _ = watcher.watch(path, RecursiveMode::Recursive);
        }
        // Large directories take a while to read, which is not for the threads of the others.
        let looked = spawn_blocking(move || (directory.read(), directory)).await;
        let Ok((events, same)) = looked else {
            directory = Directory::new(path);
            sleep(POLL).await;
            continue;
        };
        directory = same;
        for event in events {
            reporter.send(event).await;
        }
        tokio::select! {
            Some(()) = noticed.recv(), if !directory.is_doubted => sleep(SETTLE).await,
            () = sleep(POLL) => {}
        }
        while noticed.try_recv().is_ok() {}
    }
}

fn start_watcher(notices: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    // A full channel already holds a notice, which is all that one says.
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| !event.kind.is_access()) {
            let _ = notices.try_send(());
        }
    })
    .ok()
}

/// A file's state when it was last read.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

#[derive(Debug)]
struct File {
    stamp: Stamp,
    good: Manifest,
    /// Why its present text could not be read.
    error: Option<String>,
}

struct Directory {
    path: PathBuf,
    /// Whether it has just lost all its files, which one more look is to confirm: a volume that
    /// is not mounted is an empty directory too.
    is_doubted: bool,
    /// Whether all that the files hold was told, so that a look that finds the same ones costs
    /// nothing more.
    is_told: bool,
    files: BTreeMap<PathBuf, File>,
    told: BTreeMap<Kind, Vec<Object>>,
    told_readiness: Option<bool>,
    told_problems: Option<Vec<String>>,
}

impl Directory {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            is_doubted: false,
            is_told: false,
            files: BTreeMap::new(),
            told: BTreeMap::new(),
            told_readiness: None,
            told_problems: None,
        }
    }

    /// Looks at the directory; what to tell of it.
    fn read(&mut self) -> Vec<ClusterEvent> {
        let mut found = BTreeMap::new();
        if let Err(error) = collect(&self.path, 0, &mut found) {
            let place = self.path.display();
            let text = format!("manifest directory {place}: {error}; its last view stands");
            (self.told_problems, self.is_told) = (None, false);
            let mut events = vec![ClusterEvent::Probed(false), ClusterEvent::Problems(vec![text])];
            if self.told.is_empty() {
                let failing = KindState::Failing(format!("{place}: {error}"));
                events.extend(Kind::ALL.map(|kind| ClusterEvent::Kind(kind, failing.clone())));
            }
            return events;
        }
        self.is_doubted = found.is_empty() && !self.files.is_empty() && !self.is_doubted;
        if self.is_doubted {
            return self.tell();
        }
        let before = self.files.len();
        self.files.retain(|path, _| found.contains_key(path));
        let mut changed = self.files.len() != before;
        for (path, stamp) in found {
            changed |= self.load(path, stamp);
        }
        if self.is_told && !changed {
            let contacts = Kind::ALL.map(ClusterEvent::Contact);
            return [ClusterEvent::Probed(true)].into_iter().chain(contacts).collect();
        }
        self.is_told = true;
        self.tell()
    }

    /// Whether it is another file than the one that was read last.
    fn load(&mut self, path: PathBuf, stamp: Stamp) -> bool {
        if self.files.get(&path).is_some_and(|file| file.stamp == stamp) {
            return false;
        }
        let parsed = fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| manifest::parse(&text));
        let file = self.files.entry(path).or_insert_with(|| File {
            stamp: stamp.clone(),
            good: Manifest::default(),
            error: None,
        });
        file.stamp = stamp;
        match parsed {
            Ok(mut good) => {
                good.keep(std::mem::take(&mut file.good));
                (file.good, file.error) = (good, None);
            }
            Err(error) => file.error = Some(error),
        }
        true
    }

    fn tell(&mut self) -> Vec<ClusterEvent> {
        let all = self.files.values().flat_map(|file| &file.good.objects);
        let by_key: BTreeMap<ObjectKey, &Object> = all.map(|one| (one.key(), one)).collect();
        let mut objects: Vec<Object> = by_key.into_values().cloned().collect();
        manifest::prefer_slices(&mut objects);
        let mut events = vec![ClusterEvent::Probed(true)];
        for kind in Kind::ALL {
            let now = manifest::of_kind(&objects, kind);
            if self.told.get(&kind) == Some(&now) {
                events.push(ClusterEvent::Contact(kind));
            } else {
                events.push(ClusterEvent::Listed(kind, now.clone()));
                self.told.insert(kind, now);
            }
        }
        events.extend(self.tell_readiness());
        events.extend(self.tell_problems());
        events
    }

    /// A directory without any Endpoints or EndpointSlices does not tell what is ready.
    fn tell_readiness(&mut self) -> Option<ClusterEvent> {
        let tells = self.files.values().any(|file| file.good.tells_readiness);
        if self.told_readiness == Some(tells) {
            return None;
        }
        self.told_readiness = Some(tells);
        let state = if tells {
            KindState::Watching
        } else {
            KindState::Missing(format!(
                "no Endpoints or EndpointSlice in {}: readiness is not known, and taken as ready",
                self.path.display()
            ))
        };
        Some(ClusterEvent::Kind(Kind::EndpointSlice, state))
    }

    fn tell_problems(&mut self) -> Option<ClusterEvent> {
        let problems = self.problems();
        if self.told_problems.as_ref() == Some(&problems) {
            return None;
        }
        self.told_problems = Some(problems.clone());
        Some(ClusterEvent::Problems(problems))
    }

    fn problems(&self) -> Vec<String> {
        if self.files.is_empty() {
            return vec![format!(
                "manifest directory {} holds no .yaml, .yml or .json file; expected what `kubectl \
                 get svc,ep,endpointslices,ing,nodes -A -o yaml` prints",
                self.path.display()
            )];
        }
        let mut problems = Vec::new();
        for (path, file) in &self.files {
            let shown = path.strip_prefix(&self.path).unwrap_or(path).display();
            problems.extend(file.error.iter().map(|error| {
                format!("{shown} cannot be read: {error}; its last good objects stand")
            }));
            problems.extend(file.good.problems.iter().map(|text| format!("{shown}: {text}")));
        }
        problems.extend(self.doubles());
        bounded(problems.iter())
    }

    /// Objects that several files hold: which one counts is not to be guessed.
    fn doubles(&self) -> Vec<String> {
        let mut homes: BTreeMap<ObjectKey, &Path> = BTreeMap::new();
        let mut doubles = Vec::new();
        for (path, file) in &self.files {
            let shown = path.strip_prefix(&self.path).unwrap_or(path);
            for object in &file.good.objects {
                if let Some(first) = homes.insert(object.key(), shown) {
                    let (key, first, last) = (object.key(), first.display(), shown.display());
                    doubles.push(format!("{key} is in {first} and in {last}; the latter counts"));
                }
            }
        }
        doubles
    }
}

/// All manifest files below a directory. Links are followed, as ConfigMap volumes use them;
/// names that begin with a dot are passed over.
fn collect(path: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Stamp>) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        // A file that vanishes between two looks is gone, not an error.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() && depth < MAX_DEPTH {
            collect(&path, depth + 1, found)?;
        } else if is_manifest(name) && metadata.is_file() {
            let stamp = Stamp { modified: metadata.modified().ok(), length: metadata.len() };
            found.insert(path, stamp);
        }
    }
    Ok(())
}

fn is_manifest(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml" | "json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, ip: &str) -> String {
        format!(
            "kind: Service\nmetadata: {{name: {name}}}\nspec: {{type: LoadBalancer}}\nstatus: \
             {{loadBalancer: {{ingress: [{{ip: {ip}}}]}}}}\n"
        )
    }

    fn listed(events: &[ClusterEvent]) -> Option<usize> {
        events.iter().find_map(|event| match event {
            ClusterEvent::Listed(Kind::Service, objects) => Some(objects.len()),
            _ => None,
        })
    }

    fn problems(events: &[ClusterEvent]) -> Vec<String> {
        let of = |event: &ClusterEvent| match event {
            ClusterEvent::Problems(problems) => problems.clone(),
            _ => vec![],
        };
        events.iter().flat_map(of).collect()
    }

    #[test]
    fn edits_additions_and_deletions_are_told_once_each() {
        let place = tempfile::tempdir().unwrap();
        let mut directory = Directory::new(place.path());
        assert!(problems(&directory.read())[0].contains("holds no .yaml"));
        fs::create_dir(place.path().join("sub")).unwrap();
        fs::write(place.path().join("sub/a.yaml"), service("a", "192.0.2.1")).unwrap();
        assert_eq!(listed(&directory.read()), Some(1));
        assert_eq!(listed(&directory.read()), None);
        fs::write(place.path().join("b.json"), r#"{"kind":"Service","metadata":{"name":"b"}}"#)
            .unwrap();
        assert_eq!(listed(&directory.read()), Some(2));
        fs::remove_file(place.path().join("sub/a.yaml")).unwrap();
        assert_eq!(listed(&directory.read()), Some(1));
    }

    #[test]
    fn a_file_that_breaks_keeps_its_last_good_objects_until_it_heals() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a.yaml");
        fs::write(&file, service("a", "192.0.2.1")).unwrap();
        let mut directory = Directory::new(place.path());
        directory.read();
        fs::write(&file, "kind: [Service\n").unwrap();
        let events = directory.read();
        assert_eq!(listed(&events), None);
        assert!(problems(&events)[0].contains("a.yaml cannot be read"), "{events:?}");
        fs::write(&file, service("a", "192.0.2.22")).unwrap();
        let events = directory.read();
        assert_eq!(listed(&events), Some(1));
        assert!(problems(&events).is_empty());
    }

    #[test]
    fn a_directory_that_is_gone_is_out_of_sight_and_deletes_nothing() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a.yaml"), service("a", "192.0.2.1")).unwrap();
        let mut directory = Directory::new(place.path());
        directory.read();
        let path = place.path().to_owned();
        drop(place);
        let events = directory.read();
        assert!(matches!(events[0], ClusterEvent::Probed(false)));
        assert_eq!(listed(&events), None);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.yaml"), service("a", "192.0.2.1")).unwrap();
        assert!(matches!(directory.read()[0], ClusterEvent::Probed(true)));
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn an_object_that_breaks_keeps_its_last_good_version() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a.yaml");
        let (a, b) = (service("a", "192.0.2.1"), service("b", "192.0.2.2"));
        fs::write(&file, format!("{a}---\n{b}")).unwrap();
        let mut directory = Directory::new(place.path());
        directory.read();
        fs::write(&file, format!("{a}---\nkind: Service\nmetadata: {{name: b}}\nspec: [1, 2]\n"))
            .unwrap();
        let events = directory.read();
        assert_eq!(listed(&events), None);
        assert!(problems(&events)[0].starts_with("a.yaml: Service b: spec"), "{events:?}");
        fs::write(&file, a).unwrap();
        assert_eq!(listed(&directory.read()), Some(1));
    }

    #[test]
    fn files_that_are_all_gone_are_looked_for_once_more() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a.yaml");
        fs::write(&file, service("a", "192.0.2.1")).unwrap();
        let mut directory = Directory::new(place.path());
        directory.read();
        fs::remove_file(&file).unwrap();
        assert_eq!(listed(&directory.read()), None);
        assert!(directory.is_doubted);
        assert_eq!(listed(&directory.read()), Some(0));
    }

    #[test]
    fn an_object_in_two_files_is_said_and_counted_once() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a.yaml"), service("web", "192.0.2.1")).unwrap();
        fs::write(place.path().join("b.yaml"), service("web", "192.0.2.2")).unwrap();
        let events = Directory::new(place.path()).read();
        assert_eq!(listed(&events), Some(1));
        let said = "Service default/web is in a.yaml and in b.yaml; the latter counts";
        assert!(problems(&events).contains(&said.to_owned()), "{events:?}");
    }

    #[test]
    fn without_endpoints_of_any_kind_readiness_is_said_to_be_unknown() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a.yaml"), service("a", "192.0.2.1")).unwrap();
        let mut directory = Directory::new(place.path());
        let state = |events: Vec<ClusterEvent>| {
            events.into_iter().find_map(|event| match event {
                ClusterEvent::Kind(Kind::EndpointSlice, state) => Some(state),
                _ => None,
            })
        };
        assert!(matches!(state(directory.read()), Some(KindState::Missing(_))));
        fs::write(place.path().join("e.yaml"), "kind: EndpointsList\nitems: []\n").unwrap();
        assert_eq!(state(directory.read()), None);
        fs::write(place.path().join("e.yaml"), "kind: Endpoints\nmetadata: {name: a}\n").unwrap();
        assert_eq!(state(directory.read()), Some(KindState::Watching));
    }

    #[test]
    fn a_look_at_the_same_files_is_a_sign_of_life_and_nothing_more() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a.yaml");
        fs::write(&file, service("a", "192.0.2.1")).unwrap();
        let mut directory = Directory::new(place.path());
        assert_eq!(listed(&directory.read()), Some(1));
        let again = directory.read();
        assert!(matches!(again[0], ClusterEvent::Probed(true)), "{again:?}");
        let contacts = again.iter().filter(|event| matches!(event, ClusterEvent::Contact(_)));
        assert_eq!((contacts.count(), again.len()), (Kind::ALL.len(), Kind::ALL.len() + 1));
        fs::write(place.path().join("b.yaml"), service("b", "192.0.2.2")).unwrap();
        assert_eq!(listed(&directory.read()), Some(2));
        fs::remove_file(&file).unwrap();
        assert_eq!(listed(&directory.read()), Some(1));
    }
}
