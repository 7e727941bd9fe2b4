//! The journals of zones on disk: read once at the start, appended to as versions come, and written
//! anew when they have grown.

use crate::{
    controller::state::create_private,
    dnssec::bind::file_safe,
    model::{Key, Name, Serial},
    server::Transfers,
    transfer::{Delta, History, Line, Past},
};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

const END: &str = "journal";
/// A file may grow by its own size and by this before it is written anew.
const SLACK: u64 = 1 << 20;

/// Where the journals are, and what they hold.
pub(super) struct Kept {
    directory: PathBuf,
    files: BTreeMap<Key, Written>,
    /// Zones of more octets are not kept.
    most: usize,
}

/// What a file holds, as this process wrote it.
struct Written {
    path: PathBuf,
    serial: Serial,
    /// Nothing leads on from it but what is of the same line.
    line: Line,
    octets: u64,
    /// When it was written anew.
    at_first: u64,
    /// How many octets the zone takes, where it is too large to be kept and there is no file.
    too_large: Option<usize>,
}

impl Kept {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, files: BTreeMap::new(), most: Past::MOST }
    }

    /// Takes nothing for granted of what is on disk: another process may have written there.
    pub(super) fn forget(&mut self) {
        self.files.clear();
    }

    fn path(&self, apex: &Name) -> PathBuf {
        self.directory.join(format!("{}.{END}", file_safe(apex).trim_end_matches('.')))
    }

    /// What was kept of a zone before this process; `None` also where it cannot be read, which costs
    /// secondaries one whole transfer.
    pub(super) fn read(&self, apex: &Name) -> Option<Past> {
        let path = self.path(apex);
        let octets = match read(&path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!("{}: {error}; {apex} begins without a past", path.display());
                return None;
            }
        };
        let past = Past::read(apex, &octets);
        if past.is_none() {
            tracing::warn!("{}: is damaged; {apex} begins without a past", path.display());
        }
        past
    }

    /// Writes down what is new.
    pub(super) fn save(&mut self, transfers: &Transfers) {
        for history in transfers.histories() {
            let key = history.zone().key();
            let serial = history.zone().serial();
            if self.files.get(key).is_some_and(|own| own.is_of(&history) && own.serial == serial) {
                continue;
            }
            if let Err(error) = self.write(&history) {
                self.files.remove(key);
                tracing::warn!(
                    "the journal of {} in {} cannot be written ({error}); after a restart its \
                     secondaries would take it whole",
                    history.zone().apex(),
                    self.directory.display()
                );
            }
        }
    }

    fn write(&mut self, history: &History) -> io::Result<()> {
        let key = history.zone().key();
        if let Some(own) = self.files.get_mut(key)
            && own.is_of(history)
            && let Some(ways) = history.since(own.serial)
            && own.lead_on(&ways, self.most)?
        {
            own.serial = history.zone().serial();
            return Ok(());
        }
        let own = self.write_anew(history)?;
        self.files.insert(key.clone(), own);
        Ok(())
    }

    fn write_anew(&self, history: &History) -> io::Result<Written> {
        let path = self.path(history.zone().apex());
        let (serial, line) = (history.zone().serial(), history.line().clone());
        let size = Past::size(history.zone());
        let whole = if size > self.most { None } else { Past::write(history) };
        let octets = match &whole {
            Some(octets) => write(&path, octets)?,
            // What is there is of another version.
            None => remove(&path)?,
        };
        let too_large = whole.is_none().then_some(size);
        Ok(Written { path, serial, line, octets, at_first: octets, too_large })
    }
}

impl Written {
    fn is_of(&self, history: &History) -> bool {
        self.line == *history.line()
    }

    /// Takes up further versions at the cost of what changed; `false` where the file is to be
    /// written anew instead.
    fn lead_on(&mut self, ways: &[Arc<Delta>], most: usize) -> io::Result<bool> {
        if let Some(size) = &mut self.too_large {
            *size = ways.iter().fold(*size, |size, way| Past::size_after(size, way));
            return Ok(*size > most);
        }
        if self.octets > 2 * self.at_first + SLACK {
            return Ok(false);
        }
        let octets = ways.iter().flat_map(|way| Past::write_way(way)).collect::<Vec<u8>>();
        OpenOptions::new().append(true).open(&self.path)?.write_all(&octets)?;
        self.octets += u64::try_from(octets.len()).unwrap_or(u64::MAX);
        Ok(true)
    }
}

