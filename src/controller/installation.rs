//! Who we are to providers: an id, a key for our marks and an instance, made once and kept in the
//! state directory.

use super::state::create_private;
use crate::plan::Owner;
use data_encoding::{BASE64, HEXLOWER};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// The file's content.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Installation {
    /// In every mark.
    id: String,
    /// This copy: whoever restores a backup beside a running one makes it anew.
    instance: String,
    /// Base 64; the first signs marks, all are believed.
    keys: Vec<String>,
}

/// The file's name.
const FILE: &str = "installation.json";

/// Reads who we are, or makes it up the first time.
///
/// # Errors
/// Says what is wrong with the file, and what to do; nothing may be written to providers then.
pub(super) fn owner(directory: &Path) -> Result<Owner, String> {
    let path = directory.join(FILE);
    let wrong = |text: String| {
        format!(
            "{}: {text}; nothing is written to providers. Bring it back from a backup: a new one \
             would own none of the records that are there",
            path.display()
        )
    };
    let own = match fs::read(&path) {
        Ok(octets) => serde_json::from_slice(&octets).map_err(|error| wrong(error.to_string()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(&path).map_err(|error| wrong(error.to_string()))?
        }
        Err(error) => return Err(wrong(error.to_string())),
    };
    named(own).map_err(wrong)
}

/// Who we are, by a file's content.
pub(super) fn parse(octets: &[u8]) -> Result<Owner, String> {
    named(serde_json::from_slice(octets).map_err(|error| error.to_string())?)
}

fn named(Installation { id, instance, keys }: Installation) -> Result<Owner, String> {
    let keys = keys.iter().map(|key| BASE64.decode(key.as_bytes()));
    let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    Owner::new(&id, &instance, &keys).map_err(|error| error.to_string())
}

fn make(path: &Path) -> io::Result<Installation> {
    let random = SystemRandom::new();
    let octets = |count| {
        let mut octets = vec![0; count];
        let filled = random.fill(&mut octets);
        filled.map(|()| octets).map_err(|_| io::Error::other("there is no randomness"))
    };
    let own = Installation {
        id: HEXLOWER.encode(&octets(6)?),
        instance: HEXLOWER.encode(&octets(6)?),
        keys: vec![BASE64.encode(&octets(32)?)],
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let new = path.with_extension("new");
    let mut file = create_private(&new)?;
    file.write_all(&serde_json::to_vec_pretty(&own)?)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    File::open(directory)?.sync_all()?;
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_kept_private_and_never_made_anew_over_a_broken_one() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("state");
        let first = owner(&directory).unwrap();
        let again = owner(&directory).unwrap();
        assert_eq!((&first.id, &first.instance), (&again.id, &again.instance));
        assert_eq!(first.opaque("x"), again.opaque("x"));
        let path = directory.join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "{").unwrap();
        assert!(owner(&directory).unwrap_err().contains("Bring it back"));
    }
}
