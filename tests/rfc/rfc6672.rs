//! RFC 6672: DNAME.

use crate::battery::{SOA, example_org, faults, zone};
use meridian::records::Outcome::{Alias, Data, NoData, NxDomain, YxDomain};

#[test]
fn s2_2_a_name_below_is_rewritten() {
    example_org().ask("www.old.example.org A").gives(
        Data,
        &[
            "old.example.org 3600 DNAME new.example.org.",
            "www.old.example.org 3600 CNAME www.new.example.org.",
            "www.new.example.org 3600 A 192.0.2.101",
        ],
    );
}

#[test]
fn s2_3_the_owner_itself_is_not_redirected() {
    let dns = example_org();
    dns.ask("old.example.org TXT")
        .gives(Data, &["old.example.org 3600 TXT \"the owner itself stays\""]);
    dns.ask("old.example.org A").gives(NoData, &[]);
    dns.ask("old.example.org DNAME").gives(Data, &["old.example.org 3600 DNAME new.example.org."]);
}

/// The table of §2.2, as far as it speaks of one DNAME.
#[test]
fn s2_2_the_table_of_substitutions() {
    for (asked, owner, target, result) in [
        ("a.example.com", "example.com", "example.net", "a.example.net."),
        ("a.b.example.com", "example.com", "example.net", "a.b.example.net."),
        ("foo.example.com", "example.com", "example.net", "foo.example.net."),
        ("a.x.example.com", "x.example.com", "example.net", "a.example.net."),
        ("cyc.example.com", "example.com", "example.net", "cyc.example.net."),
        ("shortloop.x.x", "x", ".", "shortloop.x."),
    ] {
        let apex = if owner == "x" { "x" } else { "example.com" };
        let dns = zone(
            apex,
            &format!("{owner}. 3600 DNAME {target}\n").replace("example.net\n", "example.net.\n"),
        );
        let reply = dns.ask(&format!("{asked} CNAME"));
        let dname = format!("{owner} 3600 DNAME {}", target.trim_end_matches('.').to_owned() + ".");
        reply.gives(Data, &[&dname, &format!("{asked} 3600 CNAME {result}")]);
    }
}

#[test]
fn s2_2_a_name_that_grows_too_long_is_yxdomain() {
    let label = "t".repeat(60);
    let target = format!("{label}.{label}.{label}.test.");
    let dns = zone("z.test", &format!("d DNAME {target}"));
    let dname = format!("d.z.test 3600 DNAME {target}");
    dns.ask(&format!("{label}.d.z.test A"))
        .gives(Alias, &[&dname, &format!("{label}.d.z.test 3600 CNAME {label}.{target}")]);
    dns.ask(&format!("x.{label}.{label}.d.z.test A")).gives(YxDomain, &[&dname]);
}

#[test]
fn s3_2_the_rewritten_name_may_be_missing() {
    example_org().ask("gone.old.example.org A").gives(
        NxDomain,
        &[
            "old.example.org 3600 DNAME new.example.org.",
            "gone.old.example.org 3600 CNAME gone.new.example.org.",
        ],
    );
}

#[test]
fn s3_2_chains_are_followed_and_loops_end() {
    let dns = zone("z.test", "a DNAME b\nb DNAME c\nx.c A 192.0.2.1\nl DNAME l");
    dns.ask("x.a.z.test A").gives(
        Data,
        &[
            "a.z.test 3600 DNAME b.z.test.",
            "x.a.z.test 3600 CNAME x.b.z.test.",
            "b.z.test 3600 DNAME c.z.test.",
            "x.b.z.test 3600 CNAME x.c.z.test.",
            "x.c.z.test 3600 A 192.0.2.1",
        ],
    );
    dns.ask("x.l.z.test A")
        .gives(Alias, &["l.z.test 3600 DNAME l.z.test.", "x.l.z.test 3600 CNAME x.l.z.test."]);
}

#[test]
fn s3_1_the_synthesized_alias_has_the_ttl_of_the_dname() {
    zone("z.test", "a 77 DNAME b")
        .ask("x.a.z.test CNAME")
        .gives(Data, &["a.z.test 77 DNAME b.z.test.", "x.a.z.test 77 CNAME x.b.z.test."]);
}

#[test]
fn s2_3_an_apex_may_have_one_beside_its_soa() {
    let dns = zone("z.test", "@ DNAME other.test.");
    dns.ask("x.z.test A")
        .gives(Alias, &["z.test 3600 DNAME other.test.", "x.z.test 3600 CNAME x.other.test."]);
    dns.ask("z.test NS").gives(Data, &["z.test 3600 NS ns.example.net."]);
}

#[test]
fn s2_4_a_name_has_one_dname_and_no_servers_beside_it() {
    let lines = "a DNAME b\na DNAME c\nd NS ns.example.net.\nd DNAME b\n";
    assert_eq!(
        faults("z.test", &format!("{SOA}{lines}")),
        "zone:4: a.z.test. has a second DNAME, the first is in line 3: there can be one\n\
         zone:6: d.z.test. has DNAME and, in line 5, NS: only an apex may (RFC 6672 §2.3)"
    );
}
