//! What zone transfers say of themselves, in Prometheus's text form.

use super::{raise_by, register, signed};
use crate::transfer::{Event, Reading};
use prometheus::{Encoder, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// The metrics of transfers, all named `meridian_transfer_*`, `meridian_notify_*` and
/// `meridian_tsig_*`.
#[derive(Debug)]
pub struct TransferMetrics {
    registry: Registry,
    given: IntCounterVec,
    denied: IntCounterVec,
    running: IntGauge,
    tsig: IntCounterVec,
    notices_in: IntCounterVec,
    notices_out: IntCounterVec,
    taken: IntCounterVec,
    versions: IntGaugeVec,
    octets: IntGaugeVec,
    serial: IntGaugeVec,
    confirmed: IntGaugeVec,
}

impl Default for TransferMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl TransferMetrics {
    /// Metrics that all stand at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, label: &str| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), &[label]))
        };
        let gauges = |name: &str, help: &str| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), &["zone"]))
        };
        Self {
            given: counters(
                "meridian_transfer_out_total",
                "Transfers given: axfr, ixfr, soa (in step), datagram, or broken off.",
                "kind",
            ),
            denied: counters("meridian_transfer_denied_total", "Transfers not given.", "reason"),
            running: register(
                &registry,
                IntGauge::new("meridian_transfer_out_running", "Transfers under way."),
            ),
            tsig: counters("meridian_tsig_refused_total", "Signatures not taken.", "error"),
            notices_in: counters("meridian_notify_in_total", "Notices that came.", "result"),
            notices_out: counters("meridian_notify_out_total", "Notices sent.", "result"),
            taken: counters("meridian_transfer_in_total", "Primaries asked for zones.", "result"),
            versions: gauges(
                "meridian_transfer_journal_versions",
                "Older versions of a zone that differences are known of.",
            ),
            octets: gauges(
                "meridian_transfer_journal_octets",
                "Octets that these differences take, about.",
            ),
            serial: gauges(
                "meridian_transfer_in_serial",
                "Serial of a zone at its primary, as served; none while it is missing.",
            ),
            confirmed: gauges(
                "meridian_transfer_in_confirmed_seconds",
                "When a zone's primary last confirmed it, in seconds since 1970; 0 for never.",
            ),
            registry,
        }
    }

    /// What they say now.
    #[must_use]
    pub fn text(&self, reading: &Reading) -> String {
        for (event, count) in &reading.stats.events {
            self.raise(*event, *count);
        }
        self.running.set(signed(reading.running as u64));
        for family in [&self.versions, &self.octets, &self.serial, &self.confirmed] {
            family.reset();
        }
        for own in &reading.journals {
            let name = own.zone.to_string();
            self.versions.with_label_values(&[&name]).set(signed(own.versions as u64));
            self.octets.with_label_values(&[&name]).set(signed(own.octets as u64));
        }
        for own in &reading.replicas {
            let name = own.zone.to_string();
            if let Some(serial) = own.serial {
                self.serial.with_label_values(&[&name]).set(i64::from(serial.0));
            }
            let confirmed = signed(own.confirmed.unwrap_or_default());
            self.confirmed.with_label_values(&[&name]).set(confirmed);
        }
        let mut text = Vec::new();
        // Writing to memory fails only for a metric without a name, which these have.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn raise(&self, event: Event, count: u64) {
        let (counters, label) = match event {
            Event::Given(kind) => (&self.given, kind),
            Event::Broken => (&self.given, "broken"),
            Event::Denied(why) => (&self.denied, why),
            Event::Tsig(error) => (&self.tsig, error),
            Event::NoticeIn(result) => (&self.notices_in, result),
            Event::NoticeOut(result) => (&self.notices_out, result),
            Event::Taken(result) => (&self.taken, result),
        };
        raise_by(counters, &[label], count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::{Journaled, Stats};

    #[test]
    fn all_metrics_of_transfers_can_be_made_and_read() {
        let (metrics, stats) = (TransferMetrics::new(), Stats::default());
        stats.count(Event::Given("axfr"));
        stats.count(Event::Tsig("BADKEY"));
        let journals = vec![Journaled { zone: "z.test".parse().unwrap(), versions: 3, octets: 99 }];
        let reading = Reading { stats: stats.view(), running: 1, journals, replicas: Vec::new() };
        let _ = metrics.text(&reading);
        let text = metrics.text(&reading);
        for line in [
            "meridian_transfer_out_total{kind=\"axfr\"} 1",
            "meridian_tsig_refused_total{error=\"BADKEY\"} 1",
            "meridian_transfer_journal_versions{zone=\"z.test.\"} 3",
            "meridian_transfer_out_running 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
