//! The files of a configuration directory: which there are, and what they hold.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// A file's documents, or why it has none.
pub(super) type ReadFile = Result<(PathBuf, Vec<Value>), (PathBuf, String)>;

/// All files below a directory but hidden ones. A directory that several links lead to is read
/// once.
///
/// # Errors
/// When a directory cannot be read.
pub(super) fn files(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
    collect(root, 0, &mut found, &mut seen)?;
    Ok(found)
}

fn collect(
    path: &Path,
    depth: usize,
    found: &mut BTreeSet<PathBuf>,
    seen: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    if !seen.insert(real(path)) {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // A file that vanishes between two looks is gone, not an error.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if hidden {
            continue;
        }
        if metadata.is_dir() && depth < MAX_DEPTH {
            collect(&path, depth + 1, found, seen)?;
        } else if metadata.is_file() {
            found.insert(path);
        }
    }
    Ok(())
}

/// The documents of each file that holds objects.
pub(super) fn documents(files: &BTreeSet<PathBuf>) -> Vec<ReadFile> {
    let objects = files.iter().filter(|file| has_extension(file, &["yaml", "yml", "json"]));
    let read = |file: &PathBuf| match read_documents(file) {
        Ok(all) => Ok((file.clone(), all)),
        Err(error) => Err((file.clone(), error)),
    };
    objects.map(read).collect()
}

fn read_documents(file: &Path) -> Result<Vec<Value>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
    serde_saphyr::from_multiple(&text).map_err(|error| format!("is not YAML: {error}"))
}

/// Every object of a document, those in Lists too.
pub(super) fn objects(document: &Value) -> Vec<&Value> {
    let items = document.get("items").and_then(Value::as_array);
    match document.get("kind").and_then(Value::as_str) {
        Some("List") => items.into_iter().flatten().flat_map(objects).collect(),
        _ => vec![document],
    }
}

/// A path that is meant relative to the file that names it.
pub(super) fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new(".")).join(path)
}

/// The path without links and `..`, where it is there.
pub(super) fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

pub(super) fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    path.extension().and_then(|own| own.to_str()).is_some_and(|own| wanted.contains(&own))
}

/// How deep directories may nest.
const MAX_DEPTH: usize = 16;
