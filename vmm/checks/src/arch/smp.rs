//! The other CPUs: started by INIT and SIPI, then asleep until there is work.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};

use super::cpu::{self, Msr};
use super::trap;
use crate::{apic, clock};

/// CPUs with a stack, by the local APIC id they start with.
pub const MAX_CPUS: usize = 32;
/// Where the real-mode code lies: below anything that loaders use.
const TRAMPOLINE: u64 = 0x1000;

/// Work for a CPU.
pub type Job = fn();

static STARTS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];
static JOBS: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];
static TRAMPOLINE_PLACED: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    static trampoline_begin: u8;
    static trampoline_end: u8;
}

/// First page number of the real-mode code, the vector of a SIPI.
pub fn startup_page() -> u8 {
    if !TRAMPOLINE_PLACED.swap(true, SeqCst) {
        let (begin, end) = (
            &raw const trampoline_begin as u64,
            &raw const trampoline_end as u64,
        );
        for offset in 0..end - begin {
            super::phys::write(TRAMPOLINE + offset, super::phys::read::<u8>(begin + offset));
        }
    }
    (TRAMPOLINE >> 12) as u8
}

/// How often the CPU with this id has started.
pub fn starts(id: usize) -> u32 {
    STARTS[id].load(SeqCst)
}

/// Ids of the CPUs that have started, this one not included.
pub fn started() -> impl Iterator<Item = usize> + Clone {
    (0..MAX_CPUS).filter(|&id| starts(id) > 0)
}

/// First Rust code of another CPU.
pub extern "C" fn other_cpu(id: u64) -> ! {
    let id = id as usize;
    cpu::write_msr(Msr::GS_BASE, id as u64);
    trap::load();
    apic::init_cpu();
    JOBS[id].store(0, SeqCst);
    STARTS[id].fetch_add(1, SeqCst);
    loop {
        cpu::interrupts_off();
        match JOBS[id].load(SeqCst) {
            0 => cpu::sleep(),
            job => {
                cpu::interrupts_on();
                // SAFETY: stored by `start` from this very type.
                unsafe { core::mem::transmute::<usize, Job>(job)() };
                JOBS[id].store(0, SeqCst);
            }
        }
    }
}

/// Has a CPU start something.
pub fn start(id: usize, job: Job) {
    JOBS[id].store(job as usize, SeqCst);
    apic::send(apic::Target::One(id as u32), u32::from(trap::WAKE));
}

/// Whether a CPU ends its work within [`clock::PATIENCE_MS`].
pub fn finished(id: usize) -> bool {
    clock::wait(clock::PATIENCE_MS, || JOBS[id].load(SeqCst) == 0)
}

/// Has a CPU do something; whether it did in time.
pub fn run(id: usize, job: Job) -> bool {
    start(id, job);
    finished(id)
}
