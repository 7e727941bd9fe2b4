//! One client's share of the processor, over real connections; each turn is taken to be a quarter of
//! a millisecond long, whatever machine this is.

use super::{guarded::wait_for, sockets::*, *};
use meridian::{
    controller,
    server::{Budget, Clock, Guard},
};
use socket2::{Domain, Socket, Type};
use std::cell::Cell;

/// A quarter of a millisecond more with each look.
fn worked() -> Duration {
    thread_local! { static WORKED: Cell<u64> = const { Cell::new(0) }; }
    WORKED.set(WORKED.get() + 250);
    Duration::from_micros(WORKED.get())
}

/// Five milliseconds of each second: twenty turns at once, and twenty a second from then on.
fn frugal(exempt: &[&str], limits: Limits) -> Running {
    let exempt: Vec<_> = exempt.iter().map(|network| network.parse().unwrap()).collect();
    let guard = Guard { budget: Some(Budget::new(5_000, &exempt, [5; 16])), ..Guard::default() };
    let at = Listen::at(vec!["127.0.0.1:0".parse().unwrap()]);
    let clock = Clock::new(controller::now).with_work(worked);
    listen(zones(), &Listen { guard: Arc::new(guard), clock, limits, ..at }, 2)
}

fn connect_from(host: u8, running: &Running) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, host, 1], 0)).into()).unwrap();
    socket.connect(&running.address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, many: usize) -> Duration {
    let start = Instant::now();
    for _ in 0..many {
        stream.write_all(&framed(&question("www.example.org", 1))).unwrap();
        assert_eq!(answers(&read(stream).unwrap()), 1);
    }
    start.elapsed()
}

#[test]
fn who_uses_more_than_its_share_is_slowed_and_answered_and_others_are_not_slowed() {
    let running = frugal(&[], Limits::default());
    let mut greedy = connect_from(1, &running);
    assert_eq!(running.stats.view().slowed, 0);
    let took = ask(&mut greedy, 50);
    assert!(took > Duration::from_secs(1), "30 turns of 50 ms each, in {took:?}");
    assert!((20..60).contains(&running.stats.view().slowed), "{:?}", running.stats.view());
    // It may have been slowed once more behind its last answer.
    drop(greedy);
    wait_for(|| running.stats.view().open == 0);
    let slowed = running.stats.view().slowed;
    ask(&mut connect_from(2, &running), 10);
    assert_eq!(running.stats.view().slowed, slowed, "another network has a share of its own");
    let took = ask(&mut connect_from(1, &running), 8);
    assert!(took > Duration::from_millis(80), "a new connection is no new share: {took:?}");
}

#[test]
fn who_is_exempt_is_never_slowed() {
    let running = frugal(&["127.0.3.0/24"], Limits::default());
    ask(&mut connect_from(3, &running), 200);
    assert_eq!(running.stats.view().slowed, 0);
}

#[test]
fn a_connection_that_waits_is_closed_when_its_time_is_up_or_the_server_goes() {
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let running = frugal(&[], limits);
    let mut all: Vec<_> = (0..8).map(|_| connect_from(1, &running)).collect();
    // Far more than there is time for: eight together have what one has.
    let many = framed(&question("www.example.org", 1));
    for _ in 0..40 {
        all.iter_mut().for_each(|stream| drop(stream.write_all(&many)));
        std::thread::sleep(Duration::from_millis(5));
    }
    wait_for(|| running.stats.view().slowed > 8);
    wait_for(|| running.stats.view().open == 0 && running.stats.view().overdue == 8);

    let running = frugal(&[], Limits::default());
    let mut one = connect_from(1, &running);
    ask(&mut one, 25);
    running.shutdown.cancel();
    wait_for(|| running.stats.view().open == 0);
}
