//! A connection whose turns are timed: what its client has used up is waited for before the next
//! turn, and nothing of it is read meanwhile.
//!
//! What a turn does does not matter: handshakes, answers, messages of transfers, and what the kernel
//! does for them, all take the processor from others.

use super::{Seat, Shared};
use crate::server::{Budget, Clock, Stats};
use std::{
    future::poll_fn,
    net::IpAddr,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

impl<A> Shared<A> {
    /// Serves within the client's share of the processor; without limits where there are none.
    pub(in crate::server) async fn metered<F: Future>(
        &self,
        client: IpAddr,
        seat: &Seat,
        serving: F,
    ) -> F::Output {
        match self.guard.budget.as_ref().filter(|budget| budget.counts(client)) {
            Some(budget) => {
                let (clock, stats) = (self.clock, self.stats.as_ref());
                Share { budget, client, clock, stats, seat }.serve(serving).await
            }
            None => serving.await,
        }
    }
}

struct Share<'s> {
    budget: &'s Budget,
    client: IpAddr,
    clock: Clock,
    stats: &'s Stats,
    seat: &'s Seat,
}

impl Share<'_> {
    async fn serve<F: Future>(self, serving: F) -> F::Output {
        let mut serving = pin!(serving);
        while self.waited().await {
            if let Some(done) = poll_fn(|cx| self.turn(cx, serving.as_mut())).await {
                return done;
            }
        }
        // It has to end, and what is left to do for that is done.
        serving.await
    }

    /// One turn; nothing comes of it where the client has used up its share by it.
    fn turn<F: Future>(
        &self,
        cx: &mut Context<'_>,
        serving: Pin<&mut F>,
    ) -> Poll<Option<F::Output>> {
        let before = self.clock.worked();
        let turn = serving.poll(cx);
        let (took, millis) = (self.clock.worked().saturating_sub(before), self.millis());
        self.budget.used(self.client, millis, took);
        match turn {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.budget.wait(self.client, millis).is_zero() => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    }

    /// Once the client may use more; `false` when the connection has to end before that.
    async fn waited(&self) -> bool {
        let mut wait = self.wait();
        if !wait.is_zero() {
            self.stats.slowed();
        }
        while !wait.is_zero() {
            // On the heap, so that connections that never wait are no larger.
            let pause = Box::pin(tokio::time::sleep(wait.clamp(LEAST, MOST)));
            tokio::select! {
                biased;
                _ = self.seat.ended() => return false,
                () = pause => wait = self.wait(),
            }
        }
        true
    }

    fn wait(&self) -> Duration {
        self.budget.wait(self.client, self.millis())
    }

    fn millis(&self) -> u64 {
        self.clock.read().millis
    }
}

/// Timers are no finer.
const LEAST: Duration = Duration::from_millis(1);
/// Whoever shares the budget may have used more meanwhile, or less.
const MOST: Duration = Duration::from_millis(500);
