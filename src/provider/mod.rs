//! The wires to DNS providers: read a zone whole, write a batch whole. They decide nothing: what is
//! written was planned and permitted in `plan`, and every failure is handed back as one of its kinds.

mod memory;
mod rfc2136;
mod route53;

pub use memory::Memory;
pub use rfc2136::{Reading, Rfc2136, Rfc2136Settings, TsigAlgorithm, TsigKey};
pub use route53::{Route53, Route53Settings};

use crate::{
    model::{Moment, Name},
    plan::{Capabilities, Failure, Listing, Permitted, Versions},
};

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
}

impl Settings {
    /// The provider, not called yet.
    #[must_use]
    pub fn provider(&self, clock: Clock) -> Provider {
        match self {
            Self::Memory => Provider::Memory(Memory::default()),
            Self::Rfc2136(own) => Provider::Rfc2136(Rfc2136::new(own.clone(), clock)),
            Self::Route53(own) => Provider::Route53(Route53::new(own.clone())),
        }
    }

    /// As configuration names it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory => Capabilities::MEMORY.name,
            Self::Rfc2136(_) => Capabilities::RFC2136.name,
            Self::Route53(_) => Capabilities::ROUTE53.name,
        }
    }

    /// What tells it from another of its kind, for people and file names: server or zone id.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Memory => "",
            Self::Rfc2136(own) => &own.server,
            Self::Route53(own) => own.zone_id.as_deref().unwrap_or_default(),
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
}

impl Provider {
    /// What it can say and take.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Self::Memory(_) => Capabilities::MEMORY,
            Self::Rfc2136(_) => Capabilities::RFC2136,
            Self::Route53(_) => Capabilities::ROUTE53,
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
        }
    }
}
