//! What a signed zone has beside its records: the signatures over each rrset, and the NSEC records
//! that say what is not there. Made when the zone changes (by the module `dnssec`) and shared
//! between versions; a query copies them.

use super::{RecordType, Rrset};
use crate::model::{Key, Name};
use imbl::OrdMap;
use smallvec::SmallVec;
use std::{fmt, sync::Arc};

/// The signatures of one zone, by name.
///
/// Holds a name for each that has data of the zone or is delegated: neither empty non-terminals
/// nor what lies below a delegation, so that the names are exactly those of the NSEC chain.
#[derive(Clone, Debug)]
pub struct Signed {
    names: OrdMap<Key, Arc<SignedName>>,
    denial: Denial,
}

/// How names that do not exist are denied.
#[derive(Clone, Debug)]
pub enum Denial {
    /// By the NSEC records on both sides (RFC 4035 §3.1.3): all is signed beforehand.
    Chain,
    /// As names that exist without data (RFC 9824): signed when they are asked for.
    Compact(Arc<dyn Online>),
}

/// Signs what is not known beforehand.
pub trait Online: fmt::Debug + Send + Sync {
    /// The signature over an rrset under that owner; `None` when too many are asked for.
    fn sign(&self, owner: &Name, rrset: &Rrset) -> Option<Rrset>;
}

/// The signatures of one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedName {
    /// The name, in lower case.
    pub owner: Name,
    /// The signatures, by the type that they cover; of a delegation only those of DS.
    pub rrsigs: SmallVec<[(RecordType, Rrset); 2]>,
    /// Its NSEC: which types there are, and which name comes next.
    pub nsec: Proof,
    /// The NSEC of the view of nobody in particular, where that has not all types that there are:
    /// a copy that cannot steer would else deny a type that its NSEC says is there.
    pub neutral: Option<Proof>,
    /// Where A and AAAA depend on the client: IPv4, IPv6.
    pub steered: Option<Box<[SignedFamily; 2]>>,
    /// When the first of its signatures ends, in seconds since 1970.
    pub until: i64,
}

/// An NSEC rrset with its signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// The NSEC.
    pub nsec: Rrset,
    /// The signatures over it.
    pub rrsig: Rrset,
}

/// The signatures of a family that depends on the client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SignedFamily {
    /// As [`Steered::variants`](super::Steered::variants).
    pub variants: Vec<Option<Rrset>>,
    /// As [`Steered::outside`](super::Steered::outside).
    pub outside: Option<Rrset>,
    /// For clients that get nothing of this family although others do.
    pub fenced: Option<Proof>,
}

impl Signed {
    /// Of these names.
    #[must_use]
    pub fn new(names: OrdMap<Key, Arc<SignedName>>, denial: Denial) -> Self {
        Self { names, denial }
    }

    /// All names, in canonical order.
    #[must_use]
    pub fn names(&self) -> &OrdMap<Key, Arc<SignedName>> {
        &self.names
    }

    /// How names that do not exist are denied.
    #[must_use]
    pub fn denial(&self) -> &Denial {
        &self.denial
    }

    /// The signatures of exactly that name.
    #[must_use]
    pub fn name(&self, key: &[u8]) -> Option<&SignedName> {
        self.names.get(key).map(|name| &**name)
    }

    /// The last name at or before that one: its NSEC says that there is none between.
    #[must_use]
    pub fn covering(&self, key: &[u8]) -> Option<&SignedName> {
        self.names.get_prev(key).map(|(_, name)| &**name)
    }
}

impl SignedName {
    /// The signatures over its rrset of that type.
    #[must_use]
    pub fn rrsig(&self, rtype: RecordType) -> Option<&Rrset> {
        if rtype == RecordType::NSEC {
            return Some(&self.nsec.rrsig);
        }
        self.rrsigs.iter().find(|(covered, _)| *covered == rtype).map(|(_, rrsig)| rrsig)
    }

    /// What says that a type is not there; `v6` for a family that only some clients are given.
    #[must_use]
    pub fn proof(&self, family: Option<bool>) -> &Proof {
        let own = family.zip(self.steered.as_ref());
        let fenced = own.and_then(|(v6, families)| families[usize::from(v6)].fenced.as_ref());
        fenced.unwrap_or(&self.nsec)
    }

    /// The signature over one variant of a family, [`SignedFamily::outside`] for `None`.
    #[must_use]
    pub fn variant(&self, v6: bool, variant: Option<u32>) -> Option<&Rrset> {
        let family = &self.steered.as_ref()?[usize::from(v6)];
        match variant {
            Some(at) => family.variants.get(usize::try_from(at).ok()?)?.as_ref(),
            None => family.outside.as_ref(),
        }
    }
}
