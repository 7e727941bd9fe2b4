//! Metrics of what guards the DNS server from abuse.

use super::{raise, register};
use crate::server::StatsView;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

#[derive(Debug)]
pub(super) struct Guard {
    cookies: IntCounterVec,
    limited: IntCounterVec,
    slowed: IntCounter,
    extended: IntCounterVec,
}

impl Guard {
    pub(super) fn new(registry: &Registry) -> Self {
        let counters = |name: &str, help: &str, label: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), &[label]))
        };
        Self {
            cookies: counters(
                "meridian_dns_cookies_total",
                "Queries answered, by what their DNS cookie was worth.",
                "cookie",
            ),
            limited: counters(
                "meridian_dns_rate_limited_total",
                "Answers above the rate limit, by what became of them.",
                "action",
            ),
            slowed: register(
                registry,
                IntCounter::new(
                    "meridian_dns_connections_slowed_total",
                    "Times that a connection waited, its client having used up its time.",
                ),
            ),
            extended: counters(
                "meridian_dns_extended_errors_total",
                "Answers with an extended error (RFC 8914), by its code.",
                "code",
            ),
        }
    }

    pub(super) fn read(&self, stats: &StatsView) {
        let (own, answered) = (stats.cookies, stats.rcodes.iter().sum::<u64>());
        let with = own.good + own.bad + own.new;
        let none = answered.saturating_sub(with);
        for (cookie, count) in
            [("good", own.good), ("bad", own.bad), ("new", own.new), ("none", none)]
        {
            raise(&self.cookies, cookie, count);
        }
        for (action, count) in
            [("drop", stats.limited), ("slip", stats.slipped), ("dry-run", stats.spared)]
        {
            raise(&self.limited, action, count);
        }
        self.slowed.inc_by(stats.slowed.saturating_sub(self.slowed.get()));
        for (code, count) in &stats.extended {
            raise(&self.extended, &code.to_string(), *count);
        }
    }
}
