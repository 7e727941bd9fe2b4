//! The compiled client map: a network to the class of clients that it belongs to, in one look-up.
//!
//! Databases tell apart far more networks than there are orders of clusters. The map keeps only
//! the borders between classes, at most [`CAP_V4`] and [`CAP_V6`] bits long, as a binary trie whose
//! leaves are disjoint and cover everything: the depth of a leaf is the scope of an answer
//! (RFC 7871 §7.2.1), and scopes can never overlap.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What a client network leads to: an index into the caller's table, which is far smaller than the
/// 33 million that a map can tell apart.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Class(pub u32);

/// A look-up's outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Match {
    /// Of the client.
    pub class: Class,
    /// How many leading bits of the address, in its own family, led there. Every address that
    /// shares them has the same class.
    pub depth: u8,
}

/// Leading bits of an IPv4 address that a class may depend on (RFC 7871 §11.1).
pub const CAP_V4: u8 = 24;
/// The same for IPv6.
pub const CAP_V6: u8 = 56;

/// All networks of both families, by class.
#[derive(Clone, Debug)]
pub struct GeoMap {
    v4: Trie,
    v6: Trie,
    unknown: Class,
}

impl GeoMap {
    /// Compiles the networks of a database (each family sorted and disjoint, with the record that
    /// describes it) under an operator's own networks, of which the innermost counts. What is
    /// longer than the caps counts where it holds the first address of its capped block.
    ///
    /// `classify` is asked once for each pair of record and index of own network.
    pub fn compile(
        networks: impl IntoIterator<Item = (IpNet, Option<u32>)>,
        overlays: &[IpNet],
        mut classify: impl FnMut(Option<u32>, Option<usize>) -> Class,
    ) -> Self {
        let (mut v4, mut v6) = (Borders::new(CAP_V4), Borders::new(CAP_V6));
        for (network, record) in networks {
            let family = if network.addr().is_ipv4() { &mut v4 } else { &mut v6 };
            family.add(Block::of(&network), record);
        }
        let mut known: HashMap<(Option<u32>, Option<usize>), Class> = HashMap::new();
        let mut classify = |record, overlay| {
            *known.entry((record, overlay)).or_insert_with(|| classify(record, overlay))
        };
        let own = |ipv4: bool| {
            let own = overlays.iter().enumerate().filter(|(_, net)| net.addr().is_ipv4() == ipv4);
            innermost(own.map(|(at, net)| (Block::of(net), at)).collect())
        };
        let v4 = v4.classes(&own(true), &mut classify);
        let mut v6 = v6.classes(&own(false), &mut classify);
        set_apart(&mut v6);
        let unknown = classify(None, None);
        Self { v4: Trie::build(&v4, CAP_V4), v6: Trie::build(&v6, CAP_V6), unknown }
    }

    /// The class of an address. One that carries an IPv4 address within (`::ffff:0:0/96`,
    /// `64:ff9b::/96`) is a client of that address, and its depth is that one's behind the 96 bits:
    /// the blocks around those prefixes are leaves of their own, so that no scope overlaps.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Match {
        match address {
            IpAddr::V4(ip) => self.v4.find(u64::from(ip.to_bits()) << 32),
            IpAddr::V6(ip) => match embedded(ip) {
                Some(within) => {
                    let found = self.v4.find(u64::from(within.to_bits()) << 32);
                    Match { depth: 96 + found.depth, ..found }
                }
                None => match self.v6.find(u64::try_from(ip.to_bits() >> 64).unwrap_or_default()) {
                    Match { class: EMBEDDED, .. } => Match { class: self.unknown, depth: 128 },
                    found => found,
                },
            },
        }
    }

    /// The networks of all classes: disjoint, covering both families, in order.
    pub fn leaves(&self) -> impl Iterator<Item = (IpNet, Class)> + '_ {
        let v4 = self.v4.leaves().map(|(start, depth, class)| {
            let bits = u32::try_from(start >> 32).unwrap_or_default();
            (Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), depth).into(), class)
        });
        let v6 = self.v6.leaves().map(|(start, depth, class)| {
            let class = if class == EMBEDDED { self.unknown } else { class };
            let address = Ipv6Addr::from_bits(u128::from(start) << 64);
            (Ipv6Net::new_assert(address, depth).into(), class)
        });
        v4.chain(v6)
    }

    /// Octets that the map takes up.
    #[must_use]
    pub fn octets(&self) -> usize {
        [&self.v4, &self.v6].iter().map(|trie| trie.octets()).sum()
    }
}

