//! The kinds of differences that there are: who differs, which RFC explains it, and why ours stands.
//!
//! Each kind makes the two replies alike where it holds, and only as far as it holds; what is still
//! different after all of them is a difference of no kind.

use super::{
    message::Reply,
    peers::{Led, MAX_ALIASES, Who, zone_of},
    zones::{Asked, Made},
};
use meridian::model::Name;
use std::fmt;

/// A kind of differences.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) who: &'static [Who],
    pub(crate) source: &'static str,
    pub(crate) why: &'static str,
    /// Makes ours and theirs alike as far as the kind explains it.
    fold: fn(&Seen<'_>, &mut Reply, &mut Reply),
}

use Who::{Bind, Knot, Nsd};

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "a chain into another zone is left",
        who: &[Knot, Bind],
        source: "RFC 1034 §4.3.2, step 3a",
        why: "at an alias the search goes back to step 1, and so to all zones that there are; \
              what they say when asked for the next name is what we said",
        fold: |seen, ours, theirs| {
            if seen.led.out_of_its_zone {
                led(seen, ours, theirs);
            }
        },
    },
    Kind {
        name: "a chain within its zone is left",
        who: &[Nsd, Knot],
        source: "RFC 1034 §4.3.2, step 3a",
        why: "NSD applies a DNAME once, Knot follows five aliases, we follow sixteen",
        fold: |seen, ours, theirs| {
            if !seen.led.out_of_its_zone {
                led(seen, ours, theirs);
            }
        },
    },
    Kind {
        name: "a chain is followed for longer",
        who: &[Nsd],
        source: "RFC 1034 §4.3.2; RFC 1035 §7.1",
        why: "work must be limited, and chains that grow end nowhere else; we follow sixteen aliases",
        fold: |seen, ours, theirs| {
            if seen.aliases() > MAX_ALIASES && ours.answer.is_subset(&theirs.answer) {
                *theirs = ours.clone();
            }
        },
    },
    Kind {
        name: "a chain that goes round or is long fails",
        who: &[Bind],
        source: "RFC 1034 §3.6.2, §5.2.2",
        why: "software should not fail when presented with chains or loops; it is the resolver that \
              catches them, in the chain that we give it, and SERVFAIL sends it to the next server",
        fold: |seen, ours, theirs| {
            let aliases = seen.aliases();
            if theirs.rcode == SERVFAIL && (seen.goes_round() || aliases > BIND_ALIASES) {
                *theirs = ours.clone();
            }
        },
    },
    Kind {
        name: "a chain that goes round has a record twice",
        who: &[Nsd, Knot],
        source: "RFC 2181 §5",
        why: "an rrset has no two records that are the same",
        fold: |seen, _, theirs| theirs.repeats &= !seen.goes_round(),
    },
    Kind {
        name: "ANY below a DNAME is followed",
        who: &[Nsd, Knot],
        source: "RFC 1034 §4.3.2, step 3a; RFC 8482 §4.1",
        why: "only what is not of the type asked for is followed; the CNAME is of any type",
        fold: |seen, ours, theirs| {
            let types: Vec<_> = seen.ours.answer.iter().map(|record| record.rtype).collect();
            let made = types.contains(&DNAME) && types.contains(&CNAME);
            let same = ours.answer.is_subset(&theirs.answer) || theirs.truncated;
            if seen.asked.rtype == ANY && made && same {
                *theirs = ours.clone();
            }
        },
    },
    Kind {
        name: "ANY is one rrset",
        who: &[Nsd, Knot, Bind],
        source: "RFC 8482 §4.1",
        why: "one of the rrsets is enough; BIND has all, Knot too over TCP, NSD another one",
        fold: |seen, ours, theirs| {
            let one = |reply: &Reply| {
                reply
                    .answer
                    .iter()
                    .zip(reply.answer.iter().skip(1))
                    .all(|(a, b)| (a.rtype, &a.owner) == (b.rtype, &b.owner))
            };
            let other = seen.who == Nsd && one(theirs) && !theirs.answer.is_empty();
            let part = ours.answer.is_subset(&theirs.answer) || theirs.truncated || other;
            let heads = (ours.rcode, ours.authoritative) == (theirs.rcode, theirs.authoritative);
            if seen.asked.rtype == ANY && !ours.answer.is_empty() && one(ours) && part && heads {
                *theirs = ours.clone();
            }
        },
    },
    Kind {
        name: "nothing is added for who offers 512 octets",
        who: &[Bind],
        source: "RFC 1034 §4.3.2, step 6",
        why: "what else may be useful is added at will, and it fits",
        fold: |seen, ours, theirs| {
            let small = seen.asked.edns.is_some_and(|(size, _)| size == 512);
            if small && theirs.additional.is_empty() && theirs.authoritative {
                ours.additional.clear();
            }
        },
    },
    Kind {
        name: "nothing is added to MX and SRV",
        who: &[Nsd],
        source: "RFC 1034 §4.3.2, step 6; RFC 2782, Target",
        why: "what else may be useful is added at will; NSD does not where its answers are to be \
              minimal, and else puts the zone's NS into every answer",
        fold: |seen, ours, theirs| {
            if matches!(seen.asked.rtype, MX | SRV) && theirs.additional.is_empty() {
                ours.additional.clear();
            }
        },
    },
    Kind {
        name: "an address is added twice",
        who: &[Knot],
        source: "RFC 2181 §5",
        why: "an rrset has no two records that are the same",
        fold: |seen, _, theirs| {
            theirs.repeats &= !matches!(seen.asked.rtype, NS | MX | SRV);
        },
    },
    Kind {
        name: "glue is added to an answer",
        who: &[Knot],
        source: "RFC 1034 §4.2.1",
        why: "glue is only used as part of a referral",
        fold: |seen, ours, theirs| {
            let known = &ours.additional;
            let hidden = |owner: &[u8]| seen.is_hidden(owner) && seen.theirs.authority.is_empty();
            theirs.additional.retain(|one| known.contains(one) || !hidden(&one.owner));
        },
    },
    Kind {
        name: "the target of a DNAME is looked up that makes a name too long",
        who: &[Knot],
        source: "RFC 6672 §2.2",
        why: "YXDOMAIN is the end; the target itself is not what was asked for",
        fold: |_, ours, theirs| {
            let ends = ours.rcode == YXDOMAIN && theirs.rcode == YXDOMAIN;
            if ends && ours.answer.is_subset(&theirs.answer) {
                *theirs = ours.clone();
            }
        },
    },
    Kind {
        name: "DS behind an alias is the child's",
        who: &[Knot, Bind],
        source: "RFC 4035 §3.1.4.1; RFC 1034 §4.3.2, step 3a",
        why: "DS is of the zone above the cut, also where an alias leads there",
        fold: |seen, ours, theirs| {
            let chain = seen.ours.chain(seen.asked.name.as_wire());
            let at_apex = |name: &Name| seen.made.iter().any(|own| own.zone.apex() == name);
            let end = Name::from_wire(chain.last().unwrap()).unwrap();
            if seen.asked.rtype == DS && chain.len() > 1 && at_apex(&end) {
                *theirs = ours.clone();
            }
        },
    },
    Kind {
        name: "authoritative addresses are not added to a referral",
        who: &[Bind],
        source: "RFC 9471 §3; RFC 1034 §4.3.2, step 6",
        why: "glue below a cut must be there; other addresses of the zone may be, and spare questions",
        fold: |seen, ours, theirs| {
            if theirs.authority.iter().any(|record| record.rtype == NS) {
                let known = &theirs.additional;
                ours.additional.retain(|one| known.contains(one) || seen.is_hidden(&one.owner));
            }
        },
    },
    Kind {
        name: "the parent's glue hides the child's wildcard",
        who: &[Nsd],
        source: "RFC 1034 §4.2.1; RFC 4592 §2.2",
        why: "glue is no part of the zone below, so there the name does not exist",
        fold: |seen, ours, theirs| {
            let chain = ours.chain(seen.asked.name.as_wire());
            if chain.iter().any(|name| seen.is_in_parent_alone(name)) {
                *theirs = ours.clone();
            }
        },
    },
    Kind {
        name: "an SOA that does not fit is left out",
        who: &[Knot],
        source: "RFC 2181 §9; RFC 2308 §3",
        why: "a negative answer without its SOA is not cached, so TC is set",
        fold: |_, ours, theirs| {
            let same = ours.answer == theirs.answer;
            if ours.truncated && !theirs.truncated && same && theirs.authority.is_empty() {
                *theirs = ours.clone();
            }
        },
    },
    Kind {
        name: "other addresses are added where not all fit",
        who: &[Nsd, Knot, Bind],
        source: "RFC 1034 §4.3.2, step 6; RFC 2181 §9",
        why: "what else may be useful is added at will: we look for those of sixteen targets, and \
              add what fits",
        fold: |seen, ours, theirs| {
            let many = ours.answer.iter().filter(|one| matches!(one.rtype, MX | SRV)).count();
            if many > MAX_TARGETS || seen.octets.0 > seen.limit() / 4 * 3 {
                ours.additional.clear();
                theirs.additional.clear();
            }
        },
    },
    Kind {
        name: "cut short, being longer",
        who: &[Nsd, Knot, Bind],
        source: "RFC 1035 §4.1.4; RFC 2181 §9",
        why: "what compresses less, or adds more, is sooner at the limit",
        fold: |seen, ours, theirs| {
            let is_long = |octets: usize| octets > seen.limit();
            let (own, other) = seen.octets;
            let due = (ours.truncated, theirs.truncated) == (is_long(own), is_long(other));
            if due {
                theirs.truncated = ours.truncated;
            }
        },
    },
];

