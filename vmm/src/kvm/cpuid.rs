//! CPUID: what KVM supports, with the topology of this vCPU and the monitor's timing leaf.

use crate::config::Model;
use crate::trace;
use ferrix_machine::cpuid as leaf;
use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

/// KVM's APIC timer counts at 1 GHz, whatever the host.
const APIC_TIMER_KHZ: u32 = 1_000_000;
const TSC_DEADLINE: u32 = 1 << 24;
const HYPERVISOR: u32 = 1 << 31;
const HTT: u32 = 1 << 28;
const CMPXCHG16B: u32 = 1 << 13;
const POPCNT: u32 = 1 << 23;

/// Place of a vCPU: one socket, one thread a core.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    /// Its local APIC id.
    pub apic_id: u32,
    /// vCPUs of the machine.
    pub cpus: u32,
}

/// What a kernel need not measure.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Whose machine it looks like: only Ferrix's has the timing leaf.
    pub model: Model,
    /// TSC frequency; 0 when unknown.
    pub tsc_khz: u32,
    /// The in-kernel APIC timer has TSC-deadline mode.
    pub deadline_timer: bool,
}

/// Whether KVM executes a guest's kernel on the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// By VT-x or SVM: what CPUID lists works.
    Native,
    /// Instruction by instruction: some that CPUID lists do not work (docs/kvm.md).
    Emulated,
}

impl Kernels {
    /// A KVM that does not support POPCNT on a processor that has it emulates kernels.
    pub fn of(supported: &CpuId, processor_ecx: u32) -> Self {
        let lacks = |entry: &kvm_cpuid_entry2| entry.function == 1 && entry.ecx & POPCNT == 0;
        match processor_ecx & POPCNT != 0 && supported.as_slice().iter().any(lacks) {
            true => Self::Emulated,
            false => Self::Native,
        }
    }
}

/// Edits KVM's supported leaves in place. Fails only if there is no room for one more leaf.
pub fn shape(
    leaves: &mut CpuId,
    topology: Topology,
    clocks: Clocks,
    kernels: Kernels,
) -> Result<(), vmm_sys_util::fam::Error> {
    // Leaves 0xb and 0x1f are rebuilt.
    leaves.retain(|entry| !matches!(entry.function, 0xb | 0x1f | leaf::TIMING | leaf::OFFERED));
    let highest = leaves
        .as_slice()
        .iter()
        .find(|e| e.function == 0)
        .map_or(0, |e| e.eax);
    for entry in leaves.as_mut_slice() {
        shape_entry(entry, topology, clocks);
        if entry.function == 1 && kernels == Kernels::Emulated {
            // Supported in name, but not in the emulator.
            entry.ecx &= !CMPXCHG16B;
        }
    }
    if highest >= 0xb {
        for entry in extended_topology(topology) {
            leaves.push(entry)?;
        }
    }
    match clocks.model {
        Model::Ferrix => {
            leaves.push(timing(clocks))?;
            let offered = offered(leaves.as_slice());
            leaves.push(offered)
        }
        Model::Firecracker => Ok(()),
    }
}

fn shape_entry(entry: &mut kvm_cpuid_entry2, topology: Topology, clocks: Clocks) {
    let cores = topology.cpus;
    match entry.function {
        1 => {
            entry.ebx = entry.ebx & 0xffff | cores << 16 | topology.apic_id << 24;
            entry.ecx |= HYPERVISOR;
            set(&mut entry.ecx, TSC_DEADLINE, clocks.deadline_timer);
            set(&mut entry.edx, HTT, cores > 1);
        }
        // Deterministic cache parameters: caches are private, up to the third level.
        4 => {
            let sharing = if entry.eax >> 5 & 7 >= 3 {
                cores - 1
            } else {
                0
            };
            entry.eax = entry.eax & 0x3fff | sharing << 14 | (cores - 1) << 26;
        }
        0x8000_0008 => entry.ecx = entry.ecx & !0xf0ff | core_bits(cores) << 12 | (cores - 1),
        0x8000_001e => {
            entry.eax = topology.apic_id;
            entry.ebx = entry.ebx & !0xffff | topology.apic_id & 0xff;
            entry.ecx &= !0x7ff;
        }
        leaf::SIGNATURE if clocks.model.is_ferrix() => entry.eax = leaf::OFFERED,
        _ => {}
    }
}

fn set(register: &mut u32, bit: u32, on: bool) {
    *register = if on {
        *register | bit
    } else {
        *register & !bit
    };
}

fn core_bits(cores: u32) -> u32 {
    cores.next_power_of_two().trailing_zeros()
}

fn extended_topology(topology: Topology) -> [kvm_cpuid_entry2; 3] {
    const THREAD: u32 = 1;
    const CORE: u32 = 2;
    let level = |index: u32, shift, count, kind: u32| kvm_cpuid_entry2 {
        function: 0xb,
        index,
        flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax: shift,
        ebx: count,
        ecx: kind << 8 | index,
        edx: topology.apic_id,
        ..Default::default()
    };
    [
        level(0, 0, 1, THREAD),
        level(1, core_bits(topology.cpus), topology.cpus, CORE),
        level(2, 0, 0, 0),
    ]
}

