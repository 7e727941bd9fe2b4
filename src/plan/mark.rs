//! Whose a name is: marks in TXT records under a label of their own, with a keyed hash, and the
//! generation record that every write of a zone replaces.
//!
//! ```text
//! _meridian.<name>               heritage=meridian,v=1,owner=…,object=…,generation=…,types=A+AAAA,mac=…
//! _meridian-<hash>.<zone>        the same, for wildcards and names too long for the label
//! _meridian-writer-<hash>.<zone> heritage=meridian,v=1,owner=…,instance=…,generation=…,mac=…
//! ```
//!
//! A mark never stands at a name that could be a CNAME. Its hash is over the zone, the name and
//! every field, with a key that only this installation has: who can write the zone can destroy a
//! mark, but cannot make one. What object a name comes from is in it as a keyed hash too, so that
//! a zone tells strangers nothing about namespaces.

use super::{RecordSet, SetKey};
use crate::{
    model::{Name, Ttl},
    records::RecordType,
};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use ring::hmac;
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, fmt, sync::Arc};

/// The version of the format that is written; a later one would read this too.
const VERSION: &str = "1";

/// TTL of marks and generation records: nobody but us asks for them.
const TTL: Ttl = Ttl::from_secs(300);

/// An installation: what its marks carry, and what they are signed with.
#[derive(Clone)]
pub struct Owner {
    /// Its id, of letters, digits and hyphens.
    pub id: Arc<str>,
    /// This copy of it: tells two that run at once from one that was started again.
    pub instance: Arc<str>,
    /// The first signs; all are believed, so that keys can be changed.
    keys: Vec<hmac::Key>,
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({} as {})", self.id, self.instance)
    }
}

/// Why an owner cannot be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OwnerError {
    /// An id or instance goes into TXT records and names.
    #[error("{0:?} is not 1 to 63 letters, digits and hyphens")]
    Word(String),
    /// Nothing could be signed.
    #[error("there is no key; expected at least one of 32 octets or more")]
    NoKey,
}

impl Owner {
    /// An installation with its keys, each of 32 octets or more.
    ///
    /// # Errors
    /// When a word would not fit a mark, or there is no key.
    pub fn new(id: &str, instance: &str, keys: &[Vec<u8>]) -> Result<Self, OwnerError> {
        for word in [id, instance] {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if word.is_empty() || word.len() > Name::MAX_LABEL || !word.bytes().all(fits) {
                return Err(OwnerError::Word(word.to_owned()));
            }
        }
        let long = keys.iter().filter(|key| key.len() >= 32);
        let keys: Vec<_> = long.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect();
        if keys.is_empty() {
            return Err(OwnerError::NoKey);
        }
        Ok(Self { id: id.into(), instance: instance.into(), keys })
    }

    fn signing(&self) -> &hmac::Key {
        self.keys.first().expect("an owner is made with at least one key")
    }

    /// An object's name as marks carry it.
    #[must_use]
    pub fn opaque(&self, object: &str) -> String {
        let tag = hmac::sign(self.signing(), format!("object\0{object}").as_bytes());
        HEXLOWER.encode(&tag.as_ref()[..6])
    }

    fn sign(&self, zone: &Name, name: &Name, fields: &str) -> String {
        let tag = hmac::sign(self.signing(), &signed(zone, name, fields));
        HEXLOWER.encode(&tag.as_ref()[..MAC_OCTETS])
    }

    fn verifies(&self, zone: &Name, name: &Name, fields: &str, mac: &str) -> bool {
        let Ok(mac) = HEXLOWER.decode(mac.as_bytes()) else { return false };
        let of = |key: &hmac::Key| {
            let tag = hmac::sign(key, &signed(zone, name, fields));
            // Nobody can time this from outside: a mark is read once, when a zone is.
            tag.as_ref()[..MAC_OCTETS] == mac[..]
        };
        mac.len() == MAC_OCTETS && self.keys.iter().any(of)
    }
}

/// 128 bits of the hash.
const MAC_OCTETS: usize = 16;

fn signed(zone: &Name, name: &Name, fields: &str) -> Vec<u8> {
    let (zone, name) = (zone.to_lowercase(), name.to_lowercase());
    [zone.as_wire(), name.as_wire(), fields.as_bytes()].concat()
}

/// What a mark says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark {
    /// The installation.
    pub owner: Arc<str>,
    /// The object that the name comes from, as [`Owner::opaque`] gives it.
    pub object: Arc<str>,
    /// The zone's generation when the mark was made.
    pub generation: u64,
    /// The types that are its.
    pub types: BTreeSet<RecordType>,
}

impl Mark {
    fn fields(&self) -> String {
        let types: Vec<_> = self.types.iter().map(ToString::to_string).collect();
        format!(
            "heritage=meridian,v={VERSION},owner={},object={},generation={},types={}",
            self.owner,
            self.object,
            self.generation,
            types.join("+")
        )
    }

