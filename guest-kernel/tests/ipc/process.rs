//! Processes: handles, threads, and what a server has.

use core::sync::atomic::AtomicBool;

use alloc::boxed::Box;
use ferrix_abi::process::Personality;

use crate::ipc::{self, MadeBy, OwnedBy, Pager, Session};
use crate::mm::AddressSpace;
use crate::object::core_lock::lock;
use crate::object::ids::Ids;
use crate::object::list::List;
use crate::object::table::HandleTable;
use crate::object::{Core, CoreCell, CoreGuard, CoreRef, Object};
use crate::thread::{self, InProcess, Thread};

pub static PIDS: Ids<Process> = Ids::new();

pub struct Process {
    pub pid: CoreCell<u32>,
    pub references: CoreCell<u32>,
    pub handles: CoreRef<HandleTable<Object>>,
    pub threads: List<Thread, InProcess>,
    pub thread_count: CoreCell<u32>,
    pub survivor: CoreCell<Option<&'static Thread>>,
    pub stopped: CoreCell<bool>,
    pub personality: CoreCell<Option<Personality>>,
    pub cycles: CoreCell<(u64, u64)>,
    pub sessions: List<Session, OwnedBy>,
    pub pagers: List<Pager, MadeBy>,
    pub serves: AtomicBool,
    memory: AddressSpace,
    alive: CoreCell<bool>,
}

impl core::fmt::Debug for Process {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Process")
    }
}

impl Process {
    /// Without threads.
    pub fn create(core: &Core) -> &'static Process {
        let process: &'static Process = Box::leak(Box::new(Process {
            pid: CoreCell::new(0),
            references: CoreCell::new(0),
            handles: CoreRef::new(HandleTable::new()),
            threads: List::new(),
            thread_count: CoreCell::new(0),
            survivor: CoreCell::new(None),
            stopped: CoreCell::new(false),
            personality: CoreCell::new(None),
            cycles: CoreCell::new((0, 0)),
            sessions: List::new(),
            pagers: List::new(),
            serves: AtomicBool::new(false),
            memory: AddressSpace { utcbs: 0.into() },
            alive: CoreCell::new(true),
        }));
        let pid = PIDS.allocate(core, process, |_| false);
        process.pid.set(core, pid.expect("there are few processes"));
        process
    }

    pub fn is_alive(&self, core: &Core) -> bool {
        self.alive.get(core)
    }

    pub fn space(&self, core: &Core) -> Option<&AddressSpace> {
        self.is_alive(core).then_some(&self.memory)
    }

    pub fn release_if_unused(&'static self, _: &Core) {}
}

pub fn by_pid(core: &Core, pid: u32) -> Option<&'static Process> {
    PIDS.get(core, pid)
}

/// All its threads end.
pub fn kill(core: &mut Core, process: &'static Process) {
    let mut next = process.threads.first(core);
    while let Some(thread) = next {
        next = process.threads.after(core, Some(thread));
        thread::kill(core, thread);
    }
}

/// In the order of the kernel's.
pub fn finish(mut core: CoreGuard, process: &'static Process, _: &'static Thread) -> CoreGuard {
    ipc::server_died(&mut core, process);
    let mut handles = core::mem::take(process.handles.get_mut(&mut core));
    drop(core);
    while let Some((object, rights)) = handles.pop() {
        object.release(&mut lock(), rights);
    }
    let core = lock();
    process.alive.set(&core, false);
    PIDS.release(&core, process.pid.get(&core));
    core
}

pub fn thread_left(_: &Core, _: &'static Process) {}

pub fn runs_no_more(_: &mut Core, _: &'static Thread) {}

pub fn stop_current(_: CoreGuard, _: &'static Thread) {}

pub fn cpu_watched(_: &mut Core, _: &'static Process) {}
