//! Where compiled steering is kept, so that services which wish for the same share it.

use crate::{
    geo::{Database, RecordId},
    policy::{Candidate, Pick, Shape, Site, Steer, Table},
};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

/// All shapes and tables in use, for one database.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct Workshop {
    /// Read when it is first needed, unless another is given.
    database: Option<Arc<Database>>,
    shapes: Vec<Arc<Shape>>,
    tables: HashMap<TableKey, Weak<Table>>,
}

/// All that a table is computed from. The shape is told by where it lies: it is kept above.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct TableKey {
    shape: usize,
    candidates: Vec<Candidate>,
    spill: u64,
    pick: Pick,
}

impl Workshop {
    pub(in crate::fleet) fn new() -> Self {
        Self { database: None, shapes: Vec::new(), tables: HashMap::new() }
    }

    /// The database in force, the embedded one unless another was given.
    pub(in crate::fleet) fn database(&mut self) -> Arc<Database> {
        self.database.get_or_insert_with(Database::embedded).clone()
    }

    /// Whether a database has been needed yet.
    pub(in crate::fleet) fn located(&self) -> Option<&Arc<Database>> {
        self.database.as_ref()
    }

    /// Another database: nothing that was compiled for the old one is found again.
    pub(in crate::fleet) fn relocate(&mut self, database: Arc<Database>) {
        *self = Self { database: Some(database), ..Self::new() };
    }

    /// The shape of that wish over those sites, compiled unless it is there.
    pub(in crate::fleet) fn shape(&mut self, steer: &Steer, sites: &Arc<[Site]>) -> Arc<Shape> {
        let known = self.shapes.iter().find(|own| own.is_for(&steer.order, &steer.fence, sites));
        if let Some(known) = known {
            return known.clone();
        }
        let database = self.database();
        let networks = database.networks();
        let networks = networks.map(|(net, record)| (net, record.map(|record| record.0)));
        let location = |record| database.location(RecordId(record));
        let shape = Shape::compile(&steer.order, &steer.fence, sites.clone(), networks, location);
        let shape = Arc::new(shape);
        self.shapes.push(shape.clone());
        shape
    }

    /// The table of these candidates, computed unless it is there.
    pub(in crate::fleet) fn table(
        &mut self,
        shape: &Arc<Shape>,
        candidates: &[Candidate],
        steer: &Steer,
    ) -> Arc<Table> {
        let key = TableKey {
            shape: Arc::as_ptr(shape).addr(),
            candidates: candidates.to_vec(),
            spill: steer.spill.to_bits(),
            pick: steer.pick,
        };
        if let Some(known) = self.tables.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        let table = Arc::new(Table::compile(
            &shape.orders,
            &shape.sites,
            candidates,
            steer.spill,
            steer.pick,
        ));
        if self.tables.len()
            >= 2 * self.tables.values().filter(|own| own.strong_count() > 0).count() + SPARE
        {
            self.tables.retain(|_, own| own.strong_count() > 0);
        }
        self.tables.insert(key, Arc::downgrade(&table));
        table
    }

    /// Forgets shapes that nothing uses any more.
    pub(in crate::fleet) fn tidy(&mut self) {
        self.shapes.retain(|shape| Arc::strong_count(shape) > 1);
        let kept: Vec<usize> = self.shapes.iter().map(|own| Arc::as_ptr(own).addr()).collect();
        self.tables.retain(|key, own| own.strong_count() > 0 && kept.contains(&key.shape));
    }
}

/// Tables that may lie about unused before they are looked for.
const SPARE: usize = 1_024;
