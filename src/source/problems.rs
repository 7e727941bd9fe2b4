//! What could not be read of a cluster's objects, as one list that is told when it changes.

use super::Reporter;
use crate::model::{ClusterEvent, Kind, ObjectKey};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What a problem is about.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Subject {
    /// The connection, while an older one stands.
    Connection,
    /// A kind's watch, while the kind is read all the same.
    Kind(Kind),
    /// One object.
    Object(ObjectKey),
}

/// Problems by subject. Outlives connections, so that a problem that goes is seen to go.
#[derive(Debug, Default)]
pub(super) struct Problems(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_subject: BTreeMap<Subject, Vec<String>>,
    told: Vec<String>,
}

impl Problems {
    /// What is wrong with it now; nothing when `problems` is empty.
    pub(super) fn set(&self, subject: Subject, problems: Vec<String>) {
        let mut inner = self.lock();
        if problems.is_empty() {
            inner.by_subject.remove(&subject);
        } else {
            inner.by_subject.insert(subject, problems);
        }
    }

    /// The problems of all objects of a kind, in place of those before.
    pub(super) fn replace_objects(&self, kind: Kind, problems: BTreeMap<ObjectKey, Vec<String>>) {
        let mut inner = self.lock();
        inner
            .by_subject
            .retain(|subject, _| !matches!(subject, Subject::Object(key) if key.kind == kind));
        let problems = problems.into_iter().map(|(key, texts)| (Subject::Object(key), texts));
        inner.by_subject.extend(problems);
    }

    /// Tells the list if it is another than the one told last.
    pub(super) async fn tell(&self, reporter: &Reporter) {
        if let Some(changed) = self.changed() {
            reporter.send(ClusterEvent::Problems(changed)).await;
        }
    }

    fn changed(&self) -> Option<Vec<String>> {
        let mut inner = self.lock();
        let now = bounded(inner.by_subject.values().flatten());
        (inner.told != now).then(|| {
            inner.told.clone_from(&now);
            now
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first [`MAX_PROBLEMS`], and how many more there are.
pub(super) fn bounded<'p>(all: impl Iterator<Item = &'p String> + Clone) -> Vec<String> {
    let more = all.clone().count().saturating_sub(MAX_PROBLEMS);
    let mut some: Vec<String> = all.take(MAX_PROBLEMS).cloned().collect();
    if more > 0 {
        some.push(format!("and {more} more"));
    }
    some
}

/// Problems that are shown per cluster; more would drown them all.
const MAX_PROBLEMS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceKey;

    fn texts(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    fn key(kind: Kind, name: &str) -> ObjectKey {
        ObjectKey { kind, key: ServiceKey::new("shop", name) }
    }

    #[test]
    fn a_list_is_told_when_it_changes_and_also_when_it_empties() {
        let problems = Problems::default();
        assert_eq!(problems.changed(), None);
        problems.set(Subject::Object(key(Kind::Service, "web")), texts("bad ip"));
        assert_eq!(problems.changed(), Some(texts("bad ip")));
        assert_eq!(problems.changed(), None);
        problems.replace_objects(Kind::Service, BTreeMap::new());
        assert_eq!(problems.changed(), Some(vec![]));
    }

    #[test]
    fn a_new_list_of_objects_leaves_what_is_wrong_with_the_kind_and_with_others() {
        let problems = Problems::default();
        problems.set(Subject::Kind(Kind::Service), texts("may not be watched"));
        problems.set(Subject::Object(key(Kind::Service, "web")), texts("bad ip"));
        problems.set(Subject::Object(key(Kind::Ingress, "web")), texts("bad host"));
        let renewed = BTreeMap::from([(key(Kind::Service, "api"), texts("bad name"))]);
        problems.replace_objects(Kind::Service, renewed);
        let all = problems.changed().unwrap();
        assert_eq!(all, ["may not be watched", "bad name", "bad host"]);
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let flood: Vec<String> = (0..103).map(|n| n.to_string()).collect();
        let some = bounded(flood.iter());
        assert_eq!((some.len(), some[100].as_str()), (101, "and 3 more"));
    }
}