/// No more than a journal can be.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = u64::try_from(4 * Past::MOST).unwrap_or(u64::MAX);
    let mut octets = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut octets)?;
    Ok(octets)
}

/// Whole or not at all; how many octets.
fn write(path: &Path, octets: &[u8]) -> io::Result<u64> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let new = path.with_extension("new");
    let mut file = create_private(&new)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    Ok(u64::try_from(octets.len()).unwrap_or(u64::MAX))
}

fn remove(path: &Path) -> io::Result<u64> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        records::{Zone, ZoneSet, no_includes, parse_master},
        transfer::{Allow, Rules, ZoneRules},
    };

    fn apex() -> Name {
        "z.test".parse().unwrap()
    }

    fn version(serial: u32, lines: &str) -> Zone {
        let text = format!("$TTL 60\n@ SOA a. b. {serial} 2 3 4 5\n@ NS b.\n{lines}");
        parse_master(&apex(), "z", &text, &mut no_includes).unwrap().zone
    }

    fn transfers() -> Transfers {
        let transfers = Transfers::new(1, None, Arc::default());
        let anyone = Allow { networks: vec!["::/0".parse().unwrap()], ..Allow::default() };
        let given = ZoneRules { allow: vec![anyone], ..ZoneRules::default() };
        let rules = Rules { zones: [(apex().key(), given)].into(), ..Rules::default() };
        transfers.rule(Arc::new(rules));
        transfers
    }

    fn publish(transfers: &Transfers, serial: u32, lines: &str) {
        transfers.publish(&ZoneSet::from(version(serial, lines)));
    }

    fn known(transfers: &Transfers, serial: u32) -> bool {
        transfers.histories()[0].since(Serial(serial)).is_some()
    }

    /// Three versions, written as they came.
    fn written(directory: &Path) -> PathBuf {
        let (mut kept, first) = (Kept::new(directory.to_owned()), transfers());
        for (serial, lines) in [(1, "x A 192.0.2.1\n"), (2, "x A 192.0.2.2\n"), (3, "y TXT y\n")] {
            publish(&first, serial, lines);
            kept.save(&first);
        }
        kept.path(&apex())
    }

    #[test]
    fn after_a_restart_differences_lead_on_from_every_version_that_was_kept() {
        let place = tempfile::tempdir().unwrap();
        written(place.path());
        let kept = Kept::new(place.path().to_owned());
        let again = transfers();
        again.remember(apex().key(), kept.read(&apex()).unwrap());
        publish(&again, 1_027, "y TXT y\nz TXT z\n");
        assert!([1, 2, 3].into_iter().all(|serial| known(&again, serial)) && !known(&again, 4));
        let last = again.histories()[0].since(Serial(3)).unwrap();
        assert_eq!((last[0].added.len(), last[0].removed.len()), (1, 0), "{last:?}");

        // A file of master records has the serial that it had.
        let same = transfers();
        same.remember(apex().key(), kept.read(&apex()).unwrap());
        publish(&same, 3, "y TXT y\n");
        assert!(known(&same, 1));
        let other = transfers();
        other.remember(apex().key(), kept.read(&apex()).unwrap());
        publish(&other, 3, "y TXT other\n");
        assert!(!known(&other, 1), "the same serial for something else leads nowhere");
    }

    #[test]
    fn what_is_torn_ends_the_past_before_it_and_what_is_damaged_is_none() {
        let place = tempfile::tempdir().unwrap();
        let path = written(place.path());
        let whole = fs::read(&path).unwrap();
        let kept = Kept::new(place.path().to_owned());
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            seen.insert(kept.read(&apex()).and_then(|past| past.serial()).map(|own| own.0));
        }
        assert_eq!(seen, [None, Some(1), Some(2), Some(3)].into());
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let serial = kept.read(&apex()).and_then(|past| past.serial());
            assert_ne!(serial, Some(Serial(3)), "octet {at}");
        }
        fs::write(&path, &whole).unwrap();
        assert!(kept.read(&"other.test".parse().unwrap()).is_none());
    }

    /// A file of master records that was edited under the serial that it had.
    #[test]
    fn nothing_is_appended_to_contents_that_it_does_not_lead_on_from() {
        for saved_between in [true, false] {
            let place = tempfile::tempdir().unwrap();
            let (mut kept, first) = (Kept::new(place.path().to_owned()), transfers());
            publish(&first, 5, "x A 192.0.2.1\n");
            kept.save(&first);
            publish(&first, 5, "y A 192.0.2.2\n");
            if saved_between {
                kept.save(&first);
                let octets = fs::read(kept.path(&apex())).unwrap();
                assert_eq!(Past::write(&first.histories()[0]), Some(octets));
            }
            publish(&first, 6, "y A 192.0.2.2\nz A 192.0.2.3\n");
            kept.save(&first);
            let again = transfers();
            again.remember(apex().key(), kept.read(&apex()).unwrap());
            publish(&again, 7, "y A 192.0.2.2\nz A 192.0.2.3\n");
            let ways = again.histories()[0].since(Serial(6)).unwrap();
            assert!(ways[0].is_empty(), "what was on disk as 6 is what 6 was: {ways:?}");
        }
    }

    #[test]
    fn a_zone_that_is_too_large_is_not_put_together_again_until_it_is_smaller() {
        let place = tempfile::tempdir().unwrap();
        let (mut kept, first) = (Kept::new(place.path().to_owned()), transfers());
        let lines =
            |count: u32| (0..count).map(|n| format!("n{n} A 192.0.2.1\n")).collect::<String>();
        publish(&first, 1, &lines(50));
        kept.most = Past::size(first.histories()[0].zone());
        kept.save(&first);
        assert!(kept.path(&apex()).exists());
        // A file is appended to before it is looked at whether its zone still fits.
        kept.files.clear();
        for (serial, count) in (2..).zip([51, 80, 52, 51, 50]) {
            publish(&first, serial, &lines(count));
            kept.save(&first);
            let own = &kept.files[&apex().key()];
            assert_eq!((own.serial, kept.path(&apex()).exists()), (Serial(serial), serial > 5));
            let size = Past::size(first.histories()[0].zone());
            assert_eq!(own.too_large, (count > 50).then_some(size), "as counted along the way");
        }
    }

    #[test]
    fn what_another_process_wrote_is_written_anew_once_that_is_known() {
        let place = tempfile::tempdir().unwrap();
        let (mut kept, first) = (Kept::new(place.path().to_owned()), transfers());
        publish(&first, 1, "x A 192.0.2.1\n");
        kept.save(&first);
        let (mut others, other) = (Kept::new(place.path().to_owned()), transfers());
        other.remember(apex().key(), others.read(&apex()).unwrap());
        publish(&other, 7, "y TXT y\n");
        others.save(&other);

        kept.forget();
        kept.save(&first);
        assert_eq!(kept.read(&apex()).unwrap().serial(), Some(Serial(1)));
        publish(&first, 2, "x A 192.0.2.2\n");
        kept.save(&first);
        let again = transfers();
        again.remember(apex().key(), kept.read(&apex()).unwrap());
        publish(&again, 3, "x A 192.0.2.3\n");
        assert!(known(&again, 1) && known(&again, 2) && !known(&again, 7));
    }

    #[test]
    fn a_file_that_has_grown_is_written_anew() {
        let place = tempfile::tempdir().unwrap();
        let (mut kept, first) = (Kept::new(place.path().to_owned()), transfers());
        let mut sizes = Vec::new();
        for serial in 1..200_u32 {
            let text = format!("\"{}\" ", "x".repeat(200)).repeat(200);
            publish(&first, serial, &format!("n{serial} TXT {text}\n"));
            kept.save(&first);
            sizes.push(fs::metadata(kept.path(&apex())).unwrap().len());
        }
        assert!(sizes.windows(2).any(|two| two[1] < two[0]), "{sizes:?}");
        assert_eq!(kept.read(&apex()).unwrap().serial(), Some(Serial(199)));
    }
}
