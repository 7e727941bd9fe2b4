//! Cloud regions, and the places they are named after (`geoip/regions.csv`).

use super::country::{continent_of, rows};
use crate::model::Location;
use std::{collections::HashMap, sync::LazyLock};

/// A cloud provider's region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// `aws`, `azure` or `gcp`.
    pub provider: &'static str,
    /// As nodes are labelled with it.
    pub name: &'static str,
    country: &'static str,
    point: (f64, f64),
}

static REGIONS: LazyLock<HashMap<&'static str, Region>> = LazyLock::new(|| {
    let regions = rows(include_str!("../../geoip/regions.csv")).filter_map(read);
    regions.map(|region| (region.name, region)).collect()
});

/// The region of that name, in any case; `None` for one that no provider in the table has.
#[must_use]
pub fn region(name: &str) -> Option<Region> {
    REGIONS.get(name.to_ascii_lowercase().as_str()).copied()
}

/// All regions that are known, in no order.
pub fn regions() -> impl Iterator<Item = Region> {
    REGIONS.values().copied()
}

impl Region {
    /// Where it is, as far as its name tells.
    #[must_use]
    pub fn location(&self) -> Location {
        Location {
            continent: continent_of(self.country).map(Into::into),
            country: Some(self.country.into()),
            subdivision: None,
            coordinates: Some(self.point),
            approximate: true,
        }
    }
}

fn read(row: Vec<&'static str>) -> Option<Region> {
    let [provider, name, country, north, east] = <[&str; 5]>::try_from(row).ok()?;
    let point = (north.parse().ok()?, east.parse().ok()?);
    Some(Region { provider, name, country, point })
}
