//! A zone's keys on disk: read with what is known of their changes, and made where there are none.

use crate::{
    controller::state::create_private,
    dnssec::{
        Algorithm, Key, Role, Rollover, Settings, Stage,
        bind::{self, Times},
    },
    model::Name,
};
use ring::rand::SystemRandom;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The keys of a zone, and how far each has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct KeyRing {
    pub(super) keys: BTreeMap<u16, Arc<Key>>,
    pub(super) rollover: Rollover,
    /// Of the keys as files: when each is to be what.
    times: BTreeMap<u16, Times>,
}

impl KeyRing {
    /// The algorithm of the keys in force, or of those that take their place.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        let staying = |tag: &&u16| !self.rollover.leaving.contains(*tag);
        let mut tags = self.rollover.keys.iter().map(|key| &key.tag);
        tags.rfind(staying).and_then(|tag| self.keys.get(tag)).map(|key| key.algorithm)
    }
}

/// Where a zone's keys are, and where it is kept how far they have come.
#[derive(Clone, Debug)]
pub(super) struct Place {
    zone: Name,
    keys: PathBuf,
    /// `None` without a state directory: the keys' own times must do.
    rollover: Option<PathBuf>,
    /// Whether the keys are somebody else's to make.
    given: bool,
}

/// The file that says how far each key has come.
const ROLLOVER: &str = "rollover.json";

impl Place {
    /// # Errors
    /// When there is neither a state directory nor one with keys.
    pub(super) fn new(
        zone: &Name,
        settings: &Settings,
        state: Option<&Path>,
    ) -> Result<Self, String> {
        let own = state.map(|state| state.join("dnssec").join(bind::file_safe(zone)));
        let keys = settings.directory.clone().or_else(|| own.clone()).ok_or(
            "there is no place for its keys: without a state directory (--no-state), \
             spec.dnssec.keyDirectory must name one",
        )?;
        let rollover = own.map(|own| own.join(ROLLOVER));
        Ok(Self { zone: zone.clone(), keys, rollover, given: settings.directory.is_some() })
    }

    /// Reads what is there; makes the first keys where there are none. `known` is how far the keys
    /// have come, where that is known better than from the disk.
    ///
    /// # Errors
    /// Which file is wrong, and how. Nothing was changed then.
    pub(super) fn load(
        &self,
        settings: &Settings,
        known: Option<&Rollover>,
        now: i64,
    ) -> Result<KeyRing, String> {
        let rollover = known.cloned().map_or_else(|| self.read_rollover(), Ok)?;
        let mut ring = KeyRing { rollover, ..KeyRing::default() };
        for stem in self.stems()? {
            let (key, times) = self.read_key(&stem)?;
            ring.times.insert(key.tag(), times);
            ring.keys.insert(key.tag(), Arc::new(key));
        }
        for state in &ring.rollover.keys {
            if !ring.keys.contains_key(&state.tag) {
                return Err(format!(
                    "key {} is in use, but not in {}; bring it back from a backup",
                    state.tag,
                    self.keys.display()
                ));
            }
        }
        if ring.rollover.keys.is_empty() {
            self.take_over(&mut ring, now);
            self.save(&ring)?;
        }
        if ring.rollover.keys.is_empty() {
            self.make_first(&mut ring, settings, now)?;
        }
        Ok(ring)
    }

    /// Keys that are there and were never ours: in the state that their own times say.
    fn take_over(&self, ring: &mut KeyRing, now: i64) {
        let reached = |time: Option<i64>| time.is_some_and(|time| time <= now);
        let live = ring.keys.iter().filter(|(tag, _)| !reached(ring.times[tag].delete));
        let split = live.clone().any(|(_, key)| !key.is_entry_point());
        let live: Vec<(u16, Role)> =
            live.map(|(tag, key)| (*tag, role(key.is_entry_point(), split))).collect();
        for (tag, role) in live {
            let times = ring.times[&tag];
            let stage = match () {
                () if reached(times.inactive) => Stage::Retired,
                // Published by somebody for a change to come: ours begins when it is ordered.
                () if times.activate.is_some_and(|time| time > now) => continue,
                () => Stage::Active,
            };
            ring.rollover.adopt(tag, role, stage, now);
        }
    }

    fn make_first(&self, ring: &mut KeyRing, settings: &Settings, now: i64) -> Result<(), String> {
        if self.given {
            return Err(format!(
                "spec.dnssec.keyDirectory: {} has no key of {}; make one there with `dnssec-keygen \
                 -a {} -f KSK {}`",
                self.keys.display(),
                self.zone,
                settings.algorithm.mnemonic(),
                self.zone
            ));
        }
        for role in settings.roles() {
            let tag = self.make(ring, settings.algorithm, *role, now)?;
            ring.rollover.begin(tag, *role, now);
        }
        self.save(ring)
    }

