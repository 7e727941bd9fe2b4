//! Which clusters answers lead to, as the metrics say it: of a whole process, on all ways that answers
//! come about.

use super::sockets::{framed, read};
use super::*;
use super::{
    handover::{Place, over_tcp, wait},
    process::get,
};
use std::{collections::BTreeMap, fs, path::Path};

/// The demo's federation without its checks, whose backends are not there; signed or not.
fn configure(place: &Place, signed: bool) {
    let (from, to) = (Path::new("deploy/demo"), place.folder.path().join("config"));
    fs::remove_dir_all(&to).unwrap();
    for folder in ["", "clusters/aws", "clusters/azure", "clusters/gke"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for file in fs::read_dir(from.join(folder)).unwrap().map(Result::unwrap) {
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), to.join(folder).join(file.file_name())).unwrap();
            }
        }
    }
    let edit = |name: &str, what: &str, with: &str| {
        let text = fs::read_to_string(to.join(name)).unwrap();
        assert!(text.contains(what), "{name}");
        fs::write(to.join(name), text.replace(what, with)).unwrap();
    };
    edit("policy.yaml", "  health:", "  # health:");
    if signed {
        edit("federation.yaml", "spec:\n  zone:", "spec:\n  dnssec: {}\n  zone:");
    }
}

fn metrics(place: &Place) -> String {
    let mut stream = TcpStream::connect(place.web).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn metric(place: &Place) -> BTreeMap<String, u64> {
    let text = metrics(place);
    let lines = text.lines().filter_map(|line| {
        let (labels, count) =
            line.strip_prefix("meridian_dns_answers_total{cluster=\"")?.split_once("} ")?;
        let (cluster, rest) = labels.split_once('"')?;
        assert_eq!(rest, ",federation=\"magicring\"");
        Some((cluster.to_owned(), count.parse().unwrap()))
    });
    lines.collect()
}

fn asks(place: &Place, packet: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(packet, place.dns).unwrap();
    let mut buffer = [0; 2_000];
    let octets = socket.recv(&mut buffer).unwrap();
    buffer[..octets].to_vec()
}

#[test]
fn each_answer_counts_for_the_clusters_that_it_leads_to() {
    for signed in [false, true] {
        let place = Place::new();
        configure(&place, signed);
        let process = place.start(&[]);
        place.until_asked(&process);
        let name = |labels: &str| format!("{labels}.demo.example.org");
        let shop = name("shop.default.magicring.svc");
        // What leads to nobody is asked until all is there.
        wait(|| answers(&asks(&place, &question(&name("ns1"), 1))) > 0);
        wait(|| get(place.web, "/readyz") == 200);
        // An answer is counted once it has gone, so the count may come after it.
        let counted = |expected: [u64; 3]| {
            let counts = || {
                let all = metric(&place);
                ["aws", "azure", "gke"].map(|own| all.get(own).copied().unwrap_or_default())
            };
            let start = Instant::now();
            while counts() != expected && start.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(counts(), expected, "signed: {signed}");
        };

        // A name of all clusters, of one region, and one whose chain ends at all.
        for _ in 0..3 {
            asks(&place, &question(&name("microbot.default.magicring.svc"), 1));
        }
        counted([3, 3, 3]);
        for _ in 0..5 {
            asks(&place, &question(&name("microbot.default.magicring.svc.eu-west-2"), 1));
        }
        counted([3, 8, 3]);

        // A steered name: to Germany and Japan, with signatures where there are any.
        let from = |subnet: [u8; 3]| {
            let option = [&[0, 8, 0, 7, 0, 1, 24, 0][..], &subnet].concat();
            let packet = with_opt(question(&shop, 1), 1232, 0, &option);
            let answer = asks(&place, &packet);
            assert!(answers(&answer) >= 1 && !truncated(&answer), "signed: {signed}");
        };
        (0..7).for_each(|_| from([2, 160, 0]));
        (0..2).for_each(|_| from([133, 11, 0]));
        counted([3, 15, 5]);

        // Over TCP as well; and what leads nowhere counts for nobody.
        let mut stream = TcpStream::connect(place.dns).unwrap();
        for _ in 0..4 {
            let packet = question(&name("microbot.default.magicring.svc.eu-west-2"), 1);
            stream.write_all(&framed(&packet)).unwrap();
            read(&mut stream).unwrap();
        }
        for (nobody, rtype) in [("none", 1), ("microbot.default.magicring.svc", 16), ("ns1", 1)] {
            asks(&place, &question(&name(nobody), rtype));
        }
        let elsewhere = over_tcp(place.dns, 1)();
        assert_eq!(elsewhere, (1, 1), "www.example.org is not served here");
        counted([3, 19, 5]);
    }
}

#[test]
fn answers_are_counted_by_zone_and_type() {
    let place = Place::new();
    let config = place.folder.path().join("config");
    let zone =
        "$ORIGIN sub.example.org.\n@ 30 SOA ns1 host 1 2 3 4 5\n@ 30 NS ns1\nns1 30 A 192.0.2.5\n";
    fs::write(config.join("sub.example.org.zone"), zone).unwrap();
    let process = place.start(&[]);
    place.until_asked(&process);
    let asked = [
        ("www.example.org", 1, 4),
        ("none.example.org", 28, 3),
        ("ns1.sub.example.org", 1, 2),
        ("sub.example.org", 2, 5),
        ("example.org", 6, 1),
        ("www.example.org", 65_280, 2),
        ("www.example.net", 1, 6),
    ];
    for (name, rtype, times) in asked {
        (0..times).for_each(|_| drop(asks(&place, &question(name, rtype))));
    }
    wait(|| metrics(&place).contains("queries_total{transport=\"udp\"} 23"));
    let text = metrics(&place);
    for line in [
        "meridian_dns_zone_answers_total{zone=\"example.org.\"} 10",
        "meridian_dns_zone_answers_total{zone=\"sub.example.org.\"} 7",
        "meridian_dns_types_total{type=\"A\"} 12",
        "meridian_dns_types_total{type=\"AAAA\"} 3",
        "meridian_dns_types_total{type=\"NS\"} 5",
        "meridian_dns_types_total{type=\"SOA\"} 1",
        "meridian_dns_types_total{type=\"other\"} 2",
        "meridian_dns_responses_total{rcode=\"REFUSED\"} 6",
        "meridian_dns_queries_total{transport=\"udp\"} 23",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn transfers_are_counted_by_zone_and_type_those_that_are_refused_as_well() {
    let place = Place::new();
    let process = place.start(&["--transfer-allow", "127.0.0.1"]);
    place.until_asked(&process);
    let mut stream = TcpStream::connect(place.dns).unwrap();
    // AXFR, given; of a zone that is not ours; over UDP, where there is none.
    for asked in ["example.org", "example.net"] {
        stream.write_all(&framed(&question(asked, 252))).unwrap();
        read(&mut stream).unwrap();
    }
    asks(&place, &question("example.org", 252));
    wait(|| metrics(&place).contains("queries_total{transport=\"udp\"} 1"));
    let text = metrics(&place);
    for line in [
        "meridian_dns_types_total{type=\"AXFR\"} 3",
        "meridian_dns_zone_answers_total{zone=\"example.org.\"} 2",
        "meridian_dns_responses_total{rcode=\"REFUSED\"} 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
