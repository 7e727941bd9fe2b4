//! Metrics of zones at providers.

use super::{raise_by, register, signed};
use crate::plan::{Phase, Status};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// The metrics, all named `meridian_provider_*`, by zone and provider.
#[derive(Debug)]
pub(super) struct Writers {
    phase: IntGaugeVec,
    names: IntGaugeVec,
    generation: IntGaugeVec,
    written: IntGaugeVec,
    looked: IntGaugeVec,
    calls: IntCounterVec,
    failures: IntCounterVec,
    lost: IntCounterVec,
    drift: IntCounterVec,
}

const LABELS: [&str; 2] = ["zone", "provider"];

impl Writers {
    pub(super) fn new(registry: &Registry) -> Self {
        let with = |more: &[&'static str]| [&LABELS[..], more].concat();
        let gauges = |name: &str, help: &str, more: &[&'static str]| {
            let own =
                IntGaugeVec::new(Opts::new(format!("meridian_provider_{name}"), help), &with(more));
            register(registry, own)
        };
        let counters = |name: &str, help: &str, more: &[&'static str]| {
            let opts = Opts::new(format!("meridian_provider_{name}"), help);
            register(registry, IntCounterVec::new(opts, &with(more)))
        };
        Self {
            phase: gauges("phase", "1 for what the writer of a zone is at.", &["phase"]),
            names: gauges(
                "names",
                "Names of a zone at a provider: owned, held, conflict, degraded, set-aside.",
                &["state"],
            ),
            generation: gauges("generation", "Writes that this installation has made there.", &[]),
            written: gauges("written_seconds", "Last write, in seconds since 1970.", &[]),
            looked: gauges("looked_seconds", "Last read, in seconds since 1970.", &[]),
            calls: counters("calls_total", "Reads and writes of a zone.", &["kind"]),
            failures: counters("failures_total", "Reads and writes that failed.", &[]),
            lost: counters("lost_races_total", "Writes that another writer was faster than.", &[]),
            drift: counters("drift_total", "Names of ours that others changed.", &[]),
        }
    }

    pub(super) fn read(&self, all: &[Status]) {
        for family in [&self.phase, &self.names, &self.generation, &self.written, &self.looked] {
            family.reset();
        }
        all.iter().for_each(|status| self.read_one(status));
    }

    fn read_one(&self, status: &Status) {
        let zone = status.zone.to_string();
        let own = [zone.as_str(), status.provider];
        let with = |more: &'static str| [zone.as_str(), status.provider, more];
        for phase in Phase::ALL {
            let text = phase.to_string();
            let gauge = self.phase.with_label_values(&[own[0], own[1], text.as_str()]);
            gauge.set(i64::from(phase == status.phase));
        }
        let counts = [
            ("owned", status.owned),
            ("held", status.held.len()),
            ("conflict", status.conflicts.len()),
            ("degraded", status.degraded.len()),
            ("set-aside", status.set_aside.len()),
        ];
        for (state, count) in counts {
            self.names.with_label_values(&with(state)).set(signed(count as u64));
        }
        self.generation.with_label_values(&own).set(signed(status.generation));
        let seconds = |at: Option<jiff::Timestamp>| at.map_or(0, jiff::Timestamp::as_second);
        self.written.with_label_values(&own).set(seconds(status.written));
        self.looked.with_label_values(&own).set(seconds(status.looked));
        raise_by(&self.calls, &with("read"), status.reads);
        raise_by(&self.calls, &with("write"), status.writes);
        raise_by(&self.failures, &own, status.failures);
        raise_by(&self.lost, &own, status.lost);
        raise_by(&self.drift, &own, status.drift);
    }
}
