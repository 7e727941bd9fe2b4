//! A copy over what the settings make of a zone: put together by the replica's task, so that a large
//! one keeps nobody waiting, and what was before stays in force meanwhile.

use crate::{
    dnssec::fitted,
    records::{Completeness, MasterFile, Zone, no_includes, parse_over},
};
use std::sync::Arc;

/// What a copy is laid over.
#[derive(Debug)]
pub(super) struct Base {
    /// What the settings make of the zone.
    pub(super) generated: Arc<Zone>,
    /// For how many seconds signatures hold, where the zone is signed here.
    pub(super) lifetime: Option<i64>,
}

impl Base {
    /// Whether a copy over the one is what it is over the other.
    pub(super) fn is_like(&self, generated: &Zone, lifetime: Option<i64>) -> bool {
        self.lifetime == lifetime && self.generated.nodes().eq(generated.nodes())
    }
}

/// What came of laying a copy over a base.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) copy: Arc<Zone>,
    pub(super) base: Arc<Base>,
    /// The zone, fit to be signed here; or why the two do not go together.
    pub(super) outcome: Result<Arc<Zone>, String>,
}

impl Whole {
    /// Lays the copy over the base, as a master file is read over it. A large one takes a while:
    /// other tasks of this thread move over.
    pub(super) fn of(copy: &Arc<Zone>, base: &Arc<Base>) -> Self {
        let outcome = tokio::task::block_in_place(|| merged(copy, base)).map(Arc::new);
        Self { copy: copy.clone(), base: base.clone(), outcome }
    }

    /// Whether it is of these very ones.
    pub(super) fn is_of(&self, copy: &Arc<Zone>, base: &Arc<Base>) -> bool {
        Arc::ptr_eq(&self.copy, copy) && Arc::ptr_eq(&self.base, base)
    }
}

/// What there is of a zone without its copy: incomplete, so that nothing is denied that the primary
/// may have (invariant I13).
pub(super) fn alone(generated: &Zone) -> Arc<Zone> {
    let mut alone = generated.clone();
    alone.completeness = Completeness::Partial;
    Arc::new(alone)
}

fn merged(copy: &Zone, base: &Base) -> Result<Zone, String> {
    let fits = base.lifetime.map(|lifetime| fitted(copy, lifetime));
    let text = MasterFile(fits.as_ref().unwrap_or(copy)).to_string();
    let file = format!("the transfer of {}", copy.apex());
    match parse_over(&base.generated, &file, &text, &mut no_includes) {
        Ok(parsed) => Ok(parsed.zone),
        Err(faults) => Err(faults.to_string()),
    }
}
