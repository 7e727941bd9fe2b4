//! Master files on disk: read with their includes, which may not leave the file's folder.

use crate::{
    model::Name,
    records::{Fault, Faults, Parsed, Zone, include_path, parse_master, parse_over},
};
use std::{fs, path::Path};

/// Reads a master file over a federation's generated zone.
///
/// # Errors
/// Every line that cannot be read, or why the file cannot.
pub(super) fn read_over(path: &Path, shown: &str, generated: &Zone) -> Result<Parsed, Faults> {
    let text = text(path, shown)?;
    parse_over(generated, shown, &text, &mut |included| include(path, included))
}

/// Reads a master file that is a zone of its own.
///
/// # Errors
/// As [`read_over`], and when SOA or NS are missing.
pub(super) fn read_zone(path: &Path, shown: &str, apex: &Name) -> Result<Parsed, Faults> {
    let text = text(path, shown)?;
    parse_master(apex, shown, &text, &mut |included| include(path, included))
}

fn text(path: &Path, shown: &str) -> Result<String, Faults> {
    fs::read_to_string(path).map_err(|error| {
        let text = format!("cannot be read: {error}");
        Faults(vec![Fault { file: shown.into(), line: 0, text }])
    })
}

/// Links may not lead out of the folder either.
fn include(file: &Path, included: &str) -> Result<String, String> {
    let inside = include_path(included)?;
    let refused = |error: std::io::Error| error.to_string();
    let folder = file.parent().unwrap_or(Path::new(".")).canonicalize().map_err(refused)?;
    let path = folder.join(inside).canonicalize().map_err(refused)?;
    if !path.starts_with(&folder) {
        return Err("leads out of the zone file's folder; name a file inside it".to_owned());
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
            let head = "$TTL 60\n@ SOA ns.example.net. host 1 2 3 4 5\n@ NS ns.example.net.\n";
            fs::write(&file, format!("{head}{text}")).unwrap();
            read_zone(&file, "example.org.zone", &apex)
        };
        assert!(read_text("$INCLUDE more\n").is_ok());
        for bad in ["../secret", "link", "nothing"] {
            let faults = read_text(&format!("$INCLUDE {bad}\n")).unwrap_err();
            assert_eq!(faults.0[0].line, 4, "{faults}");
        }
    }
}
