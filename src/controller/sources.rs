//! One task per member cluster: started, replaced and ended as the configuration says.

use crate::{
    config::MemberConfig,
    model::{ClusterEvent, ClusterName},
    source::{self, Access},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) struct Sources {
    running: BTreeMap<ClusterName, (Access, CancellationToken)>,
    starts: Arc<Semaphore>,
    events: mpsc::Sender<(ClusterName, ClusterEvent)>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Sources {
    pub(super) fn new(
        events: mpsc::Sender<(ClusterName, ClusterEvent)>,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let starts = Arc::new(Semaphore::new(source::INITIAL_LISTS));
        Self { running: BTreeMap::new(), starts, events, tasks, shutdown }
    }

    /// Ends the clusters that are gone or reached otherwise now, starts those that are new.
    pub(super) fn run(&mut self, members: &BTreeMap<ClusterName, MemberConfig>) {
        self.running.retain(|name, (access, stop)| {
            let same = members.get(name).is_some_and(|member| member.access == *access);
            if !same {
                stop.cancel();
            }
            same
        });
        for (name, member) in members {
            if !self.running.contains_key(name) {
                self.start(name.clone(), member.access.clone());
            }
        }
    }

    fn start(&mut self, name: ClusterName, access: Access) {
        let stop = self.shutdown.child_token();
        let watch =
            source::watch(name.clone(), access.clone(), self.starts.clone(), self.events.clone());
        let stopped = stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = watch => {}
            }
        });
        self.running.insert(name, (access, stop));
    }
}
