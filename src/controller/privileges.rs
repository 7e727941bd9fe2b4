//! What a process that was started as root keeps of it once its sockets are bound: nothing.

use anyhow::{Context, anyhow, bail};
use nix::unistd::{self, Gid, Group, Uid, User};
use std::{ffi::CString, fs, io, os::unix::fs::chown, path::Path, str::FromStr};

/// Whom the process is to be once its sockets are bound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Its name in the user database, where it has one.
    name: Option<String>,
    uid: Uid,
    gid: Gid,
}

impl FromStr for Identity {
    type Err = String;

    /// Reads `NAME`, `NAME:GROUP`, or numbers in their place.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, group) = match text.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (text, None),
        };
        let user = user(name)?;
        let gid = match (group, &user) {
            (Some(group), _) => gid(group)?,
            (None, Found::Known(user)) => user.gid,
            (None, Found::Number(uid)) => {
                return Err(format!(
                    "user {uid} has no name, so its group is to be given: {uid}:GROUP"
                ));
            }
        };
        let (name, uid) = match user {
            Found::Known(user) => (Some(user.name), user.uid),
            Found::Number(uid) => (None, uid),
        };
        if uid.is_root() {
            return Err("root is whom this process is not to stay; name another user".to_owned());
        }
        Ok(Self { name, uid, gid })
    }
}

enum Found {
    Known(User),
    Number(Uid),
}

fn user(text: &str) -> Result<Found, String> {
    let number = text.parse().map(Uid::from_raw);
    let found = match number {
        Ok(uid) => User::from_uid(uid),
        Err(_) => User::from_name(text),
    };
    match (found.map_err(|error| format!("the user database cannot be read: {error}"))?, number) {
        (Some(user), _) => Ok(Found::Known(user)),
        (None, Ok(uid)) => Ok(Found::Number(uid)),
        (None, Err(_)) => {
            Err(format!("there is no user {text:?} on this machine; `useradd --system` makes one"))
        }
    }
}

fn gid(text: &str) -> Result<Gid, String> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(text);
    let found = found.map_err(|error| format!("the group database cannot be read: {error}"))?;
    found
        .map(|group| group.gid)
        .ok_or_else(|| format!("there is no group {text:?} on this machine"))
}

impl Identity {
    /// Its number.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// Becomes it, in every thread and for good. The state directory is made for it, where there is
    /// none yet.
    ///
    /// # Errors
    /// When any of root would be left, or the state could not be written.
    pub(super) fn assume(&self, state: Option<&Path>) -> anyhow::Result<()> {
        if self.is_assumed() {
            return Ok(());
        }
        if !Uid::effective().is_root() {
            bail!(
                "--user: only root can become another user, and this process runs as user {}; start \
                 it as the one you want, and leave the flag out",
                Uid::effective()
            );
        }
        if let Some(state) = state {
            self.make(state).with_context(|| {
                format!("{} cannot be made; choose another --state-dir", state.display())
            })?;
        }
        self.change().context("--user: what root has cannot be given up; nothing is served")?;
        if !self.is_assumed() || unistd::setuid(Uid::from_raw(0)).is_ok() {
            bail!("--user: this process could be root again; nothing is served");
        }
        tracing::info!("runs as user {} and group {} from now on", self.uid, self.gid);
        state.map_or(Ok(()), |state| self.probe(state))
    }

    /// Groups first: whoever is not root any more cannot change them.
    fn change(&self) -> anyhow::Result<()> {
        match &self.name {
            Some(name) => unistd::initgroups(&CString::new(name.as_bytes())?, self.gid)?,
            None => unistd::setgroups(&[self.gid])?,
        }
        unistd::setresgid(self.gid, self.gid, self.gid)?;
        unistd::setresuid(self.uid, self.uid, self.uid)?;
        Ok(())
    }

    fn is_assumed(&self) -> bool {
        let users = [Uid::current(), Uid::effective()];
        let groups = [Gid::current(), Gid::effective()];
        users.iter().all(|own| *own == self.uid) && groups.iter().all(|own| *own == self.gid)
    }

    /// What is there already stays whose it is.
    fn make(&self, state: &Path) -> io::Result<()> {
        if state.exists() {
            return Ok(());
        }
        if let Some(parent) = state.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::create_dir(state)?;
        chown(state, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }

    fn probe(&self, state: &Path) -> anyhow::Result<()> {
        let tried = tempfile::Builder::new().prefix(".writable-").tempfile_in(state);
        tried.map(drop).map_err(|error| {
            let (shown, own) = (state.display(), format!("{}:{}", self.uid, self.gid));
            anyhow!(
                "{shown}: user {} cannot write there ({error}); `chown -R {own} {shown}`",
                self.uid
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_names_or_numbers() {
        let nobody: Identity = "nobody".parse().unwrap();
        assert_eq!(nobody.name.as_deref(), Some("nobody"));
        let own: Identity = "nobody:0".parse().unwrap();
        assert_eq!((own.uid, own.gid), (nobody.uid, Gid::from_raw(0)));
        let number: Identity = "54321:54322".parse().unwrap();
        assert_eq!((number.uid(), number.gid.as_raw(), number.name), (54_321, 54_322, None));
    }

    #[test]
    fn what_is_no_user_or_is_root_is_an_error_that_says_what_to_do() {
        for (wrong, words) in [
            ("no-such-user", "useradd"),
            ("nobody:no-such-group", "no group"),
            ("54321", "54321:GROUP"),
            ("root", "another user"),
            ("0:0", "another user"),
            ("", "no user"),
        ] {
            let error = wrong.parse::<Identity>().unwrap_err();
            assert!(error.contains(words), "{wrong}: {error}");
        }
    }
}
