//! A zone in memory: what a plan would do, tried without a provider.

use crate::{
    model::Name,
    plan::{Failure, Listing, Permitted, Versions},
};
use std::sync::Mutex;

/// The zone, empty at first.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Option<Listing>>);

impl Memory {
    pub(super) fn read(&self, zone: &Name) -> Result<Listing, Failure> {
        let mut own = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(own.get_or_insert_with(|| Listing::whole(zone.clone(), [])).clone())
    }

    pub(super) fn write(&self, batch: &Permitted) -> Result<Versions, Failure> {
        let mut own = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let zone = own.take().unwrap_or_else(|| Listing::whole(batch.zone().clone(), []));
        if !zone.fits(batch) {
            *own = Some(zone);
            return Err(Failure::Lost("the zone is not as it was read".to_owned()));
        }
        *own = Some(zone.after(batch));
        Ok(Versions::new())
    }
}
