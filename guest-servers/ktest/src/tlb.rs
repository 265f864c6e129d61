//! Translations that other CPUs hold: one thread unmaps while another writes.
//!
//! `rounds=10000` on the command line makes that many rounds of each test.

use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::Utcb;
use ferrix_abi::layout::{PAGE_SIZE, SERVER_BASE};
use ferrix_abi::process::Personality;
use ferrix_abi::signal::SignalSlot;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_rt::sys::memory::{self, Mapping, SELF, map, map_anywhere, protect, unmap};
use ferrix_rt::sys::{process, system, thread};

use crate::options;
use crate::support::*;

pub const TESTS: &[Test] = &[
    ("unmapping_stops_a_writer", || shoot(take_mapping)),
    ("protecting_stops_a_writer", || shoot(take_right)),
    ("resizing_stops_a_writer", || shoot(take_page)),
    (
        "only_those_who_run_it_are_asked",
        only_those_who_run_it_are_asked,
    ),
];

const RW: Prot = Prot::READ.union(Prot::WRITE);
const FAULT_ACTIVE: usize = offset_of!(Utcb, signal) + offset_of!(SignalSlot, fault_active);

/// Counts up the word at `address` until that faults.
#[unsafe(naked)]
unsafe extern "C" fn write_until_fault(address: u64) {
    naked_asm!("2:", "inc qword ptr [rdi]", "jmp 2b")
}

/// Where the fault continues: it returns for [`write_until_fault`].
#[unsafe(naked)]
unsafe extern "C" fn after_fault() {
    naked_asm!(
        "mov rax, gs:[0]",
        "mov dword ptr [rax + {active}], 0",
        "ret",
        active = const FAULT_ACTIVE,
    )
}

/// This program as its own personality, so that its faults come to [`after_fault`].
fn catch_faults() -> Outcome {
    let entry = after_fault as *const () as u64;
    let own = Personality {
        text_begin: SERVER_BASE,
        text_end: SERVER_BASE + (1 << 24),
        syscall_entry: entry,
        signal_entry: entry,
        fault_entry: entry,
        exit_begin: entry,
        exit_end: entry,
    };
    Ok(process::set_personality(SELF, &own)?)
}

/// What both threads know of a round.
struct Field {
    /// The page, where it is written.
    target: u64,
    /// The same page, where it is watched.
    watch: &'static AtomicU64,
    /// The round that the writer may begin.
    begun: AtomicU64,
    /// The round that it has finished, by its fault.
    ended: AtomicU64,
}

/// In each round the writer writes until `take` has taken the page away; afterwards nothing is written.
fn shoot(take: fn(Handle, u64) -> Outcome) -> Outcome {
    catch_faults()?;
    let object = memory::object_create(PAGE_SIZE)?;
    let page = Mapping::shared(object, PAGE_SIZE, RW);
    let watch = map_anywhere(&page)?;
    let field: &'static Field = alloc::boxed::Box::leak(alloc::boxed::Box::new(Field {
        target: map_anywhere(&page)?,
        // SAFETY: mapped until the end of the test's process, and used atomically only; where the page is
        // gone for a moment nobody looks.
        watch: unsafe { &*(watch as *const AtomicU64) },
        begun: AtomicU64::new(0),
        ended: AtomicU64::new(0),
    }));
    let (cpus, rounds) = match (system::kernel_info().cpus, options::rounds()) {
        (1, 1) => (1, 10),
        (cpus, 1) => (cpus, 40),
        (cpus, rounds) => (cpus, rounds),
    };
    let writer = start_thread(move || write_rounds(field, rounds))?;
    if cpus > 1 {
        thread::set_affinity(0, 1)?;
        thread::set_affinity(writer.tid, 2)?;
    }
    for round in 1..=rounds {
        field.watch.store(0, SeqCst);
        field.begun.store(round, SeqCst);
        while field.watch.load(SeqCst) < 3 {
            pause(cpus);
        }
        take(object, field.target)?;
        let before = field.watch.load(SeqCst);
        for _ in 0..50 {
            core::hint::spin_loop();
        }
        while field.ended.load(SeqCst) != round {
            pause(cpus);
        }
        equal((round, field.watch.load(SeqCst)), (round, before))?;
        let again = Mapping {
            address: field.target,
            flags: MapFlags::FIXED,
            ..page
        };
        // SAFETY: only the writer uses the address, and not now.
        unsafe { map(&again) }?;
    }
    writer.join()
}