    /// A new key of that role, or one that was put there and never was in use.
    ///
    /// # Errors
    /// When there is none, and none can be written.
    pub(super) fn successor(
        &self,
        ring: &mut KeyRing,
        algorithm: Algorithm,
        role: Role,
        now: i64,
    ) -> Result<u16, String> {
        if self.given {
            for stem in self.stems()? {
                let (key, times) = self.read_key(&stem)?;
                ring.times.insert(key.tag(), times);
                ring.keys.entry(key.tag()).or_insert_with(|| Arc::new(key));
            }
        }
        match spare(ring, algorithm, role, now) {
            Some(tag) => Ok(tag),
            None if self.given => Err(format!(
                "there is no further {role} of {} in {} that never was in use; make one with \
                 `dnssec-keygen` and say it again",
                algorithm.mnemonic(),
                self.keys.display()
            )),
            None => self.make(ring, algorithm, role, now),
        }
    }

    fn make(
        &self,
        ring: &mut KeyRing,
        algorithm: Algorithm,
        role: Role,
        now: i64,
    ) -> Result<u16, String> {
        let random = SystemRandom::new();
        loop {
            let key = Key::generate(algorithm, role.flags(), &random);
            let key = key.map_err(|error| error.to_string())?;
            let tag = key.tag();
            if ring.keys.contains_key(&tag) {
                continue; // Tags tell keys apart here, which RFC 4034 does not promise.
            }
            let times = Times::from_now(now);
            self.write_key(&key, &times)?;
            ring.times.insert(tag, times);
            ring.keys.insert(tag, Arc::new(key));
            return Ok(tag);
        }
    }

    /// Writes down how far the keys have come, and in the files of those that are gone, that they
    /// are; also where it could not be done when they went.
    ///
    /// # Errors
    /// Names the file. What can be written is.
    pub(super) fn save_step(&self, ring: &mut KeyRing, now: i64) -> Result<(), String> {
        let gone: Vec<u16> = ring.rollover.gone.iter().copied().collect();
        let mut retired = Ok(());
        for tag in gone {
            retired = retired.and(self.retire(ring, tag, now));
        }
        retired.and(self.save(ring))
    }

    /// Writes down how far the keys have come.
    ///
    /// # Errors
    /// Names the file.
    pub(super) fn save(&self, ring: &KeyRing) -> Result<(), String> {
        let Some(path) = &self.rollover else { return Ok(()) };
        let text = serde_json::to_vec_pretty(&ring.rollover).map_err(|error| error.to_string())?;
        write_private(path, &text).map_err(|error| self.unwritable(path, &error))
    }

    /// A key has come to its end: its files say so, and stay. Those of somebody else stay as they
    /// are.
    fn retire(&self, ring: &mut KeyRing, tag: u16, now: i64) -> Result<(), String> {
        let Some((key, times)) = ring.keys.get(&tag).zip(ring.times.get_mut(&tag)) else {
            return Ok(());
        };
        if self.given || times.delete.is_some_and(|time| time <= now) {
            return Ok(());
        }
        let over = Times { inactive: times.inactive.or(Some(now)), delete: Some(now), ..*times };
        self.write_key(key, &over)?;
        *times = over;
        Ok(())
    }

    fn write_key(&self, key: &Key, times: &Times) -> Result<(), String> {
        let stem = self.keys.join(bind::stem(&self.zone, key));
        // A private key alone would be half a pair, and nobody starts with that.
        for (path, text) in [
            (with_end(&stem, "key"), bind::public_text(&self.zone, key, times)),
            (with_end(&stem, "private"), bind::private_text(key, times)),
        ] {
            write_private(&path, text.as_bytes())
                .map_err(|error| self.unwritable(&path, &error))?;
        }
        Ok(())
    }

    fn unwritable(&self, path: &Path, error: &io::Error) -> String {
        format!("{}: cannot be written: {error}", path.display())
    }

    fn read_rollover(&self) -> Result<Rollover, String> {
        let Some(path) = &self.rollover else { return Ok(Rollover::default()) };
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| format!("{}: cannot be read: {error}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Rollover::default()),
            Err(error) => Err(format!("{}: cannot be read: {error}", path.display())),
        }
    }

