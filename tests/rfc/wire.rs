//! One packet to one answer, option by option: what the server says on the wire, without sockets.

use crate::battery::{Dns, name, zone};
use meridian::{
    records::{Answer, Client, Question},
    server::{self, Answers, Arrival, Cookies, Guard, Notes, Reply, Secrets, Stamp, Transport},
};
use std::net::IpAddr;

impl Answers for Dns {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        self.0.answer(question, client, encode)
    }
}

pub(crate) const COOKIE: u16 = 10;
pub(crate) const EDE: u16 = 15;
pub(crate) const KEEPALIVE: u16 = 11;
pub(crate) const NSID: u16 = 3;
pub(crate) const PADDING: u16 = 12;

/// A server and how a packet comes to it.
pub(crate) struct Server {
    pub(crate) dns: Dns,
    pub(crate) guard: Guard,
    pub(crate) from: IpAddr,
    pub(crate) at: Stamp,
    pub(crate) transport: Transport,
    pub(crate) idle: Option<u16>,
}

/// `www.example.org` has one address, `big.example.org` sixty, and there is no guard.
pub(crate) fn server() -> Server {
    let mut lines = String::from("www 60 A 192.0.2.1\n*.wild 60 A 192.0.2.2\nwww 60 AAAA ::1\n");
    (0..60).for_each(|n| lines.push_str(&format!("big 60 A 198.51.100.{n}\n")));
    Server {
        dns: zone("example.org", &lines),
        guard: Guard::default(),
        from: "198.51.100.100".parse().unwrap(),
        at: Stamp { seconds: 1_559_731_985, millis: 0 },
        transport: Transport::Udp,
        idle: None,
    }
}

impl Server {
    /// Over another transport.
    pub(crate) fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// With these secrets of cookies, a line each.
    pub(crate) fn secrets(mut self, lines: &str) -> Self {
        self.guard.cookies = Some(Cookies::new(Secrets::parse(lines).unwrap(), false));
        self
    }

    pub(crate) fn at(mut self, seconds: u32) -> Self {
        self.at.seconds = seconds;
        self
    }

    pub(crate) fn from(mut self, from: &str) -> Self {
        self.from = from.parse().unwrap();
        self
    }

    pub(crate) fn ask(&self, packet: &Packet) -> Told {
        self.try_ask(packet).expect("an answer")
    }

    /// `None` where the packet is dropped.
    pub(crate) fn try_ask(&self, packet: &Packet) -> Option<Told> {
        let mut out = Vec::new();
        let arrival = Arrival {
            at: self.at,
            idle: self.idle,
            guard: Some(&self.guard),
            ..Arrival::new(self.from, self.transport)
        };
        match server::respond(&self.dns, &packet.octets(), &arrival, &mut out) {
            Reply::Send { notes, rcode, truncated } => {
                let told = Told { octets: out, notes };
                assert_eq!((told.rcode(), told.truncated()), (rcode, truncated));
                Some(told)
            }
            Reply::Drop(_) => None,
        }
    }
}

/// A query in the making.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) header: [u8; 12],
    pub(crate) question: Vec<u8>,
    /// Type to TTL of the OPT, if there is one.
    pub(crate) opt: Option<[u8; 8]>,
    pub(crate) options: Vec<u8>,
}

