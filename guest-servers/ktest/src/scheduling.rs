//! CPUs, policies and priorities.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::Tag;
use ferrix_abi::sched::{NORMAL_DEFAULT, Policy, Whose};
use ferrix_rt::clock;
use ferrix_rt::sys::{ipc, system, thread};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("affinity", affinity),
    ("moving_another_thread", moving_another_thread),
    ("all_cpus_are_used", all_cpus_are_used),
    ("policies", policies),
    ("rights_to_rise", rights_to_rise),
    ("urgent_thread_preempts", urgent_thread_preempts),
    ("timer_preempts_a_long_call", timer_preempts_a_long_call),
    (
        "fifo_keeps_its_equals_waiting",
        fifo_keeps_its_equals_waiting,
    ),
    ("slices_are_shared", slices_are_shared),
    ("a_reply_begins_a_slice", a_reply_begins_a_slice),
    ("idle_policy_waits", idle_policy_waits),
    ("nice_time_counts_apart", nice_time_counts_apart),
    ("nothing_ticks", nothing_ticks),
];

fn cpus() -> u32 {
    system::kernel_info().cpus
}

fn affinity() -> Outcome {
    let all = (1 << cpus()) - 1;
    equal(thread::affinity(0)?, all)?;
    for cpu in 0..cpus() {
        thread::set_affinity(0, 1 << cpu)?;
        thread::yield_now();
        equal((thread::cpu()?, thread::affinity(0)?), (cpu, 1 << cpu))?;
        // Threads and children inherit it.
        start_thread(move || equal(thread::cpu()?, cpu))?.join()?;
        succeeded(spawn(|| equal(thread::cpu()?, cpu))?)?;
    }
    fails(thread::set_affinity(0, 0), Error::Invalid)?;
    fails(thread::set_affinity(0, 1 << cpus()), Error::Invalid)?;
    fails(thread::set_affinity(u32::MAX, 1), Error::NoSuchProcess)
}

/// For what happens at once, unless the host is busy.
const PATIENCE_MS: u64 = 30_000;

/// One that runs, and one that waits.
fn moving_another_thread() -> Outcome {
    static CPU: AtomicU32 = AtomicU32::new(0);
    static END: AtomicU32 = AtomicU32::new(0);
    let busy = start_thread(|| {
        while END.load(SeqCst) == 0 {
            CPU.store(thread::cpu()?, SeqCst);
        }
        Ok(())
    })?;
    for cpu in (0..cpus()).rev() {
        thread::set_affinity(busy.tid, 1 << cpu)?;
        let limit = after_ms(PATIENCE_MS);
        while CPU.load(SeqCst) != cpu {
            holds(clock::monotonic_ns() < limit, "the thread moves")?;
            sleep_ms(1);
        }
    }
    END.store(1, SeqCst);
    busy.join()?;
    let last = cpus() - 1;
    let waiting = start_thread(move || {
        ipc::receive(Handle::NONE, Tag::SHORT)?;
        equal(thread::cpu()?, last)
    })?;
    sleep_ms(2);
    thread::set_affinity(waiting.tid, 1 << last)?;
    ipc::send_thread(waiting.tid, Tag::SHORT, [0; 4])?;
    waiting.join()
}

/// As many busy threads as CPUs: each gets one.
fn all_cpus_are_used() -> Outcome {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let all = (1u64 << cpus()) - 1;
    let limit = after_ms(PATIENCE_MS);
    let busy: [_; 4] = core::array::from_fn(|_| {
        start_thread(move || {
            while SEEN.load(SeqCst) != all && clock::monotonic_ns() < limit {
                SEEN.fetch_or(1 << thread::cpu()?, SeqCst);
                core::hint::spin_loop();
            }
            Ok(())
        })
    });
    for thread in busy {
        thread?.join()?;
    }
    equal(SEEN.load(SeqCst), all)
}

fn policies() -> Outcome {
    let resource = resource();
    for (policy, priority) in [
        (Policy::RoundRobin, 100),
        (Policy::Fifo, 88),
        (Policy::Fifo, 119),
        (Policy::Idle, 0),
        (Policy::Other, 4),
        (Policy::Other, 87),
    ] {
        thread::set_scheduling(0, policy, priority, resource)?;
        equal(thread::scheduling(0)?, (policy as u8, priority))?;
    }
    for (policy, priority) in [
        (Policy::Other, 100),
        (Policy::Other, 3),
        (Policy::Fifo, 87),
        (Policy::Fifo, 128),
        (Policy::Idle, 4),
        (Policy::RoundRobin, 255),
    ] {
        fails(
            thread::set_scheduling(0, policy, priority, resource),
            Error::Invalid,
        )?;
    }
    equal(thread::scheduling(0)?, (Policy::Other as u8, 87))
}

