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
    /// The number of a zone; 0 where it has none.
    pub(super) fn number(&self, lowered: &[u8]) -> u16 {
        self.numbers.get(lowered).copied().unwrap_or_default()
    }

    /// Gives it one, unless it has.
    pub(super) fn add(&mut self, apex: &Name) {
        let lowered = Lowered::from_slice(apex.to_lowercase().as_wire());
        let next = u16::try_from(self.names.len() + 1).unwrap_or_default();
        if self.names.len() < MOST_ZONES && !self.numbers.contains_key(&lowered) {
            self.names.push(apex.clone());
            self.numbers.insert(lowered, next);
        }
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
        for apex in ["example.org", "sub.example.org", "EXAMPLE.org"] {
            apexes.add(&name(apex));
        }
        let above = |text: &str| apexes.above(name(text).as_wire());
        assert_eq!((above("example.org"), above("www.example.org")), (1, 1));
        assert_eq!((above("sub.example.org"), above("a.b.sub.example.org")), (2, 2));
        assert_eq!((above("example.net"), above("org")), (0, 0));
        assert_eq!(apexes.name(2), Some(&name("sub.example.org")));
        assert_eq!((apexes.name(0), apexes.name(3)), (None, None));
        (0..2 * MOST_ZONES).for_each(|number| apexes.add(&name(&format!("z{number}"))));
        assert_eq!(apexes.names.len(), MOST_ZONES);
    }
}
