//! Master files on disk: read with their includes, which may not leave the file's folder.

use crate::{
    model::Name,
    records::{MasterError, Records, Zone},
};
use std::{fs, path::Path};

/// Reads a master file for a zone at `apex`.
///
/// # Errors
/// Every line that cannot be read, or why the file cannot.
pub(super) fn read(path: &Path, shown: &str, apex: &Name) -> Result<Records, Vec<MasterError>> {
    let whole = |text: String| vec![MasterError { file: shown.to_owned(), line: 0, text }];
    let text =
        fs::read_to_string(path).map_err(|error| whole(format!("cannot be read: {error}")))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Records::parse(shown, &text, apex, &mut |included| include(folder, included))
}

/// The same as a whole zone.
///
/// # Errors
/// As [`read`], and when SOA or NS are missing.
pub(super) fn read_zone(path: &Path, shown: &str, apex: &Name) -> Result<Zone, Vec<MasterError>> {
    read(path, shown, apex)?.into_zone(shown, apex)
}

/// Links may not lead out of the folder either.
fn include(folder: &Path, included: &str) -> Result<String, String> {
    let refused = |error: std::io::Error| format!("$INCLUDE {included:?}: {error}");
    let folder = folder.canonicalize().map_err(refused)?;
    let path = folder.join(included).canonicalize().map_err(refused)?;
    if !path.starts_with(&folder) {
        return Err(format!(
            "$INCLUDE {included:?} leads out of the zone file's folder; name a file inside it"
        ));
    }
    fs::read_to_string(path).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_include_stays_in_its_folder_also_through_a_link() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("zones");
        fs::create_dir(&folder).unwrap();
        fs::write(place.path().join("secret"), "x 60 A 192.0.2.66\n").unwrap();
        fs::write(folder.join("more"), "more 60 A 192.0.2.1\n").unwrap();
        std::os::unix::fs::symlink("../secret", folder.join("link")).unwrap();
        let apex: Name = "example.org".parse().unwrap();
        let read_text = |text: &str| {
            let file = folder.join("example.org.zone");
            fs::write(&file, text).unwrap();
            read(&file, "example.org.zone", &apex)
        };
        assert!(read_text("$INCLUDE more\n").is_ok());
        for bad in ["../secret", "link", "nothing"] {
            let errors = read_text(&format!("$INCLUDE {bad}\n")).unwrap_err();
            assert_eq!(errors[0].line, 1, "{errors:?}");
        }
    }
}