fn rights_to_rise() -> Outcome {
    thread::set_scheduling(0, Policy::Other, NORMAL_DEFAULT, resource())?;
    thread::set_scheduling(0, Policy::Other, NORMAL_DEFAULT - 1, Handle::NONE)?;
    let rise = thread::set_scheduling(0, Policy::Other, NORMAL_DEFAULT, Handle::NONE);
    holds(
        matches!(rise, Err(Error::NotPermitted | Error::BadHandle)),
        "only with the resource",
    )
}

/// On the same CPU: a woken real-time thread runs before its waker goes on.
fn urgent_thread_preempts() -> Outcome {
    static RAN: AtomicU32 = AtomicU32::new(0);
    thread::set_affinity(0, 1)?;
    thread::set_scheduling(0, Policy::Other, NORMAL_DEFAULT, resource())?;
    let urgent = start_thread(|| {
        thread::set_scheduling(0, Policy::Fifo, 100, resource())?;
        for _ in 0..20 {
            ipc::receive(Handle::NONE, Tag::SHORT)?;
            RAN.fetch_add(1, SeqCst);
        }
        Ok(())
    })?;
    sleep_ms(5);
    for round in 1..=20 {
        ipc::send_thread(urgent.tid, Tag::SHORT, [0; 4])?;
        equal(RAN.load(SeqCst), round)?;
    }
    urgent.join()
}

/// A real-time thread that a timer wakes runs in the midst of a less urgent thread's system call, on the same CPU.
fn timer_preempts_a_long_call() -> Outcome {
    /// Pages that a call makes present.
    const PAGES: u64 = 256;
    /// The call runs nearly always; how often it is met at least, in so many calls at most.
    const MET: u32 = 3;
    const CALLS: u32 = 20_000;
    static CALLING: AtomicU32 = AtomicU32::new(0);
    static FOUND: AtomicU32 = AtomicU32::new(0);
    thread::set_affinity(0, 1)?;
    thread::set_scheduling(0, Policy::Other, NORMAL_DEFAULT, resource())?;
    let urgent = start_thread(|| {
        thread::set_scheduling(0, Policy::Fifo, 100, resource())?;
        while FOUND.load(SeqCst) < MET {
            thread::sleep_until(clock::monotonic_ns() + 1_000_000)?;
            // Only if the call was interrupted it has not ended.
            FOUND.fetch_add(CALLING.load(SeqCst), SeqCst);
        }
        Ok(())
    })?;
    let mut calls = 0;
    while FOUND.load(SeqCst) < MET && calls < CALLS {
        CALLING.store(1, SeqCst);
        let pages = Pages::present(PAGES)?;
        CALLING.store(0, SeqCst);
        pages.unmap()?;
        calls += 1;
    }
    holds(FOUND.load(SeqCst) >= MET, "the thread runs inside a call")?;
    urgent.join()
}

/// A SCHED_FIFO thread has no slices: an equal runs when it yields, not before, and a more urgent one at once.
fn fifo_keeps_its_equals_waiting() -> Outcome {
    static RAN: AtomicU32 = AtomicU32::new(0);
    const FIFO: u8 = 95;
    thread::set_affinity(0, 1)?;
    thread::set_scheduling(0, Policy::Fifo, FIFO, resource())?;
    let equal_one = start_thread(|| {
        RAN.fetch_add(1, SeqCst);
        Ok(())
    })?;
    // Longer than three slices.
    let end = after_ms(35);
    while clock::monotonic_ns() < end {
        equal(RAN.load(SeqCst), 0)?;
    }
    // A priority that is changed counts at once, upwards and downwards.
    thread::set_scheduling(equal_one.tid, Policy::Fifo, FIFO - 1, resource())?;
    thread::yield_now();
    equal(RAN.load(SeqCst), 0)?;
    thread::set_scheduling(equal_one.tid, Policy::Fifo, FIFO + 1, resource())?;
    equal(RAN.load(SeqCst), 1)?;
    equal_one.join()
}

/// Busy threads of one CPU get about the same.
fn slices_are_shared() -> Outcome {
    static WORK: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    thread::set_affinity(0, 1)?;
    thread::set_scheduling(0, Policy::Other, NORMAL_DEFAULT, resource())?;
    let end = after_ms(300);
    let busy: [_; 3] = core::array::from_fn(|index| {
        start_thread(move || {
            while clock::monotonic_ns() < end {
                core::hint::spin_loop();
            }
            WORK[index].store(thread::cpu_time(0, 1)?.0, SeqCst);
            Ok(())
        })
    });
    for thread in busy {
        thread?.join()?;
    }
    for work in &WORK {
        holds(
            work.load(SeqCst) > 20_000_000,
            "each gets a fair part of 300 ms",
        )?;
    }
    Ok(())
}

