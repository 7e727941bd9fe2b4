//! What the owner of a service wants: a TrafficPolicy in force.

use crate::model::{AllDown, Name, ServiceKey, Ttl};

/// A TrafficPolicy as it is in force: what it steers, and what of it has effect.
///
/// Order, fence, weights, pick, limit, spill and health are read and checked, and kept as written
/// in the object; this version answers every client alike, so they have no effect yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrafficPolicy {
    /// Namespace and name of the object.
    pub key: ServiceKey,
    /// The services and hosts it is for.
    pub targets: Vec<PolicyTarget>,
    /// In place of the federation's TTL.
    pub ttl: Option<Ttl>,
    /// In place of what the federation does when all is down.
    pub all_down: Option<AllDown>,
}

/// What a policy is for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PolicyTarget {
    /// A Service of the policy's namespace.
    Service(ServiceKey),
    /// A host.
    Host(Name),
}
