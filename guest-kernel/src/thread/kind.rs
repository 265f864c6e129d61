//! What a thread is.

use core::cell::UnsafeCell;
use core::mem::{MaybeUninit, offset_of};
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use ferrix_abi::ipc::Tag;
use ferrix_abi::signal::SignalSet;

use super::State;
use crate::arch::thread::ArchThread;
use crate::futex::Key;
use crate::ipc::{Endpoint, Event, PageAnswer, PageWait, PollNode, Session};
use crate::mm::UtcbSlot;
use crate::object::ids::Ids;
use crate::object::list::{Linked, Links};
use crate::object::pool::{Pool, Pooled};
use crate::object::{Core, CoreCell, CoreRef};
use crate::process::Process;
use crate::sched::inherit::{InDonors, Inheritance};
use crate::sched::queue::{InQueue, QueuePlace, Runnable};
use crate::sched::{Entity, inherit};
use crate::signal::queue::SignalQueue;
use crate::timer::Timer;

/// All threads' memory.
pub static THREADS: Pool<Thread> = Pool::new();
/// Threads by id.
pub static TIDS: Ids<Thread> = Ids::new();

/// What is not ordinary about a thread. Zero is what the fast path of messages asks for.
pub mod work {
    /// It ends.
    pub const KILL: u32 = 1;
    /// Its process is stopped.
    pub const STOP: u32 = 2;
    /// A signal may be deliverable.
    pub const SIGNAL: u32 = 4;
    /// What is to be done at its next return to user mode.
    pub const AT_RETURN: u32 = KILL | STOP | SIGNAL;
    /// It may not run on every CPU.
    pub const PINNED: u32 = 8;
    /// Its wait is bounded by a deadline.
    pub const TIMED: u32 = 16;
    /// The server has been asked to end its call.
    pub const CANCELLED: u32 = 32;
    /// It lends its priority to whom it waits for.
    pub const LENDS: u32 = 128;
    /// The report that its process has stopped waits for it.
    pub const AWAITED: u32 = 256;
    /// Its nice value is above 0: its time is counted apart.
    pub const NICE: u32 = 512;
    /// What must be looked at before it waits.
    pub const BEFORE_WAIT: u32 = KILL | SIGNAL | TOLD | AWAITED;
    /// What the end of any wait undoes.
    pub const OF_WAIT: u32 = TIMED | LENDS;
    /// The personality has been told of a signal, and has not taken it yet: waits are interrupted.
    pub const TOLD: u32 = 64;
}

/// The kind of the list of a process's threads.
#[derive(Debug)]
pub struct InProcess;

