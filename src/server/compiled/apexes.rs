//! The zones' names by small numbers, which whoever counts answers tells them by.

use super::{Lowered, label_starts};
use crate::model::Name;
use std::collections::BTreeMap;

/// Numbers only come to this, so that each means the same zone for as long as the process runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Apexes {
    names: Vec<Name>,
    numbers: BTreeMap<Lowered, u16>,
    /// The zones in force, those without a number included.
    served: BTreeMap<Lowered, u16>,
}

/// Zones that are told apart; answers of others are not counted by zone.
pub(in crate::server) const MOST_ZONES: usize = 1_024;

impl Apexes {
    /// The number that a zone has; 0 where there are no more to give.
    fn known(&self, apex: &Name) -> Option<u16> {
        let known = self.numbers.get(&lowered(apex)).copied();
        known.or((self.names.len() >= MOST_ZONES).then_some(0))
    }

    /// Gives it one.
    fn add(&mut self, apex: &Name) -> u16 {
        let number = u16::try_from(self.names.len() + 1).unwrap_or_default();
        self.names.push(apex.clone());
        self.numbers.insert(lowered(apex), number);
        number
    }

    /// With these zones in force; `None` where they are already.
    pub(super) fn serving<'n>(&self, zones: impl Iterator<Item = &'n Name>) -> Option<Self> {
        let mut next = Self { served: BTreeMap::new(), ..self.clone() };
        for apex in zones {
            let number = next.known(apex).unwrap_or_else(|| next.add(apex));
            next.served.insert(lowered(apex), number);
        }
        (next.served != self.served).then_some(next)
    }

    /// The zone in force that a name lies in; 0 where that has no number.
    pub(super) fn above(&self, lowered: &[u8]) -> u16 {
        let starts = label_starts(lowered);
        let mut numbers = starts.iter().filter_map(|at| self.served.get(lowered.get(*at..)?));
        numbers.next().copied().unwrap_or_default()
    }

    pub(super) fn name(&self, number: u16) -> Option<&Name> {
        self.names.get(usize::from(number).checked_sub(1)?)
    }
}

fn lowered(apex: &Name) -> Lowered {
    Lowered::from_slice(apex.to_lowercase().as_wire())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_keeps_its_number_and_names_lie_in_the_lowest_zone_above() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let serving = |apexes: &Apexes, zones: &[&str]| {
            let zones: Vec<Name> = zones.iter().map(|zone| name(zone)).collect();
            apexes.serving(zones.iter()).unwrap_or_else(|| apexes.clone())
        };
        let first = serving(&Apexes::default(), &["example.org", "sub.example.org"]);
        let above = |apexes: &Apexes, text: &str| apexes.above(name(text).as_wire());
        assert_eq!((above(&first, "example.org"), above(&first, "www.example.org")), (1, 1));
        assert_eq!(
            (above(&first, "sub.example.org"), above(&first, "a.b.sub.example.org")),
            (2, 2)
        );
        assert_eq!((above(&first, "example.net"), above(&first, "org")), (0, 0));
        // Gone, what was below is its parent's; back again, it has the number that it had.
        let without = serving(&first, &["EXAMPLE.org"]);
        assert_eq!((above(&without, "a.sub.example.org"), without.names.len()), (1, 2));
        let back = serving(&without, &["example.org", "sub.example.org"]);
        assert_eq!(above(&back, "sub.example.org"), 2);
        assert_eq!(back.name(2), Some(&name("sub.example.org")));
        assert_eq!((back.name(0), back.name(u16::MAX)), (None, None));
    }

    #[test]
    fn zones_beyond_the_most_are_told_as_none() {
        let zones: Vec<Name> =
            (0..=MOST_ZONES).map(|own| format!("z{own}.test").parse().unwrap()).collect();
        let apexes = Apexes::default().serving(zones.iter()).unwrap();
        let number = |own: &Name| apexes.above(own.as_wire());
        assert_eq!(zones.iter().map(number).max(), u16::try_from(MOST_ZONES).ok());
        assert_eq!(zones.last().map(number), Some(0));
        assert!(apexes.serving(zones.iter()).is_none(), "nothing new");
    }
}
