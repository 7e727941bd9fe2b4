//! Record sets that stand for a tree of Traffic Manager profiles: made before the alias, changed
//! beneath it, removed after it, so that no client sees an empty answer at any moment.
//!
//! ```text
//! comes      nested profiles, innermost first ─▶ root with one address ─▶ alias ─▶ root as it is to be
//! changes    new nested profiles ─▶ root, in one call ─▶ nested ones that nothing names any more
//! goes       record set ─▶ root ─▶ nested profiles
//! ```
//!
//! The service knows no conditions for profiles (2022-04-01), so they rest on the generation record,
//! which comes first in each batch and is compared and set. Whatever a process leaves behind when
//! it ends between two calls has names that say whose it is: it is shown as `rest` of its record
//! set, which is a difference, and goes with the next write of that name.

use super::{
    Azure,
    call::Api,
    convert::{Page, TARGET},
    failure,
    order::Call,
    traffic_manager_convert::{Listed, Made, Names, Of, Profiles, of},
};
use crate::{
    model::{Name, Ttl},
    plan::{Failure, Profile, RecordSet, is_bookkeeping, marked_name},
    provider::Leave,
};
use reqwest::Method;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is known of a zone's profiles since it was last read.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Ours, by name.
    profiles: BTreeMap<String, Own>,
    /// Profiles that record sets stand for.
    used: BTreeSet<String>,
}

#[derive(Debug)]
struct Own {
    of: Of,
    nested: Vec<String>,
    text: Arc<str>,
}

/// Profiles of one zone.
pub(super) struct Work<'w> {
    api: &'w Api,
    zone: &'w Name,
    names: Names,
    known: &'w Mutex<Known>,
    leave: &'w Leave,
}

impl<'w> Work<'w> {
    pub(super) fn of(azure: &'w Azure, zone: &'w Name, id: &str, leave: &'w Leave) -> Self {
        Self { api: &azure.api, zone, names: Names::of(id, zone), known: &azure.profiles, leave }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // === Reading ===

    /// A zone's sets, aliases of our profiles with their trees in place of the target.
    pub(super) async fn read(&self, mut sets: Vec<RecordSet>) -> Result<Vec<RecordSet>, Failure> {
        let all = match self.list().await {
            // An identity that may do nothing here has made nothing here.
            Err(Failure::Denied(_)) if !sets.iter().any(|set| self.is_root(set)) => Profiles::new(),
            listed => listed.map_err(refused)?,
        };
        let mut known = Known::default();
        for (name, listed) in &all {
            if let Some(of) = self.names.owner(listed) {
                let (nested, text) =
                    (self.names.nested_in(listed), self.names.tree(listed, &all).text());
                known.profiles.insert(name.clone(), Own { of, nested, text });
            }
        }
        for set in &mut sets {
            let Some(target) = set.more.get(TARGET) else { continue };
            let name = self.names.name_of(target);
            known.used.extend(name.iter().cloned());
            let own = name.filter(|_| self.is_root(set));
            if let Some(own) = own.and_then(|name| known.profiles.get(&name)) {
                set.more.remove(TARGET);
                set.more.insert(Profile::WORD.into(), own.text.clone());
                // Answers have the profile's.
                set.ttl = None;
            }
        }
        for set in &mut sets {
            let rest = of(set, self.zone).map(|of| known.rest(|own| *own == of));
            if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
                set.more.insert(REST.into(), rest.join(",").into());
            }
        }
        *self.known() = known;
        Ok(sets)
    }

    /// Whether that set is the alias that we would make of it.
    fn is_root(&self, set: &RecordSet) -> bool {
        let target = set.more.get(TARGET).and_then(|id| self.names.name_of(id));
        let of = of(set, self.zone);
        target.is_some() && target == of.map(|of| self.names.root(&of))
    }

    async fn list(&self) -> Result<Profiles, Failure> {
        let mut next = Some(self.api.url_of(self.names.scope(), VERSION)?);
        let (mut all, mut seen) = (Profiles::new(), BTreeSet::new());
        while let Some(url) = next.take().filter(|url| seen.insert(url.to_string())) {
            let page = self.api.get(self.zone, url).await.map_err(failure::reading)?;
            let page: Page<Listed> = serde_json::from_slice(&page).map_err(|error| {
                Failure::Unavailable(format!("the listing of profiles cannot be read: {error}"))
            })?;
            all.extend(page.value.into_iter().map(|own| (own.name.to_ascii_lowercase(), own)));
            let link = page.next_link.filter(|link| !link.is_empty());
            next = link.map(|link| self.api.link(&link)).transpose()?;
        }
        Ok(all)
    }

    // === Writing ===

