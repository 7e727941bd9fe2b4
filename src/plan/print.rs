//! A plan as people read it.

use super::{Action, Change, Plan, RecordSet, mark};
use std::fmt;

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Remove => "remove",
            Self::Tidy => "tidy",
            Self::Adopt => "adopt",
            Self::Switch => "switch",
        })
    }
}

/// A name, then a line for each set that goes (`-`) and comes (`+`); marks are left out, since
/// they follow from the rest.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}  ({})", self.action, self.name, self.object)?;
        let shown = |set: &&RecordSet| {
            !mark::is_bookkeeping(&set.key) || matches!(self.action, Action::Tidy | Action::Switch)
        };
        self.delete.iter().filter(shown).try_for_each(|set| writeln!(f, "  - {set}"))?;
        self.create.iter().filter(shown).try_for_each(|set| writeln!(f, "  + {set}"))
    }
}

/// What is done, what waits, what is somebody else's, what the provider cannot say, and the sum.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "zone {} after {} writes", self.zone, self.generation)?;
        self.changes.iter().try_for_each(|change| write!(f, "{change}"))?;
        for held in &self.held {
            write!(f, "HELD {}", held.change)?;
            writeln!(f, "  because {}", held.reason)?;
        }
        for conflict in &self.conflicts {
            writeln!(f, "CONFLICT {} ({}): {}", conflict.name, conflict.object, conflict.reason)?;
        }
        for one in &self.degraded {
            writeln!(f, "DEGRADED {} {}: {}", one.name, one.clause, one.text)?;
        }
        let count = |action| self.changes.iter().filter(|one| one.action == action).count();
        writeln!(
            f,
            "{} to create, {} to update, {} to remove, {} held, {} in conflict, {} as they should be",
            count(Action::Create),
            count(Action::Update),
            count(Action::Remove),
            self.held.len(),
            self.conflicts.len(),
            self.unchanged,
        )
    }
}
