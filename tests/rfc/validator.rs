//! A validator of our own (RFC 4035 §5): reads answers off the wire with another DNS library, checks
//! every signature, and every proof of what is not there.

use hickory_proto::{
    dnssec::{
        PublicKey, Verifier,
        rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG},
    },
    op::{Message, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType},
};
use meridian::{
    dnssec::{Algorithm, Before, Key, Keys, OnlineSigner, Role, Signing, Validity},
    model::Ttl,
    records::{Answer, Client, Denial, Question, Zone, ZoneSet},
    server::{Answers, Arrival, Reply, Transport, respond},
};
use ring::rand::SystemRandom;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, atomic::AtomicUsize},
};

/// What an answer turned out to say, and is proven to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Data,
    NoData,
    NxDomain,
    /// NOERROR, but the NSEC says NXNAME.
    Compact,
    Referral,
    /// An alias leads out of the zone.
    Elsewhere,
    YxDomain,
}

/// A chain that the server follows no further.
const MOST_ALIASES: usize = 17;
pub(crate) const NOW: i64 = 1_800_000_000;

/// Zones that answer, and the key of one of them.
pub(crate) struct Signer {
    pub(crate) zones: ZoneSet,
    pub(crate) apex: Name,
    keys: Vec<DNSKEY>,
}

impl Answers for Signer {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        self.zones.answer(question, client, encode)
    }
}

/// How a test signs.
pub(crate) fn signing(compact: bool, algorithm: Algorithm, zone: &Zone) -> Signing {
    let key = Arc::new(Key::generate(algorithm, Role::Csk.flags(), &SystemRandom::new()).unwrap());
    let all = || vec![key.clone()];
    let keys = Keys { published: all(), sign_keys: all(), sign_zone: all(), wished: all() };
    with_keys(compact, keys, zone)
}

pub(crate) fn with_keys(compact: bool, keys: Keys, zone: &Zone) -> Signing {
    let denial = match compact {
        false => Denial::Chain,
        true => Denial::Compact(Arc::new(OnlineSigner::new(
            zone.apex().clone(),
            keys.sign_zone.clone(),
            Validity { inception: NOW - 60, expiration: NOW + 86_400 },
        ))),
    };
    let key_ttl = Ttl::from_secs(3_600);
    Signing { keys, key_ttl, lifetime: 14 * 86_400, denial, now: NOW, threads: 2 }
}

pub(crate) fn sign(with: &Signing, zone: &Zone, before: Option<&Before>) -> Zone {
    let random = SystemRandom::new();
    let progress = AtomicUsize::new(0);
    with.sign(zone, zone.serial(), before, [], &random, &progress).unwrap()
}

pub(crate) fn serve(zone: Zone) -> Signer {
    let apex = hickory(zone.apex());
    let mut zones = ZoneSet::default();
    zones.put(Arc::new(zone));
    let mut signer = Signer { zones, apex: apex.clone(), keys: Vec::new() };
    let message = signer.ask(&apex, RecordType::DNSKEY, 0x80, None);
    signer.keys = message.answers.iter().filter_map(dnskey).cloned().collect();
    signer
}

pub(crate) fn hickory(name: &meridian::model::Name) -> Name {
    Name::from_labels(name.labels()).unwrap()
}

impl Signer {
    /// Asks over the wire; `flags` are the high octet of EDNS's: DO is 0x80, CO is 0x40.
    pub(crate) fn ask(
        &self,
        name: &Name,
        rtype: RecordType,
        flags: u8,
        subnet: Option<[u8; 3]>,
    ) -> Message {
        let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.iter() {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend_from_slice(label);
        }
        query.push(0);
        query.extend(u16::from(rtype).to_be_bytes());
        query.extend([0, 1, 0, 0, 41, 4, 208, 0, 0, flags, 0]);
        match subnet {
            Some([a, b, c]) => query.extend([0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c]),
            None => query.extend([0, 0]),
        }
        let from = IpAddr::from([192, 0, 2, 1]);
        let arrival = Arrival::new(from, Transport::Tcp);
        let mut out = Vec::new();
        assert!(matches!(respond(self, &query, &arrival, &mut out), Reply::Send { .. }));
        assert_eq!(out[3] & 0x20, 0, "AD is for validators to set (RFC 4035 §3.1.6)");
        Message::from_vec(&out).unwrap_or_else(|error| panic!("{name} {rtype}: {error}"))
    }

