//! The database that locates clients, on disk: read whole before it counts, replaced whole, and
//! taken up by a running process when it changes.
//!
//! ```text
//! STATE/geoip/*.mmdb            in force: one file, or an IPv4 and an IPv6 one
//! STATE/geoip.previous/         the one before, to go back to by hand
//! ```

use crate::geo::Database;
use anyhow::{Context, bail};
use flate2::read::GzDecoder;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A database that is to be in force from now on.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) database: Arc<Database>,
}

/// The database on disk; `None` where there is none, and the one that is compiled in counts.
///
/// # Errors
/// Names the file that is none, and what is wrong with it.
pub fn load(state: &Path) -> anyhow::Result<Option<Database>> {
    let files = files(&state.join(FOLDER))?;
    if files.is_empty() { Ok(None) } else { read(&files).map(Some) }
}

/// One database from one file, or from an IPv4 and an IPv6 one; `.gz` files are unpacked.
///
/// # Errors
/// Names the file that is none, and what is wrong with it.
pub fn read(files: &[PathBuf]) -> anyhow::Result<Database> {
    let one = |path: &PathBuf| {
        let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let bytes = unpacked(bytes).with_context(|| path.display().to_string())?;
        let database = Database::read(bytes, &name.unwrap_or_default());
        database.with_context(|| format!("{} is of no use", path.display()))
    };
    match files {
        [only] => one(only),
        [first, second] => Ok(one(first)?.paired(one(second)?)),
        _ => bail!("expected one database file, or an IPv4 and an IPv6 one; got {}", files.len()),
    }
}

/// Puts files in force, after they were read as a whole; the ones before are kept beside.
///
/// # Errors
/// When the directory cannot be written; what was in force stays.
pub fn install(state: &Path, files: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
    let (folder, next) = (state.join(FOLDER), state.join(NEXT));
    let previous = state.join(PREVIOUS);
    if next.exists() {
        fs::remove_dir_all(&next)?;
    }
    fs::create_dir_all(&next).with_context(|| format!("{} cannot be made", next.display()))?;
    for (name, bytes) in files {
        let path = next.join(name);
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        fs::File::open(&path)?.sync_all()?;
    }
    if folder.exists() {
        if previous.exists() {
            fs::remove_dir_all(&previous)?;
        }
        fs::rename(&folder, &previous)?;
    }
    fs::rename(&next, &folder)
        .with_context(|| format!("{} cannot be put in place", folder.display()))
}

/// What a file holds, unpacked where it is gzip.
///
/// # Errors
/// When it is cut short, or far larger than any database.
pub fn unpacked(bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    GzDecoder::new(bytes.as_slice()).take(MOST + 1).read_to_end(&mut plain)?;
    if plain.len() as u64 > MOST {
        bail!("unpacks to more than {MOST} octets");
    }
    Ok(plain)
}

/// Looks for another database again and again, and tells each that can be used. One that cannot
/// is said once, and what is in force stays.
pub(super) fn watch(
    state: Option<PathBuf>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> mpsc::Receiver<Found> {
    let (send, found) = mpsc::channel(1);
    let Some(state) = state else { return found };
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        shutdown.run_until_cancelled(look(state, send)).await;
    });
    found
}

async fn look(state: PathBuf, send: mpsc::Sender<Found>) {
    let mut seen = None;
    loop {
        let now = stamp(&state.join(FOLDER));
        if now.is_some() && now != seen {
            let place = state.clone();
            let read = tokio::task::spawn_blocking(move || load(&place)).await;
            match read {
                Ok(Ok(Some(database))) => {
                    let database = Arc::new(database);
                    if send.send(Found { database }).await.is_err() {
                        return;
                    }
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::error!(
                    "{error:#}; clients are located as before. Put a good database in place with \
                     `meridian geoip update`"
                ),
                Err(error) => tracing::error!("the database was not read: {error}"),
            }
        }
        seen = now;
        tokio::time::sleep(EVERY).await;
    }
}

/// What tells one database from the next: names, sizes and times of its files.
fn stamp(folder: &Path) -> Option<Vec<(PathBuf, u64, SystemTime)>> {
    let files = files(folder).ok().filter(|files| !files.is_empty())?;
    let one = |path: PathBuf| {
        let data = fs::metadata(&path).ok()?;
        Some((path, data.len(), data.modified().ok()?))
    };
    files.into_iter().map(one).collect()
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    let paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    let mut files: Vec<PathBuf> = paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|own| own == "mmdb"))
        .collect();
    files.sort();
    Ok(files)
}

const FOLDER: &str = "geoip";
const NEXT: &str = "geoip.next";
const PREVIOUS: &str = "geoip.previous";
const EVERY: Duration = Duration::from_secs(5);
/// City databases have some 150 MB.
const MOST: u64 = 1 << 30;
