//! Taking names over from whoever wrote them: on a person's word, one owner and one list of names at
//! a time, and in the safe order: ownership first, data later (providers.md §7.3).
//!
//! external-dns marks a record by a TXT record beside it (registry `txt`), whose owner is rewritten
//! in place: a running external-dns then sees a foreign owner and leaves the name alone.

use super::{
    Change, Listing, RecordSet, Rendered, SetKey,
    diff::Action,
    mark::{self, Mark, Marked, Owner},
};
use crate::{
    model::{Key, Name},
    records::RecordType,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A person's word.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adoption {
    /// From whom.
    pub from: Origin,
    /// Only these names, with `*` for any run of characters; all that qualify when empty.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Who wrote the names that are taken over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Origin {
    /// external-dns with its TXT registry.
    ExternalDns(Registry),
    /// Another installation of Meridian, or this one with a key that is lost.
    Meridian {
        /// Its id.
        owner: String,
    },
    /// Nobody says: people, or a tool without marks. Names must be given.
    Unmarked,
}

/// How external-dns was configured (`--txt-owner-id` and its siblings).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// `--txt-owner-id`.
    pub owner: String,
    /// `--txt-prefix`.
    #[serde(default)]
    pub prefix: String,
    /// `--txt-suffix`.
    #[serde(default)]
    pub suffix: String,
    /// `--txt-wildcard-replacement`.
    #[serde(default)]
    pub wildcard: String,
}

/// What would be taken over, and what not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adoptable {
    /// Names with what changes: marks alone.
    pub changes: Vec<Change>,
    /// Names that match and are left, with the reason.
    pub left: Vec<(Name, String)>,
}

/// Finds what the person's word covers in a zone.
#[must_use]
pub fn adoptable(
    adoption: &Adoption,
    wanted: &Rendered,
    existing: &Listing,
    owner: &Owner,
) -> Adoptable {
    let mut found = Adoptable::default();
    let data = existing.sets().filter(|set| !mark::is_bookkeeping(&set.key));
    let owners: BTreeSet<&Key> = data.map(|set| &set.key.owner).collect();
    for key in owners {
        let name = key.to_name();
        if !adoption.covers(&name) {
            continue;
        }
        match one(adoption, wanted, existing, owner, &name) {
            Ok(change) => found.changes.push(change),
            Err(Some(reason)) => found.left.push((name, reason)),
            Err(None) => {}
        }
    }
    found
}

/// The change that takes one name over; `Err(None)` where there is nothing to say of it.
pub(super) fn one(
    adoption: &Adoption,
    wanted: &Rendered,
    existing: &Listing,
    owner: &Owner,
    name: &Name,
) -> Result<Change, Option<String>> {
    let zone = existing.zone();
    let mark_key = SetKey::plain(&mark::mark_name(zone, name), RecordType::TXT);
    let old = existing.get(&mark_key);
    let marked = mark::read_mark(owner, zone, name, old);
    if matches!(marked, Marked::Ours(_)) {
        return Err(None);
    }
    let (types, mut delete, mut create) = match &adoption.from {
        Origin::ExternalDns(registry) => registry.flip(existing, name, owner)?,
        Origin::Meridian { owner: from } => {
            (of_installation(from, &marked, existing, name)?, vec![], vec![])
        }
        Origin::Unmarked => (unmarked(adoption, &marked, existing, name)?, vec![], vec![]),
    };
    let say = wanted.names.get(&name.key());
    let object = say.map(|say| say.object.clone()).ok_or_else(|| {
        // It would be removed the moment it was ours.
        Some("nothing in this federation wants it; it is left to its owner".to_owned())
    })?;
    delete.extend(old.cloned());
    let mark = Mark {
        owner: owner.id.clone(),
        object: owner.opaque(&object).into(),
        generation: 0,
        types,
    };
    create.push(mark.set(owner, zone, name));
    Ok(Change { name: name.clone(), action: Action::Adopt, object, delete, create })
}

impl Adoption {
    fn covers(&self, name: &Name) -> bool {
        let text = name.without_dot().to_lowercase();
        let fits = |pattern: &String| {
            let pattern = pattern.trim_end_matches('.').to_lowercase();
            pattern == text || matches(&pattern, &text)
        };
        self.names.is_empty() || self.names.iter().any(fits)
    }
}