    /// What the answer says, once all of it is proven.
    pub(crate) fn validate(
        &self,
        name: &Name,
        rtype: RecordType,
        subnet: Option<[u8; 3]>,
    ) -> Result<Verdict, String> {
        let message = self.ask(name, rtype, 0x80, subnet);
        let verdict = self.judge(&message, name, rtype);
        verdict.map_err(|error| format!("{name} {rtype}: {error}\n{message:#?}"))
    }

    pub(crate) fn judge(
        &self,
        message: &Message,
        asked: &Name,
        rtype: RecordType,
    ) -> Result<Verdict, String> {
        let answer = self.check_section(&message.answers, false)?;
        let authority = self.check_section(&message.authorities, false)?;
        self.check_section(&message.additionals, true)?;
        let proofs = Proofs(&authority);
        let mut name = asked.to_lowercase();
        let mut seen = Vec::new();
        loop {
            // Where the chain leads out, or round, it is cut.
            let cut = seen.len() >= MOST_ALIASES || seen.contains(&name);
            if !self.apex.zone_of(&name) || cut {
                return Ok(Verdict::Elsewhere);
            }
            let dname = answer.values().find(|set| {
                set.rtype == RecordType::DNAME && set.owner.zone_of(&name) && set.owner != name
            });
            if let Some(set) = answer.get(&(name.clone(), rtype)) {
                // What is made from a DNAME is not signed, also where it is asked for.
                if rtype != RecordType::CNAME || dname.is_none() {
                    proofs.allows(set)?;
                }
                return Ok(Verdict::Data);
            }
            let cname = answer.get(&(name.clone(), RecordType::CNAME));
            match (dname, cname) {
                (Some(_), None) if message.response_code == ResponseCode::YXDomain => {
                    return Ok(Verdict::YxDomain);
                }
                (_, Some(alias)) => {
                    if dname.is_none() {
                        if alias.labels.is_none() {
                            return Err(format!("the CNAME of {name} is not signed"));
                        }
                        proofs.allows(alias)?;
                    }
                    seen.push(name);
                    name = alias.target()?;
                }
                _ => return proofs.denies(message, &name, rtype, &self.apex),
            }
        }
    }

    /// The rrsets of a section, each with a signature that holds; `glue` needs none, and of the
    /// rest only what RFC 4035 §2.2 and RFC 6672 §5.3.1 leave without.
    fn check_section(&self, records: &[Record], glue: bool) -> Result<Sets, String> {
        let mut sets = Sets::new();
        for record in records.iter().filter(|own| own.record_type() != RecordType::OPT) {
            if record.record_type() == RecordType::RRSIG {
                continue;
            }
            let id = (record.name.to_lowercase(), record.record_type());
            let set = sets.entry(id).or_insert_with(|| Set {
                owner: record.name.to_lowercase(),
                rtype: record.record_type(),
                records: Vec::new(),
                labels: None,
            });
            set.records.push(record.clone());
        }
        for set in sets.values_mut() {
            let covering = records.iter().filter_map(|record| Some((record, rrsig(record)?)));
            let own: Vec<_> = covering
                .filter(|(record, sig)| {
                    record.name == set.owner && sig.input().type_covered == set.rtype
                })
                .collect();
            // NS comes in referrals alone; whether they may be unsigned is asked there.
            let unsigned = glue || matches!(set.rtype, RecordType::CNAME | RecordType::NS);
            if own.is_empty() && (!unsigned || set.rtype == RecordType::NSEC) {
                return Err(format!("{} {} has no signature", set.owner, set.rtype));
            }
            let mut checked = own.iter().map(|(record, sig)| self.check_rrsig(set, record, sig));
            let labels = checked.clone().find_map(Result::ok);
            if let (None, Some(error)) = (labels, checked.find_map(Result::err)) {
                return Err(error);
            }
            self.check_algorithms(set, &own)?;
            set.labels = labels;
        }
        Ok(sets)
    }

