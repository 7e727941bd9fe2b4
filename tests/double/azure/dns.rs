//! The double's name server: UDP, the client's subnet where the query has one, else its address.

use super::answer::{Answer, Record};
use hickory_proto::{
    op::{Edns, Message, ResponseCode},
    rr::{
        Name, RData, RecordType,
        rdata::{
            self,
            opt::{ClientSubnet, EdnsCode, EdnsOption},
        },
    },
};
use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};
use tokio_util::sync::CancellationToken;

/// Answers on a port of loopback, in a thread of its own, until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    stop: CancellationToken,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&str, &str, IpAddr) -> Answer + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = runtime.block_on(tokio::net::UdpSocket::bind("127.0.0.1:0")).unwrap();
        let (address, stop) = (socket.local_addr().unwrap(), CancellationToken::new());
        let stopped = stop.clone();
        std::thread::spawn(move || {
            runtime.block_on(stopped.run_until_cancelled(async {
                let mut bytes = [0; 4096];
                while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                    if let Ok(query) = Message::from_vec(&bytes[..length]) {
                        let reply = reply(&query, from.ip(), &answer).to_vec().unwrap();
                        let _ = socket.send_to(&reply, from).await;
                    }
                }
            }));
        });
        Self { address, stop }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn reply(query: &Message, from: IpAddr, answer: &impl Fn(&str, &str, IpAddr) -> Answer) -> Message {
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.authoritative = true;
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    let [question] = query.queries.as_slice() else {
        reply.metadata.response_code = ResponseCode::FormErr;
        return reply;
    };
    reply.add_query(question.clone());
    let subnet = query.edns.as_ref().and_then(|edns| match edns.option(EdnsCode::Subnet) {
        Some(EdnsOption::Subnet(own)) => Some(own),
        _ => None,
    });
    let client = subnet.map_or(from, ClientSubnet::addr);
    let found = answer(&question.name().to_ascii(), &question.query_type().to_string(), client);
    reply.metadata.response_code = match (found.known, found.exists || !found.records.is_empty()) {
        (false, _) => ResponseCode::Refused,
        (true, false) => ResponseCode::NXDomain,
        (true, true) => ResponseCode::NoError,
    };
    for own in &found.records {
        let name = Name::from_ascii(&own.name).unwrap();
        reply.add_answer(hickory_proto::rr::Record::from_rdata(name, own.ttl, data(own)));
    }
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        if let Some(own) = subnet {
            let prefix = own.source_prefix();
            edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(
                own.addr(),
                prefix,
                prefix,
            )));
        }
        reply.set_edns(edns);
    }
    reply
}

fn data(record: &Record) -> RData {
    let words: Vec<&str> = record.data.split(' ').collect();
    let host = |at: usize| Name::from_ascii(words[at]).unwrap();
    match RecordType::from_str(record.rtype).unwrap() {
        RecordType::A => RData::A(record.data.parse().unwrap()),
        RecordType::AAAA => RData::AAAA(record.data.parse().unwrap()),
        RecordType::CNAME => RData::CNAME(rdata::CNAME(host(0))),
        RecordType::NS => RData::NS(rdata::NS(host(0))),
        RecordType::PTR => RData::PTR(rdata::PTR(host(0))),
        RecordType::MX => RData::MX(rdata::MX::new(number(words[0]), host(1))),
        RecordType::SRV => {
            let [priority, weight, port] = [0, 1, 2].map(|at| number(words[at]));
            RData::SRV(rdata::SRV::new(priority, weight, port, host(3)))
        }
        RecordType::SOA => {
            let [serial, refresh, retry, expire, minimum] =
                [2, 3, 4, 5, 6].map(|at| number::<i64>(words[at]));
            let seconds = |value: i64| i32::try_from(value).unwrap();
            RData::SOA(rdata::SOA::new(
                host(0),
                host(1),
                u32::try_from(serial).unwrap(),
                seconds(refresh),
                seconds(retry),
                seconds(expire),
                u32::try_from(minimum).unwrap(),
            ))
        }
        _ => RData::TXT(rdata::TXT::new(super::records::words(&record.data))),
    }
}

fn number<T: FromStr>(word: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    word.parse().unwrap()
}