/// `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(tail) = text.strip_prefix(head) else { return false };
    (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| matches(rest, &tail[at..]))
}

fn types_at(existing: &Listing, name: &Name) -> BTreeSet<RecordType> {
    existing.of_name(&name.key()).map(|set| set.key.rtype).collect()
}

fn of_installation(
    from: &str,
    marked: &Marked,
    existing: &Listing,
    name: &Name,
) -> Result<BTreeSet<RecordType>, Option<String>> {
    match marked {
        Marked::Foreign { owner } if owner == from => Ok(types_at(existing, name)),
        Marked::Forged => Ok(types_at(existing, name)),
        Marked::Foreign { owner } => Err(Some(format!("it is marked as owned by {owner}"))),
        Marked::No | Marked::Ours(_) => Err(None),
    }
}

fn unmarked(
    adoption: &Adoption,
    marked: &Marked,
    existing: &Listing,
    name: &Name,
) -> Result<BTreeSet<RecordType>, Option<String>> {
    if adoption.names.is_empty() {
        return Err(None);
    }
    if let Marked::Foreign { owner } = marked {
        return Err(Some(format!("it is marked as owned by {owner}")));
    }
    let registry = Registry::default();
    let types = types_at(existing, name);
    let marks = types.iter().flat_map(|rtype| registry.names(name, *rtype));
    let mut texts = marks.filter_map(|at| existing.get(&SetKey::plain(&at, RecordType::TXT)));
    match texts.find_map(|set| set.texts().find_map(|text| owner_of(&text).map(str::to_owned))) {
        Some(owner) => {
            Err(Some(format!("external-dns marks it as owned by {owner}; use --from external-dns")))
        }
        None => Ok(types),
    }
}

/// Types, sets that go, sets that come.
type Flip = (BTreeSet<RecordType>, Vec<RecordSet>, Vec<RecordSet>);

impl Registry {
    /// The marks of external-dns at one name, rewritten to a foreign owner.
    fn flip(&self, existing: &Listing, name: &Name, own: &Owner) -> Result<Flip, Option<String>> {
        let mut types = BTreeSet::new();
        let mut marks: BTreeSet<SetKey> = BTreeSet::new();
        let mut others = BTreeSet::new();
        // Flipped before something ended the write half-way: ours but for the mark.
        let (half_done, mut done) = (flipped_owner(own), BTreeSet::new());
        for rtype in types_at(existing, name) {
            for at in self.names(name, rtype) {
                let key = SetKey::plain(&at, RecordType::TXT);
                let Some(set) = existing.get(&key) else { continue };
                for text in set.texts() {
                    match owner_of(&text) {
                        Some(owner) if owner == self.owner => {
                            types.insert(rtype);
                            marks.insert(key.clone());
                        }
                        Some(owner) if owner == half_done => {
                            types.insert(rtype);
                            done.insert(key.clone());
                        }
                        Some(owner) => drop(others.insert(owner.to_owned())),
                        None => {}
                    }
                }
            }
        }
        if types.is_empty() {
            let others: Vec<_> = others.into_iter().collect();
            let text = || format!("external-dns marks it as owned by {}", others.join(" and "));
            return Err((!others.is_empty()).then(text));
        }
        // A mark of the old form stands at the name itself: that TXT set is not the data's.
        if marks.union(&done).any(|key| key.owner == name.key()) {
            types.remove(&RecordType::TXT);
        }
        let delete: Vec<RecordSet> =
            marks.iter().filter_map(|key| existing.get(key)).cloned().collect();
        let create = delete.iter().map(|set| self.flipped(set, own)).collect();
        Ok((types, delete, create))
    }

    /// The same set with our id in place of the owner's; whatever else it holds stays.
    fn flipped(&self, set: &RecordSet, own: &Owner) -> RecordSet {
        let (from, to) = (
            format!("external-dns/owner={}", self.owner),
            format!("external-dns/owner={}", flipped_owner(own)),
        );
        let name = set.key.name();
        let ttl = set.ttl.unwrap_or(crate::model::Ttl::WRITTEN);
        let data = set.data.iter().zip(set.texts()).map(|(data, text)| match owner_of(&text) {
            Some(owner) if owner == self.owner => {
                let new = RecordSet::text(&name, ttl, &text.replacen(&from, &to, 1));
                new.data.into_iter().next().unwrap_or_else(|| data.clone())
            }
            _ => data.clone(),
        });
        let mut new = RecordSet::plain(&name, RecordType::TXT, ttl, data);
        new.key = set.key.clone();
        new.more = set.more.clone();
        new
    }

