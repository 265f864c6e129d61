//! System call numbers.
//!
//! "→" is what RAX holds on success. Pointers are user addresses, checked; `deadline` is in
//! monotonic nanoseconds ([`FOREVER`](crate::ipc::FOREVER): none). A `process` argument is a
//! process handle, or 0 for the caller. Unknown numbers give `NoSystemCall`.

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u8)]
pub enum Call {
    /// Does nothing → 0.
    Null = 0,
    /// See [`ipc`](crate::ipc).
    Call = 1,
    /// See [`ipc`](crate::ipc).
    Send = 2,
    /// See [`ipc`](crate::ipc).
    Receive = 3,
    /// See [`ipc`](crate::ipc).
    Reply = 4,
    /// See [`ipc`](crate::ipc).
    ReplyReceive = 5,

    /// () → port handle (`SEND | RECEIVE | DUP | TRANSFER`).
    PortCreate = 8,
    /// (port, badge: u32, ready: u32) → session handle (`SEND | DUP | TRANSFER`); `Exists` if the
    /// badge is taken on this port. The session dies with the process that made it.
    SessionCreate = 9,
    /// (port, badge: u32, set: u32, clear: u32) → 0. Changes a session's readiness bits, wakes waiters.
    SessionSignal = 10,
    /// (items: *mut [`WaitItem`](crate::ipc::WaitItem), count, deadline) → items ready (0: timed out).
    /// Interrupted by signals. A stale session reports `ERROR | HANG_UP`.
    WaitMany = 11,
    /// (port, badge: u32, deadline) → 0. Sends the port one NOTIFY (word 0 = 1) at the deadline; a
    /// new deadline for the same badge replaces the old, `FOREVER` removes it.
    PortTimer = 12,
    /// (port or session handle) → id of the port, unique since boot: which server is behind it.
    PortId = 13,
    /// (port, session) → badge | handles to the session anywhere << 32. For a server that is handed one of its own sessions in a message;
    /// `Invalid` if the session was made on another port.
    SessionBadge = 14,

    /// (handle) → 0.
    HandleClose = 16,
    /// (handle, rights) → new handle with those of its rights.
    HandleDup = 17,
    /// (process, handle, rights) → the number in that process's table. The caller keeps its own.
    HandleGrant = 18,

    /// (kind, bytes, physical address or 0, resource or 0) → object handle
    /// (`READ | WRITE | DUP | TRANSFER`).
    ObjectCreate = 24,
    /// (object, offset, resource) → physical address of the page (contiguous and physical objects).
    ObjectPhysical = 25,
    /// (object) → size in bytes; RDX = pages present | handles and mappings << 40.
    ObjectSize = 26,
    /// (port, badge: u32, bytes, timeout in ns or 0 for
    /// [`PAGER_TIMEOUT_NS`](crate::vm::PAGER_TIMEOUT_NS)) → object handle
    /// (`READ | WRITE | DUP | TRANSFER | PAGER`). A paged object ([`vm`](crate::vm)) whose pages the
    /// caller supplies; `RECEIVE` on the port is needed.
    PagedCreate = 27,

    /// (process, address, length, prot | flags << 32, object or 0 for fresh anonymous memory,
    /// offset) → address.
    VmMap = 28,
    /// (process, address, length) → 0. Holes in the range are no error.
    VmUnmap = 29,
    /// (process, address, length, prot) → 0; `NoMemory` where nothing is mapped.
    VmProtect = 30,
    /// (process or pid + [`BY_PID`](crate::vm::BY_PID), address, *mut [`Region`](crate::vm::Region)) → 0: the first
    /// mapping that ends above the address; `NotFound` beyond the last.
    VmQuery = 31,
    /// (old address, old length, new length, [`RemapFlags`](crate::vm::RemapFlags), new address) → address. Of one
    /// mapping. Old length 0: the pages of a shared mapping from the old address on, mapped a second time.
    VmRemap = 32,
    /// (address, length) → 0. Drops the pages of private anonymous memory: they read as zero again.
    VmDiscard = 33,