const NS: u16 = 2;
const CNAME: u16 = 5;
const MX: u16 = 15;
const SRV: u16 = 33;
const DNAME: u16 = 39;
const DS: u16 = 43;
const ANY: u16 = 255;
const SERVFAIL: u16 = 2;
const YXDOMAIN: u16 = 6;
/// We look for the addresses of so many targets (src/records/lookup.rs).
const MAX_TARGETS: usize = 16;
/// So many aliases does BIND 9.18 follow.
const BIND_ALIASES: usize = 10;

/// What was said further on counts; but what we do not follow any more.
fn led(seen: &Seen<'_>, ours: &Reply, theirs: &mut Reply) {
    if seen.led.reply == *theirs {
        return;
    }
    *theirs = Reply { truncated: ours.truncated, ..seen.led.reply.clone() };
    if seen.aliases() > MAX_ALIASES && ours.answer.is_subset(&theirs.answer) {
        *theirs = ours.clone();
    }
}

/// Two replies to a question.
pub(crate) struct Seen<'s> {
    pub(crate) who: Who,
    pub(crate) asked: &'s Asked,
    pub(crate) made: &'s [Made],
    pub(crate) ours: &'s Reply,
    /// How long ours and theirs are without a limit.
    pub(crate) octets: (usize, usize),
    pub(crate) theirs: &'s Reply,
    /// Theirs once they were led along the chain.
    pub(crate) led: &'s Led,
}

