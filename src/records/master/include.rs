//! Which files `$INCLUDE` may name: those in or below the folder of the zone's own file.

use std::path::{Component, Path, PathBuf};

/// The name as a path below the folder, if it cannot lead out of it. Links are the loader's
/// business.
///
/// # Errors
/// When the name is empty, absolute, goes up with `..`, or holds a backslash or an octet that no
/// path has.
pub fn include_path(name: &str) -> Result<PathBuf, String> {
    let refuse = |why: &str| {
        Err(format!("`{name}` {why}; name a file in or below the folder of the zone file"))
    };
    if name.contains(['\\', '\0']) {
        return refuse("holds a character that no file name should have");
    }
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return refuse("goes up with `..`"),
            Component::RootDir | Component::Prefix(_) => return refuse("is an absolute path"),
        }
    }
    if path.as_os_str().is_empty() { refuse("names no file") } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_the_folder_are_taken() {
        assert_eq!(include_path("hosts.zone"), Ok(PathBuf::from("hosts.zone")));
        assert_eq!(include_path("./parts/hosts.zone"), Ok(PathBuf::from("parts/hosts.zone")));
        assert_eq!(include_path("..hidden"), Ok(PathBuf::from("..hidden")));
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        for name in ["/etc/passwd", "../secret", "a/../../b", "a\\..\\b", "", ".", "a\0b"] {
            assert!(include_path(name).is_err(), "{name:?}");
        }
        let error = include_path("../secret").unwrap_err();
        assert!(error.starts_with("`../secret` goes up with `..`"), "{error}");
    }
}
