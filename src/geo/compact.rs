//! The form of the database that is compiled in: ranges of countries, packed and compressed.
//!
//! ```text
//! "meridian-geo-1\n", then "NAME\n", then the build time in seconds since 1970, "\n"
//! for IPv4, then for IPv6 (the upper 64 bits):
//!   count of ranges; for each: distance from the end of the range before, length − 1 (LEB128
//!   both), country as two letters
//! all of it compressed as gzip
//! ```

use super::{
    database::{Database, Info, RecordId, completed},
    ranges::Ranges,
};
use crate::model::Location;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

const HEAD: &str = "meridian-geo-1";

static EMBEDDED: &[u8] = include_bytes!("../../geoip/country.bin.gz");

/// Reads what is compiled in. A test reads it too, so it is whole in every release; were it not,
/// no client would be located.
pub(super) fn embedded() -> Database {
    unpack(EMBEDDED).unwrap_or_else(|_| {
        let info = Info {
            name: "no database".to_owned(),
            kind: String::new(),
            built: None,
            v4: 0,
            v6: 0,
            places: 0,
        };
        Database::new(info, Ranges::default(), Ranges::default(), Vec::new())
    })
}

/// Packs the countries of a database, and nothing else of it.
///
/// # Errors
/// None that memory does not give.
pub fn pack(database: &Database, name: &str) -> io::Result<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    let built = database.info().built.map_or(0, Timestamp::as_second);
    write!(out, "{HEAD}\n{name}\n{built}\n")?;
    let country = |record| database.location(record).country;
    let v4 = database.v4().iter();
    let v4 = v4.map(|(first, last, record)| (u64::from(first), u64::from(last), country(record)));
    write_ranges(&mut out, v4)?;
    let upper = |bits: u128| u64::try_from(bits >> 64).unwrap_or_default();
    let v6 = database.v6().iter();
    let v6 = v6.map(|(first, last, record)| (upper(first), upper(last), country(record)));
    write_ranges(&mut out, v6)?;
    out.finish()
}

type Country = Option<std::sync::Arc<str>>;

fn write_ranges(
    out: &mut impl Write,
    ranges: impl Iterator<Item = (u64, u64, Country)>,
) -> io::Result<()> {
    // Neighbours of one country become one; what shares its upper bits with the range before it
    // is left out.
    let mut merged: Vec<(u64, u64, [u8; 2])> = Vec::new();
    for (first, last, country) in ranges {
        let Some([one, two]) = country.as_deref().map(str::as_bytes) else { continue };
        let code = [*one, *two];
        match merged.last_mut() {
            Some((_, end, own)) if *own == code && first <= end.saturating_add(1) => {
                *end = last.max(*end);
            }
            Some((_, end, _)) if first <= *end => {
                let first = end.saturating_add(1);
                if first <= last && first > *end {
                    merged.push((first, last, code));
                }
            }
            _ => merged.push((first, last, code)),
        }
    }
    write_number(out, merged.len() as u64)?;
    let mut next = 0;
    for (first, last, code) in merged {
        write_number(out, first - next)?;
        write_number(out, last - first)?;
        out.write_all(&code)?;
        next = last.saturating_add(1);
    }
    Ok(())
}

fn unpack(packed: &[u8]) -> io::Result<Database> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    if read_line(&mut rest)? != HEAD {
        return Err(broken("another version"));
    }
    let name = read_line(&mut rest)?;
    let built: i64 = read_line(&mut rest)?.parse().map_err(|_| broken("no build time"))?;
    let mut places = Places::default();
    let mut v4 = Ranges::default();
    read_ranges(&mut rest, &mut places, |first, last, record| {
        let number = |own: u64| u32::try_from(own).map_err(|_| broken("an address"));
        v4.push(number(first)?, number(last)?, Some(record));
        Ok(())
    })?;
    let mut v6 = Ranges::default();
    read_ranges(&mut rest, &mut places, |first, last, record| {
        let low = u128::from(u64::MAX);
        v6.push(u128::from(first) << 64, u128::from(last) << 64 | low, Some(record));
        Ok(())
    })?;
    let info = Info {
        name,
        kind: "country".to_owned(),
        built: Timestamp::from_second(built).ok(),
        v4: 0,
        v6: 0,
        places: 0,
    };
    Ok(Database::new(info, v4, v6, places.records))
}

/// Countries that were met, by their two letters.
#[derive(Default)]
struct Places {
    known: BTreeMap<[u8; 2], RecordId>,
    records: Vec<Location>,
}

impl Places {
    fn of(&mut self, code: [u8; 2]) -> io::Result<RecordId> {
        if let Some(known) = self.known.get(&code) {
            return Ok(*known);
        }
        let text = std::str::from_utf8(&code).map_err(|_| broken("a country"))?;
        let record = RecordId(u32::try_from(self.records.len()).unwrap_or(u32::MAX));
        let country = Some(text.into());
        self.records.push(completed(Location { country, ..Location::default() }));
        self.known.insert(code, record);
        Ok(record)
    }
}

fn read_ranges(
    rest: &mut &[u8],
    places: &mut Places,
    mut put: impl FnMut(u64, u64, RecordId) -> io::Result<()>,
) -> io::Result<()> {
    let mut next = 0_u64;
    for _ in 0..read_number(rest)? {
        let overflow = || broken("a range");
        let first = next.checked_add(read_number(rest)?).ok_or_else(overflow)?;
        let last = first.checked_add(read_number(rest)?).ok_or_else(overflow)?;
        let (code, behind) = rest.split_first_chunk::<2>().ok_or_else(|| broken("its length"))?;
        *rest = behind;
        put(first, last, places.of(*code)?)?;
        next = last.saturating_add(1);
    }
    Ok(())
}

fn read_line(rest: &mut &[u8]) -> io::Result<String> {
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| broken("its head"))?;
    let (line, behind) = rest.split_at(end);
    *rest = &behind[1..];
    String::from_utf8(line.to_vec()).map_err(|_| broken("its head"))
}

/// LEB128.
fn write_number(out: &mut impl Write, mut number: u64) -> io::Result<()> {
    while number >= 0x80 {
        out.write_all(&[u8::try_from(number & 0x7f).unwrap_or_default() | 0x80])?;
        number >>= 7;
    }
    out.write_all(&[u8::try_from(number).unwrap_or_default()])
}

fn read_number(rest: &mut &[u8]) -> io::Result<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first().ok_or_else(|| broken("its length"))?;
        *rest = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(broken("a number"))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
pub(super) fn unpacked(packed: &[u8]) -> io::Result<Database> {
    unpack(packed)
}
