//! What is wrong is logged when it is new, not at every look.

use std::collections::BTreeSet;

/// The problems that were there when last looked.
#[derive(Debug)]
pub(super) struct Said<P>(BTreeSet<P>);

impl<P> Default for Said<P> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<P: Clone + Ord> Said<P> {
    /// Those that were not there before, in their order; one that was gone meanwhile is among them.
    pub(super) fn news(&mut self, problems: BTreeSet<P>) -> BTreeSet<P> {
        let news = problems.difference(&self.0).cloned().collect();
        self.0 = problems;
        news
    }
}

impl<P: Clone + Ord + std::fmt::Display> Said<P> {
    /// Logs those.
    pub(super) fn say(&mut self, problems: BTreeSet<P>) {
        self.news(problems).iter().for_each(|problem| tracing::error!("{problem}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_said_once_and_again_when_it_returns() {
        let mut said = Said::default();
        let looks = [&["a"][..], &["a", "b"], &["b"], &["a", "b"], &[]];
        let news = looks.map(|own| {
            let all = said.news(own.iter().copied().collect());
            all.into_iter().collect::<String>()
        });
        assert_eq!(news, ["a", "b", "", "a", ""]);
        assert!(said.0.is_empty(), "nothing piles up");
    }
}