/// The IPv4 address within an IPv6 one (RFC 4291 §2.5.5.2, RFC 6052 §2.1).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = u32::try_from(ip.to_bits() & u128::from(u32::MAX)).unwrap_or_default();
    let well_known = ip.to_bits() >> 32 == 0x0064_ff9b << 64;
    ip.to_ipv4_mapped().or_else(|| well_known.then(|| Ipv4Addr::from_bits(low)))
}

/// The blocks that hold embedded IPv4 addresses get a class of their own.
fn set_apart(borders: &mut Vec<(u64, Class)>) {
    for address in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)] {
        let block = Block::of(&Ipv6Net::new_assert(address, CAP_V6).into());
        let before = borders.partition_point(|(start, _)| *start < block.first);
        let after = borders.partition_point(|(start, _)| *start <= block.last);
        let behind = borders[..after].last().map(|(_, class)| *class);
        let next = borders.get(after).map(|(start, _)| *start);
        let resume = block.last.checked_add(1).filter(|at| next != Some(*at));
        let resume = resume.zip(behind).into_iter();
        borders.splice(before..after, std::iter::once((block.first, EMBEDDED)).chain(resume));
    }
}

/// A network as the first and last of the 64 leading bits of its addresses; IPv4 in the upper half.
#[derive(Clone, Copy, Debug)]
struct Block {
    first: u64,
    last: u64,
}

impl Block {
    fn of(network: &IpNet) -> Self {
        let (first, length) = match network.network() {
            IpAddr::V4(ip) => (u64::from(ip.to_bits()) << 32, network.prefix_len()),
            IpAddr::V6(ip) => (
                u64::try_from(ip.to_bits() >> 64).unwrap_or_default(),
                network.prefix_len().min(64),
            ),
        };
        Self { first, last: first | u64::MAX.checked_shr(length.into()).unwrap_or(0) }
    }
}

/// A family's database as the places where the record changes, in order.
struct Borders {
    cap: u8,
    /// From here on, this record; what nothing covers is `None`.
    changes: Vec<(u64, Option<u32>)>,
    /// Where the last network ends; `None` behind the last address.
    next: Option<u64>,
}

impl Borders {
    fn new(cap: u8) -> Self {
        Self { cap, changes: vec![(0, None)], next: Some(0) }
    }

    /// Takes the next network. One that is not in order is left out: the reader of the database
    /// gives them in order.
    fn add(&mut self, network: Block, record: Option<u32>) {
        let size = 1 << (64 - u32::from(self.cap));
        // Longer than the cap: it counts where it holds the first address of a block.
        let first = network.first.checked_next_multiple_of(size);
        let Some(first) = first.filter(|first| *first <= network.last) else { return };
        if self.next.is_none_or(|next| first < next) {
            return;
        }
        self.change(first, record);
        let block_end = network.last | (size - 1);
        self.next = block_end.checked_add(1);
        if let Some(next) = self.next {
            self.change(next, None);
        }
    }

    fn change(&mut self, at: u64, record: Option<u32>) {
        match self.changes.last_mut() {
            Some(last) if last.0 == at => last.1 = record,
            _ => self.changes.push((at, record)),
        }
    }

    /// The places where the class changes, under the operator's own networks.
    fn classes(
        &self,
        overlays: &[(u64, Option<usize>)],
        classify: &mut impl FnMut(Option<u32>, Option<usize>) -> Class,
    ) -> Vec<(u64, Class)> {
        let (mut records, mut own) = (self.changes.iter().peekable(), overlays.iter().peekable());
        let (mut record, mut overlay) = (None, None);
        let mut classes: Vec<(u64, Class)> = Vec::new();
        loop {
            let next = [records.peek().map(|one| one.0), own.peek().map(|one| one.0)];
            let Some(at) = next.into_iter().flatten().min() else { return classes };
            while let Some((_, own)) = records.next_if(|one| one.0 == at) {
                record = *own;
            }
            while let Some((_, own)) = own.next_if(|one| one.0 == at) {
                overlay = *own;
            }
            let class = classify(record, overlay);
            if classes.last().is_none_or(|(_, last)| *last != class) {
                classes.push((at, class));
            }
        }
    }
}

