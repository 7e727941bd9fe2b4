//! RFC 6672: DNAME.

use crate::ask::{Asked, parse};
use meridian::records::Outcome;

#[test]
fn s3_1_a_name_below_is_renamed_by_the_dname_and_a_cname() {
    Asked::example_org().ask("www.old.example.org A").gives(
        Outcome::Data,
        &[
            "old.example.org. 3600 DNAME new.example.org.",
            "www.old.example.org. 3600 CNAME www.new.example.org.",
            "www.new.example.org. 3600 A 192.0.2.90",
        ],
    );
}

#[test]
fn s2_3_the_owner_itself_is_not_renamed() {
    let zones = Asked::example_org();
    zones.ask("old.example.org A").gives(Outcome::NoData, &[]);
    zones
        .ask("old.example.org DNAME")
        .gives(Outcome::Data, &["old.example.org. 3600 DNAME new.example.org."]);
}

#[test]
fn s3_2_a_question_for_the_cname_is_answered_with_the_one_that_is_made() {
    Asked::example_org().ask("x.old.example.org CNAME").gives(
        Outcome::Data,
        &[
            "old.example.org. 3600 DNAME new.example.org.",
            "x.old.example.org. 3600 CNAME x.new.example.org.",
        ],
    );
}

#[test]
fn s2_2_a_name_that_becomes_too_long_is_yxdomain() {
    let long = ["x".repeat(60).as_str(); 3].join(".");
    let text = format!("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nd DNAME {long}.example.org.\n");
    let zones = Asked(parse("example.org", &text).into());
    let given = zones.ask(&format!("{}.d.example.org A", "y".repeat(60)));
    assert_eq!((given.outcome, given.answer.len()), (Outcome::YxDomain, 1));
}
