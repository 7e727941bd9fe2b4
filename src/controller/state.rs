//! The last good state on disk: written beside and renamed, checksummed, the one before it kept.

use super::now;
use crate::fleet::{Fleet, Saved};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The first word of the file; another version has another.
const MAGIC: &str = "meridian-state-1";

/// A directory that holds the state.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// What was found.
#[derive(Debug)]
pub struct Read {
    /// The newest state that is whole.
    pub saved: Option<Saved>,
    /// Files that are not, and what was done about it.
    pub problems: Vec<String>,
}

impl Store {
    /// In that directory, which is made when it is first written to.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The newest file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn previous(&self) -> PathBuf {
        self.directory.join("state.previous")
    }

    /// Writes a state whole or not at all.
    ///
    /// # Errors
    /// When the directory or a file cannot be written; what was there before stands.
    pub fn write(&self, saved: &Saved) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let body = serde_json::to_vec(saved)?;
        let new = self.directory.join("state.new");
        let mut file = create_private(&new)?;
        writeln!(file, "{MAGIC} {} {}", body.len(), hex(&body))?;
        file.write_all(&body)?;
        file.sync_all()?;
        if self.path().exists() {
            fs::rename(self.path(), self.previous())?;
        }
        fs::rename(new, self.path())?;
        File::open(&self.directory)?.sync_all()
    }

    /// The newest state that is whole: the one before it where the newest is not.
    #[must_use]
    pub fn read(&self) -> Read {
        let mut problems = Vec::new();
        for path in [self.path(), self.previous()] {
            match read_file(&path) {
                Ok(saved) => return Read { saved, problems },
                Err(reason) => problems.push(format!(
                    "the state in {} is not used: {reason}; the one before it is tried",
                    path.display()
                )),
            }
        }
        Read { saved: None, problems }
    }
}

/// Nothing there is no problem, and no reason to go on to an older one.
fn read_file(path: &Path) -> Result<Option<Saved>, String> {
    match fs::read(path) {
        Ok(bytes) => parse(&bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The state that a file holds, if the file is whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Saved, String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no header")?;
    let (header, body) = (&bytes[..end], &bytes[end + 1..]);
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text")?;
    let [magic, length, sum] = header.split(' ').collect::<Vec<_>>()[..] else {
        return Err("its header is not that of a state".to_owned());
    };
    if magic != MAGIC {
        return Err(format!("it is of another version ({magic:?}, expected {MAGIC:?})"));
    }
    if length.parse() != Ok(body.len()) {
        return Err(format!("it has {} octets where {length} were written", body.len()));
    }
    if sum != hex(body) {
        return Err("its checksum does not match: it was changed or damaged".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| format!("it cannot be read: {error}"))
}

#[cfg(unix)]
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // It names internal services: nobody else's business.
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    File::create(path)
}

fn hex(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The fleet as it was saved, or a new one.
pub(super) fn restore(store: Option<&Store>) -> Fleet {
    let Some(store) = store else { return Fleet::new(now()) };
    let read = store.read();
    for problem in &read.problems {
        tracing::warn!("{problem}");
    }
    match read.saved {
        Some(saved) => {
            tracing::info!(
                "restored generation {} with {} clusters from {}",
                saved.generation,
                saved.clusters.len(),
                store.path().display()
            );
            Fleet::restore(saved, now())
        }
        None => Fleet::new(now()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fleet::Fleet, model::Generation};

    fn saved(generation: u64) -> Saved {
        Saved {
            generation: Generation(generation),
            ..Fleet::new(super::super::now()).save(super::super::now())
        }
    }

    fn generation(store: &Store) -> (Option<u64>, usize) {
        let read = store.read();
        (read.saved.map(|saved| saved.generation.0), read.problems.len())
    }

    #[test]
    fn the_newest_whole_state_is_read_and_damage_falls_back_to_the_one_before() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::new(place.path().join("deep"));
        assert_eq!(generation(&store), (None, 0));
        store.write(&saved(1)).unwrap();
        store.write(&saved(2)).unwrap();
        assert_eq!(generation(&store), (Some(2), 0));

        let whole = fs::read(store.path()).unwrap();
        let damage: [&dyn Fn() -> Vec<u8>; 5] = [
            &|| whole[..whole.len() - 3].to_vec(),
            &|| {
                let mut tampered = whole.clone();
                let last = tampered.len() - 2;
                tampered[last] ^= 1;
                tampered
            },
            &|| [b"meridian-state-9 1 x\n", &whole[..]].concat(),
            &|| b"no header at all".to_vec(),
            &|| vec![0xff; 100],
        ];
        for damaged in damage {
            fs::write(store.path(), damaged()).unwrap();
            assert_eq!(generation(&store), (Some(1), 1));
        }
        fs::write(store.previous(), b"").unwrap();
        assert_eq!(generation(&store), (None, 2));
    }
}