/// Networks that may lie within each other, as the places where the innermost changes.
fn innermost(mut networks: Vec<(Block, usize)>) -> Vec<(u64, Option<usize>)> {
    networks.sort_by_key(|(block, _)| (block.first, std::cmp::Reverse(block.last)));
    let mut changes = vec![(0, None)];
    let mut open: Vec<(Block, usize)> = Vec::new();
    let close = |open: &mut Vec<(Block, usize)>, changes: &mut Vec<_>, until: u64| {
        while let Some((block, _)) = open.last().copied().filter(|(block, _)| block.last < until) {
            open.pop();
            // `last` is below `until`, so there is a next address.
            changes.push((block.last + 1, open.last().map(|(_, at)| *at)));
        }
    };
    for (block, at) in networks {
        close(&mut open, &mut changes, block.first);
        changes.push((block.first, Some(at)));
        open.push((block, at));
    }
    close(&mut open, &mut changes, u64::MAX);
    changes
}

/// A binary trie. A node holds its two children: another node's index, or a leaf.
#[derive(Clone, Debug)]
struct Trie {
    /// What stands for the whole: a leaf when all addresses have one class.
    root: u32,
    nodes: Vec<[u32; 2]>,
    /// Where the first [`STRIDE`] bits lead to: a leaf, or one of those below. Clients come from
    /// everywhere, so the less is read for one, the more of it the processor has at hand.
    first: Vec<u32>,
    /// Where as many more lead to: a leaf, or a node.
    second: Vec<[u32; 1 << STRIDE]>,
}

/// A leaf as a child: a mark, so that it is no node's index; its depth; its class.
fn leaf(class: Class, depth: u8) -> u32 {
    LEAF | u32::from(depth) << CLASS_BITS | class.0.min(EMBEDDED.0)
}

/// The class and depth of a leaf; `None` for a node.
fn as_leaf(child: u32) -> Option<Match> {
    let depth = u8::try_from((child & !LEAF) >> CLASS_BITS).unwrap_or_default();
    let class = Class(child & EMBEDDED.0);
    (child & LEAF != 0).then_some(Match { class, depth })
}

impl Trie {
    /// From the places where the class changes; the first is at 0.
    fn build(borders: &[(u64, Class)], cap: u8) -> Self {
        let nodes = Vec::with_capacity(borders.len());
        let mut trie = Self { root: 0, nodes, first: Vec::new(), second: Vec::new() };
        trie.root = trie.node(borders, 0, 0, cap);
        trie.first = (0..1 << STRIDE).map(|top| trie.step(top << (64 - STRIDE))).collect();
        trie
    }

    /// Where the blocks lead to whose first bits are these.
    fn step(&mut self, bits: u64) -> u32 {
        let at = self.walk(self.root, bits, 0);
        if as_leaf(at).is_some() {
            return at;
        }
        let below = |low: usize| {
            let low = u64::try_from(low).unwrap_or_default();
            self.walk(at, bits | low << (64 - 2 * STRIDE), STRIDE)
        };
        let table = std::array::from_fn(below);
        self.second.push(table);
        u32::try_from(self.second.len() - 1).unwrap_or_default()
    }

    /// The subtree of a block: `borders` are those that concern it, the first at or before its
    /// start. At most as deep as the cap.
    fn node(&mut self, borders: &[(u64, Class)], first: u64, depth: u8, cap: u8) -> u32 {
        let class = borders.first().map_or(Class(0), |(_, class)| *class);
        if borders.len() <= 1 || depth >= cap {
            return leaf(class, depth);
        }
        let middle = first | 1 << (63 - depth);
        let split = borders.partition_point(|(start, _)| *start < middle);
        let right = if borders.get(split).is_some_and(|(start, _)| *start == middle) {
            &borders[split..]
        } else {
            &borders[split.saturating_sub(1)..]
        };
        let at = self.nodes.len();
        self.nodes.push([0, 0]);
        let left = self.node(&borders[..split], first, depth + 1, cap);
        let right = self.node(right, middle, depth + 1, cap);
        let classes = [left, right].map(|child| as_leaf(child).map(|own| own.class));
        if let [Some(one), Some(other)] = classes
            && one == other
        {
            self.nodes.truncate(at);
            return leaf(one, depth);
        }
        self.nodes[at] = [left, right];
        u32::try_from(at).unwrap_or_default()
    }

