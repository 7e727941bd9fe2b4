//! What can be said at a provider in more than one way, as its zone's owner chose.

use std::collections::BTreeMap;

/// The choices.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// How clients find the nearest cluster.
    pub nearest: Nearest,
    /// Hosted zones of AWS services that the built-in table does not have, by the end of their
    /// hosts' names.
    pub hosted_zones: BTreeMap<String, String>,
}

/// See [`Terms::nearest`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Nearest {
    /// By the clusters' coordinates.
    #[default]
    Points,
    /// By what AWS measures of the way to its regions.
    Latency,
}
