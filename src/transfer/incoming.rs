//! Puts a zone together from the records of a transfer, whole (RFC 5936 §2.2) or as differences
//! (RFC 1995 §4). It is complete when its last SOA stands where it must, and never before: what
//! breaks off, or turns into something else half-way, leaves nothing behind.

use super::{Record, record};
use crate::{
    model::{Key, Name, Serial, Ttl},
    records::{RecordType, Zone},
};
use std::sync::Arc;

/// More records than this are no zone that we would serve: a limit on memory, not on zones.
const MOST_RECORDS: usize = 1_000_000;
/// The same for the octets of their data.
const MOST_OCTETS: usize = 256 << 20;

/// Why a transfer cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unusable {
    /// The differences are not of the version that we have; the zone is to be asked for whole.
    #[error("the differences do not fit the version that we have: {0}")]
    Misfit(String),
    /// It is no transfer of the zone.
    #[error("{0}")]
    Broken(String),
}

/// How far a transfer is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Records are missing.
    More,
    /// The version that we have is the newest.
    Current,
    /// The whole zone.
    Whole(Zone),
}

/// A transfer that comes in.
#[derive(Debug)]
pub struct Incoming {
    apex: Name,
    have: Option<Arc<Zone>>,
    newest: Option<Record>,
    state: State,
    sets: record::Sets,
    records: usize,
    octets: usize,
}

/// What the next record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The newest SOA, the first record of every transfer.
    First,
    /// The record that says which form it has.
    Second,
    /// One of the zone, or the SOA that ends it.
    Whole,
    /// One that goes, or the SOA that begins those that come.
    Removing,
    /// One that comes, or the SOA that ends the sequence, of the version that it leads to.
    Adding(Serial),
    Done,
}

impl Incoming {
    /// A transfer of the zone at `apex`; `have` where differences to it were asked for.
    #[must_use]
    pub fn new(apex: Name, have: Option<Arc<Zone>>) -> Self {
        Self {
            apex,
            have,
            newest: None,
            state: State::First,
            sets: record::Sets::new(),
            records: 0,
            octets: 0,
        }
    }

    /// Takes the records of the next message.
    ///
    /// # Errors
    /// When they cannot belong to a transfer of the zone; nothing is to be used then.
    pub fn take(&mut self, answer: Vec<Record>) -> Result<Progress, Unusable> {
        if answer.is_empty() {
            return Err(broken("a message of the transfer has no record"));
        }
        for record in answer {
            if let Some(end) = self.one(record)? {
                return Ok(end);
            }
        }
        if self.state == State::Done { Ok(self.finish()) } else { Ok(Progress::More) }
    }

    /// An end other than by the last SOA.
    fn one(&mut self, record: Record) -> Result<Option<Progress>, Unusable> {
        self.records += 1;
        self.octets += record.data.len();
        if self.records > MOST_RECORDS || self.octets > MOST_OCTETS {
            return Err(broken("the transfer is larger than any zone that is served here"));
        }
        if !record.owner.is_within(&self.apex) {
            let text = format!("{} does not lie in the zone", record.owner);
            return Err(Unusable::Broken(text));
        }
        let serial = self.serial(&record)?;
        match (self.state, serial) {
            (State::First, Some(serial)) => {
                self.newest = Some(record);
                let own = self.have.as_ref().map(|zone| zone.serial());
                if own == Some(serial) || own.is_some_and(|own| !serial.is_after(own)) {
                    return Ok(Some(Progress::Current));
                }
                self.state = State::Second;
            }
            (State::First, None) => return Err(broken("the first record is no SOA")),
            (State::Second, serial) => self.second(record, serial)?,
            (State::Whole, Some(serial)) => self.last(serial)?,
            (State::Removing, Some(serial)) => self.state = State::Adding(serial),
            (State::Adding(to), Some(serial)) => self.sequence(to, serial)?,
            (State::Whole | State::Adding(_), None) => self.add(record)?,
            (State::Removing, None) => self.remove(&record)?,
            (State::Done, _) => return Err(broken("there are records behind the last SOA")),
        }
        Ok(None)
    }