/// A thread.
#[repr(C)]
pub struct Thread {
    /// First, so that the address of the one is the address of the other.
    pub(super) arch: UnsafeCell<MaybeUninit<ArchThread>>,
    /// What it does.
    pub state: CoreCell<State>,
    /// Bits of [`work`].
    pub work: CoreCell<u32>,
    /// Its process's id, in the upper half: what a receiver learns of a sender.
    pub sender: CoreCell<u64>,
    /// Its id; 0 while it is not in use, and for idle threads.
    pub tid: CoreCell<u32>,
    /// While it waits for a reply: who may reply. In other waits for messages: where it queues.
    pub server: CoreCell<Option<&'static Process>>,
    /// The token of its current or last call: tid, and above it the number of the call.
    pub token: CoreCell<u64>,
    /// Scheduling parameters and state.
    pub sched: Entity,
    /// Its place in a run queue or a queue of waiters.
    pub queue: QueuePlace<Thread>,
    /// Who lends it priority, and to whom it lends its own.
    pub inheritance: Inheritance<Thread>,
    /// While it waits for a reply: the thread that received its call.
    pub callee: CoreCell<Option<&'static Thread>>,
    /// The endpoint at which it sends or receives, or at which its call was received.
    pub endpoint: CoreCell<Option<&'static Endpoint>>,
    /// While sending: the badge that its message carries.
    pub badge: CoreCell<u32>,
    /// While sending: the session through which it sends, if any.
    pub session: CoreCell<Option<&'static Session>>,
    /// While sending or receiving: the tag given.
    pub tag: CoreCell<Tag>,
    /// While sending: whether the system call was `Call`.
    pub calls: CoreCell<bool>,
    /// While receiving: only from this tid, or 0.
    pub only: CoreCell<u32>,
    /// While waiting for a reply: the deadline has passed, whatever the reply.
    pub timed_out: CoreCell<bool>,
    pub(super) process: AtomicPtr<Process>,
    pub(super) siblings: Links<Thread>,
    pub(super) utcb: CoreCell<Option<UtcbSlot>>,
    /// What a server is asked on its behalf: to end its call, or for the page that it waits for.
    pub cancel: Event,
    /// The page that it waits for.
    pub page: CoreCell<Option<PageWait>>,
    /// How its last wait for a page ended.
    pub page_answer: CoreCell<PageAnswer>,
    /// What arrives for this thread itself.
    pub own: Endpoint,
    /// Whether somebody has sent to it by its number.
    pub called: CoreCell<bool>,
    /// Bounds its wait.
    pub timer: Timer,
    /// What it waits for in a futex queue.
    pub futex: CoreCell<Key>,
    /// And with which bits.
    pub futex_bits: CoreCell<u32>,
    /// While it waits to be moved to a futex that inherits priorities: that one.
    pub futex_target: CoreCell<Key>,
    /// The dead owner of the futex that it is to take over, or 0.
    pub inherits_from: CoreCell<u32>,
    /// Its nodes at sessions while it polls.
    pub polls: CoreCell<Option<&'static PollNode>>,
    /// Signals that it does not take now.
    pub mask: CoreCell<SignalSet>,
    /// The mask to restore after `SigSuspend`.
    pub saved_mask: CoreCell<Option<SignalSet>>,
    /// What `SigWait` waits for.
    pub awaited: CoreCell<SignalSet>,
    /// Signals for this thread.
    pub pending: CoreRef<SignalQueue>,
    /// A user address to clear when it has ended, or 0.
    pub clear_address: CoreCell<u64>,
    /// Cycles that it has run.
    pub cycles: CoreCell<u64>,
    /// Of these, cycles in long system calls and faults.
    pub system_cycles: CoreCell<u64>,
    /// Times that another thread got its CPU.
    pub switches: CoreCell<u64>,
    /// Of these, times that it would have gone on.
    pub preemptions: CoreCell<u64>,
    /// Its name: 16 bytes.
    pub name: CoreCell<[u64; 2]>,
    /// While the kernel is traced: when it became ready; 0 while it is not.
    pub woken: CoreCell<u64>,
    pub(super) free: CoreCell<Option<&'static Thread>>,
}

// `Sync` is claimed in `context`, which owns the access to `arch`.

impl core::fmt::Debug for Thread {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Thread")
    }
}

impl Pooled for Thread {
    fn free_link(&self) -> &CoreCell<Option<&'static Thread>> {
        &self.free
    }

    fn fresh() -> Thread {
        Thread {
            arch: UnsafeCell::new(MaybeUninit::uninit()),
            state: CoreCell::new(State::Free),
            work: CoreCell::new(0),
            sender: CoreCell::new(0),
            tid: CoreCell::new(0),
            server: CoreCell::new(None),
            token: CoreCell::new(0),
            sched: Entity::new(),
            queue: QueuePlace::new(),
            inheritance: Inheritance::new(),
            callee: CoreCell::new(None),
            endpoint: CoreCell::new(None),
            badge: CoreCell::new(0),
            session: CoreCell::new(None),
            tag: CoreCell::new(Tag::SHORT),
            calls: CoreCell::new(false),
            only: CoreCell::new(0),
            timed_out: CoreCell::new(false),
            process: AtomicPtr::new(core::ptr::null_mut()),
            siblings: Links::new(),
            utcb: CoreCell::new(None),
            cancel: Event::new(),
            page: CoreCell::new(None),
            page_answer: CoreCell::new(PageAnswer::Retry),
            own: Endpoint::new(),
            called: CoreCell::new(false),
            timer: Timer::new(),
            futex: CoreCell::new(Key::NONE),
            futex_bits: CoreCell::new(0),
            futex_target: CoreCell::new(Key::NONE),
            inherits_from: CoreCell::new(0),
            polls: CoreCell::new(None),
            mask: CoreCell::new(0),
            saved_mask: CoreCell::new(None),
            awaited: CoreCell::new(0),
            pending: CoreRef::new(SignalQueue::new()),
            clear_address: CoreCell::new(0),
            cycles: CoreCell::new(0),
            system_cycles: CoreCell::new(0),
            switches: CoreCell::new(0),
            preemptions: CoreCell::new(0),
            name: CoreCell::new([0; 2]),
            woken: CoreCell::new(0),
            free: CoreCell::new(None),
        }
    }
}