    /// Where external-dns would stand a mark: the new form (type in front of the first label) and
    /// the old ones (no type).
    fn names(&self, name: &Name, rtype: RecordType) -> Vec<Name> {
        let text = name.without_dot();
        let (first, rest) = text.split_once('.').unwrap_or((&text, ""));
        let first = if first == "*" && !self.wildcard.is_empty() { &self.wildcard } else { first };
        let word = rtype.to_string().to_lowercase();
        let (prefix, suffix) = (self.prefix.to_lowercase(), self.suffix.to_lowercase());
        let template = "%{record_type}";
        let mut texts = vec![];
        if prefix.contains(template) || suffix.contains(template) {
            let fill = |affix: &str| affix.replace(template, &word);
            texts.push(format!("{}{first}{}.{rest}", fill(&prefix), fill(&suffix)));
        } else {
            texts.push(format!("{prefix}{word}-{first}{suffix}.{rest}"));
            // Aliases of load balancers were marked as CNAMEs once.
            texts.push(format!("{prefix}cname-{first}{suffix}.{rest}"));
            texts.push(format!("{prefix}{first}{suffix}.{rest}"));
        }
        texts.iter().filter_map(|text| text.trim_end_matches('.').parse().ok()).collect()
    }
}

/// What external-dns is told the owner is.
fn flipped_owner(own: &Owner) -> String {
    format!("meridian-{}", own.id)
}