fn pause(cpus: u32) {
    if cpus == 1 {
        thread::yield_now();
    }
    core::hint::spin_loop();
}

fn write_rounds(field: &Field, rounds: u64) -> Outcome {
    for round in 1..=rounds {
        while field.begun.load(SeqCst) != round {
            thread::yield_now();
        }
        // SAFETY: the fault brings it back; the page is used atomically or by this instruction.
        unsafe { write_until_fault(field.target) };
        field.ended.store(round, SeqCst);
    }
    Ok(())
}

fn take_mapping(_: Handle, target: u64) -> Outcome {
    // SAFETY: the writer's fault is expected.
    Ok(unsafe { unmap(SELF, target, PAGE_SIZE) }?)
}

fn take_right(_: Handle, target: u64) -> Outcome {
    // SAFETY: as above.
    Ok(unsafe { protect(SELF, target, PAGE_SIZE, Prot::READ) }?)
}

/// The object's page goes, and comes back as another one, which nobody may write to.
fn take_page(object: Handle, target: u64) -> Outcome {
    memory::object_resize(object, 0)?;
    take_mapping(object, target)?;
    Ok(memory::object_resize(object, PAGE_SIZE)?)
}

/// How many times the kernel has asked another CPU to forget translations while `body` ran.
fn shoot_downs(body: impl FnOnce() -> Outcome) -> Result<u64, Failure> {
    let before = system::statistics()?.shoot_downs;
    body()?;
    Ok(system::statistics()?.shoot_downs - before)
}

/// Touches and unmaps a page so many times.
fn unmap_pages(count: u64) -> Outcome {
    (0..count).try_for_each(|number| {
        let page = Pages::new(1)?;
        page.write(0, number);
        page.unmap()
    })
}

/// Runs on a CPU of its own until it is told to stop. `state` is 1 when it has begun and 2 when it is to stop.
fn spin(state: &AtomicU64) -> Outcome {
    state.store(1, SeqCst);
    while state.load(SeqCst) != 2 {
        core::hint::spin_loop();
    }
    Ok(())
}

/// Other CPUs that run another process, or nothing, are left alone; one that runs a thread of the process is
/// asked once for each page that goes.
fn only_those_who_run_it_are_asked() -> Outcome {
    const COUNT: u64 = 100;
    if system::kernel_info().cpus == 1 {
        return equal(shoot_downs(|| unmap_pages(COUNT))?, 0);
    }
    thread::set_affinity(0, 1)?;
    let shared = Pages::shared(1)?;
    // SAFETY: mapped until the end of the process, and used atomically only.
    let state = unsafe { &*(shared.address as *const AtomicU64) };
    let stranger = spawn(|| {
        thread::set_affinity(0, 2)?;
        spin(state)
    })?;
    while state.load(SeqCst) != 1 {
        thread::yield_now();
    }
    equal(shoot_downs(|| unmap_pages(COUNT))?, 0)?;
    state.store(2, SeqCst);
    succeeded(stranger)?;
    state.store(0, SeqCst);
    let sibling = start_thread(move || {
        thread::set_affinity(0, 2)?;
        spin(state)
    })?;
    while state.load(SeqCst) != 1 {
        thread::yield_now();
    }
    equal(shoot_downs(|| unmap_pages(COUNT))?, COUNT)?;
    state.store(2, SeqCst);
    sibling.join()
}
