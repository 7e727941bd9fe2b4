//! Where clients are, and which order of clusters follows from it: databases in, a compiled map
//! out. Pure: files are read, and written, by others.

mod map;

pub use map::{CAP_V4, CAP_V6, Class, GeoMap, Match};

/// Replaced by the country table.
pub fn continent_of(country: &str) -> Option<&'static str> {
    (country.len() == 2).then_some("EU")
}
