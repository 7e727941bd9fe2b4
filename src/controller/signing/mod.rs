//! Signs what is served: between the fleet's snapshot and its publication. Keeps each zone's keys
//! and how far they have come, signs what changed, and again what is due.

mod files;
mod people;
mod zone;

use super::now;
use crate::{
    config::Config,
    dnssec::{Settings, View},
    fleet::Snapshot,
    model::{Moment, Name},
    web::DnssecOrder,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};
use zone::SignedZone;

/// All zones that are to be signed.
pub(super) struct Signing {
    state: Option<PathBuf>,
    zones: BTreeMap<Name, SignedZone>,
    /// The last snapshot as it came, and as it went.
    last: Option<(Arc<Snapshot>, Arc<Snapshot>)>,
    board: Board,
}

/// How each zone stands, for whoever asks meanwhile.
#[derive(Clone, Default)]
pub(super) struct Board(Arc<RwLock<BTreeMap<Name, View>>>);

impl Board {
    /// All zones, in order of names.
    pub(super) fn all(&self) -> Vec<View> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn put(&self, view: View) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(view.zone.clone(), view);
    }

    fn retain(&self, keep: impl Fn(&Name) -> bool) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|zone, _| keep(zone));
    }
}

impl Signing {
    /// With keys below that state directory.
    pub(super) fn new(state: Option<PathBuf>) -> Self {
        Self { state, zones: BTreeMap::new(), last: None, board: Board::default() }
    }

    /// How the zones stand.
    pub(super) fn board(&self) -> Board {
        self.board.clone()
    }

    /// Signs exactly the zones that are configured so from now on. Keys that cannot be read leave
    /// those in force that were read before.
    pub(super) fn configure(&mut self, config: &Config) {
        let wanted: BTreeMap<&Name, &Settings> = config
            .federations
            .values()
            .filter_map(|own| Some((&own.federation.zone, own.dnssec.as_ref()?)))
            .collect();
        self.zones.retain(|zone, _| wanted.contains_key(zone));
        self.board.retain(|zone| wanted.contains_key(zone));
        for (zone, settings) in wanted {
            let own = self.zones.entry(zone.clone());
            let own = own.or_insert_with(|| SignedZone::new(zone.clone(), settings.clone()));
            own.configure(settings, self.state.as_deref(), now());
            self.board.put(own.view(now()));
        }
        self.last = None;
    }

    /// The snapshot with its zones signed.
    pub(super) fn sign(&mut self, snapshot: Arc<Snapshot>, at: Moment) -> Arc<Snapshot> {
        if self.zones.is_empty() {
            return snapshot;
        }
        let due: Vec<bool> = self.zones.values_mut().map(|zone| zone.tick(at)).collect();
        if let Some((came, went)) = &self.last
            && Arc::ptr_eq(came, &snapshot)
            && !due.contains(&true)
        {
            return went.clone();
        }
        let mut next = Snapshot::clone(&snapshot);
        for (name, zone) in &mut self.zones {
            let Some(source) = snapshot.served.get(name) else { continue };
            if let Some(signed) = zone.sign(source, at, &self.board) {
                next.served.put(signed);
            }
            self.board.put(zone.view(at));
        }
        let own = self.zones.values().filter_map(|zone| zone.problem().map(str::to_owned));
        next.problems = next.problems.iter().cloned().chain(own).collect();
        let next = Arc::new(next);
        self.last = Some((snapshot, next.clone()));
        next
    }

    /// Does what an operator orders.
    pub(super) fn carry_out(&mut self, order: DnssecOrder) {
        match order {
            DnssecOrder::Roll { zone, role, reply } => {
                let outcome = self.of(&zone).and_then(|own| own.roll(role, now()));
                drop(reply.send(outcome));
            }
            DnssecOrder::DsSeen { zone, tags, reply } => {
                let outcome = self.of(&zone).and_then(|own| own.ds_seen(&tags, now()));
                drop(reply.send(outcome));
            }
        }
        self.last = None;
    }

    fn of(&mut self, zone: &Name) -> Result<&mut SignedZone, String> {
        let all: Vec<String> = self.zones.keys().map(ToString::to_string).collect();
        self.zones.get_mut(zone).ok_or_else(|| match all.is_empty() {
            true => "no zone is signed; a Federation's spec.dnssec says that one is".to_owned(),
            false => format!("zone {zone} is not signed; there is {}", all.join(", ")),
        })
    }
}