    /// (object, first page, count, source address) → pages that were absent and now are present. *Moves*
    /// pages of the caller's private memory into a paged object (the source reads as zero
    /// afterwards) and wakes who waits for them; pages present already stay as they are. Needs `PAGER`,
    /// as all of the next. `Invalid` beyond the object's end.
    ObjectSupply = 34,
    /// (object, first page, count) → 0. Who waits for these pages gets SIGBUS; later faults ask again.
    ObjectFail = 35,
    /// (object, first page, count, *mut u64 bitmap) → dirty pages. Bit n of the bitmap: page first + n was
    /// written through a mapping since the last call. Once this returns, a further write makes the
    /// page dirty again, so what is read from the page afterwards covers the bit.
    ObjectClean = 36,
    /// (object, bytes) → 0. Paged and anonymous objects. Pages beyond the new end are unmapped
    /// everywhere and freed: touching them is SIGBUS. What lies behind the end in the last page is the
    /// caller's to zero.
    ObjectResize = 37,
    /// (object, first page, count, *mut u64 or 0) → pages taken back. Paged objects: clean pages, that nobody
    /// has locked, are unmapped everywhere and freed; the next touch asks the pager. Anonymous ones: all
    /// pages of the range; they read as zero again. The bitmap tells which pages were taken (at most
    /// [`PAGES_MAX`](crate::vm::PAGES_MAX)).
    ObjectDiscard = 38,
    /// (address, length, 1: lock, 0: unlock) → 0. Locked pages are made present and stay so;
    /// `NoMemory` where nothing is mapped or beyond the limit.
    VmLock = 39,

    /// (arguments, length, resource) → handle (`READ | WRITE | DUP | TRANSFER`) | pid << 32. An empty process, child of
    /// the caller, without personality.
    ProcessCreate = 40,
    /// (process, entry, stack, argument, priority) → tid. Its first thread: RDI = argument.
    ProcessStart = 41,
    /// (*const [`Personality`](crate::process::Personality), process) → 0.
    PersonalitySet = 42,
    /// () → child's pid in the parent, 0 in the child. Copies address space (copy-on-write), handles,
    /// dispositions, mask, identity; only the calling thread.
    Fork = 43,
    /// (arguments, length) → 0. The kernel's part of `exec`: ends the other threads, sets caught
    /// signals to default, keeps the pid, notes the arguments. Unmaps nothing.
    ExecCommit = 44,
    /// (status as `wait4` encodes it: `code << 8`, or a signal number) never returns.
    Exit = 45,
    /// ([`WaitFor`](crate::process::WaitFor), id, options, *mut
    /// [`WaitResult`](crate::process::WaitResult)) → pid, or 0 with `NO_HANG`.
    Wait = 46,
    /// (pid or 0) → parent's pid.
    ParentPid = 47,
    /// (pid or 0) → process group.
    GetGroup = 48,
    /// (pid or 0, group or 0) → 0. POSIX `setpgid`.
    SetGroup = 49,
    /// (pid or 0) → session id.
    GetSession = 50,
    /// () → session id. POSIX `setsid`.
    NewSession = 51,
    /// (previous pid, *mut [`ProcessInfo`](crate::process::ProcessInfo)) → pid: the live process with
    /// the smallest pid above `previous`; `NotFound` beyond the last.
    ProcessNext = 52,
    /// (pid or 0, *mut [`Identity`](crate::process::Identity)) → 0.
    GetIdentity = 53,
    /// (*const [`Identity`](crate::process::Identity)) → 0. Effective user 0 may set any, others permute.
    SetIdentity = 54,

    /// (entry, stack, argument, fs base, flags: 0) → tid. RDI = argument; inherits the mask.
    ThreadCreate = 60,
    /// (address or 0) never returns. Once the thread no longer touches user memory the kernel writes a
    /// 32-bit 0 to the address and wakes one futex waiter there. The last thread's end is `Exit(0)`.
    ThreadExit = 61,
    /// (base) → 0. FS base of the calling thread.
    SetFsBase = 62,
    /// () → 0. Gives up the rest of the slice.
    Yield = 63,
    /// (tid or 0, policy, priority, resource or 0) → 0.
    SchedSet = 64,
    /// (tid or 0) → effective priority << 16 | policy << 8 | base priority; RDX =
    /// [`Scheduling`](crate::sched::Scheduling), packed.
    SchedGet = 65,
    /// (tid or 0, mask) → 0; bit n = CPU n.
    SetAffinity = 66,
    /// (tid or 0) → mask.
    GetAffinity = 67,
    /// () → CPU that the caller runs on.
    GetCpu = 68,
    /// (pid or 0 / tid, which: 0 process, 1 thread) → user ns; RDX = system ns.
    CpuTime = 69,

