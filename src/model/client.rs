//! Who asks, as far as an answer may depend on it.

use ipnet::IpNet;
use std::net::IpAddr;

/// The asker of one query.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Where the query came from; `None` for the neutral view (transfers, exports).
    pub address: Option<IpAddr>,
    /// The network that the query speaks for (RFC 7871), with SOURCE PREFIX-LENGTH as its length
    /// and no bits beyond it. One of length 0 asks that no network be looked at (§7.1.2): the
    /// answer is then made for `address`.
    pub subnet: Option<IpNet>,
    /// What a choice at random is drawn from: another number for each query.
    pub draw: u64,
}

impl Client {
    /// Nobody in particular.
    pub const NEUTRAL: Self = Self { address: None, subnet: None, draw: 0 };

    /// A client at that address, without a subnet.
    #[must_use]
    pub const fn at(address: IpAddr) -> Self {
        Self { address: Some(address), subnet: None, draw: 0 }
    }

    /// The address that the answer is made for, and whether it is a subnet's, so that the answer
    /// has a scope.
    #[must_use]
    pub fn place(&self) -> Option<(IpAddr, bool)> {
        match self.subnet.filter(|subnet| subnet.prefix_len() > 0) {
            Some(subnet) => Some((subnet.addr(), true)),
            None => Some((self.address?, false)),
        }
    }
}
