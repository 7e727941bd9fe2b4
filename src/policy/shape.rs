//! All orders of one policy over all networks of the world, compiled: a client's network to its
//! order in one look-up.
//!
//! Services that wish for the same order and fence share one shape. It is made anew only when that
//! wish, the clusters or the database change, never because of health.

use super::{
    intent::{Fence, Order, Places},
    rank::{Ranked, Site, rank},
};
use crate::{
    geo::{Class, GeoMap, Match},
    model::Location,
};
use ipnet::IpNet;
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

/// The compiled orders of one wish.
#[derive(Debug)]
pub struct Shape {
    /// What is ranked; orders name them by index.
    pub sites: Arc<[Site]>,
    /// By [`Class`].
    pub orders: Vec<Ranked>,
    order: Order,
    fence: Fence,
    /// `None` where all clients have the same order.
    map: Option<GeoMap>,
    /// The networks that the policy itself names, and for each those that contain it.
    networks: Vec<IpNet>,
    containing: Vec<Vec<IpNet>>,
    unknown: Class,
}

impl Shape {
    /// Compiles an order and a fence for these sites; `networks` are those of a database with its
    /// records, `location` says where a record is.
    #[must_use]
    pub fn compile(
        order: &Order,
        fence: &Fence,
        sites: Arc<[Site]>,
        networks: impl IntoIterator<Item = (IpNet, Option<u32>)>,
        location: impl Fn(u32) -> Location,
    ) -> Self {
        let own = networks_of(order, fence);
        let containing = own.iter().map(|net| containing(&own, net)).collect();
        let mut shape = Self {
            sites,
            orders: Vec::new(),
            order: order.clone(),
            fence: fence.clone(),
            map: None,
            networks: own.into_iter().collect(),
            containing,
            unknown: Class(0),
        };
        let mut known = HashMap::new();
        shape.unknown = shape.class_at(&Location::default(), None, &mut known);
        if shape.depends_on_place() {
            let overlays = shape.networks.clone();
            let map = GeoMap::compile(networks, &overlays, |record, overlay| {
                let location = record.map(&location).unwrap_or_default();
                shape.class_at(&location, overlay, &mut known)
            });
            shape.map = Some(map);
        }
        shape
    }

    /// The order for a client at that address, and how many of its bits that took.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Match {
        match &self.map {
            Some(map) => map.find(address),
            None => Match { class: self.unknown, depth: 0 },
        }
    }

    /// The order for a client of whom nothing is known.
    #[must_use]
    pub fn unknown(&self) -> Class {
        self.unknown
    }

    /// The order of a class.
    #[must_use]
    pub fn order_of(&self, class: Class) -> Option<&Ranked> {
        self.orders.get(usize::try_from(class.0).ok()?)
    }

    /// The same decision as was compiled, with its distances, for one location.
    #[must_use]
    pub fn rank_at(&self, address: IpAddr, location: &Location) -> Ranked {
        let networks = self.networks.iter().filter(|net| net.contains(&address));
        let networks: Vec<IpNet> = networks.copied().collect();
        rank(&self.order, &self.fence, &self.sites, location, &networks)
    }

    /// Whether this is what that wish over those sites would compile to.
    #[must_use]
    pub fn is_for(&self, order: &Order, fence: &Fence, sites: &[Site]) -> bool {
        self.order == *order && self.fence == *fence && *self.sites == *sites
    }

    /// The map's networks and classes; empty where all clients have the same order.
    pub fn leaves(&self) -> impl Iterator<Item = (IpNet, Class)> + '_ {
        self.map.iter().flat_map(GeoMap::leaves)
    }

    fn depends_on_place(&self) -> bool {
        let ordered = matches!(self.order, Order::Geo(_) | Order::Proximity(_));
        ordered || !self.fence.is_empty()
    }

    fn class_at(
        &mut self,
        location: &Location,
        overlay: Option<usize>,
        known: &mut Known,
    ) -> Class {
        let networks =
            overlay.and_then(|at| self.containing.get(at)).map_or(&[][..], Vec::as_slice);
        let ranked = rank(&self.order, &self.fence, &self.sites, location, networks);
        let next = Class(u32::try_from(self.orders.len()).unwrap_or(u32::MAX));
        let class = *known.entry((ranked.tiers.clone(), ranked.fenced.clone())).or_insert(next);
        if class == next {
            self.orders.push(ranked);
        }
        class
    }
}

/// Orders that were met, by all that steering reads of them.
type Known = HashMap<(Vec<Vec<u16>>, Vec<u16>), Class>;

fn networks_of(order: &Order, fence: &Fence) -> BTreeSet<IpNet> {
    let rows = match order {
        Order::Geo(table) => table.rows.as_slice(),
        Order::None | Order::Proximity(_) | Order::Failover(_) => &[],
    };
    let rows = rows.iter().map(|row| &row.places);
    let places = rows.chain(fence.allow.values()).chain(fence.deny.values());
    places.flat_map(|places: &Places| places.networks.iter().map(IpNet::trunc)).collect()
}

fn containing(all: &BTreeSet<IpNet>, net: &IpNet) -> Vec<IpNet> {
    all.iter().filter(|other| other.contains(net)).copied().collect()
}