    /// The record set that marks `name`.
    #[must_use]
    pub fn set(&self, owner: &Owner, zone: &Name, name: &Name) -> RecordSet {
        let fields = self.fields();
        let mac = owner.sign(zone, name, &fields);
        RecordSet::text(&mark_name(zone, name), TTL, &format!("{fields},mac={mac}"))
    }
}

/// What stands at a name's mark.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Marked {
    /// Nobody marked it.
    No,
    /// Ours, and the hash proves it.
    Ours(Mark),
    /// Another's.
    Foreign {
        /// By whom, as the mark says.
        owner: String,
    },
    /// It says it is ours, and is not signed with our key.
    Forged,
}

/// Reads the mark of `name` from the set at its [`mark_name`].
#[must_use]
pub fn read_mark(owner: &Owner, zone: &Name, name: &Name, set: Option<&RecordSet>) -> Marked {
    let mut found = Marked::No;
    for text in set.into_iter().flat_map(RecordSet::texts) {
        let Some((fields, mac)) = text.rsplit_once(",mac=") else { continue };
        let Some(mark) = parse_mark(fields) else { continue };
        if mark.owner != owner.id {
            found = Marked::Foreign { owner: mark.owner.to_string() };
        } else if owner.verifies(zone, name, fields, mac) {
            return Marked::Ours(mark);
        } else if found == Marked::No {
            found = Marked::Forged;
        }
    }
    found
}

fn parse_mark(fields: &str) -> Option<Mark> {
    is_ours(fields).then_some(())?;
    let field = |name| field(fields, name);
    let types = field("types")?.split('+').filter(|word| !word.is_empty());
    Some(Mark {
        owner: field("owner")?.into(),
        object: field("object")?.into(),
        generation: field("generation")?.parse().ok()?,
        types: types.map(|word| word.parse().ok()).collect::<Option<_>>()?,
    })
}

/// Whether a text is one of Meridian's, whoever's.
fn is_ours(text: &str) -> bool {
    text.starts_with("heritage=meridian,") && field(text, "v") == Some(VERSION)
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Where the mark of `name` stands.
#[must_use]
pub fn mark_name(zone: &Name, name: &Name) -> Name {
    let fits = !name.labels().any(|label| label == b"*");
    let beside = fits.then(|| name.prepend(LABEL.as_bytes()).ok()).flatten();
    beside.unwrap_or_else(|| hashed(zone, "_meridian-", name.to_lowercase().as_wire()))
}

/// The label of marks.
const LABEL: &str = "_meridian";

/// Whose mark stands at `at`, as far as the name itself tells: not for the hashed ones.
#[must_use]
pub fn marked_name(at: &Name) -> Option<Name> {
    let first = at.labels().next()?;
    first.eq_ignore_ascii_case(LABEL.as_bytes()).then(|| at.parent())?
}

/// Whether names under that label are for bookkeeping: marks and generation records.
#[must_use]
pub fn is_bookkeeping(key: &SetKey) -> bool {
    let name = key.name();
    let first = name.labels().next().unwrap_or_default();
    key.rtype == RecordType::TXT && (first == LABEL.as_bytes() || first.starts_with(b"_meridian-"))
}

fn hashed(zone: &Name, before: &str, what: &[u8]) -> Name {
    let hash = BASE32_NOPAD.encode(&Sha256::digest(what)[..10]).to_ascii_lowercase();
    zone.prepend(format!("{before}{hash}").as_bytes()).unwrap_or_else(|_| zone.clone())
}

/// Where a cluster's switch stands in a listing: no record, but kept like one, so that it is
/// compared, planned and written as everything else.
#[must_use]
pub fn switch_set(zone: &Name, cluster: &str, off: bool) -> RecordSet {
    let name = hashed(zone, "_meridian-switch-", cluster.as_bytes());
    let mut set = RecordSet::plain(&name, RecordType::TXT, TTL, [[0_u8; 0]; 0]);
    set.ttl = None;
    let state = if off { "off" } else { "on" };
    set.more.insert("switch".into(), format!("{cluster} {state}").into());
    set
}

/// The cluster and whether it is off, of a set that [`switch_set`] made.
#[must_use]
pub fn switch_of(set: &RecordSet) -> Option<(&str, bool)> {
    let (cluster, state) = set.more.get("switch")?.rsplit_once(' ')?;
    Some((cluster, state == "off"))
}

/// The record that every write of a zone by an installation replaces, so that a writer that has
/// not seen the last write loses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Epoch {
    /// Which copy of the installation wrote last.
    pub instance: Arc<str>,
    /// How many writes there have been; only rises (invariant I2).
    pub generation: u64,
}

/// What stands at a zone's generation record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Written {
    /// This installation has not written here yet.
    Never,
    /// This is what it wrote last.
    Last(Epoch),
    /// Something that is not signed with our key.
    Forged,
}

impl Epoch {
    fn fields(&self, owner: &Owner) -> String {
        format!(
            "heritage=meridian,v={VERSION},owner={},instance={},generation={}",
            owner.id, self.instance, self.generation
        )
    }

