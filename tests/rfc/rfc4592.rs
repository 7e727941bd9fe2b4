//! RFC 4592: wildcards, with its own example zone.

use crate::battery::{Dns, example_org, read, zone};
use meridian::records::Outcome::{Data, NoData, NxDomain, Referral};

fn example() -> Dns {
    Dns::default().with(read("example", "rfc4592.example.zone").zone)
}

#[test]
fn s2_2_1_these_answers_are_synthesized() {
    let dns = example();
    dns.ask("host3.example MX")
        .gives(Data, &["host3.example 3600 MX 10 host1.example."])
        .additional(&["host1.example 3600 A 192.0.2.1"]);
    dns.ask("host3.example A").gives(NoData, &[]);
    dns.ask("foo.bar.example TXT")
        .gives(Data, &["foo.bar.example 3600 TXT \"this is a wildcard\""]);
}

#[test]
fn s2_2_1_these_answers_are_not_synthesized() {
    let dns = example();
    dns.ask("host1.example MX").gives(NoData, &[]);
    dns.ask("sub.*.example MX").gives(NoData, &[]);
    dns.ask("_telnet._tcp.host1.example SRV").gives(NxDomain, &[]);
    dns.ask("host.subdel.example A").gives(Referral, &[]);
    dns.ask("ghost.*.example MX").gives(NxDomain, &[]);
}

#[test]
fn s2_2_2_an_empty_non_terminal_is_nodata_and_blocks_the_wildcard() {
    let dns = example();
    dns.ask("_tcp.host1.example TXT").gives(NoData, &[]);
    dns.ask("host2.example TXT").gives(NoData, &[]);
    dns.ask("x.host2.example TXT").gives(NxDomain, &[]);
    let dns = example_org();
    dns.ask("b.wild.example.org TXT").gives(NoData, &[]);
    dns.ask("x.b.wild.example.org TXT").gives(NxDomain, &[]);
    dns.ask("x.wild.example.org TXT").gives(Data, &["x.wild.example.org 3600 TXT \"anything\""]);
}

#[test]
fn s2_3_an_asterisk_may_be_asked_for() {
    let dns = example();
    dns.ask("*.example TXT").gives(Data, &["*.example 3600 TXT \"this is a wildcard\""]);
    dns.ask("sub.*.example TXT")
        .gives(Data, &["sub.*.example 3600 TXT \"this is not a wildcard\""]);
    dns.ask(r"\*.example A").gives(NoData, &[]);
}

#[test]
fn s2_1_1_only_a_whole_first_label_is_a_wildcard() {
    let dns = zone("z.test", "*a TXT x\na.*.b TXT y");
    dns.ask("ba.z.test TXT").gives(NxDomain, &[]);
    dns.ask("a.c.b.z.test TXT").gives(NoData, &[]); // from `*.b`, an empty non-terminal
}

#[test]
fn s3_3_1_the_closest_encloser_alone_has_the_wildcard() {
    let dns = zone("z.test", "* TXT far\n*.a TXT near\nb.a TXT itself");
    dns.ask("x.a.z.test TXT").gives(Data, &["x.a.z.test 3600 TXT \"near\""]);
    dns.ask("x.y.z.z.test TXT").gives(Data, &["x.y.z.z.test 3600 TXT \"far\""]);
    dns.ask("x.b.a.z.test TXT").gives(NxDomain, &[]);
}

#[test]
fn s4_5_an_alias_of_a_wildcard_belongs_to_the_name_that_was_asked() {
    example_org().ask("shop.apps.example.org A").gives(
        Data,
        &[
            "shop.apps.example.org 3600 CNAME web.example.org.",
            "web.example.org 3600 CNAME www.example.org.",
            "www.example.org 300 A 192.0.2.80",
            "www.example.org 300 A 192.0.2.81",
        ],
    );
}

#[test]
fn s4_5_an_alias_into_its_own_wildcard_ends() {
    let dns = zone("z.test", "* CNAME a.z.test.");
    dns.ask("x.z.test A").gives(
        meridian::records::Outcome::Alias,
        &["x.z.test 3600 CNAME a.z.test.", "a.z.test 3600 CNAME a.z.test."],
    );
}

#[test]
fn s3_2_a_wildcard_stands_in_for_names_in_the_additional_section_too() {
    let dns = zone(
        "z.test",
        "@ MX 10 mx.w\n@ MX 20 own.w\n*.w A 192.0.2.1\n*.w AAAA ::1\nown.w A 192.0.2.2\n\
         s SRV 1 2 3 ent.w\nx.ent.w TXT x\nsub NS ns.sub\n*.sub A 192.0.2.3\nfar MX 10 mx.w.y.test.\n",
    );
    dns.ask("z.test MX").additional(&[
        "mx.w.z.test 3600 A 192.0.2.1",
        "mx.w.z.test 3600 AAAA ::1",
        "own.w.z.test 3600 A 192.0.2.2",
    ]);
    // An empty non-terminal exists; a wildcard behind a cut is the child's; others' names are theirs.
    dns.ask("s.z.test SRV").additional(&[]);
    dns.ask("q.sub.z.test A").additional(&[]);
    dns.ask("far.z.test MX").additional(&[]);
}
