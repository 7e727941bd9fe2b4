//! Where clients are, and which order of clusters follows from it: databases in, a compiled map
//! out. Pure: files are read, and written, by others.

mod compact;
mod country;
mod database;
mod map;
mod mmdb;
mod ranges;
mod region;
#[cfg(test)]
mod tests;
mod tree;

pub use compact::pack;
pub use country::{continent_of, countries, point_of};
pub use database::{Database, DatabaseError, Info, RecordId, completed};
pub use map::{CAP_V4, CAP_V6, Class, GeoMap, Match};
pub use region::{Region, region, regions};
