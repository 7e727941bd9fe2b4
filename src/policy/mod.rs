//! Which cluster a client is sent to: what owners want, compiled against what is healthy now, and
//! one decision per client from it.
//!
//! The pipeline is fixed, every stage optional (`rank`, `table`, `steering`):
//!
//! ```text
//! fence     clusters that this client may not be sent to      by place and network
//! rank      the rest in tiers                                 geo map · proximity · failover · one tier
//! standing  drained and stale ones only without better,
//!           failed ones only without any (fail open)
//! spill     a share of clients for each tier                  Envoy's formula, 1.4
//! split     one cluster of the tier, or all                   weighted rendezvous · random · all
//! limit     at most so many addresses; TTL and scope
//! ```
//!
//! Fence and rank depend on the client's place alone, so they are compiled into a map of networks
//! ([`Shape`]) that all services with the same wishes share. Standing, spill and split depend on
//! health alone ([`Table`]) and are compiled when that changes. A query looks up one network, draws
//! one point and reads addresses that were put together before ([`Steering`]).

mod intent;
mod rank;
mod shape;
mod share;
mod steering;
mod table;
#[cfg(test)]
mod tests;
mod trace;

pub use intent::{
    Family, Fence, Fenced, GeoRow, GeoTable, HealthCheck, Order, Pick, Places, PolicyTarget,
    Proximity, Steer, TrafficPolicy, Weights,
};
pub use rank::{Because, Ranked, Site, distance_km, rank};
pub use shape::Shape;
pub use share::Share;
pub use steering::{Decision, Settled, Steering, Subject, Ttls, Variant};
pub use table::{Candidate, Member, Plan, Standing, Table, Tier};
pub use trace::{Trace, TraceCluster, TraceTier};
