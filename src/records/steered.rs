//! The addresses of a steered name: an rrset for everything that a client can be answered with,
//! put together when health changes, so that a query copies one of them.

use super::{Led, RecordType, Rrset};
use crate::{
    model::{Client, Ttl},
    policy::{Settled, Steering, Variant},
};
use std::{net::IpAddr, sync::Arc};

/// A name's steering with its rrsets.
#[derive(Debug)]
pub struct Steered {
    steering: Arc<Steering>,
    families: [Family; 2],
}

/// The rrsets of one family.
#[derive(Debug, Default)]
struct Family {
    /// By [`Decision::variant`](crate::policy::Decision::variant).
    variants: Vec<Option<Rrset>>,
    /// For clients that the fence keeps out: addresses, or an alias.
    outside: Option<Rrset>,
}

/// What one client is answered with.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'s> {
    /// The records, of the type asked for or CNAME; `None` when the client may be sent nowhere.
    pub rrset: Option<&'s Rrset>,
    /// For this answer.
    pub ttl: Ttl,
    /// Leading bits of the client's subnet that it holds for.
    pub scope: u8,
    /// Which of the family's [`Steered::variants`] it is; `None` for [`Steered::outside`].
    pub variant: Option<u32>,
}

impl Steered {
    /// Puts the rrsets together; `led` gives a number to sites, for whom records lead to. With the TTL that is configured: signatures are over that one
    /// (RFC 4034 §3.1.4). Each decision answers with it or less.
    #[must_use]
    pub fn new(steering: Arc<Steering>, led: impl Fn(&[u16]) -> Led) -> Self {
        let ttl = steering.configured_ttl();
        let families = [false, true].map(|v6| {
            let variants = steering.variants(v6).unwrap_or_default();
            let rrset = |variant: &Variant| rrset(variant, v6, ttl);
            let sets = steering.table(v6).map(|table| table.sets.as_slice()).unwrap_or_default();
            let of = |at: usize| sets.get(at).map(|sites| led(sites)).unwrap_or_default();
            let leading = |(at, variant)| rrset(variant).map(|own| own.leading(of(at)));
            Family {
                variants: variants.iter().enumerate().map(leading).collect(),
                outside: steering.outside(v6).as_ref().and_then(rrset),
            }
        });
        Self { steering, families }
    }

    /// What decides.
    #[must_use]
    pub fn steering(&self) -> &Arc<Steering> {
        &self.steering
    }

    /// Whether records of that type are chosen for each client.
    #[must_use]
    pub fn steers(&self, rtype: RecordType) -> bool {
        match rtype {
            RecordType::A => self.steering.table(false).is_some(),
            RecordType::AAAA => self.steering.table(true).is_some(),
            _ => false,
        }
    }

    /// Chooses for one client; `None` for types that are not steered, and for a family that no
    /// client gets.
    #[must_use]
    pub fn choose(&self, rtype: RecordType, client: &Client) -> Option<Chosen<'_>> {
        let v6 = match rtype {
            RecordType::A => false,
            RecordType::AAAA => true,
            _ => return None,
        };
        let decision = self.steering.decide(v6, client)?;
        let family = &self.families[usize::from(v6)];
        let variant =
            decision.variant.and_then(|at| family.variants.get(usize::try_from(at).ok()?));
        let rrset = match variant {
            Some(rrset) => rrset.as_ref(),
            None => family.outside.as_ref(),
        };
        // "No" is kept for all clients of a resolver (RFC 7871 §7.4), so it says so.
        let scope = if rrset.is_some() { decision.scope } else { 0 };
        Some(Chosen { rrset, ttl: decision.ttl, scope, variant: decision.variant })
    }

    /// What is settled ahead of clients in one family; `None` where it is answered to nobody.
    #[must_use]
    pub fn settled(&self, v6: bool) -> Option<Settled> {
        self.steering.settled(v6)
    }

    /// Whether that family is answered at all.
    #[must_use]
    pub fn has(&self, v6: bool) -> bool {
        self.steering.variants(v6).is_some()
    }

    /// All that clients of a family are answered with; `None` for no data.
    #[must_use]
    pub fn variants(&self, v6: bool) -> &[Option<Rrset>] {
        &self.families[usize::from(v6)].variants
    }

    /// What clients of a family get that the fence keeps out.
    #[must_use]
    pub fn outside(&self, v6: bool) -> Option<&Rrset> {
        self.families[usize::from(v6)].outside.as_ref()
    }

    /// The rrsets of the neutral view, for transfers and exports.
    #[must_use]
    pub fn neutral(&self, ttl: Ttl) -> Vec<Rrset> {
        let of = |v6: bool| {
            let addresses: Vec<IpAddr> = self.steering.neutral(v6);
            rrset_of(&addresses, v6, ttl)
        };
        [of(false), of(true)].into_iter().flatten().collect()
    }
}

/// Equal when every client gets the same answer.
impl PartialEq for Steered {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.steering, &other.steering) || self.steering == other.steering
    }
}

impl Eq for Steered {}

fn rrset(variant: &Variant, v6: bool, ttl: Ttl) -> Option<Rrset> {
    match variant {
        Variant::Addresses(all) => rrset_of(all, v6, ttl),
        Variant::Alias(name) => Some(Rrset::cname(ttl, name)),
    }
}

fn rrset_of(addresses: &[IpAddr], v6: bool, ttl: Ttl) -> Option<Rrset> {
    let all = addresses.iter().copied();
    if v6 { Rrset::aaaa(ttl, all) } else { Rrset::a(ttl, all) }
}
