//! RFC 1035 §5: master files.

use crate::battery::{SOA, faults, name, parse, read};
use meridian::records::{MasterFile, no_includes, parse_master, rows};

fn listing(apex: &str, lines: &str) -> Vec<String> {
    let parsed = parse(apex, &format!("{SOA}{lines}"));
    rows(&parsed.zone).skip(2).map(|row| row.to_string()).collect()
}

#[test]
fn s5_3_the_example_zone_loads() {
    let parsed = read("isi.edu", "rfc1035.isi.edu.zone");
    let rows: Vec<_> = rows(&parsed.zone).map(|row| row.to_string()).collect();
    assert_eq!(
        rows,
        [
            r"isi.edu. 60 SOA VENERA.isi.edu. Action\.domains.isi.edu. 20 7200 600 3600000 60",
            "isi.edu. 60 NS A.ISI.EDU.,VAXA.isi.edu.,VENERA.isi.edu.",
            "isi.edu. 60 MX 10 VENERA.isi.edu.,20 VAXA.isi.edu.",
            "a.isi.edu. 60 A 26.3.0.103",
            "curley.isi.edu. 60 MB A.ISI.EDU.",
            "larry.isi.edu. 60 MB A.ISI.EDU.",
            "moe.isi.edu. 60 MB A.ISI.EDU.",
            "stooges.isi.edu. 60 MG MOE.isi.edu.,LARRY.isi.edu.,CURLEY.isi.edu.",
            "vaxa.isi.edu. 60 A 10.2.0.27,128.9.0.33",
            "venera.isi.edu. 60 A 10.1.0.52,128.9.0.32",
        ]
    );
    let warnings: Vec<_> = parsed.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["rfc1035.isi.edu.zone:2: there is no TTL; the SOA's last number, 60, is used"]
    );
}

#[test]
fn s5_1_ttl_and_class_come_in_any_order_or_not_at_all() {
    let lines = "a 60 IN A 192.0.2.1\nb IN 60 A 192.0.2.1\nc in A 192.0.2.1\nd 1h30m A 192.0.2.1\n\
                 e CLASS1 A 192.0.2.1\n";
    assert_eq!(
        listing("z.test", &format!("$TTL 2d\n{lines}")),
        [
            "a.z.test. 60 A 192.0.2.1",
            "b.z.test. 60 A 192.0.2.1",
            "c.z.test. 172800 A 192.0.2.1",
            "d.z.test. 5400 A 192.0.2.1",
            "e.z.test. 172800 A 192.0.2.1",
        ]
    );
}

#[test]
fn s5_1_an_omitted_ttl_is_the_last_one_written() {
    assert_eq!(
        listing("z.test", "a 60 A 192.0.2.1\nb A 192.0.2.1\n"),
        ["a.z.test. 60 A 192.0.2.1", "b.z.test. 60 A 192.0.2.1"]
    );
}

#[test]
fn s5_1_names_are_relative_to_the_origin() {
    let lines = "$ORIGIN sub\n@ MX 10 mail\nwww CNAME @\n$ORIGIN other.z.test.\nx CNAME z.test.\n";
    assert_eq!(
        listing("z.test", lines),
        [
            "x.other.z.test. 3600 CNAME z.test.",
            "sub.z.test. 3600 MX 10 mail.sub.z.test.",
            "www.sub.z.test. 3600 CNAME sub.z.test.",
        ]
    );
}

#[test]
fn s5_1_a_blank_owner_is_the_last_one() {
    assert_eq!(
        listing("z.test", "a A 192.0.2.1\n\n; a remark\n  TXT x\n\tA 192.0.2.2\n"),
        ["a.z.test. 3600 A 192.0.2.1,192.0.2.2", "a.z.test. 3600 TXT \"x\""]
    );
}

#[test]
fn s5_1_parentheses_quotes_comments_and_escapes() {
    let lines = "a TXT ( \"one ; (two)\" ; a remark )\n three\\;four\n  \"\\\"\\065\\\\\" )\n\
                 b\\.c TXT \"a\"\"b\" ;\n\\042 TXT \\\"\n";
    assert_eq!(
        listing("z.test", lines),
        [
            "\\*.z.test. 3600 TXT \"\\\"\"".replace("\\*", "*"),
            "a.z.test. 3600 TXT \"one ; (two)\" \"three;four\" \"\\\"A\\\\\"".to_owned(),
            "b\\.c.z.test. 3600 TXT \"a\" \"b\"".to_owned(),
        ]
    );
}

