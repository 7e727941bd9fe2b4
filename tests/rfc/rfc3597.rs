//! RFC 3597: unknown record types.

use crate::battery::{SOA, example_org, faults, parse};
use meridian::records::{
    Outcome::{Data, NoData},
    rows,
};

#[test]
fn s5_unknown_types_are_read_and_served() {
    let dns = example_org();
    dns.ask("odd.example.org TYPE65280")
        .gives(Data, &[r"odd.example.org 3600 TYPE65280 \# 4 0a000001"]);
    dns.ask("odd.example.org TYPE65281").gives(NoData, &[]);
}

/// The examples of §5.
#[test]
fn s5_known_and_unknown_types_in_either_form() {
    let lines = r"
a CLASS1 TYPE731 \# 6 abcd ( ef 01 23 45 )
b IN TYPE62347 \# 0
e IN A \# 4 0A000001
f CLASS1 TYPE1 10.0.0.2
";
    let parsed = parse("example.com", &format!("{SOA}{lines}"));
    let rows: Vec<_> = rows(&parsed.zone).skip(2).map(|row| row.to_string()).collect();
    assert_eq!(
        rows,
        [
            r"a.example.com. 3600 TYPE731 \# 6 abcdef012345",
            r"b.example.com. 3600 TYPE62347 \# 0",
            "e.example.com. 3600 A 10.0.0.1",
            "f.example.com. 3600 A 10.0.0.2",
        ]
    );
}

#[test]
fn s5_the_length_and_the_form_of_known_types_are_checked() {
    let lines = "a A \\# 3 0A0000\nb TYPE731 \\# 3 0a\nc TYPE731 \\# 1 0\nd MX \\# 3 000a05\n";
    assert_eq!(
        faults("example.com", &format!("{SOA}{lines}")),
        "zone:3: A data: these octets are no A data\n\
         zone:4: TYPE731 data: found 1 octets, expected the 3 that are announced\n\
         zone:5: TYPE731 data: found `0`, expected pairs of hexadecimal digits\n\
         zone:6: MX data: these octets are no MX data"
    );
}