    /// The pairs of files of the zone's keys.
    fn stems(&self) -> Result<Vec<PathBuf>, String> {
        let wrong = |error: io::Error| format!("{}: {error}", self.keys.display());
        let entries = match fs::read_dir(&self.keys) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(wrong(error)),
        };
        let start = format!("K{}+", bind::file_safe(&self.zone.to_lowercase()));
        let mut stems = Vec::new();
        for entry in entries {
            let name = entry.map_err(wrong)?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".private"));
            if let Some(stem) =
                stem.filter(|stem| stem.to_lowercase().starts_with(&start.to_lowercase()))
            {
                stems.push(self.keys.join(stem));
            }
        }
        stems.sort();
        Ok(stems)
    }

    fn read_key(&self, stem: &Path) -> Result<(Key, Times), String> {
        let text = |end: &str| {
            let path = with_end(stem, end);
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let (public, private) = (text("key")?, text("private")?);
        bind::read(&self.zone, &public, &private, &SystemRandom::new())
            .map_err(|error| format!("{}: {error}", with_end(stem, "private").display()))
    }
}

fn role(entry_point: bool, split: bool) -> Role {
    match (entry_point, split) {
        (true, true) => Role::Ksk,
        (true, false) => Role::Csk,
        (false, _) => Role::Zsk,
    }
}

/// The name has dots of its own, which `with_extension` would cut.
fn with_end(stem: &Path, end: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(".");
    path.push(end);
    path.into()
}

/// A key that was put there, or made for a step that could not be written down, and never was in
/// use.
fn spare(ring: &KeyRing, algorithm: Algorithm, role: Role, now: i64) -> Option<u16> {
    let Rollover { keys, gone, .. } = &ring.rollover;
    let used = |tag: &u16| gone.contains(tag) || keys.iter().any(|own| own.tag == *tag);
    let over = |tag: &u16| {
        let inactive = ring.times.get(tag).and_then(|times| times.inactive);
        inactive.is_some_and(|time| time <= now)
    };
    let fits = |key: &Key| key.flags == role.flags() && key.algorithm == algorithm;
    let mut spare = ring.keys.iter().filter(|(tag, key)| fits(key) && !used(tag) && !over(tag));
    spare.next().map(|(tag, _)| *tag)
}

/// Whole or not at all, and for nobody else to read.
fn write_private(path: &Path, octets: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    make_private(directory)?;
    let new = with_end(path, "new");
    let placed = place(&new, path, octets);
    if placed.is_err() {
        // There may be no room for what is left of it either.
        let _ = fs::remove_file(&new);
    }
    placed?;
    File::open(directory)?.sync_all()
}

fn place(new: &Path, path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = create_private(new)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(new, path)
}