#[test]
fn s5_1_windows_lines_and_a_missing_last_newline() {
    assert_eq!(
        listing("z.test", "a A 192.0.2.1\r\nb TXT \"x\"\r\nc A 192.0.2.3"),
        ["a.z.test. 3600 A 192.0.2.1", "b.z.test. 3600 TXT \"x\"", "c.z.test. 3600 A 192.0.2.3"]
    );
}

#[test]
fn s5_1_an_included_file_keeps_its_origin_to_itself() {
    let text = format!("{SOA}a A 192.0.2.1\n$INCLUDE part deep\n  TXT last-owner\nb A 192.0.2.4\n");
    let mut load = |file: &str| {
        assert_eq!(file, "part");
        Ok("$ORIGIN er.deep.z.test.\nx A 192.0.2.2\n".to_owned())
    };
    let parsed = parse_master(&name("z.test"), "zone", &text, &mut load).unwrap();
    let rows: Vec<_> = rows(&parsed.zone).skip(2).map(|row| row.to_string()).collect();
    assert_eq!(
        rows,
        [
            "a.z.test. 3600 A 192.0.2.1",
            "a.z.test. 3600 TXT \"last-owner\"",
            "b.z.test. 3600 A 192.0.2.4",
            "x.er.deep.z.test. 3600 A 192.0.2.2",
        ]
    );
}

#[test]
fn s5_1_faults_name_the_included_file_and_its_line() {
    let mut load = |_: &str| Ok("\nx A 1.2.3\n".to_owned());
    let text = format!("{SOA}$INCLUDE part");
    let faults = parse_master(&name("z.test"), "zone", &text, &mut load).unwrap_err();
    assert_eq!(faults.to_string(), "part:2: A data: found `1.2.3`, expected an IPv4 address");
}

#[test]
fn s5_1_a_file_that_includes_itself_is_a_fault() {
    let text = format!("{SOA}$INCLUDE again");
    let mut load = |_: &str| Ok("$INCLUDE again".to_owned());
    let faults = parse_master(&name("z.test"), "zone", &text, &mut load).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "again:1: $INCLUDE is nested more than 8 deep: does a file include itself?"
    );
}

#[test]
fn s5_1_a_refused_include_says_why() {
    assert_eq!(
        faults("z.test", &format!("{SOA}$INCLUDE x")),
        "zone:3: cannot include `x`: this text may not include files"
    );
}

#[test]
fn s5_2_every_bad_line_is_told_with_what_was_expected() {
    let lines = "a A 192.0.2\nb A\nc AAAA 192.0.2.1\nd MX mail\ne BOGUS x\nf 99999999999 A 192.0.2.1\n\
                 g CH A 192.0.2.1\nh TXT \"open\ni A 192.0.2.1 x\nj..k A 192.0.2.1\n$FOO\n\
                 l CNAME a.b..c\nm )\nn TXT \\\no TYPE65280 x\np ANY x\nq A (192.0.2.1\n";
    let expected = "\
zone:3: A data: found `192.0.2`, expected an IPv4 address
zone:4: A data: found `the end of the line`, expected an IPv4 address
zone:5: AAAA data: found `192.0.2.1`, expected an IPv6 address
zone:6: MX data: found `mail`, expected a number from 0 to 65535
zone:7: found `BOGUS`, expected a record type such as A or TYPE123
zone:8: found `99999999999`, expected a TTL: seconds up to 2147483647, or a time like 1h30m
zone:9: found `CH`, expected the class IN, the only one that is served
zone:10: found the end of the line, expected a `\"` that ends the string
zone:11: A data: found `x`, expected the end of the record
zone:12: `j..k` is no domain name: a label is empty
zone:13: found `$FOO`, expected $ORIGIN, $TTL or $INCLUDE
zone:14: CNAME data: `a.b..c` is no domain name: a label is empty
zone:15: found `)`, expected a `(` before it
zone:16: found `\\` at the end of a line, expected a character behind it
zone:17: TYPE65280 data: found `x`, expected data of type TYPE65280 in the form `\\# <octets> <hex>` (RFC 3597)
zone:18: found `ANY`, expected a type of records that a zone can hold
zone:19: found the end of the file, expected a `)` for this `(`";
    assert_eq!(faults("z.test", &format!("{SOA}{lines}")), expected);
}

