//! Checks of endpoints in a provider's words: which of Route 53's sets are checked there, how, and
//! what of our own check gets lost. A check is a text; the provider's wire makes one of it:
//!
//! ```text
//! http://1.2.3.4:80/healthz host=shop.example interval=10 threshold=3
//! https://[2600::1]:443/ host=shop.example interval=30 threshold=3 body=<to the end>
//! tcp://1.2.3.4:443 interval=10 threshold=3
//! ```

use super::{Fidelity, Notes};
use crate::{
    health::{Check, Http, Method, Protocol, Statuses},
    model::Name,
    plan::{RecordSet, Wanted},
    policy::Steering,
};
use std::net::{IpAddr, SocketAddr};

/// Gives a check to every routed set of one address that is checked.
pub(super) fn put(
    name: &Name,
    wanted: &Wanted,
    steering: &Steering,
    sets: &mut [RecordSet],
    notes: &mut Notes,
) {
    if wanted.checks.is_empty() {
        return;
    }
    let mut left_out =
        |text: &str| notes.note(name, "health", Fidelity::Unsupported, text.to_owned());
    if !steering.steer.fence.is_empty() {
        // From a set that fails, Route 53 sends clients on to the next larger place.
        return left_out("not checked by Route 53, which would send clients out of their fence");
    }
    if sets.iter().any(|set| set.key.id.is_none()) {
        return left_out("not checked by Route 53, which has one answer for all clients");
    }
    put_each(name, wanted, sets, notes);
}

/// Whether that address is checked in a way that Route 53 can do too.
pub(super) fn can_check(ip: IpAddr, wanted: &Wanted) -> bool {
    wanted.checks.get(&ip).is_some_and(|check| text(ip, check).is_ok())
}

/// The same for the addresses of a set.
pub(super) fn can_check_all(set: &[RecordSet], wanted: &Wanted) -> bool {
    let mut addresses = set.iter().map(only_address);
    addresses.all(|ip| ip.is_some_and(|ip| can_check(ip, wanted)))
}

/// Gives each set the check of its one address.
pub(super) fn put_each(name: &Name, wanted: &Wanted, sets: &mut [RecordSet], notes: &mut Notes) {
    for set in sets {
        match only_address(set).map(|ip| wanted.checks.get(&ip).map(|check| (ip, check))) {
            None => notes.note(
                name,
                "health",
                Fidelity::Unsupported,
                "answers of several addresses are not checked by Route 53".to_owned(),
            ),
            Some(None) => {}
            Some(Some((ip, check))) => match text(ip, check) {
                Ok((text, lost)) => {
                    set.more.insert("check".into(), text.into());
                    for text in lost {
                        notes.note(name, "health", Fidelity::Approximate, text);
                    }
                }
                Err(why) => notes.note(name, "health", Fidelity::Unsupported, why),
            },
        }
    }
}

fn only_address(set: &RecordSet) -> Option<IpAddr> {
    let mut all = addresses(set);
    all.next().filter(|_| set.data.len() == 1)
}

/// The addresses of a set.
pub(super) fn addresses(set: &RecordSet) -> impl Iterator<Item = IpAddr> + '_ {
    set.data.iter().filter_map(|data| {
        let v4 = <[u8; 4]>::try_from(&**data).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(&**data).map(IpAddr::from)).ok()
    })
}

/// The check as a text, and what it does not say; or why Route 53 cannot make it.
fn text(ip: IpAddr, check: &Check) -> Result<(String, Vec<String>), String> {
    if !is_public(ip) {
        return Err(format!("Route 53 does not check {ip}: it is not a public address"));
    }
    let place = SocketAddr::new(ip, check.port);
    let mut lost = Vec::new();
    let (head, tail) = match &check.protocol {
        Protocol::Tcp => (format!("tcp://{place}"), String::new()),
        Protocol::Http(http) => asked("http", place, http, &mut lost)?,
        Protocol::Https(http, tls) => {
            if !tls.insecure {
                lost.push("Route 53 does not verify certificates".to_owned());
            }
            asked("https", place, http, &mut lost)?
        }
        Protocol::Grpc(..) => return Err("Route 53 has no checks by gRPC".to_owned()),
    };
    let (interval, threshold) = (interval(check, &mut lost), threshold(check, &mut lost));
    Ok((format!("{head} interval={interval} threshold={threshold}{tail}"), lost))
}

