//! Everything that readers need, frozen together at one generation.

use super::{
    leads::Leads,
    levels::{self, Level},
    view::{ClusterView, Unit, UnitView},
};
use crate::{
    geo::Database,
    health::Target,
    model::{ClusterName, FederationName, Generation, Name, ServiceKey},
    records::ZoneSet,
};
use imbl::OrdMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// A frozen view of all: no reader ever sees half an update. Shares what did not change with the
/// snapshot before it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Rises with every change that a reader could see (invariant I2).
    pub generation: Generation,
    /// When it was frozen.
    pub at: Timestamp,
    /// All zones that there are.
    pub zones: ZoneSet,
    /// Those that this server answers for.
    pub served: ZoneSet,
    /// The federations, by name.
    pub federations: Arc<[FederationView]>,
    /// The member clusters.
    pub clusters: OrdMap<ClusterName, Arc<ClusterView>>,
    /// The services and hosts of each federation.
    pub units: OrdMap<(FederationName, Unit), Arc<UnitView>>,
    /// Which clusters records lead to.
    pub leads: Arc<Leads>,
    /// What is to be checked.
    pub targets: Arc<BTreeSet<Target>>,
    /// Where clients are; `None` where no policy asks for it.
    pub geography: Option<Arc<Database>>,
    /// Host names that must be resolved for an answer.
    pub unresolved: Arc<BTreeSet<Name>>,
    /// Objects that could not be taken up, for people.
    pub problems: Arc<[String]>,
}

/// One federation, for people.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FederationView {
    /// `<fed>`.
    pub name: FederationName,
    /// Its DNS zone.
    pub zone: Name,
    /// Whether all member clusters have been seen at least once.
    pub complete: bool,
}

impl Snapshot {
    /// Before anything is known.
    #[must_use]
    pub fn empty(at: Timestamp) -> Self {
        Self {
            generation: Generation::default(),
            at,
            zones: ZoneSet::default(),
            served: ZoneSet::default(),
            federations: Arc::new([]),
            clusters: OrdMap::new(),
            units: OrdMap::new(),
            leads: Arc::default(),
            targets: Arc::default(),
            geography: None,
            unresolved: Arc::default(),
            problems: Arc::new([]),
        }
    }

    /// The service or host that a name belongs to, and the level it stands for.
    #[must_use]
    pub fn owner(&self, name: &Name) -> Option<(&Arc<UnitView>, Level)> {
        self.federations.iter().find_map(|federation| {
            let fed = &federation.name;
            let host = (fed.clone(), Unit::Host(name.clone()));
            if let Some(view) = self.units.get(&host) {
                return Some((view, Level::Global));
            }
            let (service, level) = levels::parse(name, fed, &federation.zone)?;
            Some((self.service(fed, service)?, level))
        })
    }

    fn service(&self, federation: &FederationName, key: ServiceKey) -> Option<&Arc<UnitView>> {
        self.units.get(&(federation.clone(), Unit::Service(key)))
    }

    /// Whether every federation is complete and there is something to serve.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.zones.is_empty() && self.federations.iter().all(|federation| federation.complete)
    }
}
