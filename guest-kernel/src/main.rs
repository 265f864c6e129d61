//! The boot image: the order in which the kernel comes to life.
//!
//! On the host this is an empty program: the kernel's tests are the library's.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

#[cfg(target_os = "none")]
mod kernel {
    use ferrix_kernel::arch::{self, ioapic, power, smp, start};
    use ferrix_kernel::mm::PhysAddr;
    use ferrix_kernel::sync::lockdep;
    use ferrix_kernel::{boot, log, process, sched, time, trace};
    use ferrix_machine::milestone;

    /// First Rust code, on the boot CPU, in long mode at the kernel's own addresses; `start_info` is the
    /// physical address of the PVH start information.
    #[expect(unsafe_code, reason = "called by name from the entry's assembly")]
    #[unsafe(no_mangle)]
    extern "C" fn kernel_main(start_info: u32) -> ! {
        arch::init();
        power::milestone(milestone::KERNEL_ENTRY);
        boot::init(start_info);
        arch::init_features(boot::command_line());
        sched::init_inheritance(boot::command_line());
        boot::init_memory();
        arch::init_interrupts();
        for (base, first_gsi) in boot::io_apics() {
            ioapic::add(PhysAddr(base), first_gsi);
        }
        time::init();
        trace::init(boot::apic_ids().len());
        let cpus = smp::start(&boot::apic_ids());
        start::close_low();
        boot::publish(cpus);
        log!("ferrix: {cpus} CPUs, {} MiB", boot::memory_bytes() >> 20);
        lockdep::provoke(boot::command_line::value(boot::command_line(), "lockdep"));
        process::start_init();
        power::milestone(milestone::KERNEL_READY);
        sched::idle_loop()
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("the kernel runs on bare metal: scripts/boot");
}
