//! The limiter on random floods.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const KEY: [u8; 16] = [3; 16];

fn limiter() -> Limiter {
    Limiter::new(Rates::default(), KEY)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// How many of so many answers at one time pass.
fn passed(limiter: &Limiter, to: IpAddr, kind: Kind<'_>, millis: u64, of: usize) -> usize {
    (0..of).filter(|_| limiter.judge(to, kind, millis, 1) == Verdict::Pass).count()
}

#[test]
fn an_address_gets_125_at_once_and_50_a_second() {
    let (limiter, one) = (limiter(), ip("192.0.2.1"));
    assert_eq!(passed(&limiter, one, Kind::Positive, 0, 200), 125);
    assert_eq!(passed(&limiter, one, Kind::NxDomain(b"\x04test\0"), 0, 10), 0, "of any class");
    assert_eq!(passed(&limiter, one, Kind::Positive, 1_000, 200), 50);
    assert_eq!(passed(&limiter, one, Kind::Positive, 3_600_000, 200), 125);
}

#[test]
fn a_network_gets_four_times_as_much_for_each_class_and_zone() {
    let limiter = limiter();
    let flood = |kind| -> usize {
        let hosts = (1..=250).map(|host| ip(&format!("192.0.2.{host}")));
        hosts.map(|host| passed(&limiter, host, kind, 0, 10)).sum()
    };
    assert_eq!(flood(Kind::NxDomain(b"\x01a\0")), 500);
    assert_eq!(flood(Kind::NxDomain(b"\x01b\0")), 500);
    assert_eq!(flood(Kind::NoData(b"\x01a\0")), 500);
    assert_eq!(flood(Kind::Positive), 500);
    assert_eq!(flood(Kind::Error), 500);
    assert_eq!(passed(&limiter, ip("192.0.3.1"), Kind::Error, 0, 10), 10);
}

#[test]
fn v6_networks_grow_with_their_size() {
    for (network, most) in [("2001:db8:0:0:", 250), ("2001:db8:0:", 375), ("2001:db8:0:", 500)] {
        let limiter = limiter();
        let mut sum = 0;
        for n in 0..2_000 {
            let to = match most {
                250 => format!("{network}:{n:x}"),
                375 => format!("{network}{:x}::{n:x}", n % 200),
                _ => format!("{network}{n:x}::1"),
            };
            sum += passed(&limiter, ip(&to), Kind::Positive, 0, 1);
        }
        assert_eq!(sum, most, "{network}");
    }
}

#[test]
fn one_in_two_slips_and_none_where_slip_is_0() {
    let slips = |slip| {
        let limiter = Limiter::new(Rates { slip, ..Rates::default() }, KEY);
        passed(&limiter, ip("192.0.2.1"), Kind::Error, 0, 125);
        let verdicts = (0..100).map(|draw| limiter.judge(ip("192.0.2.1"), Kind::Error, 0, draw));
        verdicts.filter(|verdict| *verdict == Verdict::Slip).count()
    };
    assert_eq!((slips(0), slips(1), slips(2), slips(10)), (0, 100, 50, 10));
}

#[test]
fn exempt_networks_ask_as_they_like() {
    let nets = ["192.0.2.0/24", "192.0.2.128/25", "198.51.100.7/32", "2001:db8::1/32"];
    let exempt = nets.iter().map(|net| net.parse().unwrap()).collect();
    let limiter = Limiter::new(Rates { exempt, ..Rates::default() }, KEY);
    for free in ["192.0.2.0", "192.0.2.255", "198.51.100.7", "2001:db8:ffff::", "::ffff:192.0.2.9"]
    {
        assert_eq!(passed(&limiter, ip(free), Kind::Error, 0, 999), 999, "{free}");
    }
    for counted in ["192.0.1.255", "192.0.3.0", "198.51.100.8", "2001:db9::", "1.1.1.1", "::"] {
        assert_eq!(passed(&limiter, ip(counted), Kind::Error, 0, 999), 125, "{counted}");
    }
}

#[test]
fn memory_is_4_mib_whatever_comes() {
    let limiter = limiter();
    assert_eq!(limiter.octets(), 4 << 20);
    let mut random = fastrand::Rng::with_seed(1);
    (0..200_000).for_each(|n| {
        limiter.judge(IpAddr::V6(random.u128(..).into()), Kind::Positive, n / 1_000, 1);
    });
    assert_eq!(limiter.octets(), 4 << 20);
}

/// A million queries per second from random addresses: those of clients in order pass all the
/// same.
#[test]
fn a_flood_of_random_addresses_limits_no_honest_client() {
    let limiter = limiter();
    let mut random = fastrand::Rng::with_seed(2);
    for millis in 0..400_u64 {
        for _ in 0..1_000 {
            let v4 = IpAddr::V4(random.u32(..).into());
            limiter.judge(v4, Kind::NxDomain(b"\x04test\0"), millis, 1);
        }
        // A hundred resolvers in networks of their own, 40 queries a second each.
        if millis.is_multiple_of(25) {
            for n in 0..100_u8 {
                let to = IpAddr::from([100, 64, n, 53]);
                assert_eq!(limiter.judge(to, Kind::Positive, millis, 1), Verdict::Pass, "{millis}");
            }
        }
    }
}

#[test]
fn twenty_thousand_resolvers_below_the_rate_are_never_limited() {
    let limiter = limiter();
    for millis in (0..500).step_by(25) {
        for n in 0..20_000_u32 {
            let to = IpAddr::V4((0x6440_0035 + (n << 8)).into());
            assert_eq!(limiter.judge(to, Kind::Positive, millis, 1), Verdict::Pass, "{to}");
        }
    }
}

proptest! {
    /// Eight buckets for up to 60 addresses: they push each other out all the time.
    #[test]
    fn the_rate_of_each_network_holds_for_any_sequence(
        steps in prop::collection::vec((0..60_u8, 0..4_u8, 0..40_u64), 1..3_000),
        rate in 1..200_u32,
    ) {
        let limiter = Limiter::sized(Rates { rate, ..Rates::default() }, KEY, 0);
        let (mut now, mut passed) = (0, HashMap::<(IpAddr, u8), u64>::new());
        for (host, class, pause) in steps {
            now += pause;
            let kind = match class {
                0 => Kind::Positive,
                1 => Kind::NxDomain(b"\x01a\0"),
                2 => Kind::NxDomain(b"\x01b\0"),
                _ => Kind::Error,
            };
            let to = IpAddr::from([192, 0, host % 3, host]);
            if limiter.judge(to, kind, now, 1) == Verdict::Pass {
                *passed.entry((to, 0)).or_default() += 1;
                *passed.entry((IpAddr::from([192, 0, host % 3, 0]), class + 1)).or_default() += 1;
            }
        }
        for ((to, class), count) in passed {
            let times = if class == 0 { 1 } else { 4 };
            let one = SECOND / (u64::from(rate) * times);
            prop_assert!(count * one <= BURST + now * 1_000, "{to} {class}: {count}");
        }
    }

    #[test]
    fn a_client_below_the_rate_that_is_alone_always_passes(
        pauses in prop::collection::vec(20..2_000_u64, 1..500),
        bits in any::<u128>(),
    ) {
        let (limiter, mut now) = (limiter(), 0);
        for pause in pauses {
            now += pause;
            let to = IpAddr::V6(bits.into());
            prop_assert_eq!(limiter.judge(to, Kind::Positive, now, 1), Verdict::Pass);
        }
    }
}
