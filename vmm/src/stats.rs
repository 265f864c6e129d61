//! `--stats`: one JSON object at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::devices::Milestone;
use crate::run::Machine;
use crate::status::ExitStatus;
use crate::vcpu::Vcpu;
use crate::virtio::blk::BlkSnapshot;
use crate::virtio::console::ConsoleSnapshot;

/// The object. Field names are an interface: benchmarks and tests read them.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// Exit status of `vmm`.
    pub status: u8,
    /// From the start of `vmm` to now.
    pub wall_us: u64,
    /// In order.
    pub milestones: Vec<Milestone>,
    /// Exits to the monitor by reason, all vCPUs.
    pub exits: BTreeMap<&'static str, u64>,
    /// KVM's counters, all vCPUs.
    pub kvm: BTreeMap<String, u64>,
    /// The same for each vCPU.
    pub vcpus: Vec<VcpuReport>,
    /// The disks in order.
    pub disks: Vec<BlkSnapshot>,
    /// The console.
    pub console: ConsoleSnapshot,
    /// Bytes of the kernel's log.
    pub log_bytes: u64,
}

/// One vCPU.
#[derive(Debug, Serialize)]
pub struct VcpuReport {
    /// Exits to the monitor by reason.
    pub exits: BTreeMap<&'static str, u64>,
    /// KVM's counters.
    pub kvm: BTreeMap<String, u64>,
}

/// Collects everything.
pub(crate) fn collect(start: Instant, status: ExitStatus, machine: &Machine) -> Stats {
    let report = |vcpu: &Arc<Vcpu>| {
        let counters = vcpu.stats.as_ref().and_then(|stats| stats.snapshot().ok());
        VcpuReport {
            exits: vcpu.exits.snapshot(),
            kvm: counters.unwrap_or_default(),
        }
    };
    let reports: Vec<_> = machine.guest.vcpus.all.iter().map(report).collect();
    let disks = machine.backs.disks.iter();
    Stats {
        status: status.code(),
        wall_us: start.elapsed().as_micros() as u64,
        milestones: machine.guest.context.bus.milestones.all(),
        exits: sum(reports.iter().map(|r| &r.exits)),
        kvm: sum(reports.iter().map(|r| &r.kvm)),
        vcpus: reports,
        disks: disks.map(|disk| disk.counters()).collect(),
        console: machine.backs.tty.counters(),
        log_bytes: machine.log.bytes(),
    }
}

fn sum<'a, K: Ord + Clone + 'a>(
    all: impl Iterator<Item = &'a BTreeMap<K, u64>>,
) -> BTreeMap<K, u64> {
    let mut total = BTreeMap::new();
    for (key, value) in all.flatten() {
        *total.entry(key.clone()).or_insert(0) += value;
    }
    total
}
