//! Signals of native processes, which take them with `SigTake` and `SigWait`.

use ferrix_abi::Error;
use ferrix_abi::ipc::FOREVER;
use ferrix_abi::process::{WaitFor, wait};
use ferrix_abi::signal::number::*;
use ferrix_abi::signal::{Disposition, MaskHow, SignalInfo};
use ferrix_rt::clock;
use ferrix_rt::sys::signal::{self, Target};
use ferrix_rt::sys::{process, thread, utcb};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("end_a_sleeper", end_a_sleeper),
    ("end_a_busy_process", end_a_busy_process),
    ("ignored", ignored),
    ("blocked_and_pending", blocked_and_pending),
    ("wait_for_one", wait_for_one),
    ("end_of_a_child", end_of_a_child),
    ("no_zombies", no_zombies),
    ("suspend", suspend),
    ("real_time_signals_queue", real_time_signals_queue),
    ("to_a_thread", to_a_thread),
    ("to_a_group", to_a_group),
    ("probe", probe),
    ("wrong_arguments", wrong_arguments),
    ("alarm", alarm),
];

fn end_a_sleeper() -> Outcome {
    let pid = spawn(|| {
        loop {
            let _ = thread::sleep_until(FOREVER);
        }
    })?;
    until_asleep(pid)?;
    kill(pid as i32, SIGTERM)?;
    equal(status_of(pid)?, SIGTERM)
}

fn end_a_busy_process() -> Outcome {
    for signal in [SIGTERM, SIGKILL] {
        let pid = spawn(|| {
            loop {
                core::hint::spin_loop();
            }
        })?;
        sleep_ms(10);
        kill(pid as i32, signal)?;
        equal(status_of(pid)?, signal)?;
    }
    Ok(())
}

fn ignored() -> Outcome {
    equal(
        signal::set_action(SIGTERM, Disposition::Ignore)?,
        Disposition::Default as u8,
    )?;
    kill(utcb::pid() as i32, SIGTERM)?;
    equal(signal::pending()?, 0)?;
    // By default ignored.
    kill(utcb::pid() as i32, SIGCHLD)?;
    kill(utcb::pid() as i32, SIGURG)?;
    kill(utcb::pid() as i32, SIGWINCH)?;
    kill(utcb::pid() as i32, SIGCONT)?;
    equal(
        signal::set_action(SIGTERM, Disposition::Default)?,
        Disposition::Ignore as u8,
    )
}

fn blocked_and_pending() -> Outcome {
    let set = set_of(SIGUSR1) | set_of(SIGUSR2);
    equal(signal::mask(MaskHow::Block, set)?, 0)?;
    kill(utcb::pid() as i32, SIGUSR1)?;
    kill(utcb::pid() as i32, SIGUSR1)?;
    equal(signal::pending()?, set_of(SIGUSR1))?;
    equal(signal::mask(MaskHow::Unblock, set_of(SIGUSR2))?, set)?;
    signal::set_action(SIGUSR1, Disposition::Catch)?;
    equal(signal::take()?, None)?;
    signal::mask(MaskHow::Set, 0)?;
    let (info, mask) = some(signal::take()?)?;
    equal((info.signo, info.pid, mask), (SIGUSR1, utcb::pid(), 0))?;
    equal(signal::take()?, None)?;
    // SIGKILL and SIGSTOP cannot be blocked.
    signal::mask(MaskHow::Set, u64::MAX)?;
    let mask = signal::mask(MaskHow::Set, 0)?;
    equal(mask & (set_of(SIGKILL) | set_of(SIGSTOP)), 0)
}

fn wait_for_one() -> Outcome {
    let set = set_of(SIGUSR1);
    signal::mask(MaskHow::Block, set)?;
    let me = utcb::pid() as i32;
    let pid = spawn(|| {
        sleep_ms(5);
        kill(me, SIGUSR1)
    })?;
    let info = signal::wait(set, FOREVER)?;
    equal((info.signo, info.pid, info.code), (SIGUSR1, pid, 0))?;
    succeeded(pid)?;
    let deadline = after_ms(3);
    fails(signal::wait(set, deadline), Error::WouldBlock)?;
    holds(clock::monotonic_ns() >= deadline, "the time has passed")
}

fn end_of_a_child() -> Outcome {
    signal::mask(MaskHow::Block, set_of(SIGCHLD))?;
    for (status, code) in [(7 << 8, 1), (SIGKILL, 2)] {
        let pid = spawn(|| {
            if status == SIGKILL {
                kill(utcb::pid() as i32, SIGKILL)?;
            }
            process::exit(status)
        })?;
        let info = signal::wait(set_of(SIGCHLD), FOREVER)?;
        equal((info.signo, info.pid, info.code), (SIGCHLD, pid, code))?;
        equal(status_of(pid)?, status)?;
    }
    Ok(())
}

