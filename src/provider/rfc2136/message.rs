//! A batch as one update message (RFC 2136 §2), and what its answer means (§2.2).

use crate::{
    model::{Name, Ttl},
    plan::{Action, Failure, Permitted, RecordSet},
    records,
};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode, UpdateMessage},
    rr::{self, DNSClass, RData, Record, RecordType, rdata::NULL},
};
use std::collections::BTreeSet;

/// The message, or what of the batch cannot be said in one.
pub(super) fn update(batch: &Permitted) -> Result<Message, String> {
    let mut message = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Update);
    message.add_zone(Query::query(to_wire_name(batch.zone())?, RecordType::SOA));
    prerequisites(&mut message, batch)?;
    for set in batch.deletes() {
        message.add_update(empty(&set.key.name(), set.key.rtype, DNSClass::ANY)?);
    }
    for set in batch.creates() {
        let ttl = set.ttl.map_or(0, Ttl::as_secs);
        for data in &set.data {
            message.add_update(record(set, data, ttl)?);
        }
    }
    Ok(message)
}

/// §2.4: what goes must be there to the octet, what comes must not be.
fn prerequisites(message: &mut Message, batch: &Permitted) -> Result<(), String> {
    let gone: BTreeSet<_> = batch.deletes().map(|set| &set.key).collect();
    for set in batch.deletes() {
        for data in &set.data {
            message.add_pre_requisite(record(set, data, 0)?);
        }
    }
    for set in batch.creates().filter(|set| !gone.contains(&set.key)) {
        message.add_pre_requisite(empty(&set.key.name(), set.key.rtype, DNSClass::NONE)?);
    }
    for change in batch.changes() {
        let creates = change.create.iter().filter(|set| set.key.owner == change.name.key());
        let types: BTreeSet<_> = creates.map(|set| set.key.rtype).collect();
        let alias = types.contains(&records::RecordType::CNAME);
        // The server ignores a CNAME beside other data, and the other way round (§3.4.2.2).
        if alias && change.action == Action::Create {
            message.add_pre_requisite(empty(&change.name, ANY, DNSClass::NONE)?);
        } else if !alias && !types.is_empty() && !goes(change, records::RecordType::CNAME) {
            let cname = records::RecordType::CNAME;
            message.add_pre_requisite(empty(&change.name, cname, DNSClass::NONE)?);
        }
    }
    Ok(())
}

const ANY: records::RecordType = records::RecordType::ANY;

fn goes(change: &crate::plan::Change, rtype: records::RecordType) -> bool {
    change.delete.iter().any(|set| set.key.rtype == rtype)
}

fn record(set: &RecordSet, data: &[u8], ttl: u32) -> Result<Record, String> {
    let rdata = NULL::with(data.to_vec());
    let code = RecordType::from(set.key.rtype.0);
    Ok(Record::from_rdata(to_wire_name(&set.key.name())?, ttl, RData::Unknown { code, rdata }))
}

fn empty(name: &Name, rtype: records::RecordType, class: DNSClass) -> Result<Record, String> {
    let mut record = Record::update0(to_wire_name(name)?, 0, RecordType::from(rtype.0));
    record.dns_class = class;
    Ok(record)
}

/// A name in the library's form.
pub(super) fn to_wire_name(name: &Name) -> Result<rr::Name, String> {
    let mut own =
        rr::Name::from_labels(name.labels()).map_err(|error| format!("{name}: {error}"))?;
    own.set_fqdn(true);
    Ok(own)
}

/// §2.2: what an answer's code means.
pub(super) fn outcome(answer: &Message) -> Result<(), Failure> {
    let code = answer.response_code;
    let text = format!("the server answers {}", code.to_str());
    match code {
        ResponseCode::NoError => Ok(()),
        ResponseCode::YXDomain
        | ResponseCode::YXRRSet
        | ResponseCode::NXRRSet
        | ResponseCode::NXDomain => Err(Failure::Lost(text)),
        ResponseCode::Refused => Err(Failure::Denied(format!(
            "{text}; it must allow updates and transfers of this zone to our key or address"
        ))),
        ResponseCode::NotAuth => Err(Failure::Zone(format!(
            "{text}: it is not the primary server of this zone, or does not take our key"
        ))),
        ResponseCode::NotZone => Err(Failure::Rejected(text)),
        ResponseCode::NotImp => Err(Failure::Denied(format!("{text}: it takes no updates"))),
        ResponseCode::ServFail => Err(Failure::Unknown(text)),
        _ => Err(Failure::Rejected(text)),
    }
}
