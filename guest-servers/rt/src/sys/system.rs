//! Interrupts, the log, statistics, the machine.

use super::ipc::handle;
use super::raw::{call6, call6_pair, plain};
use ferrix_abi::Call;
use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;
use ferrix_abi::info::{BootInfo, CpuInfo, KernelInfo, SlabInfo, SystemStats};
use ferrix_abi::layout::{BOOT_INFO, KERNEL_INFO};

/// Does nothing: the cost of a system call.
pub fn null() -> Result<u64> {
    plain(Call::Null, [])
}

/// Binds an interrupt line to a port; its irq handle.
pub fn irq_bind(gsi: u32, port: Handle, badge: u32, resource: Handle) -> Result<Handle> {
    let args = [gsi.into(), port.0.into(), badge.into(), resource.0.into()];
    plain(Call::IrqBind, args).map(handle)
}

/// What a device writes to interrupt: a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where to (physical).
    pub address: u64,
    /// What.
    pub data: u32,
}

/// Makes a message-signalled interrupt on a port: its irq handle, and what the device is to write.
pub fn msi_bind(port: Handle, badge: u32, resource: Handle) -> Result<(Handle, Message)> {
    let args = [port.0.into(), badge.into(), resource.0.into(), 0, 0, 0];
    // SAFETY: no argument is a pointer, and the call does not change memory.
    let (irq, message) = unsafe { call6_pair(Call::MsiBind, args) }?;
    let message = Message {
        address: message & 0xffff_ffff,
        data: (message >> 32) as u32,
    };
    Ok((handle(irq), message))
}

/// Reads a register of PCI configuration space by ports (bus << 16 | device << 11 | function << 8 | offset).
pub fn pci_read(register: u32, resource: Handle) -> Result<u32> {
    let args = [register.into(), 0, 0, resource.0.into()];
    plain(Call::PciConfig, args).map(|value| value as u32)
}

/// Writes one.
pub fn pci_write(register: u32, value: u32, resource: Handle) -> Result<()> {
    let args = [register.into(), 1, value.into(), resource.0.into()];
    plain(Call::PciConfig, args).map(drop)
}

/// Unmasks the line after the device was served.
pub fn irq_ack(irq: Handle) -> Result<()> {
    plain(Call::IrqAck, [irq.0.into()]).map(drop)
}

/// Asks for `count` I/O ports from `first` on; the handle that stands for them.
pub fn ports_grant(first: u16, count: u16, resource: Handle) -> Result<Handle> {
    let args = [first.into(), count.into(), resource.0.into()];
    plain(Call::PortsGrant, args).map(handle)
}

/// Takes text of the kernel's log that has not come out; how many bytes.
pub fn log_take(buffer: &mut [u8], resource: Handle) -> Result<usize> {
    let (address, length) = (buffer.as_mut_ptr() as u64, buffer.len() as u64);
    let args = [address, length, resource.0.into(), 0, 0, 0];
    // SAFETY: the kernel writes at most `length` bytes there.
    unsafe { call6(Call::LogTake, args) }.map(|count| count as usize)
}

/// Appends to the kernel's log.
pub fn log(text: &str) {
    // SAFETY: the kernel reads the text.
    let _ = unsafe {
        call6(
            Call::Log,
            [text.as_ptr() as u64, text.len() as u64, 0, 0, 0, 0],
        )
    };
}

/// Ends the machine.
pub fn power_off(status: u32, resource: Handle) -> Result<()> {
    plain(Call::PowerOff, [status.into(), resource.0.into()]).map(drop)
}

/// Notes a boot milestone.
pub fn milestone(number: u8) {
    let _ = plain(Call::Milestone, [number.into()]);
}

/// Sets the wall clock, in nanoseconds since 1970.
pub fn set_clock(nanoseconds: u64, resource: Handle) -> Result<()> {
    plain(Call::ClockSet, [nanoseconds, resource.0.into()]).map(drop)
}

/// The kernel's counters.
pub fn statistics() -> Result<SystemStats> {
    let mut stats = SystemStats::default();
    // SAFETY: the kernel writes one `SystemStats`.
    unsafe { call6(Call::SystemStats, [&raw mut stats as u64, 0, 0, 0, 0, 0]) }?;
    Ok(stats)
}

/// A class of the kernel's slab allocator; `NotFound` beyond the last.
pub fn slab_info(index: u64) -> Result<SlabInfo> {
    let mut info = SlabInfo::default();
    // SAFETY: the kernel writes one `SlabInfo`.
    unsafe { call6(Call::SlabInfo, [index, &raw mut info as u64, 0, 0, 0, 0]) }?;
    Ok(info)
}

/// What a CPU has done; `NotFound` beyond the last.
pub fn cpu_info(cpu: u32) -> Result<CpuInfo> {
    let mut info = CpuInfo::default();
    // SAFETY: the kernel writes one `CpuInfo`.
    unsafe {
        call6(
            Call::CpuInfo,
            [cpu.into(), &raw mut info as u64, 0, 0, 0, 0],
        )
    }?;
    Ok(info)
}

/// The kernel information page.
pub fn kernel_info() -> &'static KernelInfo {
    // SAFETY: the kernel maps the page read-only into every process, for ever. The fields that change
    // (`sequence`, `realtime_offset`) are read with volatile reads in `clock`.
    unsafe { &*(KERNEL_INFO as *const KernelInfo) }
}

/// The boot information page.
///
/// # Safety
/// The caller is `init`: nobody else has the page.
pub unsafe fn boot_info() -> &'static BootInfo {
    // SAFETY: the caller's condition; the page is never written after boot.
    unsafe { &*(BOOT_INFO as *const BootInfo) }
}

/// Counter of TSC cycles.
pub fn cycles() -> u64 {
    // SAFETY: RDTSC is available to user mode (CR4.TSD is clear).
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Reads the wall-clock offset under the page's sequence lock.
pub fn realtime_offset() -> u64 {
    let info = &raw const *kernel_info();
    loop {
        // SAFETY: the page is always readable; volatile because the kernel may write meanwhile.
        let (before, offset, after) = unsafe {
            let before = (&raw const (*info).sequence).read_volatile();
            let offset = (&raw const (*info).realtime_offset).read_volatile();
            (
                before,
                offset,
                (&raw const (*info).sequence).read_volatile(),
            )
        };
        if before == after && before & 1 == 0 {
            return offset;
        }
        core::hint::spin_loop();
    }
}
