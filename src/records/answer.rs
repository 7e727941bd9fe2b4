//! An answer as a value: decided here, encoded by whoever asked.

use super::{RecordType, Rrset};
use crate::model::{Name, Ttl};
use smallvec::SmallVec;
use std::borrow::Cow;

/// What is asked, in class IN.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// The name's uncompressed wire form, in the asker's case; valid as [`Name`] is.
    pub name: &'q [u8],
    /// The type asked for, [`RecordType::ANY`] included.
    pub rtype: RecordType,
    /// Whether signatures and proofs are wanted.
    pub dnssec: DnssecOk,
}

/// What the asker's EDNS flags say about DNSSEC (RFC 3225 §3, RFC 9824 §5.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DnssecOk {
    /// No signatures: DO is clear, or there is no EDNS.
    #[default]
    No,
    /// Signatures and proofs: DO.
    Yes,
    /// The same, and a compact denial may come with NXDOMAIN: DO and CO.
    Compact,
}

/// How a lookup ends (RFC 1034 §4.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The answer section ends in records of the asked type.
    Data,
    /// The name exists, the type does not (RFC 2308 §2.2): NOERROR with the SOA.
    NoData,
    /// The name does not exist (RFC 2308 §2.1): NXDOMAIN with the SOA.
    NxDomain,
    /// The name lies behind a delegation: NS in authority, not authoritative.
    Referral,
    /// An alias led out of our zones, or its chain was cut at the limit: NOERROR with the chain.
    Alias,
    /// A DNAME made a name too long (RFC 6672 §2.2): YXDOMAIN with the DNAME.
    YxDomain,
    /// No zone of ours: REFUSED.
    Refused,
    /// The zone is not known well enough yet to say (invariant I13): SERVFAIL.
    NotReady,
}

/// The decided answer to one question.
#[derive(Clone, Debug)]
pub struct Answer<'z> {
    /// How it ended; the response code follows from it.
    pub outcome: Outcome,
    /// Whether the answer is from authoritative data (AA): not for referrals and refusals.
    pub authoritative: bool,
    /// How many leading bits of the client's subnet the answer was made for, in that subnet's
    /// family (RFC 7871 §7.2.1); 0 when it is the same for all clients, for negative answers and
    /// when there was no subnet to go by.
    pub scope: u8,
    /// The answer section: alias chain first.
    pub answer: Section<'z>,
    /// The authority section: the SOA of a negative answer, the NS of a referral.
    pub authority: Section<'z>,
    /// The additional section, without OPT: glue and other addresses.
    pub additional: Section<'z>,
    /// The zone denies compactly, and DO was set: the answer to CO is CO (RFC 9824 §5.1).
    pub compact: bool,
    /// The zone of the name that was asked for is [stale](super::Zone::stale).
    pub stale: bool,
    /// The client may be sent nowhere: a fence leaves it without data that others get.
    pub fenced: bool,
}

/// A section's rrsets in order; short ones take no allocation.
pub type Section<'z> = SmallVec<[Entry<'z>; 2]>;

/// One rrset under one name, with the TTL that this answer gives it.
#[derive(Clone, Debug)]
pub struct Entry<'z> {
    /// Whose records.
    pub owner: Owner<'z>,
    /// The records; owned only where they are synthesized (DNAME's CNAME).
    pub rrset: Cow<'z, Rrset>,
    /// At most the rrset's own.
    pub ttl: Ttl,
    /// The signatures over the rrset, to be written behind it with its TTL (RFC 4034 §3): where
    /// they were asked for and the rrset is signed.
    pub rrsig: Option<Cow<'z, Rrset>>,
}

/// The name that an rrset is answered under.
#[derive(Clone, Debug)]
pub enum Owner<'z> {
    /// The question's own name, also where a wildcard stood in for it.
    Asked,
    /// A name of the zone, or one that an alias led to.
    Name(Cow<'z, Name>),
}
