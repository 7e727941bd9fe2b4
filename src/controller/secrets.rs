//! The secrets that cookies are made with: of a file that servers behind one address share, and
//! that is read again when it changes; else one that is made here once and kept with the state.

use super::{controls::Reloads, state::create_private};
use crate::server::{Guard, Secrets};
use anyhow::Context;
use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// The name of the file of our own.
const FILE: &str = "cookie-secret";
/// How often the shared file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Puts the secrets in force that the guard is to have.
///
/// # Errors
/// When the shared file is no file of secrets. One of our own that cannot be kept is no error: it
/// costs clients a new cookie after a restart.
pub(super) fn load(guard: &Guard, state: Option<&Path>) -> anyhow::Result<()> {
    let Some(cookies) = &guard.cookies else { return Ok(()) };
    if let Some(path) = &guard.secrets {
        let text = fs::read_to_string(path).map_err(|error| error.to_string());
        let secrets = text.and_then(|text| Secrets::parse(&text)).map_err(anyhow::Error::msg);
        let shown = path.display();
        cookies.replace(secrets.with_context(|| format!("--dns-cookie-secret-file {shown}"))?);
    } else if let Some(directory) = state {
        match own(directory) {
            Ok(secrets) => cookies.replace(secrets),
            Err(error) => tracing::warn!(
                "{}: {error}; DNS cookies are made with another secret until this process ends",
                directory.join(FILE).display()
            ),
        }
    }
    Ok(())
}

/// Reads the shared file again whenever it changes; a bad one leaves the secrets as they are.
pub(super) async fn follow(guard: Arc<Guard>, mut reloads: Reloads, shutdown: CancellationToken) {
    let (Some(cookies), Some(path)) = (&guard.cookies, &guard.secrets) else { return };
    let mut told: Option<Result<String, String>> = None;
    loop {
        let read = tokio::fs::read_to_string(path).await.map_err(|error| error.to_string());
        // The first reading may be of an edit that came after the start.
        if told.as_ref() != Some(&read) {
            match read.as_deref().map_err(Clone::clone).and_then(Secrets::parse) {
                Ok(secrets) => {
                    cookies.replace(secrets);
                    tracing::info!("DNS cookies are made with {}", path.display());
                }
                Err(error) => tracing::error!(
                    "{}: {error}; the secrets that were read before stay in force",
                    path.display()
                ),
            }
            told = Some(read);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = reloads.next() => told = None,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// The secret that is kept in the state directory, made the first time.
fn own(directory: &Path) -> Result<Secrets, String> {
    let path = directory.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Secrets::parse(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = make(directory, &path).map_err(|error| error.to_string())?;
            Secrets::parse(&made)
        }
        Err(error) => Err(error.to_string()),
    }
}

fn make(directory: &Path, path: &Path) -> io::Result<String> {
    let mut secret = [0; 16];
    let filled = SystemRandom::new().fill(&mut secret);
    filled.map_err(|_| io::Error::other("there is no randomness"))?;
    let text = HEXLOWER.encode(&secret) + "\n";
    fs::create_dir_all(directory)?;
    let new = path.with_extension("new");
    let mut file = create_private(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)?;
    fs::File::open(directory)?.sync_all()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Cookies;
    use std::os::unix::fs::PermissionsExt;

    fn guard(file: Option<&Path>) -> Guard {
        let cookies = Some(Cookies::new(Secrets::one([1; 16]), false));
        Guard { cookies, secrets: file.map(Into::into), ..Guard::default() }
    }

    #[test]
    fn a_secret_of_our_own_is_made_once_and_is_nobody_elses_to_read() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        load(&guard(None), Some(&state)).unwrap();
        let path = state.join(FILE);
        let (first, mode) =
            (fs::read_to_string(&path).unwrap(), fs::metadata(&path).unwrap().permissions().mode());
        assert_eq!((first.len(), mode & 0o777), (33, 0o600));
        load(&guard(None), Some(&state)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
    }

    #[test]
    fn a_shared_file_that_is_none_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets");
        let error = load(&guard(Some(&path)), None).unwrap_err();
        assert!(format!("{error:#}").contains("secrets: No such file"), "{error:#}");
        fs::write(&path, "hello").unwrap();
        let error = load(&guard(Some(&path)), None).unwrap_err();
        assert!(format!("{error:#}").contains("line 1 is no secret"), "{error:#}");
    }

    #[test]
    fn a_state_directory_that_cannot_be_written_is_no_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        load(&guard(None), Some(file.path())).unwrap();
    }
}
