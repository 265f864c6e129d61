//! Calls by chance: all numbers, arguments at boundaries and at random, from several processes with two threads
//! each, that have nothing to lose and no resource. The kernel lives on, and nothing is left behind.
//!
//! `seed=N rounds=N` on the command line: another start, N times as long.

use ferrix_abi::ipc::Tag;
use ferrix_abi::layout::{KERNEL_INFO, PAGE_SIZE, SERVER_BASE, SYSTEM_BASE, USER_TOP, UTCB_BASE};
use ferrix_abi::process::{Identity, WaitFor, state, wait};
use ferrix_abi::signal::SignalInfo;
use ferrix_abi::signal::number::SIGKILL;
use ferrix_abi::{Call, Error};
use ferrix_rt::clock;
use ferrix_rt::sys::raw::{Registers, call6, message};
use ferrix_rt::sys::{ipc, memory, process, signal};

use crate::options;
use crate::stress::Random;
use crate::support::*;

pub const TESTS: &[Test] = &[("calls_by_chance", calls_by_chance)];

/// Processes of a round, one after the other.
const PROCESSES: u64 = 12;
/// Calls of one thread, if it lives so long.
const CALLS: u64 = 150;
/// Whatever still runs then is waiting for something.
const LIFE_MS: u64 = 120;
/// Whatever is killed is gone by then.
const LIMIT_MS: u64 = 10_000;

/// Calls that would hurt others by right: the group is signalled, the machine's clock is set.
const LEFT_OUT: [Call; 4] = [
    Call::SigSend,
    Call::ClockSet,
    Call::PowerOff,
    Call::Milestone,
];

const NOBODY: Identity = Identity {
    ruid: 1000,
    euid: 1000,
    suid: 1000,
    rgid: 1000,
    egid: 1000,
    sgid: 1000,
};

fn calls_by_chance() -> Outcome {
    for round in 0..options::rounds() {
        let mut random = Random::new(round);
        for _ in 0..PROCESSES {
            let seed = random.below(u64::MAX);
            one_process(seed).inspect_err(|_| {
                ferrix_rt::log!("ktest", "round {round}, process {seed:#x}");
            })?;
        }
    }
    Ok(())
}

/// A process that calls by chance, and what it forks, until it has ended or has had its time.
fn one_process(seed: u64) -> Outcome {
    let pid = spawn(|| {
        ipc::close(resource())?;
        // User 0 may do much to others.
        process::set_identity(&NOBODY)?;
        let mine = Mine::new()?;
        start_thread(move || mine.calls(seed ^ 1))?;
        mine.calls(seed)
    })?;
    let deadline = after_ms(LIFE_MS);
    let ended = || {
        process::wait(
            WaitFor::Pid,
            pid,
            wait::EXITED | wait::NO_HANG | wait::NO_WAIT,
        )
    };
    while ended()?.is_none() && clock::monotonic_ns() < deadline {
        sleep_ms(1);
    }
    end_all_of_nobody()?;
    status_of(pid).map(drop)
}

/// What a process forked may be in another group and session by now, but not another user.
fn end_all_of_nobody() -> Outcome {
    let kill = SignalInfo {
        signo: SIGKILL,
        ..Default::default()
    };
    let limit = after_ms(LIMIT_MS);
    loop {
        let mut alive = 0;
        let mut previous = 0;
        while let Ok(info) = process::next(previous) {
            previous = info.pid;
            if info.uid == NOBODY.ruid && info.state != state::ZOMBIE {
                alive += 1;
                let _ = signal::send(signal::Target::Process, info.pid as i32, &kill); // it may be gone
            }
        }
        if alive == 0 {
            return Ok(());
        }
        holds(clock::monotonic_ns() < limit, "who is killed ends")?;
        sleep_ms(1);
    }
}

/// What the calls are about.
#[derive(Clone, Copy)]
struct Mine {
    pages: Pages,
    handles: [u32; 4],
}

impl Mine {
    fn new() -> Result<Mine, Failure> {
        let port = ipc::port_create()?;
        let session = ipc::session_create(port, 1, 1)?;
        let object = memory::object_create(4 * PAGE_SIZE)?;
        let paged = memory::paged_create(port, 2, 4 * PAGE_SIZE, 1_000_000)?;
        Ok(Mine {
            pages: Pages::new(8)?,
            handles: [port.0, session.0, object.0, paged.0],
        })
    }

    fn calls(self, seed: u64) -> Outcome {
        let mut random = Random::from_seed(seed);
        for _ in 0..CALLS {
            self.one(&mut random);
        }
        Ok(())
    }

    fn one(&self, random: &mut Random) {
        let number = random.below(130) as u8;
        let args = [(); 6].map(|()| self.argument(random));
        match Call::try_from(number) {
            Ok(call) if LEFT_OUT.contains(&call) => {}
            Ok(Call::Call | Call::Send | Call::Receive | Call::Reply | Call::ReplyReceive) => {
                let modifiers = Tag::TIMEOUT | random.below(1 << 32) as u32;
                let mut registers = Registers {
                    rax: u64::from(number) | u64::from(modifiers) << 8,
                    rdi: args[0],
                    words: [args[1], args[2], args[3], args[4]],
                    r9: args[5],
                };
                message(&mut registers);
            }
            Ok(call) => {
                // SAFETY: there is none: the process may lose all its memory, and then ends.
                let _: Result<u64, Error> = unsafe { call6(call, args) };
            }
            Err(_) => {}
        }
    }

    /// A boundary, something that is the process's own, or anything.
    fn argument(&self, random: &mut Random) -> u64 {
        const BOUNDARIES: [u64; 16] = [
            0,
            1,
            2,
            PAGE_SIZE - 1,
            PAGE_SIZE,
            SERVER_BASE,
            UTCB_BASE,
            KERNEL_INFO,
            SYSTEM_BASE,
            USER_TOP,
            1 << 47,
            0xffff_8000_0000_0000,
            0xffff_ffff_8010_0000,
            i64::MAX as u64,
            !(PAGE_SIZE - 1),
            u64::MAX,
        ];
        match random.below(8) {
            0 | 1 => BOUNDARIES[random.below(16) as usize],
            2 => u64::from(self.handles[random.below(4) as usize]),
            3 => self.pages.address + random.below(8) * PAGE_SIZE,
            4 => self.pages.address + random.below(self.pages.length),
            5 => random.below(64),
            6 => random.below(16) * PAGE_SIZE,
            _ => random.below(u64::MAX),
        }
    }
}
