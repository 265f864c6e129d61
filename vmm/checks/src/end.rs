//! The ways to end the machine.

use ferrix_machine::{cpuid as leaf, exit, port, virtio_mmio};

use crate::arch::cpu;
use crate::checks::cpuid::hypervisor_leaf;
use crate::info::{self, StartInfo};
use crate::print;

/// The exit port: by Ferrix's timing leaf, else as `exit_port=PORT` on the command line says.
fn exit_port() -> Option<u16> {
    let timing = hypervisor_leaf(leaf::TIMING);
    if timing.is_some_and(|t| t.ecx == leaf::FERRIX_MAGIC && t.edx & leaf::FERRIX_EXIT_PORT != 0) {
        return Some(port::EXIT);
    }
    let line = StartInfo::find().command_line().1?;
    let named = info::option(line, ferrix_machine::cmdline::EXIT_PORT)?;
    u16::from_str_radix(named.strip_prefix("0x")?, 16).ok()
}

/// Ends with a status where there is an exit port, else by a reset.
pub fn with(status: u8) -> ! {
    if let Some(port) = exit_port() {
        cpu::out32(port, status.into());
    }
    // A machine without the port is expected to be run so that a reset ends it.
    cpu::out8(port::I8042_COMMAND, port::I8042_RESET);
    cpu::triple_fault()
}

/// Ends as `end=HOW` on the command line says: a number is a status, the rest are crashes.
pub fn by(how: &str) -> ! {
    print!("vmm-checks: end={how}\n");
    match how {
        "triple-fault" => cpu::triple_fault(),
        "reset" => cpu::out8(port::I8042_COMMAND, port::I8042_RESET),
        "panic" => {
            exit_port().inspect(|&port| cpu::out32(port, exit::PANIC_FLAG | exit::PANIC));
        }
        "internal-error" => cpu::load_x87(virtio_mmio::BASE),
        "halt" => {}
        status => match status.parse() {
            Ok(status) => with(status),
            Err(_) => print!("vmm-checks: end={how} is neither a number nor a known way\n"),
        },
    }
    cpu::halt()
}
