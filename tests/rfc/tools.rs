//! Other people's tools on what we print: BIND's `named-checkzone` must load it, and what BIND
//! makes of it must be the same zone.

use crate::battery::{SOA, parse, read};
use meridian::records::{MasterFile, Zone, no_includes, parse_master, rows};
use std::{fs, process::Command};

#[test]
fn bind_loads_what_we_export() {
    for (apex, file) in [
        ("example.org", "example.org.zone"),
        ("fed.example.org", "fed.example.org.zone"),
        ("example", "rfc4592.example.zone"),
        ("isi.edu", "rfc1035.isi.edu.zone"),
    ] {
        same_in_bind(&read(apex, file).zone);
    }
}

#[test]
fn bind_reads_every_type_as_we_do() {
    same_in_bind(&parse("z.test", &format!("{SOA}{TYPES}")).zone);
}

#[test]
fn bind_reads_every_octet_as_we_do() {
    let octets: String =
        (0..=255).map(|octet| format!("o{octet}\\{octet:03} TXT \"\\{octet:03}\"\n")).collect();
    let unescaped = "é TXT é \"ü;\"\n";
    same_in_bind(&parse("z.test", &format!("{SOA}{octets}{unescaped}")).zone);
}

/// Prints a zone, has BIND read and print it, and reads that: the same rrsets must come back.
#[track_caller]
fn same_in_bind(zone: &Zone) {
    let Some(theirs) = through_bind(zone) else { return };
    let again = parse_master(zone.apex(), "named-checkzone's output", &theirs, &mut no_includes)
        .unwrap_or_else(|faults| panic!("{faults}"))
        .zone;
    assert_eq!(rows(&again).collect::<Vec<_>>(), rows(zone).collect::<Vec<_>>());
}

/// `None`, said loudly, where BIND's tools are missing; in CI they must not be.
fn through_bind(zone: &Zone) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("ours"), folder.path().join("theirs"));
    fs::write(&from, MasterFile(zone).to_string()).unwrap();
    let apex = zone.apex().to_string();
    let checked = Command::new("named-checkzone")
        .args(["-D", "-k", "ignore", "-i", "none", "-o"])
        .args([to.as_os_str(), apex.as_ref(), from.as_os_str()])
        .output();
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) if std::env::var_os("CI").is_some() => panic!("named-checkzone: {error}"),
        Err(error) => {
            eprintln!(
                "SKIPPED: named-checkzone (Debian package bind9-utils) does not run: {error}"
            );
            return None;
        }
    };
    let said =
        [checked.stdout, checked.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
    assert!(checked.status.success(), "{apex}: {}\n{}", said.concat(), MasterFile(zone));
    Some(fs::read_to_string(to).unwrap())
}

/// One of each type that has a form of its own.
const TYPES: &str = r#"
a       A 192.0.2.1
        AAAA 2001:db8::1
        HINFO "PDP 11" Unix
        RP admin.z.test. a
        AFSDB 1 a
        KX 10 a
        SRV 1 2 3 a
        NAPTR 100 50 "s" "http+I2L+I2C+I2R" "!^(.*)$!sip:\\1@example.com!" _http._tcp.gatech.edu.
        CERT 1 0 8 MxFcby9k/yvedMfQgKzhH5er0Mu/vILz45IkskceFGgiWCn/GxHhai6VAuHAoNUz4YoU1tVfSCSqQYn6//11U6Nld80jEeC8aTrO+KKmCaY=
        SSHFP 2 1 123456789abcdef67890123456789abcdef67890
        DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
        TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
        SMIMEA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
        OPENPGPKEY AQMFD5raczCJHViKtLYhWGz8hMY9UGRuniJDBzC7w0aR
        URI 10 1 "ftp://ftp1.example.com/public"
        SPF "v=spf1 -all"
        LOC \# 16 001216138926eac170bf80009896 0000
        EUI48 \# 6 00005e00532a
        CAA 0 issue "ca.example.net; account=230123"
        CAA 128 iodef "mailto:security@example.com"
        TXT "one" two "th\"r\\ee" "" "f;o(u)r"
        PTR host
        NULL \# 2 abcd
        L32 10 10.1.2.0
        LP 10 a
k       DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
        CDNSKEY 0 3 0 AA==
        CDS 0 0 0 00
        CSYNC 66 3 A NS AAAA
        ZONEMD 1 1 240 e2d523f654b9422a96c5a8f4
d       NS ns.example.net.
        DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118
s1      SVCB 0 foo.example.com.
s2      SVCB 1 .
s3      SVCB 16 foo.example.com. port=53
s4      SVCB 1 foo.example.com. key667=hello
s5      SVCB 1 foo.example.com. key667="hello\210qoo"
s6      SVCB 1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1"
s7      SVCB 1 example.com. ipv6hint="2001:db8::198.51.100.100"
s8      SVCB 16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1
h       HTTPS 1 . no-default-alpn alpn=h3 ech=AEj+DQBEAQAgACAdd+scUi0IYFsXnUIU7ko2Nd9+F8M26pAGZVpz/KrWPgAEAAEAAWQVZWNoLXNpdGVzLmV4YW1wbGUubmV0AAA=
n3p     NSEC3PARAM 1 0 0 -
"#;
