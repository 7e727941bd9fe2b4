//! Attacks in small, against the whole process: it keeps little, and answers honest clients meanwhile.
//! What they cost at full size is told by `benches/attacks/`.

use super::{guarded::wait_for, process::Process, sockets::*, *};
use socket2::{Domain, Socket, Type};
use std::fs;

/// What a process may keep of an attack of these tests, in kilobytes.
const MOST_KEPT: u64 = 40_000;

struct Attacked {
    process: Process,
    dns: SocketAddr,
    before: u64,
    _folder: tempfile::TempDir,
}

impl Attacked {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(folder.path(), &[]);
        let dns = process.address("serving DNS on ", " (UDP and TCP)");
        let mut own = Self { process, dns, before: 0, _folder: folder };
        // Until the zone is there.
        wait_for(|| own.answers_udp());
        own.before = own.resident();
        own
    }

    /// In kilobytes.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    #[track_caller]
    fn keeps_little(&self) {
        let more = self.resident().saturating_sub(self.before);
        assert!(more < MOST_KEPT, "{more} kB more than before");
    }

    fn answers_udp(&self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(&question("www.example.org", 1), self.dns).unwrap();
        let mut answer = [0; 512];
        socket.recv(&mut answer).is_ok_and(|_| rcode(&answer) == 0 && answers(&answer) == 1)
    }

    fn answers_tcp(&self) -> bool {
        let mut stream = self.connect(99);
        stream.write_all(&framed(&question("www.example.org", 1))).unwrap();
        read(&mut stream).is_some_and(|answer| answers(&answer) == 1)
    }

    /// From a network that has that number: a network may have only so many.
    fn connect(&self, network: u8) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 1, network, 1], 0)).into()).unwrap();
        socket.connect(&self.dns.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    /// Many connections that do the same.
    fn connections(&self, act: impl Fn(&mut TcpStream)) -> Vec<TcpStream> {
        let one = |number: u8| {
            let mut stream = self.connect(number / 20);
            act(&mut stream);
            stream
        };
        (0..200).map(one).collect()
    }
}

/// Waits until the server has closed them all.
#[track_caller]
fn all_closed(held: Vec<TcpStream>) {
    for mut stream in held {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let closed = stream.read_to_end(&mut Vec::new());
        let why = closed.as_ref().err().map(std::io::Error::kind);
        assert!(why.is_none_or(|kind| kind == std::io::ErrorKind::ConnectionReset), "{why:?}");
    }
}

/// A name of one pointer to itself; and as many records with a pointer as a packet holds, to the
/// question or in a circle.
fn pointer_bombs() -> [Vec<u8>; 3] {
    let mut own = question("www.example.org", 1)[..12].to_vec();
    own.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
    let mut many = question("www.example.org", 1);
    many[10..12].copy_from_slice(&340_u16.to_be_bytes());
    (0..340).for_each(|_| many.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]));
    let mut circle = many.clone();
    circle[33..35].copy_from_slice(&[0xc0, 33]);
    [own, many, circle]
}

#[test]
fn floods_of_datagrams_leave_nothing_behind_and_honest_clients_answered() {
    let attacked = Attacked::start();
    let mut response = question("www.example.org", 1);
    response[2] |= 0x80;
    let any = with_opt(question("example.org", 255), 4_096, 0, &[]);
    let mut packets = vec![response, any, vec![0xff; 1_400], vec![0; 12]];
    packets.extend(pointer_bombs());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for turn in 0..300 {
        for packet in &packets {
            socket.send_to(packet, attacked.dns).unwrap();
        }
        for n in 0..40 {
            let name = format!("x{turn}y{n}.example.org");
            socket.send_to(&question(&name, 1), attacked.dns).unwrap();
        }
        if turn % 10 == 0 {
            assert!(attacked.answers_udp(), "turn {turn}");
        }
    }
    assert!(attacked.answers_tcp());
    attacked.keeps_little();
}

#[test]
fn who_holds_connections_loses_them_and_honest_clients_come_in() {
    let attacked = Attacked::start();
    let query = framed(&question("www.example.org", 1));
    let silent = attacked.connections(|_| {});
    let half = attacked.connections(|stream| stream.write_all(&query[..20]).unwrap());
    assert!(attacked.answers_tcp() && attacked.answers_udp());
    attacked.keeps_little();
    // One octet at a time, each before its time would be up.
    let mut slow = attacked.connections(|_| {});
    for octet in &query {
        slow.iter_mut().for_each(|stream| drop(stream.write(&[*octet])));
        std::thread::sleep(Duration::from_millis(60));
    }
    [silent, half, slow].into_iter().for_each(all_closed);
    assert!(attacked.answers_tcp());
}

#[test]
fn who_takes_no_answers_has_few_waiting() {
    let attacked = Attacked::start();
    let queries = framed(&question("example.org", 2)).repeat(3_000);
    let _held = attacked.connections(|stream| {
        // As much as is taken of it.
        stream.set_nonblocking(true).unwrap();
        let _ = stream.write(&queries);
    });
    assert!(attacked.answers_tcp() && attacked.answers_udp());
    attacked.keeps_little();
}

#[test]
fn messages_as_long_as_can_be_are_answered_in_few_octets() {
    let attacked = Attacked::start();
    let mut long = question("www.example.org", 1);
    long.resize(65_535, 0);
    let octets = framed(&long);
    let mut held = attacked.connections(|_| {});
    for stream in &mut held {
        stream.write_all(&octets).unwrap();
        let answer = read(stream).unwrap();
        assert_eq!((rcode(&answer), answer.len() < 64), (1, true));
    }
    attacked.keeps_little();
    assert!(attacked.answers_tcp() && attacked.answers_udp());
}

#[test]
fn ten_thousand_queries_at_once_are_all_answered() {
    let attacked = Attacked::start();
    let mut stream = attacked.connect(1);
    let queries = framed(&question("www.example.org", 1)).repeat(10_000);
    let mut writing = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || writing.write_all(&queries).unwrap());
    for turn in 0..10_000 {
        assert_eq!(answers(&read(&mut stream).unwrap()), 1, "{turn}");
    }
    writer.join().unwrap();
    attacked.keeps_little();
}