fn no_zombies() -> Outcome {
    signal::set_action(SIGCHLD, Disposition::NoChildWait)?;
    let pid = spawn(|| Ok(()))?;
    fails(process::wait(WaitFor::Any, 0, wait::EXITED), Error::NoChild)?;
    fails(process::parent(pid), Error::NoSuchProcess)
}

fn suspend() -> Outcome {
    let set = set_of(SIGUSR1);
    signal::set_action(SIGUSR1, Disposition::Catch)?;
    signal::mask(MaskHow::Block, set)?;
    kill(utcb::pid() as i32, SIGUSR1)?;
    fails(signal::suspend(0), Error::Interrupted)?;
    let (info, mask) = some(signal::take()?)?;
    equal((info.signo, mask), (SIGUSR1, set))?;
    equal(signal::mask(MaskHow::Set, 0)?, set)?;
    // It comes during the wait, however long the way there takes.
    signal::set_action(SIGALRM, Disposition::Catch)?;
    signal::mask(MaskHow::Block, set_of(SIGALRM))?;
    thread::set_alarm(after_ms(3), 0)?;
    fails(signal::suspend(set), Error::Interrupted)?;
    equal(some(signal::take()?)?.0.signo, SIGALRM)
}

/// In order, each with its value; the lowest number first.
fn real_time_signals_queue() -> Outcome {
    let (low, high) = (SIGRTMIN + 3, SIGRTMIN + 9);
    let set = set_of(low) | set_of(high);
    signal::mask(MaskHow::Block, set)?;
    for (signo, value) in [(high, 1), (low, 2), (high, 3), (low, 4)] {
        let info = SignalInfo {
            signo,
            code: -1,
            value,
            ..Default::default()
        };
        signal::send(Target::Process, utcb::pid() as i32, &info)?;
    }
    for expected in [(low, 2), (low, 4), (high, 1), (high, 3)] {
        let info = signal::wait(set, 0)?;
        equal((info.signo, info.value), expected)?;
    }
    equal(signal::pending()?, 0)
}

fn to_a_thread() -> Outcome {
    let set = set_of(SIGUSR1);
    signal::mask(MaskHow::Block, set)?;
    let other = start_thread(move || equal(signal::wait(set, FOREVER)?.signo, SIGUSR1))?;
    let info = SignalInfo {
        signo: SIGUSR1,
        ..Default::default()
    };
    signal::send(Target::Thread, other.tid as i32, &info)?;
    other.join()?;
    equal(signal::pending()?, 0)
}

fn to_a_group() -> Outcome {
    let leader = spawn(|| {
        process::set_group(0, 0)?;
        for _ in 0..3 {
            spawn(|| {
                loop {
                    let _ = thread::sleep_until(FOREVER);
                }
            })?;
        }
        signal::set_action(SIGTERM, Disposition::Ignore)?;
        kill(-(utcb::pid() as i32), SIGTERM)?;
        for _ in 0..3 {
            let ended = some(process::wait(WaitFor::Any, 0, wait::EXITED)?)?;
            equal(ended.status, SIGTERM)?;
        }
        Ok(())
    })?;
    succeeded(leader)
}

fn probe() -> Outcome {
    kill(utcb::pid() as i32, 0)?;
    let pid = spawn(|| Ok(()))?;
    succeeded(pid)?;
    let info = SignalInfo::default();
    fails(
        signal::send(Target::Process, pid as i32, &info),
        Error::NoSuchProcess,
    )?;
    fails(
        signal::send(Target::Thread, i32::MAX, &info),
        Error::NoSuchProcess,
    )
}

fn wrong_arguments() -> Outcome {
    for signal in [0, 65, u32::MAX, SIGKILL, SIGSTOP] {
        fails(
            signal::set_action(signal, Disposition::Ignore),
            Error::Invalid,
        )?;
    }
    for signo in [65, u32::MAX] {
        let info = SignalInfo {
            signo,
            ..Default::default()
        };
        fails(
            signal::send(Target::Process, utcb::pid() as i32, &info),
            Error::Invalid,
        )?;
    }
    Ok(())
}

fn alarm() -> Outcome {
    signal::set_action(SIGALRM, Disposition::Catch)?;
    let first = after_ms(3);
    thread::set_alarm(first, 2_000_000)?;
    for round in 0..3 {
        fails(thread::sleep_until(FOREVER), Error::Interrupted)?;
        let due = first + round * 2_000_000;
        holds(clock::monotonic_ns() >= due, "the alarm is not early")?;
        equal(some(signal::take()?)?.0.signo, SIGALRM)?;
    }
    let (_, interval) = thread::set_alarm(FOREVER, 0)?;
    equal(interval, 2_000_000)?;
    while signal::take()?.is_some() {}
    equal(thread::sleep_until(after_ms(6)), Ok(()))
}
