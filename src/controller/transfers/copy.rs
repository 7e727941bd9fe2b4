//! The last good copy of a zone that lives elsewhere, on disk: a master file with a first line that
//! says when the primary confirmed it.

use crate::{
    controller::state::create_private,
    model::{FederationName, Moment, Name},
    records::{MasterFile, Zone, no_includes, parse_master},
};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const MAGIC: &str = "; meridian-transfer-1 confirmed ";

/// Where a federation's copy is.
pub(super) fn path(directory: &Path, federation: &FederationName) -> PathBuf {
    directory.join(format!("{federation}.zone"))
}

/// Writes a copy whole or not at all.
///
/// # Errors
/// When the directory or the file cannot be written; what was there before stands.
pub(super) fn write(path: &Path, zone: &Zone, confirmed: u64) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let new = path.with_extension("new");
    let mut file = create_private(&new)?;
    write!(file, "{MAGIC}{}\n{}", digits(confirmed), MasterFile(zone))?;
    file.sync_all()?;
    fs::rename(new, path)?;
    File::open(directory)?.sync_all()
}

/// As long for every time, so that one can be written over another.
fn digits(confirmed: u64) -> String {
    format!("{confirmed:020}")
}

/// Writes down when the copy that is there was confirmed again, and nothing else of it; whether it
/// could be: a copy that was written otherwise is to be written anew.
///
/// # Errors
/// When the file cannot be read or written, or is not there.
pub(super) fn confirm(path: &Path, confirmed: u64) -> io::Result<bool> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let digits = digits(confirmed);
    let mut line = vec![0; MAGIC.len() + digits.len() + 1];
    let short = file.read_exact(&mut line).is_err();
    let own = line.strip_prefix(MAGIC.as_bytes()).and_then(|own| own.strip_suffix(b"\n"));
    if short || !own.is_some_and(|own| own.iter().all(u8::is_ascii_digit)) {
        return Ok(false);
    }
    // A few octets in the file's first sector: they are there whole or not at all.
    file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
    file.write_all(digits.as_bytes())?;
    file.sync_data()?;
    Ok(true)
}

/// The copy, and when it was confirmed; `None` where there is none.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn read(path: &Path, apex: &Name) -> Result<Option<(Zone, u64)>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    parse(&text, &path.display().to_string(), apex).map(Some)
}

/// The copy that a file holds.
pub(in crate::controller) fn parse(
    text: &str,
    file: &str,
    apex: &Name,
) -> Result<(Zone, u64), String> {
    let line = text.lines().next().and_then(|line| line.strip_prefix(MAGIC));
    let confirmed = line.and_then(|own| own.trim().parse().ok());
    let confirmed = confirmed.ok_or("its first line does not say when it was confirmed")?;
    let parsed = parse_master(apex, file, text, &mut no_includes);
    parsed.map(|parsed| (parsed.zone, confirmed)).map_err(|faults| faults.to_string())
}

/// That time on the monotonic clock; the earliest that it knows for what was before it, and now
/// for what is said to be yet to come.
pub(super) fn instant(at: Moment, confirmed: u64) -> Instant {
    let wall = u64::try_from(at.wall.as_second()).unwrap_or_default();
    let mut ago = Duration::from_secs(wall.saturating_sub(confirmed));
    loop {
        match at.mono.checked_sub(ago) {
            Some(instant) => return instant,
            None => ago /= 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_reads_back_as_itself_and_damage_is_said() {
        let place = tempfile::tempdir().unwrap();
        let path = path(&place.path().join("deep"), &FederationName("fed".into()));
        let apex: Name = "z.test".parse().unwrap();
        assert!(read(&path, &apex).unwrap().is_none());
        let text = "@ 60 SOA a. b. 7 2 3 4 5\n@ 60 NS b.\nx 60 A 192.0.2.1\n";
        let zone = parse_master(&apex, "z", text, &mut no_includes).unwrap().zone;
        write(&path, &zone, 1_234).unwrap();
        let (back, confirmed) = read(&path, &apex).unwrap().unwrap();
        assert_eq!((confirmed, back.serial()), (1_234, zone.serial()));
        assert!(back.nodes().eq(zone.nodes()));
        confirm_again(&path, &apex);
        fs::write(&path, text).unwrap();
        assert!(!confirm(&path, 5).unwrap());
        assert!(read(&path, &apex).unwrap_err().contains("first line"));
        fs::write(&path, format!("{MAGIC}5\nx 60 A nonsense\n")).unwrap();
        assert!(read(&path, &apex).is_err());
    }

    fn confirm_again(path: &Path, apex: &Name) {
        let before = fs::read(path).unwrap();
        for seconds in [5, 1_900_000_000, u64::MAX, 1_235] {
            assert!(confirm(path, seconds).unwrap());
            assert_eq!(read(path, apex).unwrap().unwrap().1, seconds);
        }
        let after = fs::read(path).unwrap();
        assert!(after.len() == before.len() && after[60..] == before[60..]);
        // As it was written before all times were as long.
        fs::write(path, format!("{MAGIC}5\nx 60 A 192.0.2.1\n{}", ";".repeat(99))).unwrap();
        assert!(!confirm(path, 6).unwrap());
        assert!(confirm(&path.with_extension("none"), 6).is_err());
    }
}
