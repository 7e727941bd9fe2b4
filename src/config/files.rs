//! What lies in a configuration directory: its files, the objects in them, and the files and
//! directories that these name as their own.

use crate::source;
use serde_json::Value;
use std::{
    collections::{BTreeSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
};

/// All files below a directory.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Each once, however many links lead to its directory.
    pub(super) files: Vec<PathBuf>,
    /// Directories that cannot be read, and why.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
}

/// A file with objects.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) file: PathBuf,
    /// The objects, Lists taken apart; or why there are none.
    pub(super) objects: Result<Vec<Value>, String>,
    /// Directories of manifests that it names.
    pub(super) manifests: Vec<PathBuf>,
    /// Master files that it names.
    pub(super) masters: Vec<PathBuf>,
    /// Files with credentials that it names.
    pub(super) credentials: Vec<PathBuf>,
}

impl Written {
    /// Whether it may be a file with credentials: nothing in it says that it is an object.
    pub(super) fn is_no_object(&self) -> bool {
        let plain =
            |value: &Value| value.get("kind").is_none() && value.get("apiVersion").is_none();
        self.objects.as_ref().is_ok_and(|objects| objects.iter().all(plain))
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

/// Reads one file.
pub(super) fn read(file: &Path) -> Written {
    let mut written = Written {
        file: file.to_owned(),
        objects: Ok(Vec::new()),
        manifests: Vec::new(),
        masters: Vec::new(),
        credentials: Vec::new(),
    };
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            written.objects = Err(format!("cannot be read: {error}"));
            return written;
        }
    };
    let (mut manifests, mut masters) = (Vec::new(), Vec::new());
    let mut options = source::yaml_options();
    options.with_snippet = true; // somebody wrote it by hand
    match serde_saphyr::from_multiple_with_options::<Value>(&text, options) {
        Ok(documents) => {
            let objects: Vec<Value> = documents.into_iter().flat_map(apart).collect();
            manifests = named(&objects, "/spec/access/directory");
            masters = named(&objects, "/spec/masterFile");
            let credentials = of_providers(&objects, "credentialsFile");
            written.credentials = credentials.map(|path| placed(&beside(file, path))).collect();
            written.objects = Ok(objects);
        }
        Err(error) => {
            written.objects = Err(format!("is not YAML: {error}"));
            // What it names is still no configuration of its own.
            manifests.extend(words_after(&text, "directory:"));
            masters.extend(words_after(&text, "masterFile:"));
        }
    }
    let directories = manifests.iter().map(|path| real(&beside(file, path)));
    // A directory that holds this file is not one of manifests alone.
    written.manifests = directories.filter(|own| !placed(file).starts_with(own)).collect();
    written.masters = masters.iter().map(|path| placed(&beside(file, path))).collect();
    written
}

/// The objects of a List, or the object itself; nothing of an empty document.
fn apart(mut value: Value) -> Vec<Value> {
    if value.is_null() {
        return Vec::new();
    }
    let list = value.get("kind").and_then(Value::as_str) == Some("List");
    match value.get_mut("items") {
        Some(Value::Array(items)) if list => std::mem::take(items),
        _ => vec![value],
    }
}

fn named(objects: &[Value], pointer: &str) -> Vec<String> {
    let texts = objects.iter().filter_map(|object| object.pointer(pointer)?.as_str());
    texts.map(ToOwned::to_owned).collect()
}

/// The values of a field of each provider that a zone is written to.
fn of_providers<'o>(objects: &'o [Value], field: &'o str) -> impl Iterator<Item = &'o str> {
    let providers = objects.iter().filter_map(|object| object.pointer("/spec/publish")?.as_array());
    providers.flatten().filter_map(move |own| own.get(field)?.as_str())
}

/// The values of a field in text that is not YAML as a whole.
fn words_after<'t>(text: &'t str, field: &str) -> impl Iterator<Item = String> + 't {
    let ends = [' ', '\t', '\r', '\n', ',', '}', '#'];
    let word = move |rest: &str| {
        let rest = rest.trim_start_matches([' ', '\t']);
        let word = rest.split(ends).next().unwrap_or_default();
        word.trim_matches(['"', '\'']).to_owned()
    };
    let rests: Vec<&str> = text.split(field).skip(1).collect();
    rests.into_iter().map(word).filter(|word| !word.is_empty())
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

    #[test]
    fn a_field_is_found_in_text_that_is_no_yaml() {
        let text =
            "spec: [\n  access: {directory: a/b, x: y}\n  directory: \"c\" # why\ndirectory:";
        let words: Vec<_> = words_after(text, "directory:").collect();
        assert_eq!(words, ["a/b", "c"]);
    }

    #[test]
    fn a_file_may_hold_thousands_of_objects() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("policies.yaml");
        fs::write(&file, "---\nkind: TrafficPolicy\n".repeat(5_000)).unwrap();
        assert_eq!(read(&file).objects.map(|objects| objects.len()), Ok(5_000));
    }
}
