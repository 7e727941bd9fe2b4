//! A zone that is signed no more. Its serial went ahead with every signing; were it to fall back,
//! secondaries would keep the copy whose signatures end.

use crate::{model::Serial, records::Zone};
use std::sync::Arc;

pub(super) struct Left {
    /// Of the zone as it was signed last.
    last: Serial,
    /// The zone as it came, and as it went.
    raised: Option<(Arc<Zone>, Arc<Zone>)>,
}

impl Left {
    pub(super) fn new(last: Serial) -> Self {
        Self { last, raised: None }
    }

    /// The last serial that the zone was served with.
    pub(super) fn last(&self) -> Serial {
        self.last
    }

    /// The zone with a serial behind all those before; `None` where it has one.
    pub(super) fn raise(&mut self, source: &Arc<Zone>, seconds: u64) -> Option<Arc<Zone>> {
        if let Some((_, went)) = self.raised.as_ref().filter(|(came, _)| Arc::ptr_eq(came, source))
        {
            return Some(went.clone());
        }
        if source.serial().is_after(self.last) {
            return None;
        }
        self.last = self.last.next(seconds);
        let went = Arc::new(source.with([], self.last));
        self.raised = Some((source.clone(), went.clone()));
        Some(went)
    }
}
