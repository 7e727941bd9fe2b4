//! RFC 1035 §5: master files, against another implementation's reader.

use crate::ask::{parse, zone};
use meridian::records::{MasterFile, rows};
use std::{fs, process::Command};

#[test]
fn s5_every_zone_of_ours_exports_to_what_named_checkzone_loads() {
    let place = tempfile::tempdir().unwrap();
    let odd = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n* A 192.0.2.1\nsp\\032ace A 192.0.2.2\n\
               txt TXT \"\\000\\255\\\"\\\\;\"\n_443._tcp TLSA 3 1 1 \
               d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971\nsvc HTTPS 1 . alpn=h2\n\
               n NAPTR 100 50 \"s\" \"http+I2L\" \"\" _http._tcp\ns SSHFP 1 1 \
               dd465c09cfa51fb45020cc83316fff21b9ec74ac\nu TYPE65280 \\# 3 aabbcc\nrp RP admin txt\nafs AFSDB 1 afs\nuri URI 10 1 \"https://example.org/\"\nl LOC \\# 16 00121626801b7740805f5e10007a1200\n";
    for zone in [
        zone("example.org", "example.org.zone"),
        zone("example", "rfc4592.zone"),
        parse("odd.test", odd),
    ] {
        let file = place.path().join("zone");
        fs::write(&file, MasterFile(&zone).to_string()).unwrap();
        let apex = zone.apex().without_dot();
        let mut command = Command::new("named-checkzone");
        let Ok(output) = command.args(["-k", "ignore", "-i", "none", &apex]).arg(&file).output()
        else {
            assert!(std::env::var_os("CI").is_none(), "named-checkzone is not installed");
            eprintln!("SKIPPED: named-checkzone is not installed");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{}", MasterFile(&zone));
    }
}

#[test]
fn s5_1_the_listing_names_every_rrset_once_with_the_soa_first() {
    let zone = zone("example.org", "example.org.zone");
    let rows: Vec<_> = rows(&zone).collect();
    assert_eq!(rows[0].rtype, "SOA");
    assert_eq!(rows.iter().filter(|row| row.rtype == "NS").count(), 3);
    let txt = rows.iter().find(|row| row.rtype == "TXT").unwrap();
    assert_eq!(txt.data, [r#""semi;colon" "quote\"d" "\200\000""#]);
}
