//! What is done to a zone's keys because somebody ordered it, or because it is time: the first step of
//! each change.

use super::{problems::About, zone::SignedZone};
use crate::{
    dnssec::{KeyState, Role, Rollover, Stage},
    model::Moment,
};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

/// A ZSK goes by up to a tenth of its time earlier, so that those of many zones do not go at once.
const JITTER: i64 = 10;

impl SignedZone {
    /// Has a key give way to another.
    pub(super) fn roll(&mut self, role: Option<Role>, at: Moment) -> Result<String, String> {
        let now = at.wall.as_second();
        let timing = self.timing();
        let (_, ring) = self.keys.as_ref().ok_or("the zone has no keys")?;
        let roles: BTreeSet<Role> = ring.rollover.keys.iter().map(|key| key.role).collect();
        let role = match (role, roles.iter().next()) {
            (Some(role), _) => role,
            (None, Some(only)) if roles.len() == 1 => *only,
            (None, _) => return Err("say which key: --key ksk, or --key zsk".to_owned()),
        };
        let tag = self.begin(role, now)?;
        let known = time(now + timing.key_ttl + timing.propagation);
        let then = match role {
            Role::Zsk => "signs the zone from then on".to_owned(),
            Role::Csk | Role::Ksk => {
                format!("its DS may be put at the parent then (`meridian dnssec ds {}`)", self.zone)
            }
        };
        Ok(format!("{role} {tag} is published; every cache knows it at {known}, and {then}"))
    }

    fn begin(&mut self, role: Role, now: i64) -> Result<u16, String> {
        let wanted = self.settings.algorithm;
        let (place, ring) = self.keys.as_mut().ok_or("the zone has no keys")?;
        ring.rollover.may_roll(role).map_err(|refusal| refusal.to_string())?;
        let algorithm = ring.algorithm().unwrap_or(wanted);
        let tag = place.successor(ring, algorithm, role, now)?;
        let mut rollover = ring.rollover.clone();
        rollover.roll(tag, role, now).map_err(|refusal| refusal.to_string())?;
        self.put(rollover)?;
        Ok(tag)
    }

    /// Has keys of the algorithm that is configured take the place of all there are.
    pub(super) fn change_algorithm(&mut self, at: Moment) -> Result<String, String> {
        let (now, timing) = (at.wall.as_second(), self.timing());
        let (wanted, roles) = (self.settings.algorithm, self.settings.roles());
        let (place, ring) = self.keys.as_mut().ok_or("the zone has no keys")?;
        if ring.algorithm() == Some(wanted) {
            return Err(format!(
                "the keys of {} are {} already; write another in spec.dnssec.algorithm first",
                self.zone,
                wanted.mnemonic()
            ));
        }
        ring.rollover.may_change_algorithm().map_err(|refusal| refusal.to_string())?;
        let mut new = Vec::new();
        for role in roles {
            new.push((place.successor(ring, wanted, *role, now)?, *role));
        }
        let mut rollover = ring.rollover.clone();
        rollover.change_algorithm(&new, now).map_err(|refusal| refusal.to_string())?;
        self.put(rollover)?;
        self.problems.set(About::Configuration, None);
        let tags: Vec<String> = new.iter().map(|(tag, role)| format!("{role} {tag}")).collect();
        Ok(format!(
            "{} of {} sign beside the old keys; they are published once every cache has their \
             signatures, not before {} (`meridian dnssec status` says how far they have come)",
            tags.join(" and "),
            wanted.mnemonic(),
            time(now + timing.zone_ttl + timing.propagation)
        ))
    }

    pub(super) fn ds_seen(&mut self, tags: &[u16], at: Moment) -> Result<String, String> {
        let (now, timing) = (at.wall.as_second(), self.timing());
        let (_, ring) = self.keys.as_mut().ok_or("the zone has no keys")?;
        let mut rollover = ring.rollover.clone();
        let tag = rollover.parent_has(tags, &timing, now).map_err(|refusal| refusal.to_string())?;
        self.put(rollover)?;
        Ok(format!("key {tag} is in force: the parent has its DS"))
    }

    /// Puts a step in force that was written down; nothing changes where it cannot be.
    fn put(&mut self, rollover: Rollover) -> Result<(), String> {
        let (place, ring) = self.keys.as_mut().ok_or("the zone has no keys")?;
        let old = std::mem::replace(&mut ring.rollover, rollover);
        if let Err(error) = place.save(ring) {
            ring.rollover = old;
            return Err(error);
        }
        self.changed = true;
        Ok(())
    }

    /// Has a ZSK give way whose time is over (`zskLifetime`), as soon as nothing else is under way.
    pub(super) fn schedule(&mut self, now: i64) {
        let outcome =
            if self.is_over(now) { self.begin(Role::Zsk, now).map(Some) } else { Ok(None) };
        if let Ok(Some(tag)) = outcome {
            tracing::info!(
                "zone {}: ZSK {tag} is published: the one before it has signed for its time",
                self.zone
            );
        }
        let problem = outcome.err().map(|error| {
            format!(
                "zone {}: spec.dnssec.zskLifetime: {error}; the key there is goes on signing",
                self.zone
            )
        });
        self.problems.set(About::Schedule, problem);
    }

    /// Whether a ZSK's time is over, and another may take its place.
    fn is_over(&self, now: i64) -> bool {
        let Some(lifetime) = self.settings.zsk_lifetime else { return false };
        let Some((_, ring)) = &self.keys else { return false };
        let over = |key: &KeyState| {
            let began = key.zsk.filter(|own| key.role == Role::Zsk && own.stage == Stage::Active);
            began.is_some_and(|own| now - own.since >= lifetime - self.jitter(key.tag, lifetime))
        };
        ring.rollover.keys.iter().any(over) && ring.rollover.may_roll(Role::Zsk).is_ok()
    }

    /// The same each time it is asked for.
    fn jitter(&self, tag: u16, lifetime: i64) -> i64 {
        let mut hasher = DefaultHasher::new();
        (self.zone.to_lowercase().as_wire(), tag).hash(&mut hasher);
        let share = i64::from(u16::try_from(hasher.finish() & 0xffff).unwrap_or_default());
        lifetime / JITTER * share / i64::from(u16::MAX)
    }
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|own| own.to_string()).unwrap_or_default()
}