#[cfg(unix)]
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dnssec::{Algorithm, Signatures, Turn},
        model::Ttl,
    };
    use std::os::unix::fs::PermissionsExt;

    fn settings(split: bool, directory: Option<PathBuf>) -> Settings {
        Settings {
            algorithm: Algorithm::EcdsaP256,
            split,
            compact: false,
            zsk_lifetime: None,
            lifetime: 14 * 86_400,
            key_ttl: Ttl::from_secs(3_600),
            ds_ttl: 86_400,
            propagation: 3_600,
            directory,
        }
    }

    fn zone() -> Name {
        "z.test".parse().unwrap()
    }

    #[test]
    fn a_key_that_could_not_be_put_to_use_is_the_next_one() {
        let state = tempfile::tempdir().unwrap();
        let settings = settings(true, None);
        let place = Place::new(&zone(), &settings, Some(state.path())).unwrap();
        let mut ring = place.load(&settings, None, 7).unwrap();
        let (algorithm, role) = (Algorithm::EcdsaP256, Role::Zsk);
        let made = place.successor(&mut ring, algorithm, role, 8).unwrap();
        assert_eq!(place.successor(&mut ring, algorithm, role, 9), Ok(made));
        ring.rollover.roll(made, role, 9).unwrap();
        assert_ne!(place.successor(&mut ring, algorithm, role, 10), Ok(made));
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("rollover.json");
        fs::create_dir(&path).unwrap();
        assert!(write_private(&path, b"{}").is_err());
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1);
    }

    #[test]
    fn keys_are_made_once_kept_private_and_missed_when_they_are_gone() {
        let state = tempfile::tempdir().unwrap();
        let settings = settings(true, None);
        let place = Place::new(&zone(), &settings, Some(state.path())).unwrap();
        let first = place.load(&settings, None, 7).unwrap();
        let again = place.load(&settings, None, 8).unwrap();
        assert_eq!((first.keys.len(), &first.keys), (2, &again.keys));
        assert_eq!(first.rollover, again.rollover);
        let folder = state.path().join("dnssec/z.test.");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let files: Vec<PathBuf> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 5);
        assert!(files.iter().all(|path| mode(path) == 0o600));

        let tag = *first.keys.keys().next().unwrap();
        let stem = folder.join(bind::stem(&zone(), &first.keys[&tag]));
        fs::write(with_end(&stem, "key"), "").unwrap();
        assert!(place.load(&settings, None, 9).unwrap_err().contains("DNSKEY"));
        fs::remove_file(with_end(&stem, "private")).unwrap();
        assert!(
            place.load(&settings, None, 9).unwrap_err().contains(&format!("key {tag} is in use"))
        );
    }

    #[test]
    fn keys_that_others_made_are_taken_over_and_none_is_made_beside_them() {
        let (keys, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let settings = settings(true, Some(keys.path().to_owned()));
        let place = Place::new(&zone(), &settings, Some(state.path())).unwrap();
        assert!(place.load(&settings, None, 7).unwrap_err().contains("dnssec-keygen"));
        let other = Place { given: false, ..place.clone() };
        let mut ring = KeyRing::default();
        let ksk = other.make(&mut ring, settings.algorithm, Role::Ksk, 7).unwrap();
        let zsk = other.make(&mut ring, settings.algorithm, Role::Zsk, 7).unwrap();
        let mut ring = place.load(&settings, None, 8).unwrap();
        assert_eq!(ring.rollover.sign_keys().collect::<Vec<_>>(), [ksk]);
        assert_eq!(ring.rollover.sign_zone().collect::<Vec<_>>(), [zsk]);
        assert!(place.successor(&mut ring, settings.algorithm, Role::Zsk, 9).is_err());
        let next = other.make(&mut KeyRing::default(), settings.algorithm, Role::Zsk, 9).unwrap();
        assert_eq!(place.successor(&mut ring, settings.algorithm, Role::Zsk, 9), Ok(next));
    }

    #[test]
    fn a_key_that_somebody_else_made_is_not_taken_up_again_once_it_is_gone() {
        let (keys, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let settings = settings(true, Some(keys.path().to_owned()));
        let place = Place::new(&zone(), &settings, Some(state.path())).unwrap();
        let other = Place { given: false, ..place.clone() };
        let make = |role| other.make(&mut KeyRing::default(), settings.algorithm, role, 7);
        make(Role::Ksk).unwrap();
        let first = make(Role::Zsk).unwrap();
        let mut ring = place.load(&settings, None, 8).unwrap();
        let second = make(Role::Zsk).unwrap();
        assert_eq!(place.successor(&mut ring, settings.algorithm, Role::Zsk, 9), Ok(second));
        ring.rollover.roll(second, Role::Zsk, 9).unwrap();
        let timing = settings.timing(settings.key_ttl);
        let turns = (1..100).flat_map(|hours| {
            ring.rollover.tick(9 + hours * 3_600, &timing, &Signatures::default())
        });
        assert_eq!(turns.collect::<Vec<_>>(), [Turn::Signs(second), Turn::Gone(first)]);
        place.save_step(&mut ring, 400_000).unwrap();

        // A restart knows it, too.
        let mut ring = place.load(&settings, None, 500_000).unwrap();
        let next = place.successor(&mut ring, settings.algorithm, Role::Zsk, 500_000);
        assert!(next.as_ref().is_err_and(|own| own.contains("never was in use")), "{next:?}");
        let third = make(Role::Zsk).unwrap();
        assert_eq!(place.successor(&mut ring, settings.algorithm, Role::Zsk, 500_000), Ok(third));
    }

    #[test]
    fn what_was_written_before_keys_that_are_gone_were_is_read() {
        let state = tempfile::tempdir().unwrap();
        let place = Place::new(&zone(), &settings(false, None), Some(state.path())).unwrap();
        let text =
            r#"{"keys": [{"tag": 1, "role": "CSK", "ksk": {"stage": "active", "since": 7}}]}"#;
        write_private(place.rollover.as_ref().unwrap(), text.as_bytes()).unwrap();
        let read = place.read_rollover().unwrap();
        assert_eq!((read.keys[0].tag, read.gone.len()), (1, 0));
    }

    #[test]
    fn without_a_place_there_are_no_keys() {
        assert!(
            Place::new(&zone(), &settings(false, None), None).unwrap_err().contains("--no-state")
        );
    }
}
