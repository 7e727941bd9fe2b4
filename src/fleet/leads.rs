//! Which clusters answers lead to, as small numbers: an answer that is copied can say its number, and
//! whoever counts needs no more.

use crate::{
    model::{ClusterName, FederationName},
    records::Led,
};
use smallvec::SmallVec;
use std::collections::HashMap;

/// Sets of clusters by their numbers. It only grows, so that a number means the same for as long as
/// the process runs.
#[derive(Clone, Debug, Default)]
pub struct Leads {
    sets: Vec<(FederationName, Set)>,
    numbers: HashMap<FederationName, HashMap<Set, Led>>,
}

type Set = SmallVec<[ClusterName; 2]>;

impl Leads {
    /// Sets that are told apart; answers that lead to others are not counted.
    pub const MOST: usize = 4_096;

    /// The number that these clusters have.
    pub(super) fn find(&self, federation: &FederationName, set: &[ClusterName]) -> Option<Led> {
        if set.is_empty() || self.sets.len() >= Self::MOST {
            let known = self.numbers.get(federation).and_then(|own| own.get(set)).copied();
            return Some(known.unwrap_or_default());
        }
        self.numbers.get(federation)?.get(set).copied()
    }

    /// Gives them one.
    pub(super) fn add(&mut self, federation: &FederationName, set: &[ClusterName]) -> Led {
        let Ok(number) = u16::try_from(self.sets.len() + 1) else { return Led::default() };
        self.sets.push((federation.clone(), set.into()));
        self.numbers.entry(federation.clone()).or_default().insert(set.into(), Led(number));
        Led(number)
    }

    /// Who is meant by a number.
    #[must_use]
    pub fn get(&self, led: Led) -> Option<(&FederationName, &[ClusterName])> {
        let (federation, set) = self.sets.get(usize::from(led.0).checked_sub(1)?)?;
        Some((federation, set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_means_the_same_clusters_for_good_and_there_is_a_bound() {
        let federation = FederationName("fed".into());
        let cluster = |number: usize| ClusterName(format!("c{number}").into());
        let mut leads = Leads::default();
        assert_eq!(leads.find(&federation, &[]), Some(Led(0)));
        for number in 0..Leads::MOST {
            let set = [cluster(number), cluster(number + 1)];
            assert_eq!(leads.find(&federation, &set), None);
            let led = leads.add(&federation, &set);
            assert_eq!(leads.find(&federation, &set), Some(led));
            assert_eq!(leads.get(led), Some((&federation, &set[..])));
        }
        assert_eq!(leads.find(&federation, &[cluster(0)]), Some(Led(0)));
        assert_eq!(leads.find(&federation, &[cluster(0), cluster(1)]), Some(Led(1)));
        assert_eq!((leads.get(Led(0)), leads.get(Led(9_999))), (None, None));
    }
}
