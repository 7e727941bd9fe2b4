//! A server that gives zones out, asked packet by packet.

pub(crate) use crate::battery::name;
use crate::transports::{framed, read};
use data_encoding::BASE64;
use meridian::{
    model::Serial,
    records::{self, Answer, Client, Question, Zone, ZoneSet, no_includes, parse_master},
    server::{
        Answers, Arrival, Messages, Next, Notice, Reply, Stamp, Transfers, Transport, respond,
    },
    transfer::{
        Allow, Checker, Key, Keys, Primary, Record, Rows, Rules, Stats, ZoneRules, read_response,
    },
};
use std::{
    io::Write,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    thread,
};
use tokio::sync::mpsc;

pub(crate) const NOW: u32 = 1_800_000_000;
pub(crate) const KEY: &str = "transfer-key";
/// Who may have the zone without a key.
pub(crate) const FRIEND: &str = "192.0.2.1";
/// Who may not.
pub(crate) const STRANGER: &str = "198.51.100.1";
/// Where the zone `elsewhere.test` lives.
pub(crate) const PRIMARY: &str = "203.0.113.1";

pub(crate) struct Server {
    pub(crate) transfers: Transfers,
    pub(crate) stats: Arc<Stats>,
    zones: ZoneSet,
    pub(crate) notices: mpsc::Receiver<Notice>,
}

impl Answers for Server {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        self.zones.answer(question, client, encode)
    }

    fn transfer(&self, packet: &[u8], arrival: &Arrival<'_>) -> Option<Box<dyn Messages>> {
        self.transfers.open(packet, arrival)
    }

    fn transfers(&self) -> Option<&Transfers> {
        Some(&self.transfers)
    }
}

pub(crate) fn key() -> Arc<Key> {
    keys().get(&name(KEY)).unwrap().clone()
}

pub(crate) fn keys() -> Keys {
    let secret = BASE64.encode(b"an octet string of thirty-two oc");
    Keys::parse(&format!("{KEY}:hmac-sha256:{secret}")).unwrap()
}

/// `z.test` of that serial and these lines; SOA, NS and glue are there.
pub(crate) fn version(serial: u32, lines: &str) -> Arc<Zone> {
    let head = format!(
        "$TTL 60\n@ SOA ns host {serial} 7200 900 86400 30\n@ NS ns\nns A 192.0.2.53\nsub NS \
         ns.sub\nns.sub A 192.0.2.54\nhidden.sub A 192.0.2.55\n"
    );
    let text = head + lines;
    Arc::new(parse_master(&name("z.test"), "z", &text, &mut no_includes).unwrap().zone)
}

impl Server {
    /// That gives `z.test` to who signs with the key, and to [`FRIEND`].
    pub(crate) fn new(versions: &[Arc<Zone>]) -> Self {
        Self::with_places(versions, 10)
    }

    pub(crate) fn with_places(versions: &[Arc<Zone>], places: usize) -> Self {
        let (heard, notices) = mpsc::channel(8);
        let stats = Arc::<Stats>::default();
        let transfers = Transfers::new(places, Some(heard), stats.clone());
        let by_key = Allow { key: Some(name(KEY)), networks: Vec::new(), tls: false };
        let near = Allow {
            key: None,
            networks: vec![format!("{FRIEND}/32").parse().unwrap()],
            tls: false,
        };
        let given = ZoneRules { allow: vec![by_key, near], ..ZoneRules::default() };
        let primary = Primary {
            address: format!("{PRIMARY}:53").parse().unwrap(),
            key: Some(name(KEY)),
            tls: None,
        };
        let taken = ZoneRules { primary: Some(primary), ..ZoneRules::default() };
        let zones = [(name("z.test").key(), given), (name("elsewhere.test").key(), taken)];
        transfers.rule(Arc::new(Rules { keys: keys(), zones: zones.into() }));
        let mut own = Self { transfers, stats, zones: ZoneSet::default(), notices };
        versions.iter().for_each(|zone| own.publish(zone.clone()));
        own
    }

