//! Countries: the continent of each, and the point that stands for its people
//! (`geoip/countries.csv`).

use std::{collections::BTreeMap, sync::LazyLock};

struct Country {
    continent: &'static str,
    point: (f64, f64),
}

static COUNTRIES: LazyLock<BTreeMap<&'static str, Country>> =
    LazyLock::new(|| rows(include_str!("../../geoip/countries.csv")).filter_map(country).collect());

/// The continent of an ISO 3166-1 alpha-2 code in upper case, as two letters; `None` for codes
/// that are no country's.
#[must_use]
pub fn continent_of(country: &str) -> Option<&'static str> {
    COUNTRIES.get(country).map(|own| own.continent)
}

/// The point that stands for a country, in degrees north and east.
#[must_use]
pub fn point_of(country: &str) -> Option<(f64, f64)> {
    COUNTRIES.get(country).map(|own| own.point)
}

/// All countries that are known, in order.
pub fn countries() -> impl Iterator<Item = &'static str> {
    COUNTRIES.keys().copied()
}

/// The fields of each line that is no comment.
pub(super) fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split(',').collect())
}

fn country(row: Vec<&'static str>) -> Option<(&'static str, Country)> {
    let [code, continent, north, east] = <[&str; 4]>::try_from(row).ok()?;
    Some((code, Country { continent, point: (north.parse().ok()?, east.parse().ok()?) }))
}