    /// (signal, [`Disposition`](crate::signal::Disposition)) → the old one. `Invalid` for SIGKILL, SIGSTOP.
    SigAction = 76,
    /// ([`MaskHow`](crate::signal::MaskHow), set) → 0; RDX = the old mask.
    SigMask = 77,
    /// () → 0; RDX = the pending set.
    SigPending = 78,
    /// (mask) → always an error: waits under the mask until a caught signal is there, then
    /// `Interrupted`; the old mask is restored when `SigTake` has taken the signal (the slot's `mask` is
    /// the old one).
    SigSuspend = 79,
    /// (*mut [`SignalInfo`](crate::signal::SignalInfo), *mut mask: u64) → 1 and the next deliverable caught signal, with
    /// the mask to restore after its handler; or 0 and `pending` cleared.
    SigTake = 80,
    /// (set, *mut [`SignalInfo`](crate::signal::SignalInfo), deadline) → signal number; `WouldBlock` at the deadline.
    SigWait = 81,
    /// (target, [`SignalInfo`](crate::signal::SignalInfo) pointer, kind) → 0. Kinds: 0 process (pid; 0: own
    /// group; -1: all; -n: group n), 1 thread (tid). Signal 0 probes. The kernel stamps pid and uid
    /// unless the code is negative (`sigqueue`) and the target is another's.
    SigSend = 82,

    /// (address, expected: u32, deadline, bitset: u32 | [flags](crate::futex)) → 0; `WouldBlock` if the word differs.
    FutexWait = 88,
    /// (address, count, bitset: u32 | [flags](crate::futex)) → woken.
    FutexWake = 89,
    /// (address, wake, requeue, address2, expected: u32 | 1 << 32 to compare | [flags](crate::futex)) → woken + requeued.
    FutexRequeue = 90,
    /// (address, deadline, [flags](crate::futex)) → 0: the word names the caller as owner
    /// ([layout](crate::futex::TID_MASK)). While it waits the owner has at least its priority. `Deadlock` if the owner is the caller or
    /// waits for it; `NoSuchProcess` if there is no such thread; `WouldBlock` with [`TRY`](crate::futex::TRY).
    FutexLockPi = 91,
    /// (address, [flags](crate::futex)) → 0: the word names the most urgent waiter as owner, or nobody.
    /// `NotPermitted` unless the caller is the owner.
    FutexUnlockPi = 95,
    /// (address, expected: u32, deadline, [flags](crate::futex), address2) → 0 as owner of the second word, to which
    /// `FutexRequeuePi` has moved the wait; `WouldBlock` if the first word differs.
    FutexWaitRequeuePi = 96,
    /// (address, expected: u32, most to move, [flags](crate::futex), address2) → how many waiters became owner of the
    /// second word (at most one) or wait for it now.
    FutexRequeuePi = 97,

    /// (pid or 0, previous tid, *mut [`ThreadInfo`](crate::thread::ThreadInfo)) → tid: the thread of the process with the
    /// smallest tid above `previous`; `NotFound` beyond the last.
    ThreadNext = 98,
    /// (tid or 0, first 8 bytes, last 8 bytes, reply token or 0) → 0. The name of a thread of the caller's process;
    /// with a token, of the process that waits for that reply.
    ThreadName = 99,
    /// (CPU, *mut [`CpuInfo`](crate::info::CpuInfo)) → 0; `NotFound` beyond the last.
    CpuInfo = 106,
    /// () → 0. Does now what the caller's end would do to its [robust futexes](crate::futex::robust), and forgets
    /// their list: for a thread whose end others see before the kernel does, and for `exec`.
    FutexRelease = 107,

    /// (tid or 0, [`Scheduling`](crate::sched::Scheduling), packed) → 0. By Linux's rules (`sched_setscheduler(2)`): rising
    /// is for a Linux program's effective user 0, or within the target's limits `Nice` and `RealtimePriority`, of whose
    /// user the caller must be; else `NotPermitted`.
    SchedChange = 70,
    /// ([`Whose`](crate::sched::Whose), id or 0: the caller's, nice value) → 0. As `setpriority(2)`: `NoSuchProcess`, `NotPermitted`,
    /// `AccessDenied`.
    NiceSet = 71,
    /// ([`Whose`](crate::sched::Whose), id or 0) → 20 - the lowest nice value.
    NiceGet = 72,

    /// (deadline) → 0 when it passed; `Interrupted`.
    SleepUntil = 92,
    /// (first expiry or `FOREVER` to disarm, interval ns) → ns left of the old; RDX = old interval.
    /// The process's real-time interval timer: SIGALRM.
    AlarmSet = 93,
    /// (nanoseconds since 1970, resource or 0) → 0. Sets the wall clock.
    ClockSet = 94,