    /// The record set.
    #[must_use]
    pub fn set(&self, owner: &Owner, zone: &Name) -> RecordSet {
        let (name, fields) = (epoch_name(owner, zone), self.fields(owner));
        let mac = owner.sign(zone, &name, &fields);
        RecordSet::text(&name, TTL, &format!("{fields},mac={mac}"))
    }

    /// Reads it from the set at [`epoch_name`].
    #[must_use]
    pub fn read(owner: &Owner, zone: &Name, set: Option<&RecordSet>) -> Written {
        let Some(text) = set.and_then(|set| set.texts().next()) else { return Written::Never };
        let read = || {
            let (fields, mac) = text.rsplit_once(",mac=")?;
            (is_ours(fields) && owner.verifies(zone, &epoch_name(owner, zone), fields, mac))
                .then_some(())?;
            let generation = field(fields, "generation")?.parse().ok()?;
            Some(Self { instance: field(fields, "instance")?.into(), generation })
        };
        read().map_or(Written::Forged, Written::Last)
    }
}

/// Where an installation's generation record stands in a zone.
#[must_use]
pub fn epoch_name(owner: &Owner, zone: &Name) -> Name {
    hashed(zone, "_meridian-writer-", owner.id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owner(id: &str, key: u8) -> Owner {
        Owner::new(id, "one", &[vec![key; 32]]).unwrap()
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn mark(owner: &Owner) -> Mark {
        Mark {
            owner: owner.id.clone(),
            object: owner.opaque("service prod/shop").into(),
            generation: 7,
            types: [RecordType::A, RecordType::AAAA].into(),
        }
    }

    #[test]
    fn a_mark_reads_back_only_at_its_own_name_and_with_its_own_key() {
        let (own, zone, at) = (owner("one", 1), name("z.test"), name("a.z.test"));
        let set = mark(&own).set(&own, &zone, &at);
        assert_eq!(set.key.name(), name("_meridian.a.z.test"));
        assert_eq!(read_mark(&own, &zone, &at, Some(&set)), Marked::Ours(mark(&own)));
        let forged = |own: &Owner, zone: &Name, at: &Name| read_mark(own, zone, at, Some(&set));
        assert_eq!(forged(&own, &zone, &name("b.z.test")), Marked::Forged);
        assert_eq!(forged(&own, &name("y.test"), &at), Marked::Forged);
        assert_eq!(forged(&owner("one", 2), &zone, &at), Marked::Forged);
        let foreign = Marked::Foreign { owner: "one".to_owned() };
        assert_eq!(forged(&owner("two", 1), &zone, &at), foreign);
        assert_eq!(read_mark(&own, &zone, &at, None), Marked::No);
    }

    #[test]
    fn keys_can_be_changed() {
        let (old, zone, at) = (owner("one", 1), name("z.test"), name("a.z.test"));
        let set = mark(&old).set(&old, &zone, &at);
        let both = Owner::new("one", "one", &[vec![2; 32], vec![1; 32]]).unwrap();
        assert_eq!(read_mark(&both, &zone, &at, Some(&set)), Marked::Ours(mark(&old)));
    }

    #[test]
    fn wildcards_and_long_names_are_marked_under_a_hash() {
        let zone = name("z.test");
        let long = name(&format!("{}.z.test", ["y".repeat(59).as_str(); 4].join(".")));
        for at in [name("*.a.z.test"), long] {
            let marked = mark_name(&zone, &at);
            assert_eq!(marked.parent(), Some(zone.clone()));
            assert_eq!(marked, mark_name(&zone, &at.to_lowercase()));
            assert_eq!(marked_name(&marked), None);
        }
        assert_eq!(marked_name(&name("_meridian.a.z.test")), Some(name("a.z.test")));
    }

    #[test]
    fn an_epoch_reads_back() {
        let (own, zone) = (owner("one", 1), name("z.test"));
        let epoch = Epoch { instance: "i-1".into(), generation: 12 };
        let set = epoch.set(&own, &zone);
        assert_eq!(Epoch::read(&own, &zone, Some(&set)), Written::Last(epoch));
        assert_eq!(Epoch::read(&owner("one", 9), &zone, Some(&set)), Written::Forged);
        assert_eq!(Epoch::read(&own, &zone, None), Written::Never);
    }

    proptest! {
        #[test]
        fn whatever_a_text_says_reading_it_does_not_panic(text in ".{0,300}") {
            let (own, zone) = (owner("one", 1), name("z.test"));
            for text in [text.clone(), format!("heritage=meridian,v=1,owner=one,{text},mac={text}")] {
                let set = RecordSet::text(&mark_name(&zone, &zone), Ttl::SERVED, &text);
                prop_assert!(!matches!(read_mark(&own, &zone, &zone, Some(&set)), Marked::Ours(_)));
                prop_assert!(!matches!(Epoch::read(&own, &zone, Some(&set)), Written::Last(_)));
            }
        }
    }
}
