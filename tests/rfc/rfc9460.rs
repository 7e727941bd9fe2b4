//! RFC 9460: service bindings, SVCB and HTTPS.

use crate::{
    battery::{Dns, SOA, faults, parse, zone},
    wire::{Server, query, server},
};
use data_encoding::HEXLOWER;
use meridian::{
    model::Ttl,
    records::{Outcome, RecordType, rdata_to_text},
};
use std::{fs, process::Command};

/// `foo.example.com.` and `foo.example.org.` in octets.
const COM: &str = "03666f6f076578616d706c6503636f6d00";
const ORG: &str = "03666f6f076578616d706c65036f726700";

/// The data of the one record of that text.
fn octets(data: &str) -> Vec<u8> {
    let zone = parse("z.test", &format!("{SOA}x 60 SVCB {data}\n")).zone;
    let key = "x.z.test".parse::<meridian::model::Name>().unwrap().key();
    let rrset = zone.node(key.as_bytes()).unwrap().get(RecordType::SVCB).unwrap().clone();
    assert_eq!((rrset.ttl, rrset.len()), (Ttl::from_secs(60), 1));
    rrset.rdata().next().unwrap().to_vec()
}

/// Vectors of the appendix: text, and octets.
fn vectors() -> Vec<(&'static str, String)> {
    vec![
        ("0 foo.example.com.", format!("0000{COM}")),
        ("1 .", "000100".to_owned()),
        ("16 foo.example.com. port=53", format!("0010{COM}000300020035")),
        ("1 foo.example.com. key667=hello", format!("0001{COM}029b000568656c6c6f")),
        (
            "1 foo.example.com. key667=\"hello\\210qoo\"",
            format!("0001{COM}029b000968656c6c6fd2716f6f"),
        ),
        (
            "1 foo.example.com. ipv6hint=\"2001:db8::1,2001:db8::53:1\"",
            format!(
                "0001{COM}0006002020010db800000000000000000000000120010db8000000000000000000530001"
            ),
        ),
        (
            "1 foo.example.com. ipv6hint=\"2001:db8:122:344::192.0.2.33\"",
            format!("0001{COM}0006001020010db80122034400000000c0000221"),
        ),
        (
            "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
            format!("0010{ORG}0000000400010004000100090268320568332d313900040004c0000201"),
        ),
        (
            "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
            format!("0010{ORG}0001000c08665c6f6f2c626172026832"),
        ),
    ]
}

#[test]
fn appendix_d_1_and_d_2_every_vector_is_read_as_it_stands_and_reads_back() {
    for (text, expected) in vectors() {
        let data = octets(text);
        assert_eq!(HEXLOWER.encode(&data), expected, "{text}");
        let printed = rdata_to_text(RecordType::SVCB, &data);
        let again = if printed.starts_with("\\#") { data.clone() } else { octets(&printed) };
        assert_eq!(again, data, "{text} prints as {printed}");
    }
}

/// Texts that are no record, and why.
const BROKEN: &[(&str, &str)] = &[
    ("1 foo.example.com. key123=abc key123=def", "each parameter once"),
    ("1 foo.example.com. mandatory", "mandatory"),
    ("1 foo.example.com. alpn", "alpn"),
    ("1 foo.example.com. port", "port"),
    ("1 foo.example.com. ipv4hint", "ipv4hint"),
    ("1 foo.example.com. ipv6hint", "ipv6hint"),
    ("1 foo.example.com. no-default-alpn=abc", "no-default-alpn"),
    ("1 foo.example.com. mandatory=key123", "mandatory=key123"),
    ("1 foo.example.com. mandatory=mandatory", "mandatory=mandatory"),
    ("1 foo.example.com. mandatory=key123,key123 key123=abc", "mandatory=key123"),
    ("1 foo.example.com. port=65536", "port"),
    ("1 foo.example.com. alpn=\"\"", "alpn"),
    ("1 foo.example.com. ipv4hint=2001:db8::1", "ipv4hint"),
];

#[test]
fn appendix_d_3_what_is_broken_is_refused_with_what_is_wrong() {
    for (text, why) in BROKEN {
        let told = faults("z.test", &format!("{SOA}x 60 SVCB {text}\n"));
        assert!(told.contains(why), "{text}: {told}");
    }
}

/// Where a key is written by its number, its value is octets (§2.1), which must have its form too.
#[test]
fn s2_1_values_by_number_are_octets_of_the_same_form() {
    assert_eq!(octets("1 . key3=\\000\\053"), octets("1 . port=53"));
    assert_eq!(octets("1 . key1=\\002h2"), octets("1 . alpn=h2"));
    for broken in ["key3=53x", "key1=h2", "key4=abc", "key6=abcd", "key2=x alpn=h2"] {
        let told = faults("z.test", &format!("{SOA}x 60 SVCB 1 . {broken}\n"));
        assert!(told.contains("a valid value"), "{broken}: {told}");
    }
}

