//! What a process is.

use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr};

use arrayvec::ArrayVec;
use ferrix_abi::limit::RESOURCES;
use ferrix_abi::process::{ARGUMENTS_MAX, Identity, Personality};

use super::halt::Halt;
use super::limits::LimitTable;
use super::waiting::Report;
use crate::ipc::{MadeBy, OwnedBy, Pager, Session};
use crate::mm::AddressSpace;
use crate::object::ids::Ids;
use crate::object::list::{Linked, Links, List};
use crate::object::pool::{Pool, Pooled};
use crate::object::table::HandleTable;
use crate::object::{Core, CoreCell, CoreRef, Object};
use crate::signal::ProcessSignals;
use crate::thread::{InProcess, Thread};
use crate::timer::Timer;

/// All processes' memory.
pub static PROCESSES: Pool<Process> = Pool::new();
/// Processes by id, zombies included.
pub static PIDS: Ids<Process> = Ids::new();
/// Processes created since boot.
static FORKS: CoreCell<u64> = CoreCell::new(0);

/// Marks the pid of the process that must not end.
#[derive(Debug)]
pub struct InitPid;

impl InitPid {
    /// Init's.
    pub const PID: u32 = 1;
}

/// Counts a process.
pub(super) fn count_fork(core: &Core) {
    FORKS.set(core, FORKS.get(core) + 1);
}

/// Processes created since boot.
pub fn forks(core: &Core) -> u64 {
    FORKS.get(core)
}

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Life {
    /// The object is not in use.
    #[default]
    Free,
    /// It has no thread yet.
    Made,
    /// It has threads.
    Alive,
    /// Its threads are ending, the last one frees what it has.
    Ending,
    /// Only its status is left.
    Zombie,
    /// Its parent has taken note; handles still name it.
    Gone,
}

/// The kind of the list of a process's children.
#[derive(Debug)]
pub struct InFamily;

/// Bytes of a name that the log tells.
pub const NAME: usize = 64;

/// A process.
pub struct Process {
    /// Its id.
    pub pid: CoreCell<u32>,
    /// Where it is in its life.
    pub life: CoreCell<Life>,
    /// Handles to it.
    pub references: CoreCell<u32>,
    pub(super) space: AtomicPtr<AddressSpace>,
    /// Its names for kernel objects.
    pub handles: CoreRef<HandleTable<Object>>,
    /// Its parent; none for init.
    pub parent: CoreCell<Option<&'static Process>>,
    /// Its children, zombies included.
    pub children: List<Process, InFamily>,
    pub(super) siblings: Links<Process>,
    /// Process group.
    pub group: CoreCell<u32>,
    /// Session.
    pub session: CoreCell<u32>,
    /// Its threads.
    pub threads: List<Thread, InProcess>,
    /// How many.
    pub thread_count: CoreCell<u32>,
    /// Its thread that waits for the end of the others.
    pub survivor: CoreCell<Option<&'static Thread>>,
    /// Whether it is stopped.
    pub stopped: CoreCell<bool>,
    /// How far its stop is.
    pub halt: CoreCell<Halt>,
    /// What its parent has not been told yet.
    pub report: CoreCell<Option<Report>>,
    /// Where foreign system calls, signals and faults go.
    pub personality: CoreCell<Option<Personality>>,
    /// Signals for the process, and what it does with them.
    pub signals: ProcessSignals,
    /// User and group ids.
    pub identity: CoreCell<Identity>,
    /// What it was started with.
    pub arguments: CoreRef<ArrayVec<u8, ARGUMENTS_MAX>>,
    /// Whether it has executed a program of its own since `fork` (`setpgid` asks).
    pub executed: CoreCell<bool>,
    /// When it started, in monotonic nanoseconds.
    pub start_ns: CoreCell<u64>,
    /// Cycles of threads that have ended: all, and those in the kernel.
    pub cycles: CoreCell<(u64, u64)>,
    /// The same of children waited for.
    pub child_cycles: CoreCell<(u64, u64)>,
    /// Sessions that it made.
    pub sessions: List<Session, OwnedBy>,
    /// The paged objects that it made.
    pub pagers: List<Pager, MadeBy>,
    /// Whether it has ever received a call.
    pub serves: AtomicBool,
    /// Whether a server made it (as init the first program), and no `fork`.
    pub is_first: CoreCell<bool>,
    /// Its resource limits.
    pub limits: CoreRef<LimitTable>,
    /// How often its limits refused something that is not counted elsewhere.
    pub violations: CoreRef<[u32; RESOURCES]>,
    /// When its CPU time is looked at, if that is limited.
    pub cpu_timer: Timer,
    /// Seconds of CPU time at which it was told last that they are too many.
    pub cpu_warned: CoreCell<u64>,
    pub(super) free: CoreCell<Option<&'static Process>>,
}

