//! Processes: fork, exit, wait, stop, groups, identity, and what ends them.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use ferrix_abi::Error;
use ferrix_abi::process::{Identity, WaitFor, state, wait};
use ferrix_abi::signal::number::*;
use ferrix_rt::sys::raw::{Registers, message};
use ferrix_rt::sys::{process, thread, utcb};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("exit_and_wait", exit_and_wait),
    ("wait_without_taking", wait_without_taking),
    ("fork_copies_memory", fork_copies_memory),
    ("fork_copies_statics", fork_copies_statics),
    ("fork_shares_objects", fork_shares_objects),
    ("orphans_go_to_init", orphans_go_to_init),
    ("faults_end_a_process", faults_end_a_process),
    ("stop_and_continue", stop_and_continue),
    ("threads_end_with_the_process", threads_end_with_the_process),
    ("last_thread_ends_the_process", last_thread_ends_the_process),
    ("groups_and_sessions", groups_and_sessions),
    ("identity", identity),
    ("unknown_calls", unknown_calls),
    ("time_is_accounted", time_is_accounted),
];

fn exit_and_wait() -> Outcome {
    for code in [0, 1, 77, 255] {
        let pid = spawn(|| process::exit(code << 8))?;
        equal(status_of(pid)?, code << 8)?;
    }
    fails(process::wait(WaitFor::Any, 0, wait::EXITED), Error::NoChild)?;
    let pid = spawn(|| after_a_while(10))?;
    let none = process::wait(WaitFor::Pid, pid, wait::EXITED | wait::NO_HANG)?;
    equal(none, None)?;
    fails(process::wait(WaitFor::Pid, 1, wait::EXITED), Error::NoChild)?;
    let ended = some(process::wait(WaitFor::Any, 0, wait::EXITED)?)?;
    equal((ended.pid, ended.status), (pid, 0))
}

fn wait_without_taking() -> Outcome {
    let pid = spawn(|| process::exit(5 << 8))?;
    let options = wait::EXITED | wait::NO_WAIT;
    for _ in 0..2 {
        let ended = some(process::wait(WaitFor::Pid, pid, options)?)?;
        equal(ended.status, 5 << 8)?;
        equal(process::next(pid - 1)?.state, state::ZOMBIE)?;
    }
    equal(status_of(pid)?, 5 << 8)
}

fn fork_copies_memory() -> Outcome {
    let pages = Pages::new(2)?;
    pages.write(0, 1);
    let pid = spawn(|| {
        equal((pages.read(0), pages.read(1)), (1, 0))?;
        pages.write(0, 2);
        pages.write(1, 2);
        sleep_ms(10);
        equal((pages.read(0), pages.read(1)), (2, 2))
    })?;
    pages.write(0, 3);
    succeeded(pid)?;
    equal((pages.read(0), pages.read(1)), (3, 0))
}

/// What the program's file holds, and what begins as zero.
fn fork_copies_statics() -> Outcome {
    static DATA: AtomicU32 = AtomicU32::new(5);
    static ZERO: AtomicU32 = AtomicU32::new(0);
    let pid = spawn(|| {
        DATA.store(6, SeqCst);
        ZERO.store(6, SeqCst);
        Ok(())
    })?;
    succeeded(pid)?;
    equal((DATA.load(SeqCst), ZERO.load(SeqCst)), (5, 0))
}

fn fork_shares_objects() -> Outcome {
    let pages = Pages::shared(1)?;
    let pid = spawn(|| {
        pages.write(0, 9);
        Ok(())
    })?;
    succeeded(pid)?;
    equal(pages.read(0), 9)
}

fn orphans_go_to_init() -> Outcome {
    let shared = Pages::shared(1)?;
    let pid = spawn(|| {
        let parent = utcb::pid();
        spawn(|| {
            while process::parent(0)? == parent {
                sleep_ms(1);
            }
            shared.write(0, u64::from(process::parent(0)?));
            Ok(())
        })?;
        Ok(())
    })?;
    succeeded(pid)?;
    while shared.read(0) == 0 {
        sleep_ms(1);
    }
    equal(shared.read(0), 1)
}

