//! The nouns that every part shares. Values only: no clock, no socket, no Kubernetes.

mod address;
mod client;
mod cluster;
mod federation;
mod name;
mod object;
mod service;
mod time;
mod ttl;

pub use address::{Address, AddressError, AddressParseError, AddressRules};
pub use client::Client;
pub use cluster::{ClusterName, Drain, Freshness, Kind, KindState, Locality, Location, Member};
pub use federation::{
    AllDown, Federation, FederationName, NameServer, Offline, ServiceSelector, SoaValues,
};
pub use name::{Key, Name, NameError};
pub use object::{
    Annotations, ClusterEvent, IngressObject, IngressRule, NodeObject, Object, ObjectKey,
    ServiceObject, SliceCounts,
};
pub use service::ServiceKey;
pub use time::{Moment, parse_duration};
pub use ttl::{Generation, Serial, Ttl, Weight};
