//! The report about a vCPU: registers, interrupts, the bytes at the instruction, who called whom.

use std::fmt::Write;
use std::fs::File;

use kvm_bindings::{kvm_regs, kvm_sregs};
use kvm_ioctls::VcpuFd;

use super::View;
use super::backtrace::frames;
use super::interrupts;
use super::symbols::Symbols;

const CODE_BYTES: usize = 16;

/// Describes a stopped vCPU over several lines.
pub fn crash_report(vcpu: &VcpuFd, view: &View<'_>, kernel: &File) -> String {
    let mut text = String::new();
    let (Ok(regs), Ok(sregs)) = (vcpu.get_regs(), vcpu.get_sregs()) else {
        return "its registers cannot be read\n".into();
    };
    let symbols = Symbols::read(kernel);
    // Writing to a String cannot fail.
    let _ = registers(&mut text, &regs)
        .and_then(|()| control(&mut text, &sregs))
        .and_then(|()| interrupts::describe(&mut text, vcpu))
        .and_then(|()| code(&mut text, view, regs.rip))
        .and_then(|()| backtrace(&mut text, view, &regs, &symbols));
    text
}

/// In the order in which the report has them.
const NAMES: &str = "rax|rbx|rcx|rdx|rsi|rdi|rbp|rsp|r8 |r9 |r10|r11|r12|r13|r14|r15";

fn registers(text: &mut String, r: &kvm_regs) -> std::fmt::Result {
    let all = [
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12,
        r.r13, r.r14, r.r15,
    ];
    let columns = NAMES.split('|').zip(all);
    let columns: Vec<_> = columns
        .map(|(name, value)| format!("{name} {value:016x}"))
        .collect();
    for row in columns.chunks(4) {
        writeln!(text, "  {}", row.join("  "))?;
    }
    writeln!(text, "  rip {:016x}  rflags {:08x}", r.rip, r.rflags)
}

fn control(text: &mut String, s: &kvm_sregs) -> std::fmt::Result {
    writeln!(
        text,
        "  cr0 {:08x}  cr2 {:016x}  cr3 {:016x}  cr4 {:08x}",
        s.cr0, s.cr2, s.cr3, s.cr4
    )?;
    let row = [("cs", &s.cs), ("ss", &s.ss), ("fs", &s.fs), ("gs", &s.gs)];
    let row = row.map(|(name, it)| format!("{name} {:04x}:{:016x}", it.selector, it.base));
    writeln!(text, "  {}", row.join("  "))?;
    writeln!(
        text,
        "  efer {:04x}  gdt {:016x}/{:x}  idt {:016x}/{:x}",
        s.efer, s.gdt.base, s.gdt.limit, s.idt.base, s.idt.limit
    )
}

fn code(text: &mut String, view: &View<'_>, rip: u64) -> std::fmt::Result {
    let mut bytes = [0; CODE_BYTES];
    let mapped = view.read(rip, &mut bytes);
    let hex: Vec<_> = bytes[..mapped]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    match mapped {
        0 => writeln!(text, "  code at rip: not mapped"),
        _ => writeln!(text, "  code at rip: {}", hex.join(" ")),
    }
}

fn backtrace(
    text: &mut String,
    view: &View<'_>,
    regs: &kvm_regs,
    symbols: &Symbols,
) -> std::fmt::Result {
    writeln!(text, "  backtrace:")?;
    for (depth, address) in frames(view, regs).into_iter().enumerate() {
        // A return address may be the first byte of the next function.
        let inside = if depth == 0 { address } else { address - 1 };
        match symbols.find(inside) {
            Some(place) => writeln!(text, "    {depth:2}: {address:016x} {place}")?,
            None => writeln!(text, "    {depth:2}: {address:016x}")?,
        }
    }
    Ok(())
}