/// Who gets the CPU by a reply is timed, for the sake of one that the server has woken.
fn a_reply_begins_a_slice() -> Outcome {
    static WOKEN: AtomicU32 = AtomicU32::new(0);
    static RAN: AtomicU32 = AtomicU32::new(0);
    thread::set_affinity(0, 1)?;
    thread::set_scheduling(0, Policy::Other, 30, resource())?;
    let woken = start_thread(|| {
        thread::set_scheduling(0, Policy::Other, 20, resource())?;
        wait_while(&WOKEN, 0);
        RAN.store(1, SeqCst);
        Ok(())
    })?;
    let server = start_thread(|| {
        thread::set_scheduling(0, Policy::Fifo, 100, resource())?;
        let call = ipc::receive(Handle::NONE, Tag::SHORT)?;
        WOKEN.store(1, SeqCst);
        wake_all(&WOKEN)?;
        ipc::reply_receive(Handle::NONE, call.token, Tag::SHORT, [0; 4])?;
        Ok(())
    })?;
    sleep_ms(5);
    ipc::call_thread(server.tid, Tag::SHORT, [0; 4])?;
    let end = after_ms(2000);
    while RAN.load(SeqCst) == 0 {
        holds(clock::monotonic_ns() < end, "the other one gets its turn")?;
    }
    ipc::send_thread(server.tid, Tag::SHORT, [0; 4])?;
    server.join()?;
    woken.join()
}

/// Nothing for `Idle` while somebody else wants the CPU.
fn idle_policy_waits() -> Outcome {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static END: AtomicU32 = AtomicU32::new(0);
    thread::set_affinity(0, 1)?;
    let idle = start_thread(|| {
        thread::set_scheduling(0, Policy::Idle, 0, Handle::NONE)?;
        while END.load(SeqCst) == 0 {
            COUNT.fetch_add(1, SeqCst);
        }
        Ok(())
    })?;
    // It runs while this sleeps, however long the machine takes to come to it.
    while COUNT.load(SeqCst) == 0 {
        sleep_ms(5);
    }
    let before = COUNT.load(SeqCst);
    let end = after_ms(50);
    while clock::monotonic_ns() < end {
        core::hint::spin_loop();
    }
    equal(COUNT.load(SeqCst), before)?;
    END.store(1, SeqCst);
    idle.join()
}

/// What the CPUs count for nice threads is the time that the only such one has in user mode.
fn nice_time_counts_apart() -> Outcome {
    const BUSY_NS: u64 = 5_000_000;
    /// Of several CPUs' sums, each rounded.
    const ROUNDING_NS: u64 = 1000;
    let nice = || -> Result<u64, Error> {
        (0..cpus()).try_fold(0, |sum, cpu| Ok(sum + system::cpu_info(cpu)?.nice_ns))
    };
    let own = || thread::cpu_time(0, 1).map(|(user, _)| user);
    let work = || -> Outcome {
        let end = own()? + BUSY_NS;
        while own()? < end {}
        Ok(())
    };
    let before = nice()?;
    work()?;
    equal(nice(), Ok(before))?;
    thread::set_nice(Whose::Thread, 0, 7)?;
    let outer = nice()?;
    let (start, inner) = (own()?, nice()?);
    work()?;
    let (inner_end, end, outer_end) = (nice()?, own()?, nice()?);
    holds(inner_end - inner <= end - start + ROUNDING_NS, "no more")?;
    holds(outer_end - outer + ROUNDING_NS >= end - start, "no less")?;
    thread::set_scheduling(0, Policy::Other, NORMAL_DEFAULT, resource())?;
    let after = nice()?;
    work()?;
    equal(nice(), Ok(after))
}

/// Neither an idle machine nor one with a single busy thread is interrupted: there is no periodic interrupt.
fn nothing_ticks() -> Outcome {
    /// Twenty slices.
    const SPAN_MS: u64 = 200;
    /// This test's own deadline, what wakes its parent, and some for what ended before.
    const FEW: u64 = 6;
    let interrupts = || system::statistics().map(|statistics| statistics.interrupts);
    let before = interrupts()?;
    let end = after_ms(SPAN_MS);
    while clock::monotonic_ns() < end {
        core::hint::spin_loop();
    }
    let busy = interrupts()? - before;
    holds(busy <= FEW, "a busy thread alone is not interrupted")?;
    sleep_ms(SPAN_MS);
    let idle = interrupts()? - before - busy;
    holds(idle <= FEW, "an idle machine is not interrupted")
}