    pub(crate) fn publish(&mut self, zone: Arc<Zone>) {
        self.zones.put(zone);
        self.transfers.publish(&self.zones);
    }

    /// All messages that answer a packet; `None` of one that is broken off.
    pub(crate) fn all(&self, packet: &[u8], from: &str, transport: Transport) -> Vec<Vec<u8>> {
        let at = Stamp { seconds: NOW, millis: 0 };
        let from: IpAddr = from.parse().unwrap();
        let arrival = Arrival { at, ..Arrival::new(from, transport) };
        let mut messages = Vec::new();
        if transport != Transport::Udp
            && let Some(mut many) = self.transfer(packet, &arrival)
        {
            loop {
                let mut out = Vec::new();
                match many.next(at, &mut out) {
                    Next::Message => messages.push(out),
                    Next::End => return messages,
                    Next::Abort => panic!("the transfer breaks off"),
                }
            }
        }
        let mut out = Vec::new();
        let reply = respond(self, packet, &arrival, &mut out);
        assert!(matches!(reply, Reply::Send { .. }), "{reply:?}");
        vec![out]
    }

    /// The one message that answers it.
    pub(crate) fn one(&self, packet: &[u8], from: &str, transport: Transport) -> Rows {
        let mut all = self.all(packet, from, transport);
        assert_eq!(all.len(), 1);
        read_response(&all.remove(0)).unwrap()
    }

    /// All records that answer it, in order.
    pub(crate) fn rows(&self, packet: &[u8], from: &str, transport: Transport) -> Vec<String> {
        let all = self.all(packet, from, transport);
        all.iter()
            .flat_map(|own| read_response(own).unwrap().answer)
            .map(|own| line(&own))
            .collect()
    }
}

/// Serves it over TCP on loopback, to whom [`FRIEND`]'s rules hold.
pub(crate) fn listen(server: Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some(packet) = read(&mut stream) {
                for message in server.all(&packet, FRIEND, Transport::Tcp) {
                    stream.write_all(&framed(&message)).unwrap();
                }
            }
        }
    });
    address
}

/// `owner type data`.
pub(crate) fn line(record: &Record) -> String {
    let data = records::rdata_to_text(record.rtype, &record.data);
    format!("{} {} {data}", record.owner.without_dot(), record.rtype)
}

pub(crate) const SOA: u16 = 6;
pub(crate) const IXFR: u16 = 251;
pub(crate) const AXFR: u16 = 252;

pub(crate) fn query(zone: &str, rtype: u16) -> Vec<u8> {
    let head = [0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&head[..], name(zone).as_wire(), &rtype.to_be_bytes(), &[0, 1]].concat()
}

/// With the SOA of that serial in the authority section (RFC 1995 §3).
pub(crate) fn ixfr(serial: u32) -> Vec<u8> {
    let mut packet = query("z.test", IXFR);
    packet[9] = 1;
    append_soa(&mut packet, "z.test", serial);
    packet
}

/// With the SOA of that serial in the answer section (RFC 1996 §3.7).
pub(crate) fn notice(zone: &str, serial: Option<u32>) -> Vec<u8> {
    let mut packet = query(zone, SOA);
    packet[2] = 0x24;
    if let Some(serial) = serial {
        packet[7] = 1;
        append_soa(&mut packet, zone, serial);
    }
    packet
}

fn append_soa(packet: &mut Vec<u8>, zone: &str, serial: u32) {
    packet.extend_from_slice(name(zone).as_wire());
    packet.extend_from_slice(&[0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    packet.extend_from_slice(&serial.to_be_bytes());
    packet.extend_from_slice(&[0; 16]);
}

pub(crate) fn signed(mut packet: Vec<u8>, at: u32) -> (Vec<u8>, Checker) {
    let checker = Checker::sign(key(), &mut packet, at.into());
    (packet, checker)
}

pub(crate) fn serial_of(row: &str) -> Serial {
    Serial(row.split_whitespace().nth(4).unwrap().parse().unwrap())
}
