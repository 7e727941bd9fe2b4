//! Logs and metrics: read from snapshots and counters when they are asked for.

mod guard;
mod transfers;
mod writers;

use crate::{
    fleet::{EndpointState, Serving, Snapshot},
    model::Freshness,
    plan, probe,
    server::StatsView,
};
use prometheus::{
    Encoder, Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};
use std::collections::BTreeMap;
use tracing_subscriber::EnvFilter;

pub use transfers::TransferMetrics;

/// Logs to standard error: as text, or as JSON lines. `RUST_LOG` says how much.
pub fn log(json: bool, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call, as tests make it, keeps the first.
    let _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}

/// The metrics of one process, all named `meridian_*`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    generation: IntGauge,
    serial: IntGaugeVec,
    names: IntGaugeVec,
    signatures: IntGaugeVec,
    clusters: IntGaugeVec,
    contact: IntGaugeVec,
    units: IntGaugeVec,
    endpoints: IntGaugeVec,
    problems: IntGauge,
    queries: IntCounterVec,
    responses: IntCounterVec,
    truncated: IntCounter,
    dropped: IntCounterVec,
    tcp_open: IntGauge,
    tapped: IntCounterVec,
    led: IntCounterVec,
    types: IntCounterVec,
    zone_answers: IntCounterVec,
    guard: guard::Guard,
    checks: IntCounterVec,
    targets: IntGauge,
    checking: IntGauge,
    lag: Gauge,
    geography: IntGauge,
    writers: writers::Writers,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that all stand at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help));
        Self {
            generation: gauge("meridian_snapshot_generation", "Generation of the snapshot served."),
            serial: gauges("meridian_zone_serial", "SOA serial of a zone.", &["zone"]),
            names: gauges("meridian_zone_names", "Names that own records in a zone.", &["zone"]),
            signatures: gauges(
                "meridian_dnssec_signatures_end_seconds",
                "When the first signature of a signed zone ends, in seconds since 1970.",
                &["zone"],
            ),
            clusters: gauges(
                "meridian_cluster_freshness",
                "1 for how fresh our view of a cluster is.",
                &["cluster", "freshness"],
            ),
            contact: gauges(
                "meridian_cluster_last_contact_seconds",
                "When a cluster was last heard of, in seconds since 1970.",
                &["cluster"],
            ),
            units: gauges(
                "meridian_names_serving",
                "Services and hosts by what decides their answer.",
                &["federation", "serving"],
            ),
            endpoints: gauges(
                "meridian_endpoints",
                "Endpoints by cluster and what is held against them.",
                &["cluster", "state"],
            ),
            problems: gauge("meridian_problems", "Objects that could not be taken up."),
            queries: counters("meridian_dns_queries_total", "Queries answered.", &["transport"]),
            responses: counters("meridian_dns_responses_total", "Answers.", &["rcode"]),
            truncated: register(
                &registry,
                IntCounter::new("meridian_dns_truncated_total", "Answers cut short (TC)."),
            ),
            dropped: counters("meridian_dns_dropped_total", "Packets not answered.", &["reason"]),
            tcp_open: gauge("meridian_dns_tcp_connections", "TCP connections that are open."),
            types: counters(
                "meridian_dns_types_total",
                "Answers by the type asked for.",
                &["type"],
            ),
            zone_answers: counters(
                "meridian_dns_zone_answers_total",
                "Answers by the zone they are from.",
                &["zone"],
            ),
            led: counters(
                "meridian_dns_answers_total",
                "Answers with records, by the clusters that they lead to: one that leads to several \
                 counts for each.",
                &["federation", "cluster"],
            ),
            tapped: counters(
                "meridian_dnstap_frames_total",
                "Frames of dnstap, by what became of them.",
                &["result"],
            ),
            guard: guard::Guard::new(&registry),
            checks: counters(
                "meridian_checks_total",
                "Endpoint checks that ended.",
                &["protocol", "result"],
            ),
            targets: gauge("meridian_check_targets", "Addresses that are checked."),
            checking: gauge("meridian_checks_running", "Endpoint checks under way."),
            lag: register(
                &registry,
                Gauge::new(
                    "meridian_check_lag_seconds",
                    "By how much checks start late; 0 unless there are too many.",
                ),
            ),
            geography: gauge(
                "meridian_geo_database_built_seconds",
                "When the database that locates clients was built, in seconds since 1970.",
            ),
            writers: writers::Writers::new(&registry),
            registry,
        }
    }

    /// What they say now, in Prometheus's text form.
    #[must_use]
    pub fn text(
        &self,
        snapshot: &Snapshot,
        stats: &StatsView,
        checks: &probe::StatsView,
        zones: &[plan::Status],
    ) -> String {
        self.writers.read(zones);
        self.read_snapshot(snapshot);
        self.read_stats(stats);
        self.read_led(snapshot, stats);
        self.read_checks(checks);
        let mut text = Vec::new();
        // Writing to memory fails only for a metric without a name, which these have.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn read_snapshot(&self, snapshot: &Snapshot) {
        for family in
            [&self.serial, &self.names, &self.clusters, &self.contact, &self.units, &self.endpoints]
        {
            family.reset();
        }
        self.read_signatures(snapshot);
        self.generation.set(signed(snapshot.generation.0));
        self.problems.set(signed(snapshot.problems.len() as u64));
        let built = snapshot.geography.as_ref().and_then(|database| database.info().built);
        self.geography.set(built.map_or(0, jiff::Timestamp::as_second));
        for zone in snapshot.zones.iter() {
            let name = zone.apex().to_string();
            self.serial.with_label_values(&[&name]).set(i64::from(zone.serial().0));
            self.names.with_label_values(&[&name]).set(signed(zone.len() as u64));
        }
        for view in snapshot.clusters.values() {
            for state in [Freshness::Fresh, Freshness::Stale, Freshness::Unreachable] {
                let labels = [&*view.name.0, state.as_str()];
                self.clusters.with_label_values(&labels).set(i64::from(view.freshness == state));
            }
            let contact = view.last_contact.map_or(0, jiff::Timestamp::as_second);
            self.contact.with_label_values(&[&*view.name.0]).set(contact);
        }
        self.read_units(snapshot);
    }

    fn read_signatures(&self, snapshot: &Snapshot) {
        self.signatures.reset();
        for zone in snapshot.served.iter() {
            let names = zone.signed().map(|signed| signed.names());
            let first = names.and_then(|names| names.values().map(|name| name.until).min());
            if let Some(first) = first {
                self.signatures.with_label_values(&[zone.apex().to_string()]).set(first);
            }
        }
    }

    fn read_units(&self, snapshot: &Snapshot) {
        for view in snapshot.units.values() {
            let serving: Serving = view.serving;
            let labels = [view.federation.0.to_string(), serving.to_string()];
            self.units.with_label_values(&labels).inc();
            for endpoint in &view.endpoints {
                let state: EndpointState = endpoint.state;
                let labels = [endpoint.cluster.0.to_string(), state.to_string()];
                self.endpoints.with_label_values(&labels).inc();
            }
        }
    }

    fn read_stats(&self, stats: &StatsView) {
        let transports = [
            ("udp", stats.udp),
            ("tcp", stats.tcp),
            ("tls", stats.tls),
            ("https", stats.https),
            ("quic", stats.quic),
        ];
        transports.into_iter().for_each(|(name, count)| raise(&self.queries, name, count));
        let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN"];
        for (rcode, count) in stats.rcodes.iter().enumerate().filter(|(_, count)| **count > 0) {
            let name = match rcode {
                16 => "BADVERS".into(),
                23 => "BADCOOKIE".into(),
                _ => names.get(rcode).map_or_else(|| format!("RCODE{rcode}"), |own| (*own).into()),
            };
            raise(&self.responses, &name, *count);
        }
        self.truncated.inc_by(stats.truncated.saturating_sub(self.truncated.get()));
        let reasons = [
            ("short", stats.short),
            ("response", stats.responses),
            ("source", stats.source),
            ("send", stats.send),
            ("tcp-limit", stats.refused),
            ("tcp-time", stats.overdue),
            ("tcp-proxy", stats.unproxied),
            ("udp-proxy", stats.datagrams_unproxied),
            ("tls-handshake", stats.unshaken),
            ("rate-limit", stats.limited),
            ("protocol", stats.protocol),
        ];
        reasons.into_iter().for_each(|(reason, count)| raise(&self.dropped, reason, count));
        self.tcp_open.set(signed(stats.open));
        for (rtype, count) in &stats.types {
            raise(&self.types, rtype, *count);
        }
        for (zone, count) in &stats.by_zone {
            raise(&self.zone_answers, &zone.to_string(), *count);
        }
        if let Some(own) = stats.tap {
            raise(&self.tapped, "written", own.written);
            raise(&self.tapped, "dropped", own.dropped);
        }
        self.guard.read(stats);
    }

    fn read_led(&self, snapshot: &Snapshot, stats: &StatsView) {
        let mut sums = BTreeMap::new();
        for (led, count) in &stats.led {
            let Some((federation, clusters)) = snapshot.leads.get(*led) else { continue };
            for cluster in clusters {
                *sums.entry((federation, cluster)).or_default() += *count;
            }
        }
        for ((federation, cluster), sum) in sums {
            raise_by(&self.led, &[&federation.0, &cluster.0], sum);
        }
    }

    fn read_checks(&self, checks: &probe::StatsView) {
        for own in checks.checks.iter().filter(|own| own.count > 0) {
            let counter = self.checks.with_label_values(&[own.protocol, own.result]);
            counter.inc_by(own.count.saturating_sub(counter.get()));
        }
        self.targets.set(signed(checks.targets));
        self.checking.set(signed(checks.running));
        self.lag.set(checks.lag);
    }
}

/// A counter that is kept elsewhere only rises, so the difference is what is new.
fn raise(counters: &IntCounterVec, label: &str, to: u64) {
    raise_by(counters, &[label], to);
}

fn raise_by(counters: &IntCounterVec, labels: &[&str], to: u64) {
    let counter = counters.with_label_values(labels);
    counter.inc_by(to.saturating_sub(counter.get()));
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn register<M: Clone + Collector + 'static>(registry: &Registry, made: prometheus::Result<M>) -> M {
    let metric = made.expect("the metrics' names and labels are constants that a test has seen");
    registry.register(Box::new(metric.clone())).expect("each metric has a name of its own");
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_metrics_can_be_made_and_read() {
        let snapshot = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let stats = StatsView { udp: 3, rcodes: vec![3], ..StatsView::default() };
        let metrics = Metrics::new();
        let _ = metrics.text(&snapshot, &stats, &probe::StatsView::default(), &[]);
        let text = metrics.text(&snapshot, &stats, &probe::StatsView::default(), &[]);
        assert!(text.contains("meridian_dns_queries_total{transport=\"udp\"} 3"), "{text}");
        assert!(text.contains("meridian_dns_responses_total{rcode=\"NOERROR\"} 3"), "{text}");
    }
}
