//! What a file of objects says by its text alone, read once and remembered until the text is
//! another: a directory is looked at every few seconds, and may hold tens of thousands of policies.

use super::{
    check::{self, Checked},
    head::{Head, Id, typed},
    spec::TrafficPolicy,
};
use crate::{model::ServiceKey, policy, source};
use ring::digest::{Context, Digest, SHA256, digest};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The files that were read, and what they said.
#[derive(Debug, Default)]
pub(super) struct Texts {
    seen: BTreeMap<PathBuf, Seen>,
}

#[derive(Debug)]
struct Seen {
    digest: Digest,
    text: Arc<Text>,
    /// Whether this look met it.
    is_met: bool,
}

/// What a file says.
#[derive(Debug)]
pub(super) struct Text {
    /// The objects; or why there are none.
    pub(super) objects: Result<Vec<Item>, String>,
    pub(super) named: Named,
}

/// The files and directories that a file names, as it does.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Directories of manifests.
    pub(super) manifests: Vec<String>,
    /// Master files.
    pub(super) masters: Vec<String>,
    /// Files with credentials.
    pub(super) credentials: Vec<String>,
}

/// An object in a file.
#[derive(Debug)]
pub(super) enum Item {
    /// A policy: whether it is right follows from the text alone.
    Policy { id: Id, shown: String, checked: Checked<Arc<policy::TrafficPolicy>> },
    /// Anything else: other files may have a say in it.
    Other(Value),
}

impl Texts {
    /// Begins a look: what it does not meet is forgotten by the next.
    pub(super) fn begin(&mut self) {
        self.seen.retain(|_, own| std::mem::take(&mut own.is_met));
    }

    /// What a file says now.
    pub(super) fn read(&mut self, file: &Path) -> Arc<Text> {
        match self.look(file) {
            Ok(text) => text,
            Err(error) => Arc::new(Text::unreadable(format!("cannot be read: {error}"))),
        }
    }

    fn look(&mut self, file: &Path) -> io::Result<Arc<Text>> {
        if let Some(own) = self.seen.get_mut(file)
            && own.digest.as_ref() == digest_of(file)?.as_ref()
        {
            own.is_met = true;
            return Ok(own.text.clone());
        }
        let octets = fs::read(file)?;
        let digest = digest(&SHA256, &octets);
        let text = Arc::new(Text::of(octets));
        self.seen.insert(file.to_owned(), Seen { digest, text: text.clone(), is_met: true });
        Ok(text)
    }
}

/// Of a file's octets, without having all of them at once.
fn digest_of(file: &Path) -> io::Result<Digest> {
    let (mut file, mut part) = (File::open(file)?, vec![0; PART]);
    let mut context = Context::new(&SHA256);
    loop {
        match file.read(&mut part) {
            Ok(0) => return Ok(context.finish()),
            Ok(octets) => context.update(part.get(..octets).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

const PART: usize = 1 << 16;

impl Text {
    fn unreadable(error: String) -> Self {
        Self { objects: Err(error), named: Named::default() }
    }

    fn of(octets: Vec<u8>) -> Self {
        let text = match String::from_utf8(octets) {
            Ok(text) => text,
            Err(error) => return Self::unreadable(format!("cannot be read: {error}")),
        };
        let mut options = source::yaml_options();
        options.with_snippet = true; // somebody wrote it by hand
        match serde_saphyr::from_str_multiple_with_options::<Value, Said>(&text, options) {
            Ok(Said { items, named }) => Self { objects: Ok(items), named },
            // What it names is still no configuration of its own.
            Err(error) => Self {
                objects: Err(format!("is not YAML: {error}")),
                named: Named {
                    manifests: words_after(&text, "directory:").collect(),
                    masters: words_after(&text, "masterFile:").collect(),
                    credentials: Vec::new(),
                },
            },
        }
    }

    /// Whether it may be a file with credentials: nothing in it says that it is an object.
    pub(super) fn is_no_object(&self) -> bool {
        let plain = |item: &Item| match item {
            Item::Policy { .. } => false,
            Item::Other(value) => value.get("kind").is_none() && value.get("apiVersion").is_none(),
        };
        self.objects.as_ref().is_ok_and(|objects| objects.iter().all(plain))
    }
}

/// What was read of a file so far. Each document is taken as soon as it is read: as values, a large
/// file is many times its text.
#[derive(Default)]
struct Said {
    items: Vec<Item>,
    named: Named,
}

impl Extend<Value> for Said {
    fn extend<D: IntoIterator<Item = Value>>(&mut self, documents: D) {
        for object in documents.into_iter().flat_map(apart) {
            self.named.add(&object);
            self.items.push(Item::of(object));
        }
    }
}

impl Named {
    fn add(&mut self, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer)?.as_str().map(ToOwned::to_owned);
        self.manifests.extend(text("/spec/access/directory"));
        self.masters.extend(text("/spec/masterFile"));
        let providers = object.pointer("/spec/publish").and_then(Value::as_array);
        let files = providers.into_iter().flatten().filter_map(|own| own.get("credentialsFile"));
        self.credentials.extend(files.filter_map(Value::as_str).map(ToOwned::to_owned));
    }
}

impl Item {
    fn of(value: Value) -> Self {
        let head = Head::of(&value);
        match head.id() {
            Some(id) if id.0 == "TrafficPolicy" && head.problem(&value).is_none() => {
                let checked = checked(&id, &value);
                Self::Policy { id, shown: head.shown(), checked }
            }
            _ => Self::Other(value),
        }
    }
}

fn checked((_, namespace, name): &Id, value: &Value) -> Checked<Arc<policy::TrafficPolicy>> {
    match typed::<TrafficPolicy>(value) {
        Err(problem) => Checked::refused(problem),
        Ok(written) => {
            let key = ServiceKey::new(namespace.as_str(), name.as_str());
            check::policy(key, &written.spec).map(Arc::new)
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let text = Texts::default().read(&file);
        assert_eq!(text.objects.as_ref().map(Vec::len), Ok(5_000));
    }

    #[test]
    fn the_same_text_is_read_once_and_another_or_none_at_once() {
        let place = tempfile::tempdir().unwrap();
        let (file, mut texts) = (place.path().join("a.yaml"), Texts::default());
        fs::write(&file, "kind: A\n").unwrap();
        texts.begin();
        let first = texts.read(&file);
        texts.begin();
        assert!(Arc::ptr_eq(&first, &texts.read(&file)));
        // Neither its length nor its time need be another.
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "kind: B\n").unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(before).unwrap();
        texts.begin();
        let second = texts.read(&file);
        assert!(!Arc::ptr_eq(&first, &second));
        fs::write(&file, [0xff]).unwrap();
        assert!(texts.read(&file).objects.as_ref().unwrap_err().starts_with("cannot be read"));
        fs::remove_file(&file).unwrap();
        assert!(texts.read(&file).objects.as_ref().unwrap_err().starts_with("cannot be read"));
        texts.begin();
        texts.begin();
        assert!(texts.seen.is_empty(), "what is gone is not remembered");
    }
}