impl Seen<'_> {
    /// The kinds of the differences, by their places in the table; `None` where they explain too
    /// little.
    pub(crate) fn kinds(&self) -> Option<Vec<usize>> {
        let (mut ours, mut theirs) = (self.ours.clone(), self.theirs.clone());
        let mut kinds = Vec::new();
        for (at, kind) in KINDS.iter().enumerate().filter(|(_, kind)| kind.who.contains(&self.who))
        {
            if ours == theirs {
                break;
            }
            let before = (ours.clone(), theirs.clone());
            (kind.fold)(self, &mut ours, &mut theirs);
            if (&before.0, &before.1) != (&ours, &theirs) {
                kinds.push(at);
            }
        }
        (ours == theirs).then_some(kinds)
    }

    /// How many octets a reply over UDP may have.
    fn limit(&self) -> usize {
        self.asked.edns.map_or(512, |(size, _)| usize::from(size).min(1_232))
    }

    fn aliases(&self) -> usize {
        self.ours.chain(self.asked.name.as_wire()).len() - 1
    }

    fn goes_round(&self) -> bool {
        let chain = self.ours.chain(self.asked.name.as_wire());
        let (last, earlier) = chain.split_last().unwrap();
        earlier.contains(last)
    }

    /// Whether a name lies below a cut.
    fn is_hidden(&self, wire: &[u8]) -> bool {
        let name = Name::from_wire(wire).unwrap();
        zone_of(&name, self.made).is_some_and(|own| own.zone.is_occluded(name.key().as_bytes()))
    }

    /// Whether the zone above has records at the name, or at one above it that its own has not.
    fn is_in_parent_alone(&self, wire: &[u8]) -> bool {
        let name = Name::from_wire(wire).unwrap();
        let Some(own) = zone_of(&name, self.made).map(|own| &own.zone) else { return false };
        let above = own.apex().parent().and_then(|parent| zone_of(&parent, self.made));
        let Some(above) = above.map(|above| &above.zone) else { return false };
        let names = std::iter::successors(Some(name), Name::parent);
        let mut inner = names.take_while(|name| name.is_within(own.apex())).map(|name| name.key());
        inner.any(|key| above.exists(key.as_bytes()) && !own.exists(key.as_bytes()))
    }

    /// The parts of the reply that differ.
    pub(crate) fn parts(&self) -> String {
        let (ours, theirs) = (self.ours, self.theirs);
        let parts = [
            ("rcode", ours.rcode != theirs.rcode),
            ("AA", ours.authoritative != theirs.authoritative),
            ("TC", ours.truncated != theirs.truncated),
            ("EDNS", ours.edns != theirs.edns),
            ("repeats", ours.repeats != theirs.repeats),
            ("answer", ours.answer != theirs.answer),
            ("authority", ours.authority != theirs.authority),
            ("additional", ours.additional != theirs.additional),
        ];
        let differ = parts.iter().filter(|part| part.1).map(|part| part.0);
        format!("{:?}: {}", self.who, differ.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked { zone, name, rtype, edns } = self.asked;
        writeln!(f, "{name} type {rtype}, EDNS {edns:?}, of\n{}", self.made[*zone].text)?;
        write!(f, "ours: {}{:?}: {}", self.ours, self.who, self.theirs)?;
        if self.led.reply == *self.theirs {
            return Ok(());
        }
        write!(f, "led along the chain: {}", self.led.reply)
    }
}