    /// (gsi, port, badge: u32, resource) → irq handle. Each interrupt sends the port a NOTIFY (word 0 =
    /// count since the last); a level-triggered line stays masked until `IrqAck`.
    IrqBind = 100,
    /// (irq) → 0. The device was served: a level-triggered line is unmasked.
    IrqAck = 101,

    /// (first port, count, resource) → ports handle (no rights; not inherited). Lets the calling process
    /// use I/O ports below [`PORTS_END`](crate::machine::PORTS_END) by IN and OUT until the handle is
    /// closed; `Busy` if one of them is granted already.
    ///
    /// A grant that contains the log's UART takes it from the kernel, which writes there no more
    /// (but for a panic): its text is then to be had by `LogTake`, and a line bound to
    /// [`LOG_LINE`](crate::machine::LOG_LINE) interrupts when there is some. With the handle's end the UART
    /// is the kernel's again.
    PortsGrant = 102,
    /// (buffer, length, resource) → bytes: the oldest text of the log that has not come out yet; 0:
    /// there is none.
    LogTake = 103,

    /// (port, badge: u32, resource) → irq handle; RDX = message: address | data << 32. As `IrqBind`, for a
    /// device that interrupts by writing the data (32 bits) to the physical address (MSI, MSI-X).
    /// Edge-triggered; `NoMemory` when there is no vector left.
    MsiBind = 104,
    /// (register: bus << 16 | device << 11 | function << 8 | offset, 0 to read or 1 to write, value: u32,
    /// resource) → what was read. PCI configuration space by ports, 32 bits at a time; needs
    /// `Rights::PHYSICAL`. `NotFound` on a machine without.
    PciConfig = 105,

    /// (text, length) → 0. Appends to the kernel's log.
    Log = 108,
    /// (status, resource) never returns. Ends the machine: switches it off, or with
    /// [`RESTART`](crate::machine::RESTART) resets it.
    PowerOff = 109,
    /// (milestone) → 0. For the monitor's statistics.
    Milestone = 110,
    /// (*mut [`SystemStats`](crate::info::SystemStats)) → 0.
    SystemStats = 111,

    /// (address, length, *mut u8) → 0. One byte for each page: 1 if a touch would find it present.
    /// `NoMemory` where nothing is mapped.
    VmResident = 112,
    /// (pid or 0, *mut [`MemoryInfo`](crate::process::MemoryInfo)) → 0.
    MemoryInfo = 113,
    /// (process, [`MemoryLimit`](crate::process::MemoryLimit), value) → 0. Children inherit it.
    MemoryLimit = 114,
    /// (address, length, [`Inheritance`](crate::vm::Inheritance)) → 0; `NoMemory` where nothing is mapped.
    VmInherit = 115,
    /// (pid or 0, [`Resource`](crate::limit::Resource), *const [`Limit`](crate::limit::Limit) or 0, *mut `Limit` or 0) → 0.
    /// Sets a limit if there is a new one; the old goes to the last argument. As `prlimit(2)`: another process's needs
    /// effective user 0 or all its user and group ids to be the caller's real ones; raising a hard limit effective
    /// user 0. A process whose limits another changed finds `limits_changed` set in its UTCBs.
    LimitSet = 116,
    /// (pid or 0, *mut [`LimitInfo`](crate::limit::LimitInfo)) → 0. For the process itself, its user, and user 0.
    LimitInfo = 117,
    /// ([`Resource`](crate::limit::Resource)) → 0. Counts a violation that the personality has found.
    LimitViolated = 118,
    /// (index, *mut [`SlabInfo`](crate::info::SlabInfo)) → 0; `NotFound` beyond the last class.
    SlabInfo = 119,
    /// () → 0. The most memory that the caller has used is counted anew: the program that it runs is another one.
    MemoryForget = 120,
    /// (port, pages given back since the last call) → 0. The port receives one
    /// [`MEMORY_LOW`](crate::ipc::Kind::MEMORY_LOW) when pages get few or a thread waits for one; after it
    /// the call is due again. Needs `Rights::RECEIVE`.
    MemoryWatch = 124,
    /// (object, first page, count, *mut u64) → pages. The bitmap tells which pages of a paged object were
    /// touched through mappings of others since the last time. For its pager.
    ObjectReferenced = 125,
    /// (object, leader, pages) → pages in use. Anonymous objects under the quota of one of them (which may be the
    /// object itself) have together at most so many pages: a program's touch of one more is SIGBUS. What
    /// servers touch is counted only. Leader 0: no quota. For who made both.
    ObjectQuota = 126,
    /// (pages) → free pages. Waits until so many are free, or no server can give any back.
    MemoryWait = 127,
}