#[test]
fn s2_2_parameters_go_out_in_the_order_of_their_keys_however_they_are_written() {
    let one = octets("1 . key667=x port=53 alpn=h2 ipv4hint=192.0.2.1");
    assert_eq!(one, octets("1 . ipv4hint=192.0.2.1 alpn=h2 key667=x port=53"));
    let mut rest = &one[3..];
    let mut keys = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        keys.push(u16::from_be_bytes([head[0], head[1]]));
        rest = &tail[usize::from(u16::from_be_bytes([head[2], head[3]]))..];
    }
    assert_eq!(keys, [1, 3, 4, 667]);
}

#[test]
fn s7_1_1_no_default_alpn_stands_beside_alpn() {
    assert!(!octets("1 . alpn=h3 no-default-alpn").is_empty());
    let told = faults("z.test", &format!("{SOA}x 60 SVCB 1 . no-default-alpn\n"));
    assert!(told.contains("expected alpn beside it"), "{told}");
}

/// What one name server takes, the other must take: zones move between them.
#[test]
fn bind_takes_and_refuses_the_same_texts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zone");
    let takes = |data: &str| {
        fs::write(&file, format!("{SOA}x 60 SVCB {data}\n")).unwrap();
        let mut command = Command::new("named-checkzone");
        command.args(["-i", "none", "z.test"]).arg(&file);
        let checked = command.output().expect("named-checkzone is installed by tests/setup.sh");
        checked.status.success()
    };
    for (text, _) in vectors() {
        assert!(takes(text), "{text}");
    }
    for (text, _) in BROKEN {
        assert!(!takes(text), "{text}");
    }
    assert!(!takes("1 . no-default-alpn"));
}

fn services() -> Dns {
    zone(
        "example.org",
        "@     60 HTTPS 0 svc.example.org.\n\
         svc   60 HTTPS 1 . alpn=h2\n\
         svc   60 HTTPS 2 far.example.org. alpn=h2\n\
         svc   60 A 192.0.2.1\nsvc 60 AAAA 2001:db8::1\nfar 60 A 192.0.2.2\n\
         away  60 HTTPS 1 svc.example.net. alpn=h2\n\
         never 60 HTTPS 0 .\nnever 60 A 192.0.2.9\n\
         *.w   60 HTTPS 1 . alpn=h2\n*.w 60 A 192.0.2.3\n\
         sub   60 NS ns.example.net.\nbelow 60 HTTPS 1 x.sub.example.org.\n",
    )
}

#[test]
fn s4_1_a_service_comes_with_the_addresses_of_its_targets() {
    services()
        .ask("svc.example.org HTTPS")
        .gives(
            Outcome::Data,
            &[
                "svc.example.org 60 HTTPS 1 . alpn=h2",
                "svc.example.org 60 HTTPS 2 far.example.org. alpn=h2",
            ],
        )
        .additional(&[
            "svc.example.org 60 A 192.0.2.1",
            "svc.example.org 60 AAAA 2001:db8::1",
            "far.example.org 60 A 192.0.2.2",
        ]);
    zone(
        "example.org",
        "w 60 HTTPS 1 . alpn=h3\nw 60 HTTPS 2 w.example.org. alpn=h2\nw 60 A 192.0.2.4\n",
    )
    .ask("w.example.org HTTPS")
    .additional(&["w.example.org 60 A 192.0.2.4"]);
    services().ask("a.w.example.org HTTPS").additional(&["a.w.example.org 60 A 192.0.2.3"]);
    services().ask("away.example.org HTTPS").additional(&[]);
    services().ask("below.example.org HTTPS").additional(&[]);
}

#[test]
fn s4_1_an_alias_comes_with_the_service_that_it_leads_to_and_its_addresses() {
    services()
        .ask("example.org HTTPS")
        .gives(Outcome::Data, &["example.org 60 HTTPS 0 svc.example.org."])
        .additional(&[
            "svc.example.org 60 A 192.0.2.1",
            "svc.example.org 60 AAAA 2001:db8::1",
            "svc.example.org 60 HTTPS 1 . alpn=h2",
            "svc.example.org 60 HTTPS 2 far.example.org. alpn=h2",
            "far.example.org 60 A 192.0.2.2",
        ]);
}

#[test]
fn s2_5_1_an_alias_to_nowhere_has_nothing_to_add() {
    services()
        .ask("never.example.org HTTPS")
        .gives(Outcome::Data, &["never.example.org 60 HTTPS 0 ."])
        .additional(&[]);
}

#[test]
fn s2_4_3_without_the_record_there_is_no_data() {
    services().ask("far.example.org HTTPS").gives(Outcome::NoData, &[]);
    services().ask("far.example.org SVCB").gives(Outcome::NoData, &[]);
}

#[test]
fn s2_2_the_target_is_not_compressed() {
    let asked = Server { dns: services(), ..server() };
    let told = asked.ask(&query("away.example.org HTTPS"));
    let target: meridian::model::Name = "svc.example.net".parse().unwrap();
    assert!(told.octets.windows(target.as_wire().len()).any(|own| own == target.as_wire()));
    let told = asked.ask(&query("example.org HTTPS"));
    let target: meridian::model::Name = "svc.example.org".parse().unwrap();
    let whole = told.octets.windows(target.as_wire().len());
    assert_eq!(whole.filter(|own| *own == target.as_wire()).count(), 1, "in the alias's data");
}