    /// The serial of an SOA; `None` of other types.
    fn serial(&self, record: &Record) -> Result<Option<Serial>, Unusable> {
        if record.rtype != RecordType::SOA {
            return Ok(None);
        }
        if record.owner != self.apex {
            return Err(broken("there is an SOA below the zone's top"));
        }
        let numbers = record.soa_numbers().ok_or_else(|| broken("an SOA is too short"))?;
        Ok(Some(Serial(numbers[0])))
    }

    /// RFC 1995 §4: where the second record is an SOA of a version before the newest, differences
    /// follow; else it is the first of the zone itself.
    fn second(&mut self, record: Record, serial: Option<Serial>) -> Result<(), Unusable> {
        match serial {
            None => {
                self.state = State::Whole;
                self.add(record)
            }
            Some(serial) if Some(serial) == self.newest() => self.last(serial),
            Some(serial) => {
                let Some(have) = self.have.clone().filter(|have| have.serial() == serial) else {
                    let text = format!("they begin at serial {serial}");
                    return Err(Unusable::Misfit(text));
                };
                self.sets = sets_of(&have);
                self.state = State::Removing;
                Ok(())
            }
        }
    }

    fn newest(&self) -> Option<Serial> {
        let numbers = self.newest.as_ref()?.soa_numbers()?;
        Some(Serial(numbers[0]))
    }

    fn last(&mut self, serial: Serial) -> Result<(), Unusable> {
        if Some(serial) != self.newest() {
            return Err(broken("the last SOA is not the first: the zone changed on the way"));
        }
        self.state = State::Done;
        Ok(())
    }

    /// An SOA behind what came: the end, when the newest version is reached; else the sequence
    /// that leads on.
    fn sequence(&mut self, reached: Serial, serial: Serial) -> Result<(), Unusable> {
        if serial != reached {
            let text = format!("serial {serial} follows on {reached}");
            return Err(Unusable::Misfit(text));
        }
        if Some(reached) == self.newest() {
            self.state = State::Done;
        } else {
            self.state = State::Removing;
        }
        Ok(())
    }

    fn add(&mut self, record: Record) -> Result<(), Unusable> {
        let Record { owner, rtype, ttl, data } = record;
        let (own, all) = self.sets.entry((owner.key(), rtype)).or_insert((ttl, Vec::new()));
        // The last TTL counts: a set has only one (RFC 2181 §5.2).
        *own = ttl;
        all.push(data);
        Ok(())
    }

    fn remove(&mut self, record: &Record) -> Result<(), Unusable> {
        let id: (Key, RecordType) = (record.owner.key(), record.rtype);
        let missing = || {
            let text = format!("{} has no such {} record", record.owner, record.rtype);
            Unusable::Misfit(text)
        };
        let (_, all) = self.sets.get_mut(&id).ok_or_else(missing)?;
        let at = all.iter().position(|data| *data == record.data).ok_or_else(missing)?;
        all.swap_remove(at);
        if all.is_empty() {
            self.sets.remove(&id);
        }
        Ok(())
    }

    fn finish(&mut self) -> Progress {
        let Some(soa) = self.newest.take() else { return Progress::More };
        let mut sets = std::mem::take(&mut self.sets);
        sets.insert((soa.owner.key(), soa.rtype), (soa.ttl, vec![soa.data]));
        Progress::Whole(record::zone(&self.apex, sets))
    }
}

fn sets_of(zone: &Zone) -> record::Sets {
    let own = zone.nodes().flat_map(|(key, node)| node.iter().map(move |own| (key, own)));
    own.filter(|(_, own)| own.rtype != RecordType::SOA)
        .map(|(key, own)| {
            let data: Vec<Vec<u8>> = own.rdata().map(<[u8]>::to_vec).collect();
            let ttl: Ttl = own.ttl;
            ((key.clone(), own.rtype), (ttl, data))
        })
        .collect()
}

fn broken(text: &str) -> Unusable {
    Unusable::Broken(text.to_owned())
}
