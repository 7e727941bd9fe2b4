//! Reads a directory of objects again and again, and keeps what was good of those that are bad now.

use super::{
    Config, FederationConfig, MemberConfig, Problem, check,
    head::Id,
    pass::{Pass, shown},
    texts::Texts,
};
use crate::{
    model::{ClusterName, FederationName, Name, ServiceKey},
    policy::TrafficPolicy,
    records::Zone,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

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
    strict: bool,
    good: BTreeMap<Id, Good>,
    texts: Texts,
    judged: check::Judged,
}

/// An object in force, and the file that it stands in.
#[derive(Clone, Debug)]
pub(super) struct Good {
    pub(super) file: PathBuf,
    pub(super) object: Object,
}

#[derive(Clone, Debug)]
pub(super) enum Object {
    Federation(FederationConfig),
    Member(MemberConfig),
    Policy(Arc<TrafficPolicy>),
    Zone(Arc<Zone>),
}

impl Object {
    /// The DNS zone that it alone may have.
    pub(super) fn zone(&self) -> Option<&Name> {
        match self {
            Self::Federation(own) => Some(&own.federation.zone),
            Self::Zone(zone) => Some(zone.apex()),
            Self::Member(_) | Self::Policy(_) => None,
        }
    }
}

impl Loader {
    /// A loader that knows nothing yet.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            strict: false,
            good: BTreeMap::new(),
            texts: Texts::default(),
            judged: check::Judged::default(),
        }
    }

    /// One that judges a directory before it is used: what a running process would pass over with
    /// a warning (a policy's cluster that nobody knows, two policies for one target) is an error.
    #[must_use]
    pub fn strict(directory: PathBuf) -> Self {
        Self { strict: true, ..Self::new(directory) }
    }

    /// Reads all files.
    pub fn load(&mut self) -> Loaded {
        let (good, errors, warnings) =
            Pass::new(&self.directory, &self.good, &mut self.texts).run();
        self.good = good;
        let mut loaded = Loaded { config: self.assemble(), errors, warnings };
        let file = |kind: &str, namespace: &str, name: &str| {
            let id = (kind.to_owned(), namespace.to_owned(), name.to_owned());
            self.good.get(&id).map(|good| shown(&self.directory, &good.file)).unwrap_or_default()
        };
        check::together(&mut loaded, &mut self.judged, self.strict, &file);
        loaded.errors.sort();
        loaded.warnings.sort();
        loaded
    }

    fn assemble(&self) -> Config {
        let mut config = Config::default();
        for ((_, namespace, name), good) in &self.good {
            match good.object.clone() {
                Object::Federation(own) => {
                    config.federations.insert(FederationName(name.as_str().into()), own);
                }
                Object::Member(own) => {
                    config.members.insert(ClusterName::from(name.as_str()), own);
                }
                Object::Policy(own) => {
                    let key = ServiceKey::new(namespace.as_str(), name.as_str());
                    config.policies.insert(key, own);
                }
                Object::Zone(own) => {
                    config.zones.insert(own.apex().clone(), own);
                }
            }
        }
        config
    }
}
