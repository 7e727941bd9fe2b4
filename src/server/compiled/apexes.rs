//! The zones' names by small numbers, which whoever counts answers tells them by.

use super::{Lowered, label_starts};
use crate::model::Name;
use std::collections::BTreeMap;

/// Numbers only come to this, so that each means the same zone for as long as the process runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Apexes {
    names: Vec<Name>,
    numbers: BTreeMap<Lowered, u16>,
}

/// Zones that are told apart; answers of others are not counted by zone.
pub(in crate::server) const MOST_ZONES: usize = 1_024;

impl Apexes {
    /// The number that a zone has; 0 where there are no more to give.
    pub(super) fn known(&self, apex: &Name) -> Option<u16> {
        let lowered = Lowered::from_slice(apex.to_lowercase().as_wire());
        let known = self.numbers.get(&lowered).copied();
        known.or((self.names.len() >= MOST_ZONES).then_some(0))
    }

    /// Gives it one.
    pub(super) fn add(&mut self, apex: &Name) -> u16 {
        let number = u16::try_from(self.names.len() + 1).unwrap_or_default();
        let lowered = Lowered::from_slice(apex.to_lowercase().as_wire());
        self.names.push(apex.clone());
        self.numbers.insert(lowered, number);
        number
    }

    /// The zone that a name lies in; 0 where that has no number.
    pub(super) fn above(&self, lowered: &[u8]) -> u16 {
        let starts = label_starts(lowered);
        let mut numbers = starts.iter().filter_map(|at| self.numbers.get(lowered.get(*at..)?));
        numbers.next().copied().unwrap_or_default()
    }

    pub(super) fn name(&self, number: u16) -> Option<&Name> {
        self.names.get(usize::from(number).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_keeps_its_number_and_names_lie_in_the_lowest_zone_above() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let mut apexes = Apexes::default();
        let mut number = |text: &str| {
            let known = apexes.known(&name(text));
            known.unwrap_or_else(|| apexes.add(&name(text)))
        };
        assert_eq!(["example.org", "sub.example.org", "EXAMPLE.org"].map(&mut number), [1, 2, 1]);
        let all: Vec<u16> = (0..MOST_ZONES).map(|own| number(&format!("z{own}"))).collect();
        assert_eq!((all[0], all[MOST_ZONES - 3], all[MOST_ZONES - 1]), (3, MOST_ZONES as u16, 0));
        let above = |text: &str| apexes.above(name(text).as_wire());
        assert_eq!((above("example.org"), above("www.example.org")), (1, 1));
        assert_eq!((above("sub.example.org"), above("a.b.sub.example.org")), (2, 2));
        assert_eq!((above("example.net"), above("org")), (0, 0));
        assert_eq!(apexes.name(2), Some(&name("sub.example.org")));
        assert_eq!((apexes.name(0), apexes.name(u16::MAX)), (None, None));
    }
}
