//! What a vCPU waits for: whether it is halted, and the interrupts that its local APIC holds.

use std::fmt::{Result, Write};

use kvm_bindings::{
    KVM_MP_STATE_HALTED, KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED, Msrs, kvm_lapic_state,
    kvm_msr_entry,
};
use kvm_ioctls::VcpuFd;

/// Offsets of the local APIC's registers (Intel SDM volume 3, table 12-1). Each holds 32 bits, 16 bytes apart.
const IN_SERVICE: usize = 0x100;
const REQUESTED: usize = 0x200;
const TIMER: usize = 0x320;
const INITIAL_COUNT: usize = 0x380;
const CURRENT_COUNT: usize = 0x390;
const VECTORS: usize = 256;

const MSR_TSC: u32 = 0x10;
const MSR_TSC_DEADLINE: u32 = 0x6e0;

/// Describes a stopped vCPU's interrupts over two lines.
pub fn describe(text: &mut String, vcpu: &VcpuFd) -> Result {
    let state = match vcpu.get_mp_state().map(|state| state.mp_state) {
        Ok(KVM_MP_STATE_RUNNABLE) => "running".into(),
        Ok(KVM_MP_STATE_HALTED) => "halted".into(),
        Ok(KVM_MP_STATE_UNINITIALIZED) => "not started".into(),
        Ok(other) => format!("in KVM's state {other}"),
        Err(error) => format!("in a state that cannot be read ({error})"),
    };
    let Ok(apic) = vcpu.get_lapic() else {
        return writeln!(text, "  {state}; its local APIC cannot be read");
    };
    writeln!(
        text,
        "  {state}; vectors in service: {}; requested: {}",
        list(&vectors(&apic, IN_SERVICE)),
        list(&vectors(&apic, REQUESTED))
    )?;
    write!(
        text,
        "  timer: LVT {:08x}, count {} of {}",
        register(&apic, TIMER),
        register(&apic, CURRENT_COUNT),
        register(&apic, INITIAL_COUNT)
    )?;
    match (msr(vcpu, MSR_TSC_DEADLINE), msr(vcpu, MSR_TSC)) {
        (Some(deadline), Some(tsc)) => writeln!(text, ", deadline {deadline:#x}, TSC {tsc:#x}"),
        _ => writeln!(text),
    }
}

fn register(apic: &kvm_lapic_state, offset: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| apic.regs[offset + byte] as u8))
}

/// The vectors whose bits are set in the eight registers from this offset on.
fn vectors(apic: &kvm_lapic_state, offset: usize) -> Vec<usize> {
    let is_set = |vector: &usize| {
        let word = register(apic, offset + vector / 32 * 16);
        word >> (vector % 32) & 1 == 1
    };
    (0..VECTORS).filter(is_set).collect()
}

fn list(vectors: &[usize]) -> String {
    if vectors.is_empty() {
        return "none".into();
    }
    let names = vectors.iter().map(|vector| format!("{vector:#x}"));
    names.collect::<Vec<_>>().join(" ")
}

fn msr(vcpu: &VcpuFd, index: u32) -> Option<u64> {
    let entry = kvm_msr_entry {
        index,
        ..Default::default()
    };
    let mut msrs = Msrs::from_entries(&[entry]).ok()?;
    (vcpu.get_msrs(&mut msrs).ok()? == 1).then(|| msrs.as_slice()[0].data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_found_in_their_registers() {
        let mut apic = kvm_lapic_state::default();
        assert_eq!(list(&vectors(&apic, REQUESTED)), "none");
        apic.regs[REQUESTED + 0x10] = 1;
        apic.regs[REQUESTED + 0x73] = -128;
        assert_eq!(list(&vectors(&apic, REQUESTED)), "0x20 0xff");
        assert!(vectors(&apic, IN_SERVICE).is_empty());
    }
}