    /// A signature of each algorithm that the keys are of (RFC 4035 §2.2), as strict validators want
    /// it (RFC 6840 §5.11 does not).
    fn check_algorithms(&self, set: &Set, own: &[(&Record, &RRSIG)]) -> Result<(), String> {
        for key in self.keys.iter().filter(|_| !own.is_empty()) {
            let algorithm = key.public_key().algorithm();
            let holds = own.iter().any(|(record, sig)| {
                sig.input().algorithm == algorithm && self.check_rrsig(set, record, sig).is_ok()
            });
            if !holds {
                return Err(format!("{} {}: nothing of {algorithm:?}", set.owner, set.rtype));
            }
        }
        Ok(())
    }

    /// The same, as one has it who cached the keys of another version.
    pub(crate) fn believing(self, other: &Self) -> Self {
        Self { keys: other.keys.clone(), ..self }
    }

    /// RFC 4035 §5.3.1.
    fn check_rrsig(&self, set: &Set, record: &Record, sig: &RRSIG) -> Result<u8, String> {
        let input = sig.input();
        let wrong = |what: &str| Err(format!("{} {}: {what}", set.owner, set.rtype));
        let now = u32::try_from(NOW).unwrap();
        if input.sig_inception.get() > now || input.sig_expiration.get() < now {
            return wrong("the signature is not in force");
        }
        if input.signer_name != self.apex {
            return wrong("somebody else signed");
        }
        if input.num_labels > set.owner.num_labels() {
            return wrong("too many labels");
        }
        if set.records.iter().any(|own| own.ttl != record.ttl || own.ttl > input.original_ttl) {
            return wrong("TTLs differ, or are longer than the original one");
        }
        let keys = self
            .keys
            .iter()
            .filter(|key| key.calculate_key_tag().is_ok_and(|tag| tag == input.key_tag));
        let holds = |key: &DNSKEY| {
            key.verify_rrsig(&set.owner, DNSClass::IN, sig, set.records.iter()).is_ok()
        };
        // Its own keys are not known yet.
        let mut keys = keys.peekable();
        if self.keys.is_empty() || keys.any(holds) {
            return Ok(input.num_labels);
        }
        wrong("no key's signature")
    }
}

type Sets = BTreeMap<(Name, RecordType), Set>;

/// An rrset as it came.
struct Set {
    owner: Name,
    rtype: RecordType,
    records: Vec<Record>,
    /// What its signature says; `None` without one.
    labels: Option<u8>,
}

impl Set {
    fn target(&self) -> Result<Name, String> {
        match &self.records[0].data {
            RData::CNAME(own) => Ok(own.0.to_lowercase()),
            other => Err(format!("{other:?} is no CNAME")),
        }
    }

    fn nsec(&self) -> Option<&NSEC> {
        match &self.records.first()?.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some(nsec),
            _ => None,
        }
    }
}

/// The NSEC records of an answer.
struct Proofs<'s>(&'s Sets);

