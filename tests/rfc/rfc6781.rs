//! RFC 6781: DNSSEC Operational Practices, Version 2.

use crate::{
    battery::{SOA, parse},
    validator::{Signer, Verdict, serve, sign, with_keys},
};
use hickory_proto::rr::{Name as Theirs, RecordType as Type};
use meridian::{
    dnssec::{Algorithm, Key, Keys, Role, Rollover, Signatures, Stage, Timing},
    records::Zone,
};
use ring::rand::SystemRandom;
use std::{collections::BTreeMap, sync::Arc};

const TIMING: Timing = Timing {
    key_ttl: 3_600,
    zone_ttl: 300,
    ds_ttl: 86_400,
    propagation: 300,
    parent_propagation: 3_600,
};

type Ring = BTreeMap<u16, Arc<Key>>;

fn made(ring: &mut Ring, algorithm: Algorithm, roles: &[Role]) -> Vec<(u16, Role)> {
    let mut make = |role: &Role| {
        let key = Key::generate(algorithm, role.flags(), &SystemRandom::new()).unwrap();
        let tag = key.tag();
        assert!(ring.insert(tag, Arc::new(key)).is_none(), "two keys of one tag");
        (tag, *role)
    };
    roles.iter().map(&mut make).collect()
}

fn keys(rollover: &Rollover, ring: &Ring) -> Keys {
    let of = |tags: &mut dyn Iterator<Item = u16>| tags.map(|tag| ring[&tag].clone()).collect();
    Keys {
        published: of(&mut rollover.published()),
        sign_keys: of(&mut rollover.sign_keys()),
        sign_zone: of(&mut rollover.sign_zone()),
        wished: of(&mut rollover.wished()),
    }
}

/// What signs and is published at each step of a change, in order.
fn steps(old: &[Role], new: &[Role]) -> Vec<Keys> {
    let (mut ring, mut rollover) = (Ring::new(), Rollover::default());
    for (tag, role) in made(&mut ring, Algorithm::EcdsaP256, old) {
        rollover.adopt(tag, role, Stage::Active, 0);
    }
    let mut all = vec![keys(&rollover, &ring)];
    let new = made(&mut ring, Algorithm::Ed25519, new);
    rollover.change_algorithm(&new, 0).unwrap();
    for hour in 0..200 {
        let signing: std::collections::BTreeSet<u16> = rollover.sign_zone().collect();
        let made = Signatures { some: signing.clone(), all: signing };
        rollover.tick(hour * 3_600, &TIMING, &made);
        let _ = rollover.ds_seen(new[0].0, &TIMING, hour * 3_600);
        let now = keys(&rollover, &ring);
        if all.last() != Some(&now) {
            all.push(now);
        }
    }
    assert_eq!(rollover.keys.len(), new.len(), "the old keys are gone");
    all
}

fn zone() -> Zone {
    parse("z.test", &format!("{SOA}a 60 A 192.0.2.1\n*.w 60 TXT w\n")).zone
}

fn served(keys: &Keys) -> Signer {
    let zone = zone();
    serve(sign(&with_keys(false, keys.clone(), &zone), &zone, None))
}

/// Whatever of two steps that follow on one another is in a cache, be it keys or signatures.
#[test]
fn s4_1_4_strict_validators_believe_the_zone_at_every_step_of_a_change_of_algorithm() {
    for (old, new) in [
        (&[Role::Csk][..], &[Role::Csk][..]),
        (&[Role::Ksk, Role::Zsk], &[Role::Ksk, Role::Zsk]),
        (&[Role::Csk], &[Role::Ksk, Role::Zsk]),
    ] {
        let all = steps(old, new);
        assert!(all.len() >= 5, "{} steps", all.len());
        for (at, own) in all.iter().enumerate() {
            for other in &all[at.saturating_sub(1)..(at + 2).min(all.len())] {
                let signer = served(own).believing(&served(other));
                for (name, rtype, verdict) in [
                    ("a.z.test.", Type::A, Verdict::Data),
                    ("x.w.z.test.", Type::TXT, Verdict::Data),
                    ("a.z.test.", Type::MX, Verdict::NoData),
                    ("no.z.test.", Type::A, Verdict::NxDomain),
                ] {
                    let name = Theirs::from_ascii(name).unwrap();
                    let found = signer.validate(&name, rtype, None);
                    assert_eq!(found, Ok(verdict), "step {at} of {old:?} to {new:?}");
                }
            }
        }
    }
}

#[test]
fn s4_1_4_keys_that_come_at_once_with_their_signatures_would_not_do() {
    let all = steps(&[Role::Csk], &[Role::Csk]);
    let (first, both) = (&all[0], &all[2]);
    assert_eq!((first.published.len(), both.published.len()), (1, 2));
    let signer = served(first).believing(&served(both));
    let name = Theirs::from_ascii("a.z.test.").unwrap();
    let error = signer.validate(&name, Type::A, None).unwrap_err();
    assert!(error.contains("nothing of ED25519"), "{error}");
}
