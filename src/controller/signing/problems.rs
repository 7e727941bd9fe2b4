//! What is wrong with the signing of a zone: each problem is said once, and stands until it is
//! over.

use std::{collections::BTreeMap, mem};

/// What is wrong now.
#[derive(Default)]
pub(super) struct Problems {
    all: BTreeMap<About, String>,
    news: bool,
}

/// What a problem is about; of each there is one at most, and none ends another.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum About {
    /// The keys as they are configured, and as they were read.
    Configuration,
    /// A step of a key that could not be written down.
    Saving,
    /// A key that could not sign.
    Signatures,
    /// A key whose time is over, and that has no successor.
    Schedule,
}

impl Problems {
    /// What is so from now on; `None` when nothing is wrong there.
    pub(super) fn set(&mut self, about: About, problem: Option<String>) {
        if self.all.get(&about) == problem.as_ref() {
            return;
        }
        self.news = true;
        if let Some(problem) = &problem {
            tracing::error!("{problem}");
        }
        match problem {
            Some(problem) => drop(self.all.insert(about, problem)),
            None => drop(self.all.remove(&about)),
        }
    }

    /// Whether there is one of that.
    pub(super) fn has(&self, about: About) -> bool {
        self.all.contains_key(&about)
    }

    /// Whether something became other since this was asked last.
    pub(super) fn take_news(&mut self) -> bool {
        mem::take(&mut self.news)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.all.values().map(String::as_str)
    }

    /// All of them as one text; `None` where there is none.
    pub(super) fn text(&self) -> Option<String> {
        let all: Vec<&str> = self.iter().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}
