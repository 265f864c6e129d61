//! The supervisor: a thread that waits for children. A server that dies is started again, later and
//! later while it keeps dying; the end of the first program is the end of the machine.

use crate::control::shut_down;
use crate::modules::Modules;
use crate::servers::Servers;
use crate::startup::Failure;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU32, Ordering};
use ferrix_abi::process::{WaitFor, WaitResult, wait};
use ferrix_abi::vm::Prot;
use ferrix_rt::sys::{memory, process, thread};
use ferrix_rt::{clock, log};

const STACK_SIZE: u64 = 64 * 1024;
const FIRST_PAUSE_NS: u64 = 1_000_000;
const LONGEST_PAUSE_NS: u64 = 5_000_000_000;
/// A server that lived this long has recovered: its next death is a first one.
const STEADY_NS: u64 = 10_000_000_000;

/// Pid of the program whose end is the end of the machine.
static FIRST_PROGRAM: AtomicU32 = AtomicU32::new(0);

/// Names that program; called before its first thread starts, so that its end cannot be missed.
pub fn end_with(pid: u32) {
    FIRST_PROGRAM.store(pid, Ordering::Release);
}

struct Supervisor {
    servers: Servers,
    modules: Modules,
    restarts: BTreeMap<usize, Restart>,
}

#[derive(Clone, Copy, Default)]
struct Restart {
    last_ns: u64,
    pause_ns: u64,
}

/// Starts the supervisor's thread.
pub fn start(servers: Servers, modules: Modules) -> Result<(), Failure> {
    let fail = |error| Failure::kernel("supervisor", error);
    let supervisor = Supervisor {
        servers,
        modules,
        restarts: BTreeMap::new(),
    };
    let stack = memory::Mapping::anonymous(STACK_SIZE, Prot::READ | Prot::WRITE);
    let top = memory::map_anywhere(&stack).map_err(fail)? + STACK_SIZE - 8;
    let argument = Box::into_raw(Box::new(supervisor)) as u64;
    // SAFETY: `body` takes the box it is given, and the stack is this thread's alone.
    unsafe { thread::create(body as *const () as u64, top, argument, 0) }.map_err(fail)?;
    Ok(())
}

extern "C" fn body(argument: u64) -> ! {
    // SAFETY: `start` passes a leaked box, once.
    let mut supervisor = unsafe { Box::from_raw(argument as *mut Supervisor) };
    loop {
        match process::wait(WaitFor::Any, 0, wait::EXITED) {
            Ok(Some(child)) => supervisor.ended(&child),
            Ok(None) => {}
            Err(error) => {
                log!("init", "cannot wait for children: {error:?}");
                shut_down(&supervisor.servers.ports, &supervisor.modules, 1);
            }
        }
    }
}

impl Supervisor {
    fn ended(&mut self, child: &WaitResult) {
        if child.pid == FIRST_PROGRAM.load(Ordering::Acquire) {
            shut_down(
                &self.servers.ports,
                &self.modules,
                shell_status(child.status),
            );
        }
        let index = self
            .servers
            .running
            .iter()
            .position(|running| running.pid == child.pid);
        if let Some(index) = index {
            self.restart(index, child.status);
        }
    }

    fn restart(&mut self, index: usize, status: u32) {
        let now = clock::monotonic_ns();
        let restart = self.restarts.entry(index).or_default();
        let recovered = now.saturating_sub(restart.last_ns) > STEADY_NS;
        restart.pause_ns = if recovered {
            0
        } else {
            (restart.pause_ns * 2).clamp(FIRST_PAUSE_NS, LONGEST_PAUSE_NS)
        };
        let name = &self.servers.running[index].server.name;
        log!(
            "init",
            "server {name} ended with status {status:#x}: restarting in {} us",
            restart.pause_ns / 1000
        );
        let _ = thread::sleep_until(now + restart.pause_ns);
        restart.last_ns = clock::monotonic_ns();
        if let Err(failure) = self.servers.start(index, &self.modules) {
            log!("init", "{failure}");
        }
    }
}

/// A wait status as a shell reports it: the exit code, or 128 + signal.
fn shell_status(status: u32) -> u32 {
    match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => 128 + signal,
    }
}
