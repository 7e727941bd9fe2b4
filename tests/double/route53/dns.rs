//! Answers DNS over UDP from what was written, to where the client says that it is.

use super::{Shared, names, state::Zone, values};
use hickory_proto::{
    op::Message,
    rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption},
};
use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(shared: Arc<Shared>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stopped.is_cancelled() {
                let Ok((size, from)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(answer) = answered(&shared, &buffer[..size], from.ip()) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        self.thread.take().map(JoinHandle::join);
    }
}

fn answered(shared: &Shared, query: &[u8], from: IpAddr) -> Option<Vec<u8>> {
    let message = Message::from_vec(query).ok()?;
    let question = message.queries.first()?;
    let name = names::canonical(&question.name().to_ascii()).ok()?;
    let subnet =
        message.edns.as_ref().and_then(|edns| match edns.options().get(EdnsCode::Subnet) {
            Some(EdnsOption::Subnet(subnet)) => Some(*subnet),
            _ => None,
        });
    let client = subnet.map_or(from, |subnet| subnet.addr());
    let state = shared.state();
    let public = state.zones.values().filter(|zone| !zone.private);
    let within = public.filter(|zone| names::within(&name, &zone.name));
    let zone = within.max_by_key(|zone| zone.name.len());
    let rtype = values::type_of(u16::from(question.query_type()));
    let Some(zone) = zone else { return Some(Answer::new(query, REFUSED).bytes(subnet)) };
    let found = state.found(zone, &name, rtype.unwrap_or_default(), client);
    let code = if found.exists { NO_ERROR } else { NO_NAME };
    let mut answer = Answer::new(query, code);
    for own in &found.records {
        answer.record(Section::Answer, &own.name, &own.rtype, own.ttl, &own.data)?;
    }
    if found.records.iter().all(|own| own.rtype == "CNAME" && rtype != Some("CNAME")) {
        let soa = Zone::group(&zone.sets, &zone.name, "SOA");
        let soa = soa.first()?;
        let (ttl, data) = (soa.ttl?, soa.data().pop()?);
        answer.record(Section::Authority, &zone.name, "SOA", ttl, &data)?;
    }
    Some(answer.bytes(subnet))
}

/// An answer, as it grows.
struct Answer {
    head: Vec<u8>,
    code: u8,
    counts: [u16; 2],
    records: Vec<u8>,
    edns: bool,
}

#[derive(Clone, Copy)]
enum Section {
    Answer,
    Authority,
}

impl Answer {
    fn new(query: &[u8], code: u8) -> Self {
        let mut at = 12;
        while query.get(at).is_some_and(|length| *length != 0) {
            at += usize::from(query[at]) + 1;
        }
        let edns = query[11] > 0;
        Self { head: query[..at + 5].to_vec(), code, counts: [0, 0], records: Vec::new(), edns }
    }

    fn record(
        &mut self,
        section: Section,
        name: &str,
        rtype: &str,
        ttl: u32,
        data: &str,
    ) -> Option<()> {
        let data = values::wire(rtype, data).ok()?;
        self.records.extend(values::name(name).ok()?);
        self.records.extend(values::code(rtype).to_be_bytes());
        self.records.extend(1_u16.to_be_bytes());
        self.records.extend(ttl.to_be_bytes());
        self.records.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        self.records.extend(data);
        self.counts[section as usize] += 1;
        Some(())
    }

    fn bytes(mut self, subnet: Option<ClientSubnet>) -> Vec<u8> {
        let asked = self.head[2] & 0x01;
        if self.head.len() + self.records.len() > MAX_SIZE {
            self.records.clear();
            self.counts = [0, 0];
            self.head[2] = TRUNCATED;
        } else {
            self.head[2] = 0;
        }
        self.head[2] |= RESPONSE | asked;
        self.head[3] = self.code;
        self.head[4..6].copy_from_slice(&1_u16.to_be_bytes());
        self.head[6..8].copy_from_slice(&self.counts[0].to_be_bytes());
        self.head[8..10].copy_from_slice(&self.counts[1].to_be_bytes());
        self.head[10..12].copy_from_slice(&u16::from(self.edns).to_be_bytes());
        let mut bytes = [self.head, self.records].concat();
        if self.edns {
            let option = subnet.map(|subnet| {
                let own = ClientSubnet::new(
                    subnet.addr(),
                    subnet.source_prefix(),
                    subnet.source_prefix(),
                );
                let data = Vec::try_from(&own).unwrap_or_default();
                let length = u16::try_from(data.len()).unwrap().to_be_bytes();
                [&8_u16.to_be_bytes()[..], &length, &data].concat()
            });
            let options = option.unwrap_or_default();
            bytes.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0]);
            bytes.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
            bytes.extend(options);
        }
        bytes
    }
}

const NO_ERROR: u8 = 0;
const NO_NAME: u8 = 3;
const REFUSED: u8 = 5;

/// An authoritative response.
const RESPONSE: u8 = 0x84;
const TRUNCATED: u8 = 0x02;

/// What is sent without asking to come by TCP, which this server has not.
const MAX_SIZE: usize = 4_096;
