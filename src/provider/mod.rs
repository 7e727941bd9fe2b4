//! The wires to DNS providers: read a zone whole, write a batch whole. They decide nothing: what is
//! written was planned and permitted in `plan`, and every failure is handed back as one of its kinds.

mod azure;
mod memory;
mod rfc2136;
mod route53;

pub use azure::{Azure, AzureSettings};
pub use memory::Memory;
pub use rfc2136::{Reading, Rfc2136, Rfc2136Settings, TsigAlgorithm, TsigKey};
pub use route53::{Route53, Route53Settings};

use crate::{
    model::{Moment, Name},
    plan::{Capabilities, Failure, Listing, Permitted, Versions},
};
use std::borrow::Cow;

/// Reads the clock: signatures carry the time, and wires have no clock of their own.
pub type Clock = fn() -> Moment;

/// Which provider, and how it is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Settings {
    /// A zone in memory.
    Memory,
    /// A server that takes dynamic updates.
    Rfc2136(Rfc2136Settings),
    /// Amazon Route 53.
    Route53(Route53Settings),
    /// Azure DNS.
    Azure(AzureSettings),
}

impl Settings {
    /// The provider, not called yet.
    #[must_use]
    pub fn provider(&self, clock: Clock) -> Provider {
        match self {
            Self::Memory => Provider::Memory(Memory::default()),
            Self::Rfc2136(own) => Provider::Rfc2136(Rfc2136::new(own.clone(), clock)),
            Self::Route53(own) => Provider::Route53(Route53::new(own.clone())),
            Self::Azure(own) => Provider::Azure(Box::new(Azure::new(own.clone(), clock))),
        }
    }

    /// As configuration names it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory => Capabilities::MEMORY.name,
            Self::Rfc2136(_) => Capabilities::RFC2136.name,
            Self::Route53(_) => Capabilities::ROUTE53.name,
            Self::Azure(_) => Capabilities::AZURE.name,
        }
    }

    /// What tells it from another of its kind, for people and file names: server, zone id or
    /// resource group.
    #[must_use]
    pub fn place(&self) -> Cow<'_, str> {
        match self {
            Self::Memory => "".into(),
            Self::Rfc2136(own) => own.server.as_str().into(),
            Self::Route53(own) => own.zone_id.as_deref().unwrap_or_default().into(),
            Self::Azure(own) => own.place().into(),
        }
    }
}

/// One provider, ready to be called.
#[derive(Debug)]
pub enum Provider {
    /// A zone in memory.
    Memory(Memory),
    /// A server that takes dynamic updates.
    Rfc2136(Rfc2136),
    /// Amazon Route 53.
    Route53(Route53),
    /// Azure DNS.
    Azure(Box<Azure>),
}

impl Provider {
    /// What it can say and take.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Self::Memory(_) => Capabilities::MEMORY,
            Self::Rfc2136(_) => Capabilities::RFC2136,
            Self::Route53(_) => Capabilities::ROUTE53,
            Self::Azure(_) => Capabilities::AZURE,
        }
    }

    /// Reads the zone whole; `names` are those of interest, where a provider cannot list.
    ///
    /// # Errors
    /// When any part of it could not be read: half a zone is none.
    pub async fn read(&self, zone: &Name, names: &[Name]) -> Result<Listing, Failure> {
        match self {
            Self::Memory(own) => own.read(zone),
            Self::Rfc2136(own) => own.read(zone, names).await,
            Self::Route53(own) => own.read(zone).await,
            Self::Azure(own) => own.read(zone).await,
        }
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// When it was not carried out, or nobody knows whether it was.
    pub async fn write(&self, batch: &Permitted) -> Result<Versions, Failure> {
        match self {
            Self::Memory(own) => own.write(batch),
            Self::Rfc2136(own) => own.write(batch).await,
            Self::Route53(own) => own.write(batch).await,
            Self::Azure(own) => own.write(batch).await,
        }
    }
}