    /// The set as Azure DNS is to have it: one with a tree is an alias of the root.
    pub(super) fn alias<'s>(&self, set: &'s RecordSet) -> Result<Cow<'s, RecordSet>, String> {
        let Some(tree) = tree(set)? else { return Ok(Cow::Borrowed(set)) };
        let of = self.of_set(set)?;
        self.names.made(&of, &tree)?;
        let mut alias = set.clone();
        alias.more.remove(Profile::WORD);
        alias.more.insert(TARGET.into(), self.names.id(&self.names.root(&of)).into());
        // Asked for by Azure DNS, and not used.
        alias.ttl = Some(Ttl::from_secs(tree.ttl.max(1)));
        Ok(Cow::Owned(alias))
    }

    /// What must be there before a call; true where the call itself is not needed, since the alias
    /// stands and only what is beneath it changes.
    pub(super) async fn before(&self, call: &Call<'_>) -> Result<bool, Failure> {
        let (old, new) = sides(call);
        if let Some(name) = old.filter(|set| is_bookkeeping(&set.key)).and_then(marked) {
            // After its mark, nobody would know whose they are.
            self.tidy(&name).await?;
        }
        let Some((set, tree)) = new.and_then(routed) else { return Ok(false) };
        let of = self.of_set(set).map_err(Failure::Rejected)?;
        let mut made = self.names.made(&of, &tree).map_err(Failure::Rejected)?;
        let Some(root) = made.pop() else { return Ok(false) };
        for one in made {
            self.put(&of, one).await?;
        }
        if old.and_then(routed).is_some() {
            self.put(&of, root).await?;
            return Ok(true);
        }
        let first = if tree.is_nested() { self.names.first(&of, &tree) } else { Ok(root) };
        self.put(&of, first.map_err(Failure::Rejected)?).await?;
        Ok(false)
    }

    /// What follows a call: the whole root, and the end of what nothing stands for any more.
    pub(super) async fn after(&self, call: &Call<'_>) -> Result<(), Failure> {
        let (old, new) = sides(call);
        let Some(set) = new.or(old).filter(|set| !is_bookkeeping(&set.key)) else { return Ok(()) };
        let Some(of) = of(set, self.zone) else { return Ok(()) };
        let root = self.names.root(&of);
        match new.and_then(routed) {
            Some((_, tree)) => {
                self.known().used.insert(root);
                let mut made = self.names.made(&of, &tree).map_err(Failure::Rejected)?;
                if let Some(one) = made.pop() {
                    self.put(&of, one).await?;
                }
            }
            None => drop(self.known().used.remove(&root)),
        }
        self.tidy(&set.key.name()).await
    }

    /// Removes the profiles of a name that no record set stands for, parents before children.
    async fn tidy(&self, name: &Name) -> Result<(), Failure> {
        let Ok(relative) = super::convert::relative(name, self.zone) else { return Ok(()) };
        let rest = self.known().rest(|of| of.0 == relative);
        for gone in rest {
            let url = self.api.url_of(&self.names.id(&gone), VERSION)?;
            self.api
                .call(self.zone, Method::DELETE, url, None, self.leave)
                .await
                .map_err(refused)?;
            self.known().profiles.remove(&gone);
        }
        Ok(())
    }

    /// Makes or changes a profile, unless it is known to be as it should.
    async fn put(&self, of: &Of, made: Made) -> Result<(), Failure> {
        let text = made.tree.text();
        if self.known().profiles.get(&made.name).is_some_and(|own| own.text == text) {
            return Ok(());
        }
        let url = self.api.url_of(&self.names.id(&made.name), VERSION)?;
        let put = self.api.call(self.zone, Method::PUT, url, Some(made.body), self.leave);
        put.await.map_err(refused)?;
        let own = Own { of: of.clone(), nested: made.nested, text };
        self.known().profiles.insert(made.name, own);
        Ok(())
    }

    fn of_set(&self, set: &RecordSet) -> Result<Of, String> {
        of(set, self.zone).ok_or_else(|| format!("{}: {set} can be no alias", set.key.name()))
    }
}

impl Known {
    /// Profiles that no record set stands for, of those sets; parents before children.
    fn rest(&self, wanted: impl Fn(&Of) -> bool) -> Vec<String> {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = self.used.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            if reached.insert(name) {
                let nested = self.profiles.get(name).into_iter().flat_map(|own| &own.nested);
                next.extend(nested.map(String::as_str));
            }
        }
        let own = self
            .profiles
            .iter()
            .filter(|(name, own)| wanted(&own.of) && !reached.contains(name.as_str()));
        let mut left: BTreeMap<&String, &Own> = own.collect();
        let mut sorted = Vec::new();
        while !left.is_empty() {
            let below: BTreeSet<&String> = left.values().flat_map(|own| &own.nested).collect();
            let mut tops: Vec<&String> =
                left.keys().copied().filter(|name| !below.contains(name)).collect();
            if tops.is_empty() {
                tops = left.keys().copied().collect();
            }
            for name in tops {
                left.remove(name);
                sorted.push(name.clone());
            }
        }
        sorted
    }
}

fn sides<'b>(call: &Call<'b>) -> (Option<&'b RecordSet>, Option<&'b RecordSet>) {
    match call {
        Call::Create(new) => (None, Some(new)),
        Call::Replace(old, new) => (Some(old), Some(new)),
        Call::Delete(old) => (Some(old), None),
    }
}

fn marked(set: &RecordSet) -> Option<Name> {
    marked_name(&set.key.name())
}

/// The tree of a set that has one that can be read.
fn routed(set: &RecordSet) -> Option<(&RecordSet, Profile)> {
    Some((set, tree(set).ok()??))
}

fn tree(set: &RecordSet) -> Result<Option<Profile>, String> {
    set.more.get(Profile::WORD).map(|text| Profile::read(text)).transpose()
}

/// What a refusal means where there are no conditions: the profile itself is not taken.
fn refused(failure: Failure) -> Failure {
    match failure {
        Failure::Lost(text) => Failure::Rejected(format!("Traffic Manager: {text}")),
        Failure::Unknown(text) if text.starts_with("ResourceQuotaExceeded") => {
            Failure::Rejected(format!("{text}; ask Azure for more Traffic Manager profiles"))
        }
        Failure::Denied(text) => {
            Failure::Denied(format!("{text}, and Traffic Manager Contributor for steered names"))
        }
        other => other,
    }
}

/// The word under which a record set has profiles that are left over from it.
const REST: &str = "rest";
const VERSION: &str = "2022-04-01";
