//! The state in which a boot protocol starts the first vCPU.
//!
//! PVH: 32-bit protected mode, paging off, flat segments, EBX = start info, interrupts off. Linux: 64-bit mode,
//! the first 4 GiB mapped to themselves, RSI = zero page. The other vCPUs keep KVM's reset state and
//! wait for INIT and SIPI.

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;

use super::KvmError;
use crate::boot::{Entry, linux};

const CR0_PE: u64 = 1 << 0;
const CR0_ET: u64 = 1 << 4;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
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
    let mut regs = kvm_regs {
        rflags: RFLAGS_RESERVED,
        ..Default::default()
    };
    match entry {
        Entry::Pvh {
            instruction,
            start_info,
        } => {
            (regs.rip, regs.rbx) = (instruction, start_info);
            protected_mode(&mut sregs);
        }
        Entry::Linux {
            instruction,
            boot_params,
        } => {
            (regs.rip, regs.rsi) = (instruction, boot_params);
            long_mode(&mut sregs);
        }
    }
    vcpu.set_sregs(&sregs)
        .map_err(KvmError::ioctl("set segment registers"))?;
    vcpu.set_regs(&regs)
        .map_err(KvmError::ioctl("set general registers"))
}

/// 32-bit protected mode, paging off.
fn protected_mode(sregs: &mut kvm_sregs) {
    segments(sregs, flat(0x08, TYPE_CODE), flat(0x10, TYPE_DATA));
    sregs.tr = task_state();
    sregs.cr0 = CR0_PE | CR0_ET;
    sregs.cr4 = 0;
    sregs.efer = 0;
}

/// 64-bit mode with the tables that [`linux`] wrote.
fn long_mode(sregs: &mut kvm_sregs) {
    let mut code = flat(0x10, TYPE_CODE);
    (code.l, code.db) = (1, 0);
    segments(sregs, code, flat(0x18, TYPE_DATA));
    sregs.tr = task_state();
    sregs.gdt.base = linux::GDT_BASE;
    sregs.gdt.limit = (size_of_val(&linux::GDT) - 1) as u16;
    sregs.cr3 = linux::PAGE_TABLES;
    sregs.cr4 = CR4_PAE;
    sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
    sregs.efer = EFER_LME | EFER_LMA;
}

fn segments(sregs: &mut kvm_sregs, code: kvm_segment, data: kvm_segment) {
    sregs.cs = code;
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
}

fn flat(selector: u16, type_: u8) -> kvm_segment {
    kvm_segment {
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        db: 1,
        s: 1,
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
