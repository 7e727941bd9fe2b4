//! What must change so that a provider's zone says what the federation's zone says, and whether it
//! may: pure, so that every step can be printed before it is taken.
//!
//! ```text
//! Snapshot ─▶ Desired ─▶ render ─▶ Rendered ─┐
//!             (whole)    (capabilities)      ├─▶ diff ─▶ Plan ─▶ guarded ─▶ batches ─▶ permit ─▶ provider
//! provider ─▶ Listing ───────────────────────┘   (marks)        (held)                (proof)
//!             (whole)
//! ```
//!
//! Four rules: what cannot be seen is not gone ([`Desired`] and [`Listing`] come from whole views
//! only); what is not provably ours is not touched ([`permit()`]); a write goes through only if
//! nobody wrote since ([`Epoch`]); what removes much waits for a person ([`guard`](Limits)).

mod adopt;
mod batch;
mod capability;
mod desired;
mod diff;
mod failure;
mod guard;
mod listing;
mod mark;
mod permit;
mod print;
mod render;
mod set;
#[cfg(test)]
mod tests;
mod writer;

pub use adopt::{Adoptable, Adoption, Origin, Registry, adoptable};
pub use batch::batches;
pub use capability::{BatchLimits, Bucket, Capabilities, Checking, Pace, Routing};
pub use desired::{Checked, Desired, Incomplete, Sight, Wanted};
pub use diff::{Action, Change, Conflict, Held, Plan, Provenance, SET_PREFIX, Source, diff, epoch};
pub use failure::{Failure, FailureKind, Unchecked};
pub use guard::{Approval, Limits, WINDOW, Watch};
pub use listing::Listing;
pub use mark::{
    Epoch, Mark, Marked, Owner, OwnerError, Written, epoch_name, is_bookkeeping, mark_name,
    marked_name, read_mark, switch_of, switch_set,
};
pub use permit::{Permitted, Refusal, permit};
pub use render::{
    Degraded, Fidelity, Profile, ProfileEndpoint, ProfileTarget, Rendered, Say, Switches,
    policy_text, render,
};
pub use set::{Attributes, RecordSet, SetKey};
pub use writer::{Entry, Manner, Phase, Progress, Status, Step, Versions, Writer};
