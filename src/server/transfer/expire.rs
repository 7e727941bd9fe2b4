//! How long copies of a zone may be used yet (RFC 7314): as its SOA says, or less where the zone's
//! static part is a copy itself.

use super::Transfers;
use crate::{
    model::{Key, Name},
    records::Zone,
    server::clock::Stamp,
    transfer::{Expire, Record, Request},
};
use std::{collections::BTreeMap, sync::Arc};

impl Transfers {
    /// Takes over until when zones may be used whose static part came from elsewhere, in seconds
    /// since 1970.
    pub fn expire(&self, ends: BTreeMap<Key, u64>) {
        self.ends.store(Arc::new(ends));
    }

    /// How many seconds the zone of that wire name may be used yet; `None` where it does not end.
    pub(in crate::server) fn left(&self, apex: &[u8], at: Stamp) -> Option<u32> {
        let ends = self.ends.load();
        if ends.is_empty() {
            return None;
        }
        let end = ends.get(&Name::from_wire(apex).ok()?.key())?;
        Some(u32::try_from(end.saturating_sub(at.seconds.into())).unwrap_or(u32::MAX))
    }

    /// What the answer's OPT says of EXPIRE; `None` where the request had none (RFC 6891 §7).
    pub(super) fn opt(&self, request: &Request, zone: Option<&Zone>, at: Stamp) -> Option<Expire> {
        request.udp_size?;
        let asked = request.expire != Expire::Silent;
        let soa = zone.filter(|_| asked).and_then(Record::soa).and_then(|own| own.soa_numbers());
        let left = self.left(request.name.as_wire(), at).unwrap_or(u32::MAX);
        Some(soa.map_or(Expire::Silent, |numbers| Expire::Left(numbers[3].min(left))))
    }
}
