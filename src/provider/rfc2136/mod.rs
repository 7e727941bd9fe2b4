//! Any server that takes dynamic updates (RFC 2136), with transactions signed (TSIG, RFC 8945).
//!
//! A batch is one message: its prerequisites repeat every set that goes, name every set that must
//! not be there, and hold the generation record, so the server itself compares and sets (§2.4, §3.2).
//! The zone is read by transfer (AXFR, RFC 5936), or by asking for each name where that is refused.

mod exchange;
mod message;
mod transfer;

use super::{Act, Clock, Leave};
use crate::{
    model::Name,
    plan::{Failure, Listing, Permitted, Versions},
};
use exchange::Connection;
use hickory_proto::rr::TSigner;
use serde::{Deserialize, Serialize};

/// Which server, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rfc2136Settings {
    /// `address:port` or `host:port`.
    pub server: String,
    /// What signs every message; unsigned when `None`.
    pub key: Option<TsigKey>,
    /// How the zone is read.
    pub reading: Reading,
}

/// How a zone is read.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading {
    /// By transfer.
    #[default]
    Axfr,
    /// By asking for the names that are ours or wanted; others are not seen.
    Query,
}

/// A key shared with the server.
#[derive(Clone, Eq, PartialEq)]
pub struct TsigKey {
    /// Its name, the same on both sides.
    pub name: Name,
    /// Its algorithm.
    pub algorithm: TsigAlgorithm,
    /// The octets.
    pub secret: Vec<u8>,
}

/// The secret stays out of logs.
impl std::fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TsigKey({} {:?})", self.name, self.algorithm)
    }
}

/// See RFC 8945 §6; the older ones are not offered.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum TsigAlgorithm {
    /// hmac-sha256.
    #[default]
    #[serde(rename = "hmac-sha256")]
    Sha256,
    /// hmac-sha384.
    #[serde(rename = "hmac-sha384")]
    Sha384,
    /// hmac-sha512.
    #[serde(rename = "hmac-sha512")]
    Sha512,
}

/// One server.
#[derive(Debug)]
pub struct Rfc2136 {
    settings: Rfc2136Settings,
    clock: Clock,
}

impl Rfc2136 {
    /// One that is connected to when it is called.
    #[must_use]
    pub fn new(settings: Rfc2136Settings, clock: Clock) -> Self {
        Self { settings, clock }
    }

    pub(super) async fn read(&self, zone: &Name, names: &[Name]) -> Result<Listing, Failure> {
        let mut connection = self.connect().await?;
        let sets = match self.settings.reading {
            Reading::Axfr => transfer::transfer(&mut connection, zone).await?,
            Reading::Query => transfer::ask(&mut connection, zone, names).await?,
        };
        Ok(Listing::whole(zone.clone(), sets))
    }

    pub(super) async fn write(
        &self,
        batch: &Permitted,
        leave: &Leave,
    ) -> Result<Versions, Failure> {
        let message = message::update(batch).map_err(Failure::Rejected)?;
        let mut connection = self.connect().await?;
        leave.go_on(Act::Records)?;
        let answer = connection.ask(message).await.map_err(Failure::from)?;
        message::outcome(&answer)?;
        Ok(Versions::new())
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        Connection::open(&self.settings.server, self.signer()?, self.clock).await
    }

    fn signer(&self) -> Result<Option<TSigner>, Failure> {
        use hickory_proto::rr::rdata::tsig::TsigAlgorithm as Wire;
        let Some(key) = &self.settings.key else { return Ok(None) };
        let algorithm = match key.algorithm {
            TsigAlgorithm::Sha256 => Wire::HmacSha256,
            TsigAlgorithm::Sha384 => Wire::HmacSha384,
            TsigAlgorithm::Sha512 => Wire::HmacSha512,
        };
        let name = message::to_wire_name(&key.name).map_err(Failure::Denied)?;
        TSigner::new(key.secret.clone(), algorithm, name, FUDGE)
            .map(Some)
            .map_err(|error| Failure::Denied(format!("TSIG key {}: {error}", key.name)))
    }
}

/// Seconds that the two clocks may be apart (RFC 8945 §10).
const FUDGE: u16 = 300;