/// `<name> <type>`, without EDNS.
pub(crate) fn query(question: &str) -> Packet {
    let (asked, rtype) = question.split_once(' ').unwrap();
    let rtype = rtype.parse::<meridian::records::RecordType>().unwrap();
    let mut question = name(asked).as_wire().to_vec();
    question.extend_from_slice(&rtype.0.to_be_bytes());
    question.extend_from_slice(&[0, 1]);
    let header = [0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    Packet { header, question, opt: None, options: Vec::new() }
}

impl Packet {
    /// With an OPT that offers so many octets.
    pub(crate) fn edns(mut self, size: u16) -> Self {
        let [high, low] = size.to_be_bytes();
        self.opt = Some([0, 41, high, low, 0, 0, 0, 0]);
        self
    }

    /// With an option more, in an OPT that offers 1232 octets unless there is another.
    pub(crate) fn option(mut self, code: u16, data: &[u8]) -> Self {
        if self.opt.is_none() {
            self = self.edns(1_232);
        }
        self.options.extend_from_slice(&code.to_be_bytes());
        self.options.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        self.options.extend_from_slice(data);
        self
    }

    /// Without its question.
    pub(crate) fn bare(mut self) -> Self {
        self.header[5] = 0;
        self.question.clear();
        self
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut octets = [&self.header[..], &self.question].concat();
        if let Some(opt) = self.opt {
            octets[11] += 1;
            octets.push(0);
            octets.extend_from_slice(&opt);
            octets.extend_from_slice(&u16::try_from(self.options.len()).unwrap().to_be_bytes());
            octets.extend_from_slice(&self.options);
        }
        octets
    }
}

/// What came back.
pub(crate) struct Told {
    pub(crate) octets: Vec<u8>,
    pub(crate) notes: Notes,
}

impl Told {
    fn number(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.octets[at], self.octets[at + 1]])
    }

    pub(crate) fn truncated(&self) -> bool {
        self.octets[2] & 2 != 0
    }

    /// How many records the answer section has.
    pub(crate) fn answers(&self) -> u16 {
        self.number(6)
    }

    /// The whole response code.
    pub(crate) fn rcode(&self) -> u16 {
        let high = self.opt().map_or(0, |opt| u16::from(self.octets[opt + 4]) << 4);
        high | u16::from(self.octets[3] & 0x0f)
    }

    /// Where the OPT's type stands: that of the last record, as we write it.
    pub(crate) fn opt(&self) -> Option<usize> {
        let mut at = 12;
        if self.number(4) == 1 {
            at = self.behind_name(at) + 4;
        }
        let mut found = None;
        for _ in 0..self.number(6) + self.number(8) + self.number(10) {
            assert!(found.is_none(), "the OPT is last");
            let fixed = self.behind_name(at);
            found = (self.number(fixed) == 41).then_some(fixed);
            at = fixed + 10 + usize::from(self.number(fixed + 8));
        }
        assert_eq!(at, self.octets.len(), "nothing stands behind the message");
        found
    }

    fn behind_name(&self, mut at: usize) -> usize {
        loop {
            match self.octets[at] {
                0 => return at + 1,
                length if length >= 0xc0 => return at + 2,
                length => at += 1 + usize::from(length),
            }
        }
    }

    /// The options in the order they stand in.
    pub(crate) fn options(&self) -> Vec<(u16, Vec<u8>)> {
        let Some(opt) = self.opt() else { return Vec::new() };
        let (mut at, mut options) = (opt + 10, Vec::new());
        while at < self.octets.len() {
            let length = usize::from(self.number(at + 2));
            options.push((self.number(at), self.octets[at + 4..at + 4 + length].to_vec()));
            at += 4 + length;
        }
        options
    }

    pub(crate) fn option(&self, code: u16) -> Option<Vec<u8>> {
        let mut found = self.options().into_iter().filter(|option| option.0 == code);
        let first = found.next().map(|option| option.1);
        assert!(found.next().is_none(), "an option is answered once");
        first
    }

    /// The cookie option in hexadecimal.
    pub(crate) fn cookie(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.option(COOKIE).expect("a cookie"))
    }
}

pub(crate) fn hex(digits: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap()
}

pub(crate) const NOERROR: u16 = 0;
pub(crate) const FORMERR: u16 = 1;
pub(crate) const NOTIMP: u16 = 4;
pub(crate) const REFUSED: u16 = 5;
pub(crate) const BADVERS: u16 = 16;
pub(crate) const BADCOOKIE: u16 = 23;
