//! Which removals of a plan wait for a person: too many at once, or not believable. What is added
//! or changed flows on.

use super::{
    Sight,
    diff::{Action, Change, Held, Plan, Provenance},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much may be removed without asking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Percent of the names that are ours, and
    pub percent: u8,
    /// names: both must be passed within [`WINDOW`] for a plan to be held.
    pub names: usize,
}

impl Default for Limits {
    /// As octoDNS has it.
    fn default() -> Self {
        Self { percent: 30, names: 10 }
    }
}

/// Removals are counted together this long, so that many small plans are one large one.
pub const WINDOW: Duration = Duration::from_secs(3_600);

/// A person's word that so many names may go. The plan is made again when it is carried out: if
/// more would go by then, nothing goes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// At most so many names.
    pub ceiling: usize,
    /// Who said so, as far as they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it is over.
    pub until: jiff::Timestamp,
}

/// What the guard goes by.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'w> {
    /// How much may go.
    pub limits: Limits,
    /// Names removed within the last [`WINDOW`].
    pub recent: usize,
    /// Which clusters can be seen.
    pub sight: &'w Sight,
    /// Where names came from.
    pub provenance: &'w Provenance,
    /// A person's word that is still good.
    pub approval: Option<&'w Approval>,
}

impl Plan {
    /// Moves what must wait from `changes` to `held`.
    #[must_use]
    pub fn guarded(mut self, watch: &Watch<'_>) -> Self {
        for change in &mut self.changes {
            if let Some(source) = watch.provenance.get(&change.name.key()) {
                change.object = source.object.clone();
            }
        }
        let removals = self.removals();
        if watch.approval.is_some_and(|approval| approval.ceiling >= removals) {
            return self;
        }
        let doubtful = |change: &Change| {
            let source = watch.provenance.get(&change.name.key());
            let doubt = watch.sight.doubt(source.map(|source| &*source.clusters))?;
            Some(format!("{doubt}, so that its absence proves nothing"))
        };
        self.hold(doubtful);
        if let Some(reason) = self.too_many(watch) {
            self.hold(|_| Some(reason.clone()));
        }
        self
    }

    fn hold(&mut self, why: impl Fn(&Change) -> Option<String>) {
        let (mut flowing, held) = (Vec::new(), &mut self.held);
        for change in std::mem::take(&mut self.changes) {
            match (change.action, why(&change)) {
                (Action::Remove, Some(reason)) => held.push(Held { change, reason }),
                _ => flowing.push(change),
            }
        }
        self.changes = flowing;
    }

    fn too_many(&self, watch: &Watch<'_>) -> Option<String> {
        let Limits { percent, names } = watch.limits;
        let (now, recent) = (self.removals(), watch.recent);
        let (gone, all) = (now + recent, self.owned + recent);
        let over = now > 0 && gone > names && gone * 100 > all * usize::from(percent);
        let before =
            if recent > 0 { format!(" ({recent} within the last hour)") } else { String::new() };
        let held = now + self.held.len();
        over.then(|| {
            format!(
                "{gone} of {all} names would be removed{before}, more than {percent} % and {names}; \
                 look at them, then `meridian apply --approve {held}`"
            )
        })
    }
}