/// The owner in a mark of external-dns: `"heritage=external-dns,external-dns/owner=…,…"`.
fn owner_of(text: &str) -> Option<&str> {
    let text = text.trim_matches('"');
    let mut pairs = text.split(',');
    pairs.clone().find(|pair| *pair == "heritage=external-dns")?;
    pairs.find_map(|pair| pair.strip_prefix("external-dns/owner="))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Say, Sight},
        *,
    };
    use crate::model::Ttl;
    use std::sync::Arc;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn a(at: &str) -> RecordSet {
        RecordSet::plain(&name(at), RecordType::A, Ttl::WRITTEN, [[1, 2, 3, 4]])
    }

    fn mark_of(at: &str, owner: &str) -> RecordSet {
        let text = format!(
            "\"heritage=external-dns,external-dns/owner={owner},external-dns/resource=service/prod/x\""
        );
        RecordSet::text(&name(at), Ttl::WRITTEN, &text)
    }

    fn wanted(names: &[&str]) -> Rendered {
        let say = |text: &&str| {
            let say = Say {
                object: "service prod/x".into(),
                clusters: Arc::default(),
                sets: Some(vec![a(text)]),
                unchecked: None,
            };
            (name(text).key(), say)
        };
        Rendered {
            names: names.iter().map(say).collect(),
            switches: crate::plan::Switches::default(),
            degraded: vec![],
            sight: Sight::default(),
        }
    }

    fn owner() -> Owner {
        Owner::new("us", "i", &[vec![1; 32]]).unwrap()
    }

    fn external(owner: &str, prefix: &str) -> Adoption {
        let registry =
            Registry { owner: owner.into(), prefix: prefix.into(), ..Registry::default() };
        Adoption { from: Origin::ExternalDns(registry), names: vec![] }
    }

    fn find(
        adoption: &Adoption,
        sets: Vec<RecordSet>,
        want: &[&str],
    ) -> (Vec<Name>, Vec<(Name, String)>) {
        let listing = Listing::whole(name("z.test"), sets);
        let found = adoptable(adoption, &wanted(want), &listing, &owner());
        (found.changes.into_iter().map(|change| change.name).collect(), found.left)
    }

    #[test]
    fn only_names_that_the_given_owner_marked_and_we_want_are_taken() {
        let sets = || {
            vec![
                a("x.z.test"),
                mark_of("a-x.z.test", "default"),
                a("y.z.test"),
                mark_of("a-y.z.test", "other"),
                a("w.z.test"),
                mark_of("a-w.z.test", "default"),
                a("plain.z.test"),
            ]
        };
        let (taken, left) =
            find(&external("default", ""), sets(), &["x.z.test", "y.z.test", "plain.z.test"]);
        assert_eq!(taken, [name("x.z.test")]);
        let reasons: Vec<_> = left.iter().map(|(name, why)| format!("{name} {why}")).collect();
        assert!(
            reasons.iter().any(|text| text.contains("w.z.test. nothing in this federation")),
            "{reasons:?}"
        );
        assert!(
            reasons
                .iter()
                .any(|text| text.contains("y.z.test. external-dns marks it as owned by other")),
            "{reasons:?}"
        );
    }

    #[test]
    fn the_owner_is_rewritten_in_place_and_the_data_stay() {
        let old = mark_of("ext-a-x.z.test", "default");
        let listing = Listing::whole(name("z.test"), vec![a("x.z.test"), old.clone()]);
        let found =
            adoptable(&external("default", "ext-"), &wanted(&["x.z.test"]), &listing, &owner());
        let [change] = &found.changes[..] else { panic!("{found:?}") };
        assert_eq!(change.delete, [old]);
        let text = change.create[0].texts().next().unwrap();
        assert!(
            text.contains("external-dns/owner=meridian-us,external-dns/resource=service/prod/x"),
            "{text}"
        );
        assert_eq!(change.create[1].key.name(), name("_meridian.x.z.test"));
    }

    #[test]
    fn what_was_rewritten_before_a_write_broke_off_is_taken_the_next_time() {
        let (old, half) = (mark_of("a-x.z.test", "default"), mark_of("x.z.test", "meridian-us"));
        for (sets, rewritten) in [(vec![old, half.clone()], 1), (vec![half], 0)] {
            let listing = Listing::whole(name("z.test"), [vec![a("x.z.test")], sets].concat());
            let adoption = external("default", "");
            let found = adoptable(&adoption, &wanted(&["x.z.test"]), &listing, &owner());
            let [change] = &found.changes[..] else { panic!("{found:?}") };
            assert_eq!(change.delete.len(), rewritten);
            let (at, mark) = (name("x.z.test"), change.create.last());
            let marked = mark::read_mark(&owner(), &name("z.test"), &at, mark);
            let Marked::Ours(mark) = marked else { panic!("{marked:?}") };
            assert_eq!(mark.types, [RecordType::A].into(), "the text there is not the data's");
        }
    }

    #[test]
    fn an_old_mark_at_the_name_itself_leaves_other_texts_there() {
        let mut both = mark_of("x.z.test", "default");
        let spf = RecordSet::text(&name("x.z.test"), Ttl::WRITTEN, "v=spf1 -all");
        both.data.extend(spf.data.clone());
        both.data.sort();
        let listing = Listing::whole(name("z.test"), vec![a("x.z.test"), both]);
        let found = adoptable(&external("default", ""), &wanted(&["x.z.test"]), &listing, &owner());
        let texts: Vec<_> = found.changes[0].create[0].texts().collect();
        assert!(texts.contains(&"v=spf1 -all".to_owned()), "{texts:?}");
        let marked = mark::read_mark(
            &owner(),
            &name("z.test"),
            &name("x.z.test"),
            found.changes[0].create.last(),
        );
        let Marked::Ours(mark) = marked else { panic!("{marked:?}") };
        assert_eq!(mark.types, [RecordType::A].into());
    }

    #[test]
    fn unmarked_names_are_taken_only_by_name() {
        let mut adoption = Adoption { from: Origin::Unmarked, names: vec![] };
        let sets = || vec![a("x.z.test"), a("y.z.test"), mark_of("a-y.z.test", "default")];
        let want = ["x.z.test", "y.z.test"];
        assert_eq!(find(&adoption, sets(), &want), (vec![], vec![]));
        adoption.names = vec!["*.z.test".into()];
        let (taken, left) = find(&adoption, sets(), &want);
        assert_eq!(taken, [name("x.z.test")]);
        assert!(left[0].1.contains("use --from external-dns"));
    }

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text, fits) in [
            ("*.a", "x.a", true),
            ("x*y", "xy", true),
            ("x*y", "xzz", false),
            ("*", "", true),
            ("a*b*c", "a1b2c", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