/// Each by its signal, as POSIX has it.
fn faults_end_a_process() -> Outcome {
    let faults: [(u32, fn()); 6] = [
        // SAFETY: the child ends here, as it is meant to.
        (SIGSEGV, || unsafe {
            (0x1008 as *mut u64).write_volatile(1)
        }),
        (SIGSEGV, || {
            // SAFETY: as above.
            let word = unsafe { (0xffff_ffff_8000_0000 as *const u64).read_volatile() };
            process::exit((word as u32 & 0xff) << 8)
        }),
        // SAFETY: as above.
        (SIGILL, || unsafe { asm!("ud2") }),
        (SIGFPE, || {
            // SAFETY: as above.
            unsafe { asm!("div {:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _) }
        }),
        // SAFETY: as above: privileged.
        (SIGSEGV, || unsafe { asm!("hlt") }),
        // SAFETY: as above: a jump to data.
        (SIGSEGV, || unsafe { asm!("jmp {}", in(reg) utcb::utcb()) }),
    ];
    for (signal, fault) in faults {
        let pid = spawn(|| {
            fault();
            Ok(())
        })?;
        equal(status_of(pid)?, signal)?;
    }
    Ok(())
}

fn stop_and_continue() -> Outcome {
    let pid = spawn(|| {
        loop {
            core::hint::spin_loop();
        }
    })?;
    for _ in 0..3 {
        kill(pid as i32, SIGSTOP)?;
        let stopped = some(process::wait(WaitFor::Pid, pid, wait::STOPPED)?)?;
        equal(stopped.status, SIGSTOP << 8 | 0x7f)?;
        equal(process::next(pid - 1)?.state, state::STOPPED)?;
        let before = thread::cpu_time(pid, 0)?;
        sleep_ms(5);
        equal(thread::cpu_time(pid, 0)?, before)?;
        kill(pid as i32, SIGCONT)?;
        let continued = some(process::wait(WaitFor::Pid, pid, wait::CONTINUED)?)?;
        equal(continued.status, 0xffff)?;
    }
    let none = process::wait(WaitFor::Pid, pid, wait::EXITED | wait::NO_HANG)?;
    equal(none, None)?;
    kill(pid as i32, SIGSTOP)?;
    kill(pid as i32, SIGKILL)?;
    equal(status_of(pid)?, SIGKILL)
}

fn threads_end_with_the_process() -> Outcome {
    let pid = spawn(|| {
        start_thread(|| {
            loop {
                core::hint::spin_loop();
            }
        })?;
        start_thread(|| {
            loop {
                sleep_ms(1000);
            }
        })?;
        sleep_ms(5);
        equal(process::next(utcb::pid() - 1)?.threads, 3)?;
        process::exit(9 << 8)
    })?;
    equal(status_of(pid)?, 9 << 8)
}

fn last_thread_ends_the_process() -> Outcome {
    let pid = spawn(|| {
        start_thread(|| after_a_while(5))?;
        // SAFETY: no word is cleared.
        unsafe { thread::exit(0) }
    })?;
    succeeded(pid)
}

fn groups_and_sessions() -> Outcome {
    let me = utcb::pid();
    equal(process::group(0)?, me)?;
    // The leader of a group cannot begin a session.
    fails(process::new_session(), Error::NotPermitted)?;
    let pid = spawn(|| {
        equal(process::group(0)?, me)?;
        process::set_group(0, 0)?;
        equal(process::group(0)?, utcb::pid())?;
        process::set_group(0, me)?;
        equal(process::new_session()?, utcb::pid())?;
        equal(process::session(0)?, utcb::pid())?;
        equal(process::group(0)?, utcb::pid())
    })?;
    let ended = some(process::wait(WaitFor::Any, 0, wait::EXITED)?)?;
    equal((ended.pid, ended.status), (pid, 0))?;
    fails(process::group(pid), Error::NoSuchProcess)?;
    let pid = spawn(|| Ok(()))?;
    let ended = some(process::wait(WaitFor::Group, me, wait::EXITED)?)?;
    equal(ended.pid, pid)
}

fn identity() -> Outcome {
    let pid = spawn(|| {
        let user = Identity {
            ruid: 1000,
            euid: 1000,
            suid: 1001,
            rgid: 100,
            egid: 100,
            sgid: 100,
        };
        process::set_identity(&user)?;
        equal(process::identity(0)?, user)?;
        fails(
            process::set_identity(&Identity::default()),
            Error::NotPermitted,
        )?;
        let swapped = Identity { euid: 1001, ..user };
        process::set_identity(&swapped)?;
        // Another user's process is out of reach.
        fails(kill_error(process::parent(0)?), Error::NotPermitted)
    })?;
    succeeded(pid)
}

fn kill_error(pid: u32) -> Result<(), Error> {
    let info = ferrix_abi::signal::SignalInfo {
        signo: SIGUSR1,
        ..Default::default()
    };
    ferrix_rt::sys::signal::send(ferrix_rt::sys::signal::Target::Process, pid as i32, &info)
}

fn unknown_calls() -> Outcome {
    for number in [6, 7, 150, 200, 255] {
        let mut registers = Registers {
            rax: number,
            ..Default::default()
        };
        message(&mut registers);
        fails(
            ferrix_abi::error::decode(registers.rax),
            Error::NoSystemCall,
        )?;
    }
    Ok(())
}

fn time_is_accounted() -> Outcome {
    let pid = spawn(|| {
        let begin = thread::cpu_time(0, 0)?;
        let end = after_ms(20);
        while ferrix_rt::clock::monotonic_ns() < end {
            core::hint::spin_loop();
        }
        let (user, _) = thread::cpu_time(0, 0)?;
        holds(user > begin.0, "user time grows")?;
        Ok(())
    })?;
    let ended = some(process::wait(WaitFor::Pid, pid, wait::EXITED)?)?;
    equal(ended.status, 0)?;
    holds(
        ended.user_ns > 1_000_000,
        "the child's time is in the report",
    )?;
    fails(thread::cpu_time(pid, 0), Error::NoSuchProcess)
}