impl Thread {
    /// For debuggers.
    pub const LAYOUT: [(&'static str, usize); 9] = [
        ("thread.state", offset_of!(Thread, state)),
        ("thread.tid", offset_of!(Thread, tid)),
        ("thread.process", offset_of!(Thread, process)),
        (
            "thread.sibling",
            offset_of!(Thread, siblings) + Links::<Thread>::NEXT,
        ),
        (
            "thread.queued",
            offset_of!(Thread, queue.links) + Links::<Thread>::NEXT,
        ),
        ("thread.priority", offset_of!(Thread, sched.priority)),
        ("thread.cpu", offset_of!(Thread, sched.cpu)),
        ("thread.server", offset_of!(Thread, server)),
        ("thread.cycles", offset_of!(Thread, cycles)),
    ];
}

impl Linked<InQueue> for Thread {
    #[inline(always)]
    fn links(&self) -> &Links<Thread> {
        &self.queue.links
    }
}

impl Runnable for Thread {
    #[inline(always)]
    fn place(&self) -> &CoreCell<u8> {
        &self.queue.place
    }
}

impl Linked<InDonors> for Thread {
    fn links(&self) -> &Links<Thread> {
        &self.inheritance.links
    }
}

impl Linked<InProcess> for Thread {
    fn links(&self) -> &Links<Thread> {
        &self.siblings
    }
}

impl Thread {
    pub(super) fn set_process(&self, process: &'static Process) {
        self.process
            .store(core::ptr::from_ref(process).cast_mut(), Relaxed);
    }

    /// Notes work for its next return to user mode, and makes that be soon if it runs.
    pub fn add_work(&'static self, core: &Core, bits: u32) {
        self.work.set(core, self.work.get(core) | bits);
        if bits & work::AT_RETURN != 0 && self.state.get(core) == State::Running {
            crate::sched::notify_running(core, self);
        }
    }

    /// It waits no longer: no deadline bounds it, and nobody works for it.
    #[inline(always)]
    pub fn disarm(&'static self, core: &Core) {
        if self.work.get(core) & work::OF_WAIT != 0 {
            self.end_wait(core);
        }
    }

    #[cold]
    fn end_wait(&'static self, core: &Core) {
        if self.work.get(core) & work::TIMED != 0 {
            self.timer.cancel(core);
        }
        inherit::withdraw(core, self);
        self.clear_work(core, work::OF_WAIT);
    }

    /// Its call has ended: the server need not be asked to end it.
    #[inline(always)]
    pub fn forget_cancel(&'static self, core: &Core) {
        if self.work.get(core) & work::CANCELLED != 0 {
            self.cancel.withdraw(core);
            self.clear_work(core, work::CANCELLED);
        }
    }

    /// Notes whether its parameters make its time count apart.
    pub fn mark_nice(&self, core: &Core) {
        let nice = self.sched.parameters(core).linux.nice > 0;
        let others = self.work.get(core) & !work::NICE;
        self.work
            .set(core, if nice { others | work::NICE } else { others });
    }

    /// Sets the CPUs on which it may run.
    pub fn set_affinity(&self, core: &Core, mask: u32) {
        let all = ((1u64 << crate::arch::cpu::cpu_count()) - 1) as u32;
        self.sched.affinity.set(core, mask);
        if mask & all == all {
            self.clear_work(core, work::PINNED);
        } else {
            self.work.set(core, self.work.get(core) | work::PINNED);
        }
    }

    /// The work is done.
    pub fn clear_work(&self, core: &Core, bits: u32) {
        self.work.set(core, self.work.get(core) & !bits);
    }
}

/// The live thread with this id.
#[inline(always)]
pub fn by_tid(core: &Core, tid: u32) -> Option<&'static Thread> {
    TIDS.get(core, tid)
}
