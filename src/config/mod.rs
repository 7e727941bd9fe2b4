//! The objects as written → the configuration in force, valid by construction.
//!
//! One bad object never stops the others: its last good version stays in force, and the problem
//! names file, object, field and value.

mod check;
mod claims;
mod crds;
mod files;
mod head;
mod load;
mod pass;
pub mod spec;
#[cfg(test)]
mod tests;
mod texts;
mod watch;
mod zone;

pub use check::Flags;
pub use crds::crds;
pub use load::{Loaded, Loader};
pub use watch::Watch;

use crate::{
    dnssec,
    fleet::FleetConfig,
    model::{ClusterName, Federation, FederationName, Member, Name, ServiceKey, Ttl},
    plan,
    policy::TrafficPolicy,
    provider,
    records::Zone,
    source::Access,
    transfer::ZoneRules,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

/// All that is configured, as it is in force.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The federations.
    pub federations: BTreeMap<FederationName, FederationConfig>,
    /// The member clusters.
    pub members: BTreeMap<ClusterName, MemberConfig>,
    /// The policies.
    pub policies: BTreeMap<ServiceKey, Arc<TrafficPolicy>>,
    /// Zones from master files that belong to no federation.
    pub zones: BTreeMap<Name, Arc<Zone>>,
}

/// A federation in force.
#[derive(Clone, Debug)]
pub struct FederationConfig {
    /// What it is.
    pub federation: Arc<Federation>,
    /// The static part of its zone: SOA, NS, glue, anything else.
    pub base: Arc<Zone>,
    /// The file that this part was read from, when it has one.
    pub master_file: Option<PathBuf>,
    /// The providers that the zone is written to.
    pub publish: Vec<Publish>,
    /// How the zone is signed as it is served; not when `None`.
    pub dnssec: Option<dnssec::Settings>,
    /// Who may have it by transfer, who is told of changes, and where its static part lives.
    pub transfer: ZoneRules,
}

/// A provider that a zone is written to.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// Which one, and how it is reached.
    pub settings: provider::Settings,
    /// How much may be removed without asking.
    pub limits: plan::Limits,
    /// How often the zone is read for what others changed.
    pub look: Duration,
    /// Plans and writes nothing.
    pub dry_run: bool,
    /// The TTL of what names none of its own.
    pub ttl: Ttl,
}

/// A member cluster in force.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberConfig {
    /// What the operator says of it.
    pub member: Member,
    /// How it is reached.
    pub access: Access,
}

/// What is wrong, where, and what was expected.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Problem {
    /// The file; empty for the command line.
    pub file: String,
    /// As in `Federation magicring`; empty for a file as a whole.
    pub object: String,
    /// The field, the value, what was expected, what stays in force.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.file, &self.object].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl Config {
    /// What the fleet is to know of it.
    #[must_use]
    pub fn fleet(&self, problems: &[Problem]) -> FleetConfig {
        let federations = self.federations.values();
        FleetConfig {
            federations: federations
                .map(|own| (own.federation.clone(), own.base.clone()))
                .collect(),
            members: self
                .members
                .iter()
                .map(|(name, own)| (name.clone(), own.member.clone()))
                .collect(),
            zones: self.zones.values().cloned().collect(),
            policies: self.policies.values().cloned().collect(),
            problems: problems.iter().map(ToString::to_string).collect(),
        }
    }
}
