//! The state in which the PVH protocol starts the first vCPU.
//!
//! 32-bit protected mode, paging off, flat segments, EBX = start info, interrupts off. The other
//! vCPUs keep KVM's reset state and wait for INIT and SIPI.

use kvm_bindings::{kvm_regs, kvm_segment};
use kvm_ioctls::VcpuFd;

use super::KvmError;
use crate::boot::pvh::Entry;

const CR0_PE: u64 = 1 << 0;
const CR0_ET: u64 = 1 << 4;
/// Bit 1 of EFLAGS is always set.
const RFLAGS_RESERVED: u64 = 1 << 1;
const TYPE_CODE: u8 = 0xb;
const TYPE_DATA: u8 = 0x3;
const TYPE_TSS_BUSY: u8 = 0xb;

/// Puts a vCPU at the kernel's entry.
pub fn set(vcpu: &VcpuFd, entry: Entry) -> Result<(), KvmError> {
    let mut sregs = vcpu
        .get_sregs()
        .map_err(KvmError::ioctl("read segment registers"))?;
    sregs.cs = flat(0x08, TYPE_CODE);
    let data = flat(0x10, TYPE_DATA);
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    sregs.tr = task_state();
    sregs.cr0 = CR0_PE | CR0_ET;
    sregs.cr4 = 0;
    sregs.efer = 0;
    vcpu.set_sregs(&sregs)
        .map_err(KvmError::ioctl("set segment registers"))?;
    let regs = kvm_regs {
        rflags: RFLAGS_RESERVED,
        rip: entry.instruction,
        rbx: entry.start_info,
        ..Default::default()
    };
    vcpu.set_regs(&regs)
        .map_err(KvmError::ioctl("set general registers"))
}

fn flat(selector: u16, type_: u8) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db: 1,
        s: 1,
        l: 0,
        g: 1,
        ..Default::default()
    }
}

fn task_state() -> kvm_segment {
    kvm_segment {
        limit: 0x67,
        selector: 0x18,
        type_: TYPE_TSS_BUSY,
        present: 1,
        ..Default::default()
    }
}