fn timing(clocks: Clocks) -> kvm_cpuid_entry2 {
    let trace_bit = u32::from(trace::is_on()) * leaf::FERRIX_TRACE;
    kvm_cpuid_entry2 {
        function: leaf::TIMING,
        eax: clocks.tsc_khz,
        ebx: APIC_TIMER_KHZ,
        ecx: leaf::FERRIX_MAGIC,
        edx: leaf::FERRIX_EXIT_PORT | trace_bit,
        ..Default::default()
    }
}

/// The feature bits that are set, where KVM cannot replace them.
fn offered(leaves: &[kvm_cpuid_entry2]) -> kvm_cpuid_entry2 {
    let find = |function| {
        leaves
            .iter()
            .find(|e| e.function == function && e.index == 0)
    };
    kvm_cpuid_entry2 {
        function: leaf::OFFERED,
        eax: find(1).map_or(0, |e| e.ecx),
        ebx: find(7).map_or(0, |e| e.ebx),
        ecx: find(7).map_or(0, |e| e.ecx),
        edx: find(0x8000_0001).map_or(0, |e| e.ecx),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(apic_id: u32, cpus: u32) -> Vec<kvm_cpuid_entry2> {
        let entry = |function, eax| kvm_cpuid_entry2 {
            function,
            eax,
            ..Default::default()
        };
        let given = [
            entry(0, 0x1f),
            entry(1, 0),
            entry(0xb, 9),
            entry(0x1f, 9),
            entry(0x4000_0000, 1),
        ];
        let mut leaves = CpuId::from_entries(&given).unwrap();
        let clocks = Clocks {
            model: Model::Ferrix,
            tsc_khz: 2_500_000,
            deadline_timer: true,
        };
        let topology = Topology { apic_id, cpus };
        shape(&mut leaves, topology, clocks, Kernels::Native).unwrap();
        leaves.as_slice().to_vec()
    }

    fn find(leaves: &[kvm_cpuid_entry2], function: u32, index: u32) -> kvm_cpuid_entry2 {
        *leaves
            .iter()
            .find(|e| e.function == function && e.index == index)
            .unwrap()
    }

    #[test]
    fn each_vcpu_sees_its_own_apic_id() {
        let leaves = shaped(3, 4);
        assert_eq!(find(&leaves, 1, 0).ebx, 3 << 24 | 4 << 16);
        assert_ne!(find(&leaves, 1, 0).ecx & TSC_DEADLINE, 0);
        assert_eq!(find(&leaves, 0xb, 0).edx, 3);
        assert_eq!(
            (find(&leaves, 0xb, 1).eax, find(&leaves, 0xb, 1).ebx),
            (2, 4)
        );
        assert!(
            leaves.iter().all(|e| e.function != 0x1f && e.eax != 9),
            "stale topology is gone"
        );
    }

    #[test]
    fn timing_leaf_is_reachable_and_complete() {
        let leaves = shaped(0, 1);
        assert_eq!(find(&leaves, leaf::SIGNATURE, 0).eax, leaf::OFFERED);
        let timing = find(&leaves, leaf::TIMING, 0);
        assert_eq!((timing.eax, timing.ebx), (2_500_000, 1_000_000));
        assert_eq!(
            (timing.ecx, timing.edx),
            (leaf::FERRIX_MAGIC, leaf::FERRIX_EXIT_PORT)
        );
    }

    #[test]
    fn an_emulating_kvm_is_known_and_not_believed() {
        let entry = |function, ebx, ecx| kvm_cpuid_entry2 {
            function,
            ebx,
            ecx,
            ..Default::default()
        };
        let supported = |ecx| CpuId::from_entries(&[entry(1, 0, ecx), entry(7, 5, 6)]).unwrap();
        let (without, with) = (supported(CMPXCHG16B), supported(CMPXCHG16B | POPCNT));
        assert_eq!(Kernels::of(&without, POPCNT), Kernels::Emulated);
        assert_eq!(Kernels::of(&with, POPCNT), Kernels::Native);
        assert_eq!(
            Kernels::of(&without, 0),
            Kernels::Native,
            "an old processor"
        );
        let topology = Topology {
            apic_id: 0,
            cpus: 1,
        };
        let clocks = Clocks {
            model: Model::Ferrix,
            tsc_khz: 1,
            deadline_timer: false,
        };
        for (kernels, left) in [(Kernels::Native, CMPXCHG16B), (Kernels::Emulated, 0)] {
            let mut leaves = without.clone();
            shape(&mut leaves, topology, clocks, kernels).unwrap();
            let seen = find(leaves.as_slice(), leaf::OFFERED, 0);
            assert_eq!(seen.eax, find(leaves.as_slice(), 1, 0).ecx);
            assert_eq!(seen.eax & CMPXCHG16B, left);
            assert_eq!((seen.ebx, seen.ecx), (5, 6));
        }
    }
}
