//! The audit trail: every change that was written to a provider, a line of JSON each, in the state
//! directory.

use super::state::create_private;
use crate::{model::Name, plan::Entry};
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The file and the one before it.
#[derive(Debug)]
pub(super) struct History {
    directory: PathBuf,
    writing: Mutex<()>,
}

/// A file that reaches this is kept as the one before.
const MOST_OCTETS: u64 = 64 << 20;

impl History {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, writing: Mutex::default() }
    }

    fn path(&self) -> PathBuf {
        self.directory.join("history.jsonl")
    }

    fn previous(&self) -> PathBuf {
        self.directory.join("history.1.jsonl")
    }

    pub(super) fn append(&self, entries: &[Entry]) -> io::Result<()> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if fs::metadata(self.path()).is_ok_and(|file| file.len() >= MOST_OCTETS) {
            fs::rename(self.path(), self.previous())?;
        }
        let path = self.path();
        let mut file = match File::options().append(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_private(&path)?,
            opened => opened?,
        };
        let mut lines = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        file.write_all(&lines)?;
        file.sync_data()
    }

    /// The last entries, oldest first; of one name, or of all. A line that cannot be read, as a
    /// crash may leave one, is left out.
    pub(super) fn read(&self, name: Option<&Name>, most: usize) -> Vec<Entry> {
        let mut found = std::collections::VecDeque::new();
        for path in [self.previous(), self.path()] {
            for entry in entries(&path) {
                if name.is_none_or(|name| entry.name == *name) {
                    found.push_back(entry);
                    if found.len() > most {
                        found.pop_front();
                    }
                }
            }
        }
        found.into()
    }
}

fn entries(path: &Path) -> impl Iterator<Item = Entry> {
    let lines = File::open(path).into_iter().flat_map(|file| BufReader::new(file).lines());
    lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok())
}
