//! Over real sockets: framing, limits, time, and what a stranger cannot do to others.

use super::*;
use socket2::{Domain, Socket, Type};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

pub fn framed(packet: &[u8]) -> Vec<u8> {
    [&u16::try_from(packet.len()).unwrap().to_be_bytes(), packet].concat()
}

pub fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn dig_and_kdig_get_their_answers_over_udp_and_tcp() {
    let running = start(Limits::default());
    let port = running.address.port().to_string();
    for (program, more) in
        [("dig", vec![]), ("dig", vec!["+tcp"]), ("kdig", vec![]), ("kdig", vec!["+tcp"])]
            .into_iter()
            .chain([("dig", vec!["+dnssec", "+nsid", "+cookie"]), ("kdig", vec!["+dnssec"])])
    {
        let output = Command::new(program)
            .args(["@127.0.0.1", "-p", &port, "+short", "alias.example.org", "A"])
            .args(&more)
            .output();
        let Ok(output) = output else {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
            eprintln!("SKIPPED: {program} is not installed");
            continue;
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text.lines().last(), Some("192.0.2.1"), "{program} {more:?}: {text}");
    }
}

#[test]
fn strange_datagrams_leave_the_server_answering() {
    let running = start(Limits::default());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.connect(running.address).unwrap();
    for packet in [&[][..], &[0; 11], &[0xff; 65_507], &[0xff; 12]] {
        socket.send(packet).unwrap();
    }
    socket.send(&question("www.example.org", 1)).unwrap();
    let mut buffer = [0; 2_000];
    loop {
        let length = socket.recv(&mut buffer).unwrap();
        if buffer[..2] == [0xab, 0xcd] {
            assert_eq!(answers(&buffer[..length]), 1);
            return;
        }
    }
}

/// A query of so many octets, which an option that nobody knows fills up.
fn long_query(octets: usize) -> Vec<u8> {
    let room = octets - with_opt(question("www.example.org", 1), 1_232, 0, &[]).len() - 4;
    let [high, low] = u16::try_from(room).unwrap().to_be_bytes();
    let option = [&[0xfd, 0xe9, high, low][..], &vec![0; room]].concat();
    with_opt(question("www.example.org", 1), 1_232, 0, &option)
}

#[test]
fn a_query_as_long_as_a_frame_is_read_whole_and_what_is_cut_off_is_a_format_error() {
    let running = start(Limits::default());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.connect(running.address).unwrap();
    for (octets, outcome) in [(1_472, (0, 1)), (1_600, (0, 1)), (1_601, (1, 0)), (9_000, (1, 0))] {
        let packet = long_query(octets);
        assert_eq!(packet.len(), octets);
        socket.send(&packet).unwrap();
        let mut buffer = [0; 2_000];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!((buffer[3] & 0x0f, answers(&buffer[..length])), outcome, "{octets}");
    }
}

#[test]
fn what_comes_at_once_after_a_quiet_time_is_all_answered() {
    let running = start(Limits::default());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.connect(running.address).unwrap();
    let mut buffer = [0; 2_000];
    for burst in [1, 150, 1, 150] {
        for id in 0..burst {
            let mut packet = question("www.example.org", 1);
            packet[1] = id;
            socket.send(&packet).unwrap();
        }
        let mut ids: Vec<u8> = (0..burst)
            .map(|_| {
                socket.recv(&mut buffer).unwrap();
                buffer[1]
            })
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..burst).collect::<Vec<_>>());
    }
}

#[test]
fn fifty_queries_in_one_write_are_fifty_answers_in_order() {
    let running = start(Limits::default());
    let mut stream = connect(&running);
    let mut all = Vec::new();
    for id in 0..50_u8 {
        let mut packet = question("big.example.org", 1);
        packet[1] = id;
        all.extend(framed(&packet));
    }
    stream.write_all(&all).unwrap();
    for id in 0..50_u8 {
        let answer = read(&mut stream).unwrap();
        assert_eq!((answer[1], answers(&answer), truncated(&answer)), (id, 60, false));
    }
    assert!(running.stats.view().tcp >= 50);
}