impl core::fmt::Debug for Process {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Process")
    }
}

impl Pooled for Process {
    fn free_link(&self) -> &CoreCell<Option<&'static Process>> {
        &self.free
    }

    fn fresh() -> Process {
        Process {
            pid: CoreCell::new(0),
            life: CoreCell::new(Life::Free),
            references: CoreCell::new(0),
            space: AtomicPtr::new(core::ptr::null_mut()),
            handles: CoreRef::new(HandleTable::new()),
            parent: CoreCell::new(None),
            children: List::new(),
            siblings: Links::new(),
            group: CoreCell::new(0),
            session: CoreCell::new(0),
            threads: List::new(),
            thread_count: CoreCell::new(0),
            survivor: CoreCell::new(None),
            stopped: CoreCell::new(false),
            halt: CoreCell::new(Halt::NONE),
            report: CoreCell::new(None),
            personality: CoreCell::new(None),
            signals: ProcessSignals::new(),
            identity: CoreCell::new(Identity::default()),
            arguments: CoreRef::new(ArrayVec::new_const()),
            executed: CoreCell::new(false),
            start_ns: CoreCell::new(0),
            cycles: CoreCell::new((0, 0)),
            child_cycles: CoreCell::new((0, 0)),
            sessions: List::new(),
            pagers: List::new(),
            serves: AtomicBool::new(false),
            is_first: CoreCell::new(false),
            limits: CoreRef::new(None),
            violations: CoreRef::new([0; RESOURCES]),
            cpu_timer: Timer::new(),
            cpu_warned: CoreCell::new(0),
            free: CoreCell::new(None),
        }
    }
}

impl Linked<InFamily> for Process {
    fn links(&self) -> &Links<Process> {
        &self.siblings
    }
}

impl Process {
    /// For debuggers.
    pub const LAYOUT: [(&'static str, usize); 9] = [
        ("process.pid", offset_of!(Process, pid)),
        ("process.life", offset_of!(Process, life)),
        ("process.parent", offset_of!(Process, parent)),
        (
            "process.threads",
            offset_of!(Process, threads) + List::<Thread, InProcess>::HEAD,
        ),
        ("process.thread_count", offset_of!(Process, thread_count)),
        ("process.stopped", offset_of!(Process, stopped)),
        ("process.handles", offset_of!(Process, handles)),
        // An `ArrayVec`, which is a length of 32 bits and the bytes.
        ("process.arguments", offset_of!(Process, arguments)),
        ("process.group", offset_of!(Process, group)),
    ];

    /// Whether it can be named: it has not been waited for.
    pub fn exists(&self, core: &Core) -> bool {
        !matches!(self.life.get(core), Life::Free | Life::Gone)
    }

    /// Whether it runs programs: it has memory and may have threads.
    pub fn is_alive(&self, core: &Core) -> bool {
        matches!(self.life.get(core), Life::Made | Life::Alive)
    }

    /// Notes what it was started with, cut to what is kept.
    pub fn set_arguments(&self, core: &mut Core, text: &[u8]) {
        let arguments = self.arguments.get_mut(core);
        arguments.clear();
        // What does not fit is left out, so this cannot fail.
        let _ = arguments.try_extend_from_slice(&text[..text.len().min(ARGUMENTS_MAX)]);
    }

    /// The beginning of the name that it was started with.
    pub fn name(&self, core: &Core) -> ArrayVec<u8, NAME> {
        let text = self.arguments.get(core).iter().copied();
        text.take_while(|&byte| byte != 0).take(NAME).collect()
    }

    /// Gives the object back when it is gone and nothing names it any more.
    pub fn release_if_unused(&'static self, core: &Core) {
        if self.life.get(core) == Life::Gone && self.references.get(core) == 0 {
            self.life.set(core, Life::Free);
            PROCESSES.give(core, self);
        }
    }
}

/// The process with this id, zombies included.
pub fn by_pid(core: &Core, pid: u32) -> Option<&'static Process> {
    PIDS.get(core, pid)
}