#[test]
fn s5_2_twenty_faults_are_enough() {
    assert_eq!(faults("z.test", &"x BOGUS\n".repeat(1_000)).lines().count(), 20);
}

#[test]
fn s5_2_a_zone_has_one_soa_and_servers() {
    assert_eq!(
        faults("z.test", "a 60 A 192.0.2.1\n"),
        "zone: found no SOA record at z.test., expected one\n\
         zone: found no NS record at z.test., expected one"
    );
    let second = "@ SOA other. b. 1 2 3 4 5\nsub SOA a. b. 1 2 3 4 5\n";
    assert_eq!(
        faults("z.test", &format!("{SOA}{second}")),
        "zone:3: z.test. has a second SOA, the first is in line 1: there can be one\n\
         zone:4: found an SOA at sub.z.test., expected one only at z.test."
    );
}

#[test]
fn s5_2_names_lie_within_the_zone() {
    assert_eq!(
        faults("z.test", &format!("{SOA}www.other.test. A 192.0.2.1\n")),
        "zone:3: www.other.test. lies outside the zone z.test."
    );
}

#[test]
fn s5_2_an_alias_stands_alone() {
    assert_eq!(
        faults("z.test", &format!("{SOA}a CNAME b\na CNAME c\nd A 192.0.2.1\nd CNAME b\n")),
        "zone:4: a.z.test. has a second CNAME, the first is in line 3: there can be one\n\
         zone:6: d.z.test. has a CNAME and, in line 5, A records: a CNAME stands alone (RFC 1034 §3.6.2)"
    );
}

#[test]
fn s2_3_4_names_and_labels_have_limits() {
    let label = "x".repeat(64);
    let long = ["y".repeat(60).as_str(); 4].join(".");
    assert_eq!(
        faults("z.test", &format!("{SOA}{label} A 192.0.2.1\nwww.{long} A 192.0.2.1\n")),
        format!(
            "zone:3: `{label}` is no domain name: a label has 64 octets, at most 63 are allowed\n\
             zone:4: `www.{long}` is no domain name: the name takes 256 octets, at most 255 are \
             allowed (253 characters of text)"
        )
    );
}

#[test]
fn s3_3_a_string_has_255_octets() {
    assert_eq!(
        faults("z.test", &format!("{SOA}a TXT {}\n", "x".repeat(256))),
        "zone:3: TXT data: a string has 256 octets, at most 255 are allowed: cut it in two"
    );
}

#[test]
fn what_is_never_answered_is_warned_of() {
    let lines =
        "sub NS ns.sub\nx.sub TXT hidden\n* NS ns.example.net.\nd DNAME e\ny.d A 192.0.2.1\n";
    let warnings: Vec<_> = parse("z.test", &format!("{SOA}{lines}"))
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        [
            "zone:5: NS at a wildcard cuts off no name but `*` itself (RFC 4592 §4)",
            "zone:7: y.d.z.test. lies below the DNAME at d.z.test. and is never answered",
            "zone:3: the name server ns.sub.z.test. has no address in the zone",
            "zone:4: x.sub.z.test. lies below the NS at sub.z.test. and is never answered",
        ]
    );
}

#[test]
fn an_export_is_stable_and_reads_well() {
    let zone = parse("z.test", &format!("{SOA}www 60 A 192.0.2.2\nwww 60 A 192.0.2.1\n")).zone;
    let expected = "\
$ORIGIN z.test.
$TTL 3600
@     3600 IN SOA   ns.example.net. hostmaster.example.net. 1 7200 600 1209600 300
@     3600 IN NS    ns.example.net.
www     60 IN A     192.0.2.1
www     60 IN A     192.0.2.2
";
    assert_eq!(MasterFile(&zone).to_string(), expected);
    let again = parse_master(&name("z.test"), "again", expected, &mut no_includes).unwrap().zone;
    assert_eq!(MasterFile(&again).to_string(), expected);
}
