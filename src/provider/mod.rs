//! The wires to DNS providers: read a zone whole, write a batch whole. They decide nothing: what is
//! written was planned and permitted in `plan`, and every failure is handed back as one of its kinds.

mod azure;
mod cloud_dns;
mod http;
mod memory;
mod rfc2136;
mod route53;

pub use azure::{Azure, AzureSettings};
pub use cloud_dns::{CloudDns, CloudDnsSettings, GoogleCredentials};
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
    /// Azure DNS.
    Azure(AzureSettings),
    /// Google Cloud DNS.
    CloudDns(CloudDnsSettings),
}

impl Settings {
    /// The provider, not called yet.
    #[must_use]
    pub fn provider(&self, clock: Clock) -> Provider {
        match self {
            Self::Memory => Provider::Memory(Memory::default()),
            Self::Rfc2136(own) => Provider::Rfc2136(Rfc2136::new(own.clone(), clock)),
            Self::Route53(own) => Provider::Route53(Route53::new(own.clone(), clock)),
            Self::Azure(own) => Provider::Azure(Box::new(Azure::new(own.clone(), clock))),
            Self::CloudDns(own) => Provider::CloudDns(CloudDns::new(own.clone(), clock)),
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
            Self::CloudDns(_) => Capabilities::CLOUD_DNS.name,
        }
    }

    /// What tells it from another of its kind, for people and file names: server, zone id or
    /// resource group.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Memory => String::new(),
            Self::Rfc2136(own) => own.server.clone(),
            Self::Route53(own) => own.zone_id.clone().unwrap_or_default(),
            Self::Azure(own) => own.place(),
            Self::CloudDns(own) => {
                let parts = [own.project.as_deref(), own.zone_id.as_deref()];
                parts.into_iter().flatten().collect::<Vec<_>>().join("/")
            }
        }
    }
}

/// One provider, ready to be called.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one for each zone that is written
pub enum Provider {
    /// A zone in memory.
    Memory(Memory),
    /// A server that takes dynamic updates.
    Rfc2136(Rfc2136),
    /// Amazon Route 53.
    Route53(Route53),
    /// Azure DNS.
    Azure(Box<Azure>),
    /// Google Cloud DNS.
    CloudDns(CloudDns),
}

impl Provider {
    /// What it can say and take.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        match self {
            Self::Memory(_) => Capabilities::MEMORY,
            Self::Rfc2136(_) => Capabilities::RFC2136,
            Self::Route53(own) => own.capabilities(),
            Self::Azure(_) => Capabilities::AZURE,
            Self::CloudDns(own) => own.capabilities(),
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
            Self::Route53(own) => own.read(zone, names).await,
            Self::Azure(own) => own.read(zone).await,
            Self::CloudDns(own) => own.read(zone, names).await,
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
            Self::CloudDns(own) => own.write(batch).await,
        }
    }
}