    /// Down from a node of that depth as far as a stride goes.
    fn walk(&self, mut at: u32, bits: u64, depth: u8) -> u32 {
        for depth in depth..depth + STRIDE {
            if as_leaf(at).is_some() {
                break;
            }
            at = self.child(at, bits, depth);
        }
        at
    }

    fn child(&self, at: u32, bits: u64, depth: u8) -> u32 {
        let side = usize::from(bits >> (63 - depth) & 1 == 1);
        usize::try_from(at).ok().and_then(|at| self.nodes.get(at)).map_or(LEAF, |node| node[side])
    }

    fn find(&self, bits: u64) -> Match {
        let [top, next, ..] = bits.to_be_bytes().map(usize::from);
        let mut at = self.first.get(top).copied().unwrap_or(LEAF);
        if let Some(found) = as_leaf(at) {
            return found;
        }
        let table = usize::try_from(at).ok().and_then(|at| self.second.get(at));
        at = table.map_or(LEAF, |table| table[next]);
        let mut depth = 2 * STRIDE;
        loop {
            match as_leaf(at) {
                Some(found) => return found,
                None => at = self.child(at, bits, depth),
            }
            depth += 1;
        }
    }

    /// First address, depth and class of each leaf, in order.
    fn leaves(&self) -> impl Iterator<Item = (u64, u8, Class)> + '_ {
        let mut open = vec![(self.root, 0_u64, 0_u8)];
        std::iter::from_fn(move || {
            loop {
                let (at, first, depth) = open.pop()?;
                if let Some(own) = as_leaf(at) {
                    return Some((first, own.depth, own.class));
                }
                let right = first | 1 << (63 - depth);
                open.push((self.child(at, right, depth), right, depth + 1));
                open.push((self.child(at, first, depth), first, depth + 1));
            }
        })
    }

    fn octets(&self) -> usize {
        size_of_val(&*self.nodes) + size_of_val(&*self.first) + size_of_val(&*self.second)
    }
}

