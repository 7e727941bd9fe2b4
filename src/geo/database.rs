//! A database of networks and places, read whole: after that, nothing about it can fail.

use super::{compact, continent_of, mmdb, point_of, ranges::Ranges};
use crate::model::Location;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, OnceLock},
};

/// Where addresses are.
#[derive(Debug)]
pub struct Database {
    info: Info,
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    records: Vec<Location>,
}

/// What a network leads to: an index into the database's places.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordId(pub u32);

/// A database, for people.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// The file, or what else it came from.
    pub name: String,
    /// Its type, as it says itself.
    pub kind: String,
    /// When it was built, as it says itself.
    pub built: Option<Timestamp>,
    /// IPv4 ranges of one place each.
    pub v4: usize,
    /// IPv6 ranges.
    pub v6: usize,
    /// Different places.
    pub places: usize,
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match self.built {
            Some(built) => write!(f, " of {}", built.strftime("%Y-%m-%d")),
            None => Ok(()),
        }
    }
}

/// Why a file is no database that can be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be read as a MaxMind DB file at all.
    #[error("not a MaxMind DB file, or cut short: {0}")]
    Unreadable(String),
    /// Its tree or its records are broken.
    #[error("broken: {0}")]
    Broken(String),
    /// It is whole, but says nothing about places.
    #[error(
        "no network in it has a country, a continent or coordinates; it is of type {kind:?}, \
         expected a country or city database"
    )]
    NoPlaces {
        /// What it says that it is.
        kind: String,
    },
}

impl Database {
    /// The country database that is compiled in (`geoip/README.md`).
    #[must_use]
    pub fn embedded() -> Arc<Self> {
        static EMBEDDED: OnceLock<Arc<Database>> = OnceLock::new();
        EMBEDDED.get_or_init(|| Arc::new(compact::embedded())).clone()
    }

    /// Reads a MaxMind DB file whole: every network is walked and every record decoded, so that
    /// nothing is left to fail later. `name` is for people.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn read(bytes: Vec<u8>, name: &str) -> Result<Self, DatabaseError> {
        mmdb::read(bytes, name)
    }

    /// Takes the IPv6 half of another database, for those that come as a pair of files.
    #[must_use]
    pub fn paired(mut self, mut other: Self) -> Self {
        if self.v4.len() == 0 {
            std::mem::swap(&mut self, &mut other);
        }
        let shift = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        let mut v6 = Ranges::default();
        for (first, last, record) in other.v6.iter() {
            v6.push(first, last, Some(RecordId(record.0.saturating_add(shift))));
        }
        self.records.append(&mut other.records);
        let info = Info {
            name: format!("{} and {}", self.info.name, other.info.name),
            built: self.info.built.min(other.info.built),
            ..self.info
        };
        Self::new(info, self.v4, v6, self.records)
    }

    pub(super) fn new(
        info: Info,
        v4: Ranges<u32>,
        v6: Ranges<u128>,
        records: Vec<Location>,
    ) -> Self {
        let info = Info { v4: v4.len(), v6: v6.len(), places: records.len(), ..info };
        Self { info, v4, v6, records }
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Where an address is, and the network that is all in that place; `None` where nothing is
    /// known. An IPv6 address that carries an IPv4 one is where that is.
    #[must_use]
    pub fn locate(&self, address: IpAddr) -> Option<(&Location, IpNet)> {
        let (net, record) = match address {
            IpAddr::V4(ip) => self.v4.find(ip.to_bits())?,
            IpAddr::V6(ip) => match embedded(ip) {
                Some(within) => self.v4.find(within.to_bits())?,
                None => self.v6.find(ip.to_bits())?,
            },
        };
        Some((self.record(record)?, net))
    }

    /// All networks of which something is known, each family in order and disjoint, with the
    /// place's index.
    pub fn networks(&self) -> impl Iterator<Item = (IpNet, Option<RecordId>)> + '_ {
        let all = self.v4.blocks().chain(self.v6.blocks());
        all.map(|(net, record)| (net, Some(record)))
    }

    /// The place of that index.
    #[must_use]
    pub fn location(&self, record: RecordId) -> Location {
        self.record(record).cloned().unwrap_or_default()
    }

    pub(super) fn v4(&self) -> &Ranges<u32> {
        &self.v4
    }

    pub(super) fn v6(&self) -> &Ranges<u128> {
        &self.v6
    }

    fn record(&self, record: RecordId) -> Option<&Location> {
        self.records.get(usize::try_from(record.0).ok()?)
    }
}

/// Adds what a country alone tells: its continent, and a point where there is none.
#[must_use]
pub fn completed(mut location: Location) -> Location {
    let country = location.country.as_deref();
    if location.continent.is_none() {
        location.continent = country.and_then(continent_of).map(Into::into);
    }
    if location.coordinates.is_none() {
        location.coordinates = country.and_then(point_of);
        location.approximate = location.coordinates.is_some();
    }
    location
}

/// The IPv4 address within an IPv6 one (RFC 4291 §2.5.5.2, RFC 6052 §2.1).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = u32::try_from(ip.to_bits() & u128::from(u32::MAX)).unwrap_or_default();
    let well_known = ip.to_bits() >> 32 == 0x0064_ff9b << 64;
    ip.to_ipv4_mapped().or_else(|| well_known.then(|| Ipv4Addr::from_bits(low)))
}
