//! How much work an input makes: octets that were asked of the allocator, which is the same on every
//! machine and at every load. Nothing that answers strangers loops without writing somewhere.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Runs it, and fails where it takes more than `most` octets in all.
#[track_caller]
pub fn at_most<R>(most: usize, what: &str, work: impl FnOnce() -> R) -> R {
    let region = Region::new(ALLOCATOR);
    let result = work();
    let taken = region.change().bytes_allocated;
    assert!(taken <= most, "{what} took {taken} octets of memory, and {most} are the most");
    result
}
