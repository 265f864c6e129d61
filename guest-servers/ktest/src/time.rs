//! Sleeping, port timers, the clock.

use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::ipc::{FOREVER, Kind, Tag};
use ferrix_abi::process::Identity;
use ferrix_abi::sched::Policy;
use ferrix_rt::clock;
use ferrix_rt::sys::{ipc, process, system, thread};

use crate::support::*;

pub const TESTS: &[Test] = &[
    ("sleep", sleep),
    ("sleepers_wake_in_order", sleepers_wake_in_order),
    ("clock_never_goes_back", clock_never_goes_back),
    ("port_timer", port_timer),
    ("port_timer_replaced", port_timer_replaced),
    ("port_timers_in_order", port_timers_in_order),
    ("wall_clock", wall_clock),
];

fn sleep() -> Outcome {
    equal(thread::sleep_until(0), Ok(()))?;
    equal(thread::sleep_until(clock::monotonic_ns()), Ok(()))?;
    for wait_ms in [1, 5, 20] {
        let deadline = after_ms(wait_ms);
        thread::sleep_until(deadline)?;
        let late = clock::monotonic_ns().checked_sub(deadline);
        holds(some(late)? < 500_000_000, "it wakes soon after")?;
    }
    Ok(())
}

/// On one CPU, and none more urgent than another: those that are late wake in order too. They are told
/// when to wake only when all of them are there, however long that took.
fn sleepers_wake_in_order() -> Outcome {
    let port = ipc::port_create()?;
    let mut sleepers = [0; 5];
    for pid in &mut sleepers {
        *pid = spawn(|| sleeper(port))?;
    }
    let mut waiting = [0; 5];
    for token in &mut waiting {
        *token = ipc::receive(port, Tag::SHORT)?.token;
    }
    let start = after_ms(1000);
    for (number, token) in waiting.into_iter().enumerate() {
        // In another order than they wake in.
        let turn = (number * 3 % 5) as u64;
        ipc::reply(token, Tag::SHORT, [start + turn * 10_000_000, turn, 0, 0])?;
    }
    for turn in 0..5 {
        equal(ipc::receive(port, Tag::SHORT)?.words[0], turn)?;
    }
    sleepers.into_iter().try_for_each(succeeded)
}

fn sleeper(port: Handle) -> Outcome {
    thread::set_affinity(0, 1)?;
    thread::set_scheduling(0, Policy::Fifo, 100, resource())?;
    let [deadline, turn, ..] = ipc::call(port, Tag::SHORT, [0; 4])?.words;
    thread::sleep_until(deadline)?;
    Ok(ipc::send(port, Tag::SHORT, [turn, 0, 0, 0])?)
}

/// Also from CPU to CPU.
fn clock_never_goes_back() -> Outcome {
    let cpus = system::kernel_info().cpus;
    let mut last = clock::monotonic_ns();
    for round in 0..200 {
        thread::set_affinity(0, 1 << (round % cpus))?;
        let now = clock::monotonic_ns();
        holds(now >= last, "the clock goes on")?;
        last = now;
    }
    Ok(())
}

fn port_timer() -> Outcome {
    let port = ipc::port_create()?;
    for wait_ms in [0, 4] {
        let deadline = after_ms(wait_ms);
        ipc::port_timer(port, 9, deadline)?;
        let event = ipc::receive(port, Tag::SHORT)?;
        equal(
            (event.kind, event.badge, event.words[0]),
            (Kind::NOTIFY, 9, 1),
        )?;
        holds(clock::monotonic_ns() >= deadline, "it is not early")?;
    }
    let none = Tag::SHORT.with(Tag::NON_BLOCKING);
    fails(ipc::receive(port, none), Error::WouldBlock)
}

fn port_timer_replaced() -> Outcome {
    let port = ipc::port_create()?;
    let none = Tag::SHORT.with(Tag::NON_BLOCKING);
    ipc::port_timer(port, 1, after_ms(10_000))?;
    ipc::port_timer(port, 1, after_ms(2))?;
    equal(ipc::receive(port, Tag::SHORT)?.badge, 1)?;
    ipc::port_timer(port, 1, after_ms(3))?;
    ipc::port_timer(port, 1, FOREVER)?;
    sleep_ms(6);
    fails(ipc::receive(port, none), Error::WouldBlock)?;
    // One that is still set goes with its port.
    ipc::port_timer(port, 2, after_ms(3))?;
    ipc::close(port)?;
    sleep_ms(6);
    Ok(())
}

fn port_timers_in_order() -> Outcome {
    let port = ipc::port_create()?;
    // None is due before all are set, on a busy host, too.
    let start = after_ms(200);
    for badge in [5, 2, 4, 1, 3] {
        let deadline = start + u64::from(badge) * 2_000_000;
        ipc::port_timer(port, badge, deadline)?;
    }
    for badge in 1..=5 {
        equal(ipc::receive(port, Tag::SHORT)?.badge, badge)?;
    }
    Ok(())
}

fn wall_clock() -> Outcome {
    let before = clock::realtime_ns();
    let user = spawn(|| {
        let user = Identity {
            euid: 1000,
            ..Default::default()
        };
        process::set_identity(&user)?;
        fails(system::set_clock(before, Handle::NONE), Error::NotPermitted)
    })?;
    succeeded(user)?;
    let later = before + 3_600_000_000_000;
    system::set_clock(later, resource())?;
    let now = clock::realtime_ns();
    system::set_clock(now - 3_600_000_000_000, resource())?;
    holds(
        (later..later + 1_000_000_000).contains(&now),
        "the clock is set",
    )
}
