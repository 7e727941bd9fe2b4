//! The zones' name server, over UDP: the client is whom the query's client subnet names, else
//! whoever sent it.

use super::{Shared, answers, values};
use hickory_proto::{
    op::{Edns, Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{
            A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT,
            opt::{ClientSubnet, EdnsCode, EdnsOption},
        },
    },
};
use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Answers until it is dropped.
#[derive(Debug)]
pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl NameServer {
    pub(super) fn start(shared: Arc<Shared>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(reply) = reply(&shared, &buffer[..length], from.ip()) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Self { address, stop }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn reply(shared: &Shared, query: &[u8], from: IpAddr) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let [question] = query.queries.as_slice() else { return None };
    let subnet = query.edns.as_ref().and_then(|edns| match edns.option(EdnsCode::Subnet) {
        Some(EdnsOption::Subnet(subnet)) => Some(*subnet),
        _ => None,
    });
    let client = subnet.map_or(from, |subnet| subnet.addr());
    let mut reply = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.add_query(question.clone());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        if let Some(own) = subnet {
            let echoed = ClientSubnet::new(own.addr(), own.source_prefix(), own.source_prefix());
            edns.options_mut().insert(EdnsOption::Subnet(echoed));
        }
        reply.set_edns(edns);
    }
    let name = question.name().to_ascii().to_ascii_lowercase();
    let state = shared.state();
    let zones = state.zones.values().filter(|zone| values::within(&name, &zone.dns_name));
    let Some(zone) = zones.max_by_key(|zone| zone.dns_name.len()) else {
        reply.metadata.response_code = ResponseCode::Refused;
        return reply.to_vec().ok();
    };
    reply.metadata.authoritative = true;
    let rtype = question.query_type().to_string();
    let found = answers::look_up(&state, zone, &name, &rtype, client);
    if !found.exists {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    if found.records.iter().all(|record| record.rtype == "CNAME" && rtype != "CNAME") {
        let soa = answers::look_up(&state, zone, &zone.dns_name, "SOA", client);
        soa.records.iter().filter_map(record).for_each(|soa| {
            reply.add_authority(soa);
        });
    }
    found.records.iter().filter_map(record).for_each(|record| {
        reply.add_answer(record);
    });
    let most = usize::from(query.edns.as_ref().map_or(512, Edns::max_payload).max(512));
    let whole = reply.to_vec().ok()?;
    if whole.len() > most { reply.truncate().to_vec().ok() } else { Some(whole) }
}

fn record(own: &answers::Record) -> Option<Record> {
    let name = |text: &str| Name::from_ascii(text).ok();
    let words: Vec<&str> = own.data.split(' ').collect();
    let data = match (own.rtype.as_str(), words.as_slice()) {
        ("A", [address]) => RData::A(A(address.parse().ok()?)),
        ("AAAA", [address]) => RData::AAAA(AAAA(address.parse().ok()?)),
        ("CNAME", [target]) => RData::CNAME(CNAME(name(target)?)),
        ("NS", [target]) => RData::NS(NS(name(target)?)),
        ("PTR", [target]) => RData::PTR(PTR(name(target)?)),
        ("MX", [preference, exchange]) => {
            RData::MX(MX::new(preference.parse().ok()?, name(exchange)?))
        }
        ("SRV", [priority, weight, port, target]) => RData::SRV(SRV::new(
            priority.parse().ok()?,
            weight.parse().ok()?,
            port.parse().ok()?,
            name(target)?,
        )),
        ("SOA", [mname, rname, serial, refresh, retry, expire, minimum]) => RData::SOA(SOA::new(
            name(mname)?,
            name(rname)?,
            serial.parse().ok()?,
            refresh.parse().ok()?,
            retry.parse().ok()?,
            expire.parse().ok()?,
            minimum.parse().ok()?,
        )),
        ("TXT", _) => {
            let strings = values::strings(&own.data)?;
            RData::TXT(TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()))
        }
        _ => return None,
    };
    Some(Record::from_rdata(name(&own.name)?, own.ttl, data))
}
