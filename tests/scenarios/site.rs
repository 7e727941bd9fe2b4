//! A world whose zone is written to a provider in memory.

use crate::world::World;
use meridian::{
    model::{FederationName, Key, Name, Ttl},
    plan::{
        Approval, Capabilities, Desired, Failure, Listing, Manner, Owner, Permitted, Plan,
        RecordSet, Rendered, SetKey, Status, Step, Writer, diff, is_bookkeeping, render,
    },
    records::RecordType,
};
use std::{sync::Arc, time::Duration};

pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) writer: Writer,
    pub(crate) there: Listing,
    pub(crate) calls: usize,
    can: Capabilities,
}

pub(crate) fn owner(instance: &str) -> Owner {
    Owner::new("meridian", instance, &[vec![7; 32]]).unwrap()
}

/// What a world wants, in a provider's words.
pub(crate) fn rendered(world: &mut World, can: &Capabilities) -> Result<Rendered, String> {
    let federation: FederationName = world.config.federations[0].0.name.clone();
    let desired = Desired::of(&world.snapshot(), &federation, Ttl::WRITTEN);
    desired.map(|desired| render(&desired, can)).map_err(|why| why.to_string())
}

/// The first plan, for an empty zone.
pub(crate) fn first_plan(world: &mut World, can: &Capabilities) -> Plan {
    let zone = world.config.federations[0].0.zone.clone();
    let wanted = rendered(world, can).unwrap();
    diff(&wanted, &Listing::whole(zone, []), &owner("one"))
}

impl Site {
    pub(crate) fn new(world: World, can: Capabilities) -> Self {
        let zone: Name = world.config.federations[0].0.zone.clone();
        let writer = Writer::new(owner("one"), zone.clone(), can.clone(), Manner::default());
        Self { world, writer, there: Listing::whole(zone, []), calls: 0, can }
    }

    /// A process that starts again, with the same key and without memory.
    pub(crate) fn restart(&mut self) {
        let zone = self.there.zone().clone();
        self.writer = Writer::new(owner("one"), zone, self.can.clone(), Manner::default());
    }

    fn write(&mut self, batch: &Permitted) -> Result<Vec<(SetKey, Arc<str>)>, Failure> {
        if !self.there.fits(batch) {
            return Err(Failure::Lost("the zone is not as it was read".into()));
        }
        self.there = self.there.clone().after(batch);
        Ok(Vec::new())
    }

    /// Writes what the world wants now, until nothing is left to do.
    pub(crate) fn sync(&mut self) -> Status {
        let wanted = rendered(&mut self.world, &self.can);
        self.writer.want(wanted.map(Arc::new));
        for _ in 0..100 {
            match self.writer.next(self.world.now) {
                Step::Read => {
                    self.calls += 1;
                    self.writer.read(self.world.now, Ok(self.there.clone()));
                }
                Step::Write(batch) => {
                    self.calls += 1;
                    let outcome = self.write(&batch);
                    self.writer.wrote(self.world.now, outcome);
                }
                Step::Sleep(Some(until))
                    if until < self.world.now.mono + Duration::from_secs(60) =>
                {
                    self.world.now = self.world.now.after(until - self.world.now.mono);
                }
                Step::Sleep(_) => return self.writer.status(),
            }
        }
        panic!("it never comes to rest: {:?}", self.writer.status());
    }

    /// A person approves.
    pub(crate) fn approve(&mut self, ceiling: usize) {
        let until = self.world.now.after(Duration::from_secs(600)).wall;
        self.writer.approve(Approval { ceiling, by: None, until });
    }

    /// Everything but bookkeeping, a record set a line.
    pub(crate) fn data(&self) -> Vec<String> {
        let data = self.there.sets().filter(|set| !is_bookkeeping(&set.key));
        data.map(|set| format!("{} {set}", set.key.name())).collect()
    }

    pub(crate) fn put(&mut self, set: RecordSet) {
        self.there.put(set);
    }

    /// The types that stand at each name, bookkeeping too.
    pub(crate) fn types(&self, owner: &Key) -> Vec<RecordType> {
        let own = self.there.sets().filter(|set| set.key.owner == *owner);
        own.map(|set| set.key.rtype).collect()
    }
}
