//! What lies in a configuration directory: its files, and the files and directories that these
//! name as their own.

use super::texts::Text;
use std::{
    collections::{BTreeSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// All files below a directory.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Each once, however many links lead to its directory.
    pub(super) files: Vec<PathBuf>,
    /// Directories that cannot be read, and why.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
}

/// A file with objects, and where the files and directories are that it names.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) file: PathBuf,
    pub(super) text: Arc<Text>,
    /// Directories of manifests.
    pub(super) manifests: Vec<PathBuf>,
    /// Master files.
    pub(super) masters: Vec<PathBuf>,
    /// Files with credentials.
    pub(super) credentials: Vec<PathBuf>,
}

impl Written {
    pub(super) fn new(file: &Path, text: Arc<Text>) -> Self {
        let directories = text.named.manifests.iter().map(|path| real(&beside(file, path)));
        // A directory that holds this file is not one of manifests alone.
        let manifests = directories.filter(|own| !placed(file).starts_with(own)).collect();
        let files = |named: &[String]| {
            named.iter().map(|path| placed(&beside(file, path))).collect::<Vec<_>>()
        };
        let (masters, credentials) = (files(&text.named.masters), files(&text.named.credentials));
        Self { file: file.to_owned(), text, manifests, masters, credentials }
    }
}

/// The files of a directory and those below, but hidden ones.
pub(super) fn collect(root: &Path) -> Files {
    let (mut found, mut seen) = (Files::default(), BTreeSet::new());
    let mut directories = VecDeque::from([(root.to_owned(), 0)]);
    // Links come last, so that a file is named by the path that it really has.
    let mut links = VecDeque::new();
    while let Some((directory, depth)) = directories.pop_front().or_else(|| links.pop_front()) {
        if !seen.insert(real(&directory)) {
            continue;
        }
        let entries = match entries(&directory) {
            Ok(entries) => entries,
            // What vanishes between two looks is gone, not an error.
            Err(error) if depth > 0 && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                found.unreadable.push((directory, error));
                continue;
            }
        };
        for path in entries {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if metadata.is_file() {
                found.files.push(path);
            } else if metadata.is_dir() && depth < MAX_DEPTH {
                let queue = if path.is_symlink() { &mut links } else { &mut directories };
                queue.push_back((path, depth + 1));
            }
        }
    }
    found
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let paths: io::Result<BTreeSet<PathBuf>> =
        fs::read_dir(directory)?.map(|entry| entry.map(|own| own.path())).collect();
    let hidden = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
    };
    Ok(paths?.into_iter().filter(|path| !hidden(path)).collect())
}

/// A path that a file names.
pub(super) fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new(".")).join(path)
}

/// A directory without links and `..`; as it is written while it does not exist.
pub(super) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A file in its real directory. A link to a file keeps its own name.
pub(super) fn placed(file: &Path) -> PathBuf {
    match (file.parent(), file.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => real(file),
    }
}

pub(super) fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    path.extension().and_then(|own| own.to_str()).is_some_and(|own| wanted.contains(&own))
}

/// How deep directories may nest.
const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_once_under_its_own_path_however_many_links_lead_there() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        fs::create_dir_all(root.join("z/inner")).unwrap();
        fs::write(root.join("z/inner/a.yaml"), "").unwrap();
        for (link, to) in [("self", "."), ("a", "z"), ("z/up", ".."), ("b", "z/inner")] {
            std::os::unix::fs::symlink(to, root.join(link)).unwrap();
        }
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let found = collect(root);
        assert!(found.unreadable.is_empty());
        assert_eq!(found.files, [root.join("z/inner/a.yaml")]);
    }
}
