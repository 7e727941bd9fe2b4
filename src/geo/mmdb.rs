//! MaxMind DB files, in the layouts that are about: MaxMind's own (nested), and the flat ones of
//! ip-location-db and IPinfo. A file is walked whole, once (`reference/geo-steering-dashboard.md`
//! §1.5).

use super::{
    RecordId, continent_of,
    database::{Database, DatabaseError, Info, completed},
    ranges::Ranges,
    tree,
};
use crate::model::Location;
use ipnet::IpNet;
use jiff::Timestamp;
use maxminddb::{LookupResult, PathElement, Reader, WithinOptions};
use serde::de::DeserializeOwned;
use std::{collections::HashMap, net::IpAddr, sync::Arc};

pub(super) fn read(bytes: Vec<u8>, name: &str) -> Result<Database, DatabaseError> {
    let metadata = Reader::from_source(bytes.as_slice()).map_err(|error| unreadable(&error))?;
    let metadata = metadata.metadata();
    tree::check(&bytes, metadata.node_count, metadata.record_size)?;
    let reader = Reader::from_source(bytes).map_err(|error| unreadable(&error))?;
    let metadata = reader.metadata();
    let seconds = i64::try_from(metadata.build_epoch).ok();
    let info = Info {
        name: name.to_owned(),
        kind: metadata.database_type.clone(),
        built: seconds.filter(|own| *own > 0).and_then(|own| Timestamp::from_second(own).ok()),
        v4: 0,
        v6: 0,
        places: 0,
    };
    let mut walk = Walk::default();
    walk.all(&reader)?;
    let known = walk.records.iter().any(|own| *own != Location::default());
    if !known {
        return Err(DatabaseError::NoPlaces { kind: info.kind });
    }
    Ok(Database::new(info, walk.v4, walk.v6, walk.records))
}

#[derive(Default)]
struct Walk {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    records: Vec<Location>,
    /// By where a record lies in the file; `None` for one that says nothing about places.
    known: HashMap<usize, Option<RecordId>>,
    /// Places that are alike have one index, so that ranges of them become one.
    alike: HashMap<Key, RecordId>,
}

/// A place by all that tells it from others.
type Key = (Option<Arc<str>>, Option<Arc<str>>, Option<Arc<str>>, Option<(u64, u64)>);

impl Walk {
    fn all(&mut self, reader: &Reader<Vec<u8>>) -> Result<(), DatabaseError> {
        let networks = reader.networks(WithinOptions::default()).map_err(|error| broken(&error))?;
        for found in networks {
            let found = found.map_err(|error| broken(&error))?;
            let network = found.network().map_err(|error| broken(&error))?;
            let network = IpNet::new(network.ip(), network.prefix());
            let network = network.map_err(|error| DatabaseError::Broken(error.to_string()))?;
            let record = self.record(&found)?;
            self.put(&network, record);
        }
        Ok(())
    }

    fn put(&mut self, network: &IpNet, record: Option<RecordId>) {
        match (network.network(), network.broadcast()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                self.v4.push(first.to_bits(), last.to_bits(), record);
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                self.v6.push(first.to_bits(), last.to_bits(), record);
            }
            _ => {}
        }
    }

    fn record(&mut self, found: &Found<'_>) -> Result<Option<RecordId>, DatabaseError> {
        let Some(offset) = found.offset() else { return Ok(None) };
        if let Some(known) = self.known.get(&offset) {
            return Ok(*known);
        }
        let location = location(found)?;
        let record = (location != Location::default()).then(|| self.index(location));
        self.known.insert(offset, record);
        Ok(record)
    }

    fn index(&mut self, location: Location) -> RecordId {
        let bits = |(north, east): (f64, f64)| (north.to_bits(), east.to_bits());
        let key = (
            location.continent.clone(),
            location.country.clone(),
            location.subdivision.clone(),
            location.coordinates.map(bits),
        );
        let next = RecordId(u32::try_from(self.records.len()).unwrap_or(u32::MAX));
        let record = *self.alike.entry(key).or_insert(next);
        if record == next {
            self.records.push(location);
        }
        record
    }
}

type Found<'r> = LookupResult<'r, Vec<u8>>;

/// What a record says, by whatever layout it has.
fn location(found: &Found<'_>) -> Result<Location, DatabaseError> {
    // A record that cannot be decoded at all would be taken for one that says nothing.
    found.decode::<serde::de::IgnoredAny>().map_err(|error| broken(&error))?;
    let country = COUNTRY.iter().find_map(|path| code(found, path).filter(|own| is_country(own)));
    let continent = CONTINENT.iter().find_map(|path| code(found, path));
    let part = SUBDIVISION.iter().find_map(|path| text(found, path));
    let coordinates = PLACE.iter().find_map(|(north, east)| {
        let (north, east) = (number(found, north)?, number(found, east)?);
        let real = north.abs() <= 90.0 && east.abs() <= 180.0;
        // What is nowhere stands at 0,0 in some files; there is only sea.
        (real && (north != 0.0 || east != 0.0)).then_some((north, east))
    });
    Ok(completed(Location {
        continent: continent.filter(|own| CONTINENTS.contains(&own.as_str())).map(Into::into),
        country: country.map(Into::into),
        subdivision: part.map(|part| part.to_uppercase().into()),
        coordinates,
        approximate: false,
    }))
}

type Path = &'static [PathElement<'static>];

use PathElement::{Index, Key as At};

/// The first that is there counts. `country` is a code in some flat files, a name in others.
const COUNTRY: &[Path] = &[
    &[At("country"), At("iso_code")],
    &[At("country_code")],
    &[At("country")],
    &[At("registered_country"), At("iso_code")],
    &[At("represented_country"), At("iso_code")],
];
const CONTINENT: &[Path] =
    &[&[At("continent"), At("code")], &[At("continent_code")], &[At("continent")]];
const SUBDIVISION: &[Path] = &[
    &[At("subdivisions"), Index(0), At("iso_code")],
    &[At("region_code")],
    &[At("state1")],
    &[At("region")],
];
const PLACE: &[(Path, Path)] = &[
    (&[At("location"), At("latitude")], &[At("location"), At("longitude")]),
    (&[At("latitude")], &[At("longitude")]),
    (&[At("lat")], &[At("lng")]),
];
const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// Two letters, upper case.
fn code(found: &Found<'_>, path: Path) -> Option<String> {
    let text = text(found, path)?.to_ascii_uppercase();
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(text)
}

/// `EU`, `AP`, `A1`, `ZZ` and the like stand in files for "no country".
fn is_country(code: &str) -> bool {
    continent_of(code).is_some()
}

fn text(found: &Found<'_>, path: Path) -> Option<String> {
    decode::<String>(found, path).filter(|text| !text.is_empty())
}

/// A double in MaxMind's files, a float in flat ones, a text in others.
fn number(found: &Found<'_>, path: Path) -> Option<f64> {
    decode::<f64>(found, path)
        .or_else(|| decode::<f32>(found, path).map(f64::from))
        .or_else(|| decode::<String>(found, path)?.parse().ok())
        .filter(|number| number.is_finite())
}

/// A path that leads through a value of another type is an error there, and "absent" here.
fn decode<T: DeserializeOwned>(found: &Found<'_>, path: Path) -> Option<T> {
    found.decode_path(path).ok().flatten()
}

fn unreadable(error: &maxminddb::MaxMindDbError) -> DatabaseError {
    DatabaseError::Unreadable(error.to_string())
}

fn broken(error: &maxminddb::MaxMindDbError) -> DatabaseError {
    DatabaseError::Broken(error.to_string())
}