#[test]
fn a_message_in_single_octets_is_one_message_and_half_a_close_is_in_order() {
    let running = start(Limits::default());
    let mut stream = connect(&running);
    stream.set_nodelay(true).unwrap();
    for octet in framed(&question("www.example.org", 1)) {
        stream.write_all(&[octet]).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(answers(&read(&mut stream).unwrap()), 1);
    assert_eq!(read(&mut stream), None);
}

#[test]
fn noise_over_tcp_costs_its_own_connection_alone() {
    let running = start(Limits::default());
    let mut noisy = connect(&running);
    let _ = noisy.write_all(&framed(&[0x5a; 65_535]));
    let answer = read(&mut noisy).unwrap();
    assert_eq!(answer[3] & 0x0f, 4);
    let mut short = connect(&running);
    short.write_all(&[0, 0]).unwrap();
    assert_eq!(read(&mut short), None);
    let mut good = connect(&running);
    good.write_all(&framed(&question("www.example.org", 1))).unwrap();
    assert_eq!(answers(&read(&mut good).unwrap()), 1);
}

#[test]
fn a_client_that_sends_nothing_or_half_a_message_is_closed_in_time() {
    let short = Duration::from_millis(200);
    let limits = Limits { first: short, message: short, idle: short, ..Limits::default() };
    let running = start(limits);
    let mut silent = connect(&running);
    let mut half = connect(&running);
    half.write_all(&[0, 40, 1, 2]).unwrap();
    let start = Instant::now();
    assert_eq!((read(&mut silent), read(&mut half)), (None, None));
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// Each message ends in time, and there is always a part of the next.
#[test]
fn a_client_whose_messages_are_cut_anywhere_is_late_with_none_of_them() {
    let second = Duration::from_secs(1);
    let running = start(Limits { message: second, ..Limits::default() });
    let mut stream = connect(&running);
    stream.set_nodelay(true).unwrap();
    let query = framed(&question("www.example.org", 1));
    let (head, tail) = query.split_at(query.len() / 2);
    stream.write_all(head).unwrap();
    let start = Instant::now();
    while start.elapsed() < 3 * second {
        stream.write_all(&[tail, head].concat()).unwrap();
        assert!(read(&mut stream).is_some(), "closed after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_never_reads_is_closed() {
    let limits = Limits { write: Duration::from_millis(300), ..Limits::default() };
    let running = start(limits);
    let mut stream = connect(&running);
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let query = framed(&question("big.example.org", 1)).repeat(1_000);
    let deadline = Instant::now() + Duration::from_secs(30);
    while stream.write_all(&query).is_ok() {
        assert!(Instant::now() < deadline, "the server read on without end");
    }
}

#[test]
fn one_client_gets_its_share_of_connections_and_the_longest_idle_goes_first() {
    let running = start(Limits { per_client: 2, ..Limits::default() });
    let (_a, _b) = (connect(&running), connect(&running));
    let mut third = connect(&running);
    assert_eq!(read(&mut third), None);

    let running = start(Limits { connections: 2, ..Limits::default() });
    let (mut a, mut b) = (connect(&running), connect(&running));
    let query = framed(&question("www.example.org", 1));
    b.write_all(&query).unwrap();
    read(&mut b).unwrap();
    a.write_all(&query).unwrap();
    read(&mut a).unwrap();
    let mut c = connect(&running);
    c.write_all(&query).unwrap();
    assert!(read(&mut c).is_some());
    assert_eq!(read(&mut b), None, "b was idle longest");
    a.write_all(&query).unwrap();
    assert!(read(&mut a).is_some());
}

#[test]
fn a_taken_port_is_an_error_that_says_what_to_do() {
    let running = start(Limits::default());
    let error = server::bind(&Listen::at(vec![running.address])).unwrap_err().to_string();
    assert!(error.contains(&running.address.to_string()), "{error}");
    assert!(error.contains("--dns-listen") && error.contains("another program"), "{error}");
}

#[test]
fn what_udp_cuts_short_tcp_gives_whole() {
    let running = start(Limits::default());
    let socket = udp(running.address);
    socket.send(&with_opt(question("big.example.org", 1), 512, 0, &[])).unwrap();
    let mut buffer = [0; 2_000];
    let length = socket.recv(&mut buffer).unwrap();
    assert!(truncated(&buffer) && length <= 512);
    assert_eq!(answers(&buffer), 0, "no part of an rrset");
    let mut stream = connect(&running);
    stream.write_all(&framed(&question("big.example.org", 1))).unwrap();
    let answer = read(&mut stream).unwrap();
    assert_eq!((truncated(&answer), answers(&answer)), (false, 60));
}

#[test]
fn ipv6_and_ipv4_are_served_side_by_side_on_one_port() {
    if UdpSocket::bind("[::1]:0").is_err() {
        assert!(std::env::var_os("CI").is_none(), "there is no IPv6 loopback");
        eprintln!("SKIPPED: there is no IPv6 loopback");
        return;
    }
    let running = start_with(zones(), &["[::1]:0", "127.0.0.1:0"], Limits::default(), 2);
    for address in running.addresses.clone() {
        let socket = udp(address);
        socket.send(&question("www.example.org", 1)).unwrap();
        let mut buffer = [0; 2_000];
        socket.recv(&mut buffer).unwrap();
        assert_eq!(answers(&buffer), 1, "{address}");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&framed(&question("www.example.org", 1))).unwrap();
        assert_eq!(answers(&read(&mut stream).unwrap()), 1, "{address}");
    }
    // `[::]` must leave the IPv4 port to its own socket.
    let port = running.addresses[1].port();
    let addresses = vec![SocketAddr::from(([0; 8], port))];
    server::bind(&Listen { workers: 2, ..Listen::at(addresses) }).unwrap();
}

/// One thread for everything, and lookups slower than questions come in: without giving turns the
/// UDP task would run for ever.
#[test]
fn a_flood_of_udp_leaves_turns_for_other_tasks() {
    struct Slow(ZoneSet);
    impl Answers for Slow {
        fn answer<R>(
            &self,
            question: &Question<'_>,
            client: &Client,
            encode: impl FnOnce(&Answer<'_>) -> R,
        ) -> R {
            std::thread::sleep(Duration::from_millis(1));
            self.0.answer(question, client, encode)
        }
    }
    let running = start_with(Slow(zones()), &["127.0.0.1:0"], Limits::default(), 1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let socket = udp(running.address);
            let query = question("www.example.org", 1);
            while !done.load(Relaxed) {
                let _ = socket.send(&query);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        while running.stats.view().udp < 10 {
            std::thread::yield_now();
        }
        let mut stream = connect(&running);
        stream.write_all(&framed(&question("www.example.org", 1))).unwrap();
        let answer = read(&mut stream);
        done.store(true, Relaxed);
        assert!(answer.is_some(), "TCP got no turn in 10 s");
    });
}

#[test]
fn a_first_message_in_drops_has_one_deadline_not_one_for_each_drop() {
    let second = Duration::from_secs(1);
    let running = start(Limits { first: second, message: second, ..Limits::default() });
    let mut stream = connect(&running);
    stream.set_read_timeout(Some(Duration::from_millis(800))).unwrap();
    let start = Instant::now();
    let mut octet = [0];
    for part in [0, 40] {
        match stream.read(&mut octet) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => break,
        }
        let _ = stream.write_all(&[part]);
    }
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(!matches!(stream.read(&mut octet), Ok(1)));
    assert!(start.elapsed() < 2 * second, "closed after {:?}", start.elapsed());
}

#[test]
fn a_length_that_no_message_has_closes_the_connection() {
    let running = start(Limits::default());
    for length in 0..12_u8 {
        let mut stream = connect(&running);
        stream.write_all(&framed(&vec![0; usize::from(length)])).unwrap();
        assert_eq!(read(&mut stream), None, "{length}");
    }
    assert_eq!(running.stats.view().tcp, 0);
}

#[test]
fn neighbours_share_what_their_network_may_take() {
    let running = start(Limits { per_network: 3, ..Limits::default() });
    let from = |last: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
        socket.connect(&running.address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    };
    let query = framed(&question("www.example.org", 1));
    let mut seated = [from(2), from(3), from(4)];
    for stream in &mut seated {
        stream.write_all(&query).unwrap();
        assert!(read(stream).is_some());
    }
    assert_eq!(read(&mut from(5)), None);
    assert_eq!((running.stats.view().open, running.stats.view().refused), (3, 1));
    drop(seated);
    while running.stats.view().open > 0 {
        std::thread::yield_now();
    }
    let mut again = from(5);
    again.write_all(&query).unwrap();
    assert!(read(&mut again).is_some(), "a place that was left is free again");
}

#[test]
fn every_packet_is_counted_once() {
    let running = start(Limits::default());
    let socket = udp(running.address);
    let mut response = question("www.example.org", 1);
    response[2] |= 0x80;
    let ask = [
        question("www.example.org", 1),
        question("big.example.org", 1),
        question("nothing.example.org", 1),
        question("elsewhere.example.net", 1),
    ];
    for packet in [&[0; 11][..], &response].into_iter().chain(ask.iter().map(Vec::as_slice)) {
        socket.send(packet).unwrap();
    }
    let mut stream = connect(&running);
    stream.write_all(&framed(&ask[0])).unwrap();
    read(&mut stream).unwrap();
    while running.stats.view().udp < 4 {
        std::thread::yield_now();
    }
    let view = running.stats.view();
    assert_eq!((view.udp, view.tcp, view.open, view.truncated), (4, 1, 1, 1));
    assert_eq!((view.short, view.responses, view.source, view.send), (1, 1, 0, 0));
    assert_eq!((view.rcodes[0], view.rcodes[3], view.rcodes[5]), (3, 1, 1));
}

#[test]
fn shutdown_ends_every_task_and_frees_the_port() {
    let running = start(Limits::default());
    let mut stream = connect(&running);
    stream.write_all(&framed(&question("www.example.org", 1))).unwrap();
    read(&mut stream).unwrap();
    running.shutdown.cancel();
    running.tasks.close();
    running.runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), running.tasks.wait()).await.unwrap();
    });
    assert_eq!((read(&mut stream), running.stats.view().open), (None, 0));
    let addresses = vec![running.address];
    server::bind(&Listen::at(addresses)).unwrap();
}

#[test]
fn a_port_that_udp_lacks_is_an_error_and_a_free_one_is_free_for_both() {
    let bind = |address| server::bind(&Listen { workers: 2, ..Listen::at(vec![address]) });
    // Taken for UDP alone, without the option that would let us share it. Another test may have
    // the same port for TCP: then another one is tried.
    let (address, error) = loop {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address).unwrap_err().to_string();
        if !error.contains(&format!("{address} (TCP)")) {
            break (address, error);
        }
    };
    assert!(error.contains(&format!("{address} (UDP)")) && error.contains("ss -lntup"), "{error}");
    let many: Vec<_> = (0..50).map(|_| bind("127.0.0.1:0".parse().unwrap()).unwrap()).collect();
    assert!(many.iter().all(|bound| bound.local_addrs()[0].port() > 0));
}

pub fn udp(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.connect(server).unwrap();
    socket
}