/// What stands before the interval, and what behind the threshold.
fn asked(
    scheme: &str,
    place: SocketAddr,
    http: &Http,
    lost: &mut Vec<String>,
) -> Result<(String, String), String> {
    let body = http.body.as_deref().filter(|body| !body.is_empty());
    let parts = [Some(&*http.path), Some(&*http.host), body];
    if parts.into_iter().flatten().any(|part| part.len() > LONGEST) {
        return Err(format!("Route 53 takes {LONGEST} characters of path, host and text"));
    }
    if http.path.contains(char::is_whitespace) || http.host.contains(char::is_whitespace) {
        return Err("Route 53 takes no spaces in a path or host".to_owned());
    }
    if http.statuses != Statuses::default() {
        lost.push("Route 53 takes every status from 200 to 399 for a success".to_owned());
    }
    if http.method != Method::Get {
        lost.push("Route 53 asks by GET".to_owned());
    }
    let tail = body.map(|body| format!(" body={body}")).unwrap_or_default();
    Ok((format!("{scheme}://{place}{} host={}", http.path, http.host), tail))
}

/// 10 or 30 seconds, whichever is next and not shorter where there is such.
fn interval(check: &Check, lost: &mut Vec<String>) -> u64 {
    let own = check.interval.as_secs_f64();
    let there: u64 = if own <= 10.0 { 10 } else { 30 };
    if check.interval.as_millis() != u128::from(there) * 1_000 {
        lost.push(format!("Route 53 checks every {there} s instead of every {own} s"));
    }
    there
}

fn threshold(check: &Check, lost: &mut Vec<String>) -> u8 {
    let there = check.fall.clamp(1, MOST_FAILURES);
    if there != check.fall {
        let fall = check.fall;
        lost.push(format!("Route 53 counts {there} failures instead of {fall}"));
    }
    there
}

/// Whether checkers of a cloud may reach it: not private, nor of special use (providers.md §1.5:
/// RFC 5735, RFC 6598, RFC 5156).
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !matches!(
            ip.octets(),
            [0 | 10 | 127 | 224..=255, ..]
                | [100, 64..=127, ..]
                | [169, 254, ..]
                | [172, 16..=31, ..]
                | [192, 168, ..]
                | [192, 0, 0 | 2, _]
                | [192, 88, 99, _]
                | [198, 18..=19, ..]
                | [198, 51, 100, _]
                | [203, 0, 113, _]
        ),
        IpAddr::V6(ip) => match ip.segments() {
            // Documentation, 6to4, and what is assigned to protocols such as Teredo.
            [0x2001, 0xdb8 | 0..=0x1ff, ..] | [0x2002, ..] => false,
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}

/// Characters of a path, a host and a searched text.
const LONGEST: usize = 255;
/// Failures until a check there says unhealthy.
const MOST_FAILURES: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Grpc, Tls};
    use std::time::Duration;

    fn http(path: &str) -> Http {
        Http {
            method: Method::Get,
            path: path.into(),
            host: "shop.example".into(),
            statuses: Statuses::default(),
            body: None,
        }
    }

    #[test]
    fn a_check_is_one_text() {
        let said = |ip: &str, check: &Check| text(ip.parse().unwrap(), check);
        let check = Check::new(Protocol::Http(http("/healthz")), 80);
        let words = "http://1.2.3.4:80/healthz host=shop.example interval=10 threshold=3";
        assert_eq!(said("1.2.3.4", &check), Ok((words.to_owned(), vec![])));
        let own = Http { body: Some("all is well".into()), ..http("/") };
        let check = Check::new(Protocol::Https(own, Tls::default()), 443);
        let check = Check { interval: Duration::from_secs(12), fall: 20, ..check };
        let (words, lost) = said("2600::1", &check).unwrap();
        let expected = "https://[2600::1]:443/ host=shop.example interval=30 threshold=10 \
                        body=all is well";
        assert_eq!(words, expected);
        assert_eq!(lost.len(), 3, "{lost:?}");
    }

    #[test]
    fn what_route_53_cannot_check_is_said() {
        let tcp = Check::new(Protocol::Tcp, 443);
        for ip in ["10.0.0.1", "192.0.2.1", "2001:db8::1", "fd00::1", "100.64.0.1"] {
            assert!(text(ip.parse().unwrap(), &tcp).unwrap_err().contains("public"), "{ip}");
        }
        let own = Grpc { service: "".into(), host: "".into() };
        let grpc = Check::new(Protocol::Grpc(own, None), 443);
        assert!(text("1.2.3.4".parse().unwrap(), &grpc).unwrap_err().contains("gRPC"));
        let long = Check::new(Protocol::Http(http(&"/a".repeat(200))), 80);
        assert!(text("1.2.3.4".parse().unwrap(), &long).unwrap_err().contains("255"));
    }
}
