//! Reading a zone: transferred whole (RFC 5936), or name by name.

use super::{exchange::Connection, message};
use crate::{
    model::{Name, Ttl},
    plan::{Failure, RecordSet, mark_name},
    records::RecordType,
};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{self, RData, Record},
    serialize::binary::{BinEncodable, BinEncoder},
};
use std::collections::BTreeMap;

/// More records than this are no zone that we would plan for: a limit on memory, not on zones
/// (ten times what a hosted zone may hold).
const MOST_RECORDS: usize = 1_000_000;

type Sets = BTreeMap<(Name, RecordType), (Ttl, Vec<Vec<u8>>)>;

/// The whole zone by AXFR: complete only when the SOA comes a second time (§2.2).
pub(super) async fn transfer(
    connection: &mut Connection,
    zone: &Name,
) -> Result<Vec<RecordSet>, Failure> {
    let mut sets = Sets::new();
    let (mut soas, mut records) = (0, 0);
    let mut answer =
        connection.ask(question(zone, rr::RecordType::AXFR)?).await.map_err(reading)?;
    loop {
        judge(&answer, zone)?;
        for record in &answer.answers {
            records += 1;
            if record.record_type() == rr::RecordType::SOA {
                soas += 1;
            } else {
                take(&mut sets, record)?;
            }
        }
        match (soas, answer.answers.is_empty() || records > MOST_RECORDS) {
            (2.., _) => return Ok(finish(sets)),
            (_, true) => {
                let text =
                    format!("the transfer of {zone} ends after {records} records, unfinished");
                return Err(Failure::Unavailable(text));
            }
            _ => answer = connection.receive().await.map_err(reading)?,
        }
    }
}

/// Nothing is doubtful about a read that broke: it is read again.
fn reading(broken: super::exchange::Broken) -> Failure {
    match Failure::from(broken) {
        Failure::Unknown(text) => Failure::Unavailable(text),
        other => other,
    }
}

/// Types that are asked for, of names and of marks.
const ASKED: [RecordType; 4] =
    [RecordType::A, RecordType::AAAA, RecordType::CNAME, RecordType::TXT];

/// The names that are ours or wanted, with their marks, one question after the other.
pub(super) async fn ask(
    connection: &mut Connection,
    zone: &Name,
    names: &[Name],
) -> Result<Vec<RecordSet>, Failure> {
    let mut sets = Sets::new();
    let soa = connection.ask(question(zone, rr::RecordType::SOA)?).await.map_err(reading)?;
    judge(&soa, zone)?;
    if !soa.answers.iter().any(|record| record.record_type() == rr::RecordType::SOA) {
        return Err(Failure::Zone(format!("the server has no zone {zone}")));
    }
    for name in names {
        for rtype in ASKED {
            one(connection, zone, name, rtype, &mut sets).await?;
        }
        if !crate::plan::is_bookkeeping(&crate::plan::SetKey::plain(name, RecordType::TXT)) {
            one(connection, zone, &mark_name(zone, name), RecordType::TXT, &mut sets).await?;
        }
    }
    Ok(finish(sets))
}

async fn one(
    connection: &mut Connection,
    zone: &Name,
    name: &Name,
    rtype: RecordType,
    sets: &mut Sets,
) -> Result<(), Failure> {
    let question = question(name, rr::RecordType::from(rtype.0))?;
    let answer = connection.ask(question).await.map_err(reading)?;
    judge(&answer, zone)?;
    let wire = message::to_wire_name(name).map_err(Failure::Rejected)?;
    // What a wildcard answers carries the name asked for, which has no record of its own; such a
    // set is deleted and created under prerequisites, so that mistake loses instead of harming.
    let own = answer.answers.iter().filter(|record| record.name == wire);
    own.filter(|record| record.record_type() == rr::RecordType::from(rtype.0))
        .try_for_each(|record| take(sets, record))
}

fn question(name: &Name, rtype: rr::RecordType) -> Result<Message, Failure> {
    let mut message = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
    let name = message::to_wire_name(name).map_err(Failure::Rejected)?;
    message.add_query(Query::query(name, rtype));
    Ok(message)
}

fn judge(answer: &Message, zone: &Name) -> Result<(), Failure> {
    let code = answer.response_code;
    match code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(()),
        ResponseCode::Refused => Err(Failure::Denied(format!(
            "the server refuses to hand out {zone} (REFUSED); allow transfers to our key or \
             address, or set `read: query`"
        ))),
        // Unsigned, as this comes where the key is refused too: nobody can tell which it is.
        ResponseCode::NotAuth => Err(Failure::Denied(format!(
            "the server does not serve {zone}, or does not take our TSIG key for it (NOTAUTH)"
        ))),
        other => {
            Err(Failure::Unavailable(format!("the server answers {} for {zone}", other.to_str())))
        }
    }
}

fn take(sets: &mut Sets, record: &Record) -> Result<(), Failure> {
    let broken = |text: String| Failure::Unavailable(format!("{}: {text}", record.name));
    let labels = record.name.iter();
    let name = Name::from_labels(labels).map_err(|error| broken(error.to_string()))?;
    let data = octets(&record.data).map_err(broken)?;
    let rtype = RecordType(u16::from(record.record_type()));
    let entry = sets.entry((name, rtype)).or_insert((Ttl::from_secs(record.ttl), Vec::new()));
    entry.1.push(data);
    Ok(())
}

/// The data without compression.
fn octets(data: &RData) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_name_encoding(hickory_proto::serialize::binary::NameEncoding::Uncompressed);
    data.emit(&mut encoder).map_err(|error| error.to_string())?;
    Ok(octets)
}

fn finish(sets: Sets) -> Vec<RecordSet> {
    let all = sets.into_iter();
    all.map(|((name, rtype), (ttl, data))| RecordSet::plain(&name, rtype, ttl, data)).collect()
}