impl Proofs<'_> {
    fn all(&self) -> impl Iterator<Item = (&Name, &NSEC)> {
        self.0.values().filter_map(|set| Some((&set.owner, set.nsec()?)))
    }

    /// RFC 4035 §5.3.4: where a wildcard stood in, no closer name is there.
    fn allows(&self, set: &Set) -> Result<(), String> {
        let Some(labels) = set.labels else {
            return Err(format!("{} {} is not signed", set.owner, set.rtype));
        };
        let closer = set.owner.num_labels() > labels;
        if closer && !self.covers(&set.owner) {
            return Err(format!("nothing says that {} is not there itself", set.owner));
        }
        Ok(())
    }

    /// Between an owner and its next name, and behind no delegation or DNAME of that owner.
    fn covers(&self, name: &Name) -> bool {
        self.all().any(|(owner, nsec)| {
            let next = nsec.next_domain_name();
            let before_next = name < next || next <= owner;
            let types: Vec<RecordType> = nsec.type_bit_maps().collect();
            let cut = types.contains(&RecordType::NS) && !types.contains(&RecordType::SOA);
            let cut = cut || types.contains(&RecordType::DNAME);
            owner < name && before_next && !(cut && owner.zone_of(name))
        })
    }

    fn at(&self, name: &Name) -> Option<Vec<RecordType>> {
        let own = self.all().find(|(owner, _)| *owner == name);
        own.map(|(_, nsec)| nsec.type_bit_maps().collect())
    }

    /// Whether a name is there only by what lies below it.
    fn is_empty_non_terminal(&self, name: &Name) -> bool {
        self.covers(name)
            && self.all().any(|(_, nsec)| {
                name.zone_of(nsec.next_domain_name()) && nsec.next_domain_name() != name
            })
    }

    fn denies(
        &self,
        message: &Message,
        name: &Name,
        rtype: RecordType,
        apex: &Name,
    ) -> Result<Verdict, String> {
        let wildcard = |encloser: &Name| encloser.prepend_label("*").unwrap();
        if let Some(referral) = self.referral(message) {
            return referral;
        }
        if !self.0.contains_key(&(apex.clone(), RecordType::SOA)) {
            return Err("there is no SOA".to_owned());
        }
        let nxdomain = message.response_code == ResponseCode::NXDomain;
        let lacks = |types: &[RecordType]| {
            let cut = types.contains(&RecordType::NS) && !types.contains(&RecordType::SOA);
            let parents = rtype == RecordType::DS;
            !types.contains(&rtype) && !types.contains(&RecordType::CNAME) && (!cut || parents)
        };
        if let Some(types) = self.at(name) {
            if types.contains(&RecordType::Unknown(128)) {
                let only = types.len() == 3;
                return only.then_some(Verdict::Compact).ok_or("NXNAME beside types".to_owned());
            }
            let holds = lacks(&types) && !nxdomain;
            return holds.then_some(Verdict::NoData).ok_or(format!("NSEC has {types:?}"));
        }
        if self.is_empty_non_terminal(name) {
            return (!nxdomain).then_some(Verdict::NoData).ok_or("it is there".to_owned());
        }
        if !self.covers(name) {
            return Err(format!("nothing says that {name} is not there"));
        }
        let encloser = self.closest_encloser(name);
        let wildcard = wildcard(&encloser);
        if self.is_empty_non_terminal(&wildcard) {
            return (!nxdomain).then_some(Verdict::NoData).ok_or("the * is there".to_owned());
        }
        match (self.at(&wildcard), nxdomain) {
            (Some(types), false) if lacks(&types) => Ok(Verdict::NoData),
            (None, true) if self.covers(&wildcard) => Ok(Verdict::NxDomain),
            (types, _) => Err(format!("{wildcard} has {types:?}, NXDOMAIN is {nxdomain}")),
        }
    }

    /// RFC 4035 §5.2: DS, or that there is none.
    fn referral(&self, message: &Message) -> Option<Result<Verdict, String>> {
        if message.authoritative && message.answers.is_empty() {
            return None;
        }
        let ns = self.0.values().find(|set| set.rtype == RecordType::NS)?;
        if ns.labels.is_some() {
            return Some(Err("a delegation's NS is signed".to_owned()));
        }
        let ds = self.0.get(&(ns.owner.clone(), RecordType::DS));
        let types = self.at(&ns.owner).unwrap_or_default();
        let denied = types.contains(&RecordType::NS)
            && !types.contains(&RecordType::DS)
            && !types.contains(&RecordType::SOA);
        let proven = ds.is_some_and(|ds| ds.labels.is_some()) || denied;
        Some(proven.then_some(Verdict::Referral).ok_or("no DS, nor that there is none".to_owned()))
    }

    /// The longest name above that one which an NSEC shows to be there.
    fn closest_encloser(&self, name: &Name) -> Name {
        let ends: Vec<&Name> =
            self.all().flat_map(|(owner, nsec)| [owner, nsec.next_domain_name()]).collect();
        let mut above = name.base_name();
        while !above.is_root() && !ends.iter().any(|end| above.zone_of(end)) {
            above = above.base_name();
        }
        above
    }
}

fn rrsig(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(own)) => Some(own),
        _ => None,
    }
}

fn dnskey(record: &Record) -> Option<&DNSKEY> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(own)) => Some(own),
        _ => None,
    }
}