/// Marks a leaf.
const LEAF: u32 = 1 << 31;
/// So many bits say a leaf's class; the six above them its depth.
const CLASS_BITS: u32 = 25;
/// What stands in the map for the blocks of embedded IPv4 addresses: more than a class can be.
const EMBEDDED: Class = Class((1 << CLASS_BITS) - 1);
/// Bits that are looked up at once, twice: an octet.
const STRIDE: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    /// The record is the class; own networks are 100 and more.
    fn compile(networks: &[(&str, u32)], overlays: &[&str]) -> GeoMap {
        let networks: Vec<_> = networks.iter().map(|(text, own)| (net(text), Some(*own))).collect();
        let overlays: Vec<_> = overlays.iter().map(|text| net(text)).collect();
        GeoMap::compile(networks, &overlays, |record, overlay| match overlay {
            Some(at) => Class(100 + u32::try_from(at).unwrap()),
            None => Class(record.unwrap_or(99)),
        })
    }

    fn find(map: &GeoMap, address: &str) -> (u32, u8) {
        let found = map.find(address.parse().unwrap());
        (found.class.0, found.depth)
    }

    #[test]
    fn neighbours_of_one_class_are_one_leaf_and_a_gap_is_a_class_of_its_own() {
        let map = compile(&[("10.0.0.0/9", 1), ("10.128.0.0/9", 1), ("11.0.0.0/8", 2)], &[]);
        assert_eq!(find(&map, "10.200.1.1"), (1, 8));
        assert_eq!(find(&map, "11.0.0.1"), (2, 8));
        assert_eq!(find(&map, "12.0.0.1"), (99, 6));
        assert_eq!(find(&map, "2001:db8::1").0, 99);
    }

    #[test]
    fn what_is_longer_than_the_cap_counts_where_it_holds_the_first_address() {
        let map = compile(&[("192.0.2.0/25", 1), ("192.0.2.128/25", 2)], &[]);
        assert_eq!(find(&map, "192.0.2.200"), (1, 24));
        let map = compile(&[("192.0.2.128/25", 2), ("2001:db8::/64", 3)], &[]);
        assert_eq!(find(&map, "192.0.2.200").0, 99);
        assert_eq!(find(&map, "2001:db8:0:ff::1"), (3, 56));
    }

    #[test]
    fn of_own_networks_that_lie_within_each_other_the_innermost_counts() {
        let own = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "255.255.255.0/24"];
        let map = compile(&[("10.0.0.0/8", 1)], &own);
        assert_eq!(find(&map, "10.9.0.1").0, 100);
        assert_eq!(find(&map, "10.1.9.1").0, 101);
        assert_eq!(find(&map, "10.1.2.1"), (102, 24));
        assert_eq!(find(&map, "10.1.3.1").0, 101);
        assert_eq!(find(&map, "255.255.255.255"), (103, 24));
        assert_eq!(find(&map, "9.0.0.1").0, 99);
    }

    #[test]
    fn an_ipv4_address_within_an_ipv6_one_is_a_client_of_that_address() {
        let map = compile(&[("10.0.0.0/8", 1), ("::/8", 7)], &[]);
        assert_eq!(find(&map, "::ffff:10.1.1.1"), (1, 104));
        assert_eq!(find(&map, "64:ff9b::10.1.1.1"), (1, 104));
        assert_eq!(find(&map, "::1"), (99, 128));
        assert_eq!(find(&map, "1::1").0, 7);
    }

    #[test]
    fn nothing_at_all_is_one_class() {
        let map = compile(&[], &[]);
        assert_eq!(find(&map, "0.0.0.0"), (99, 0));
        assert_eq!(find(&map, "255.255.255.255"), (99, 0));
    }

    fn v4() -> impl Strategy<Value = IpNet> {
        // Few addresses, so that networks meet.
        (0_u32..64, 0_u32..4, 4_u8..=28).prop_map(|(high, low, length)| {
            let bits = high << 26 | low << 8 | high << 4;
            IpNet::from(Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), length)).trunc()
        })
    }

    fn disjoint(mut nets: Vec<IpNet>) -> Vec<IpNet> {
        nets.sort();
        let mut kept: Vec<IpNet> = Vec::new();
        for net in nets {
            if kept.iter().all(|own| !own.contains(&net) && !net.contains(own)) {
                kept.push(net);
            }
        }
        kept
    }

    proptest! {
        #[test]
        fn every_address_in_scope_has_the_class_that_a_search_of_all_networks_finds(
            networks in prop::collection::vec(v4(), 0..24),
            overlays in prop::collection::btree_set(v4(), 0..6),
            probes in prop::collection::vec(0_u32..64 * 4 * 16, 1..32),
        ) {
            let networks = disjoint(networks);
            let overlays: Vec<IpNet> = overlays.into_iter().filter(|net| net.prefix_len() <= 24).collect();
            let records: Vec<_> = networks.iter().zip(0..).map(|(net, at)| (*net, Some(at % 3))).collect();
            let class = |record: Option<u32>, own: Option<usize>| {
                Class(record.map_or(0, |at| at + 1) + 4 * own.map_or(0, |at| u32::try_from(at % 3).unwrap() + 1))
            };
            let map = GeoMap::compile(records.clone(), &overlays, class);
            for probe in probes {
                let bits = ((probe / 64) << 26) | ((probe / 16 % 4) << 8) | ((probe % 16) << 4) | 9;
                let address = IpAddr::V4(Ipv4Addr::from_bits(bits));
                let block = IpAddr::V4(Ipv4Addr::from_bits(bits & 0xffff_ff00));
                let record = records.iter().find(|(net, _)| net.contains(&block)).and_then(|one| one.1);
                let own = overlays.iter().enumerate().filter(|(_, net)| net.contains(&block));
                let own = own.max_by_key(|(_, net)| net.prefix_len()).map(|(at, _)| at);
                let found = map.find(address);
                prop_assert_eq!(found.class, class(record, own));
                prop_assert!(found.depth <= CAP_V4);
                let scope = IpNet::new(address, found.depth).unwrap();
                prop_assert_eq!(map.find(scope.network()), found);
                prop_assert_eq!(map.find(scope.broadcast()), found);
            }
            let mut next = Some(0_u64);
            for (net, _) in map.leaves().filter(|(net, _)| net.addr().is_ipv4()) {
                let block = Block::of(&net);
                prop_assert_eq!(Some(block.first), next);
                next = block.last.checked_add(1);
            }
            prop_assert_eq!(next, None);
        }
    }
}
