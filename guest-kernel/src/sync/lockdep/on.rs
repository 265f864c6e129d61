//! The checks.

use core::panic::Location;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

use super::graph::{CLASSES, Graph, Path};
use crate::arch::cpu::{self, MAX_CPUS};

/// Locks that a CPU holds at a time, at most.
const DEPTH: usize = 24;
/// Places that allocate with interrupts off, told apart.
const PLACES: usize = 64;

/// More than this comes in blocks of pages.
const OBJECT_MAX: usize = 2048;

/// A place in the source.
type Place = Location<'static>;

/// Where locks of a kind are made.
#[derive(Debug)]
pub struct Class(&'static Place);

impl Class {
    /// The class of the locks that are made here.
    #[track_caller]
    pub const fn here() -> Class {
        Class(Location::caller())
    }

    /// The same place for locks inside another of the class.
    fn key(&self, nested: usize) -> *mut Place {
        core::ptr::from_ref(self.0)
            .cast_mut()
            .wrapping_byte_add(nested)
    }
}

/// The classes by number. (An odd address: inside another one.)
static KEYS: [AtomicPtr<Place>; CLASSES] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; CLASSES];
static GRAPH: Graph = Graph::new();
/// Where the second of a pair was taken the first time.
static TAKEN: [[AtomicPtr<Place>; CLASSES]; CLASSES] =
    [const { [const { AtomicPtr::new(core::ptr::null_mut()) }; CLASSES] }; CLASSES];
/// Bits of the classes that were taken with interrupts on,
static OPEN: AtomicU64 = AtomicU64::new(0);
/// and of those that were taken by a handler above code that holds a lock.
static ABOVE: AtomicU64 = AtomicU64::new(0);
/// Something was found: the machine is about to end, and its last steps are not checked.
static FOUND: AtomicBool = AtomicBool::new(false);
/// Most locks that one CPU held at a time.
static DEEPEST: AtomicUsize = AtomicUsize::new(0);

/// A lock that is held.
struct Entry {
    class: AtomicUsize,
    place: AtomicPtr<Place>,
}

/// What a CPU holds. Only that CPU uses it, with interrupts off.
struct Cpu {
    entries: [Entry; DEPTH],
    depth: AtomicUsize,
    /// The depth at the innermost interrupt, plus 1; 0: none.
    interrupted: AtomicUsize,
}

static CPUS: [Cpu; MAX_CPUS] = [const {
    Cpu {
        entries: [const {
            Entry {
                class: AtomicUsize::new(0),
                place: AtomicPtr::new(core::ptr::null_mut()),
            }
        }; DEPTH],
        depth: AtomicUsize::new(0),
        interrupted: AtomicUsize::new(0),
    }
}; MAX_CPUS];

impl Cpu {
    fn held(&self) -> impl Iterator<Item = (usize, *mut Place)> {
        let entries = &self.entries[..self.depth.load(Relaxed)];
        entries
            .iter()
            .map(|entry| (entry.class.load(Relaxed), entry.place.load(Relaxed)))
    }

    /// The lock of a class that was taken last.
    fn last(&self, class: usize) -> Option<usize> {
        let entries = &self.entries[..self.depth.load(Relaxed)];
        entries
            .iter()
            .rposition(|entry| entry.class.load(Relaxed) == class)
    }
}

/// Does something with what this CPU holds.
fn with_cpu<T>(work: impl FnOnce(&Cpu) -> T) -> T {
    let state = cpu::interrupts_save_and_disable();
    let result = work(&CPUS[cpu::cpu_id()]);
    cpu::interrupts_restore(state);
    result
}

/// A lock that is held, or waited for.
#[derive(Debug)]
pub struct Held(usize);

impl Held {
    /// The caller's caller is about to wait for a lock. Preemption is off.
    #[track_caller]
    pub fn waiting(class: &Class) -> Held {
        Self::push(class.key(0), true)
    }

    /// As [`waiting`](Self::waiting), for a lock inside another of its class, in an order that the caller knows.
    #[track_caller]
    pub fn nested(class: &Class) -> Held {
        Self::push(class.key(1), true)
    }

    /// The caller's caller got a lock without waiting.
    #[track_caller]
    pub fn tried(class: &Class) -> Held {
        Self::push(class.key(0), false)
    }

    #[track_caller]
    fn push(key: *mut Place, waits: bool) -> Held {
        let place = core::ptr::from_ref(Location::caller()).cast_mut();
        let class = number(key);
        let open = cpu::interrupts_enabled();
        with_cpu(|cpu| {
            if waits && !FOUND.load(Relaxed) {
                check(cpu, class, place, open);
            }
            let depth = cpu.depth.load(Relaxed);
            let Some(entry) = cpu.entries.get(depth) else {
                panic!("lock discipline: a CPU holds more than {DEPTH} locks");
            };
            entry.class.store(class, Relaxed);
            entry.place.store(place, Relaxed);
            cpu.depth.store(depth + 1, Relaxed);
            DEEPEST.fetch_max(depth + 1, Relaxed);
        });
        Held(class)
    }

    /// It is held no more.
    pub fn end(&self) {
        with_cpu(|cpu| {
            let depth = cpu.depth.load(Relaxed);
            let Some(at) = cpu.last(self.0) else {
                return;
            };
            for index in at + 1..depth {
                let (from, to) = (&cpu.entries[index], &cpu.entries[index - 1]);
                to.class.store(from.class.load(Relaxed), Relaxed);
                to.place.store(from.place.load(Relaxed), Relaxed);
            }
            cpu.depth.store(depth - 1, Relaxed);
        });
    }
}

/// The number of a class, which it gets when its first lock is taken.
fn number(key: *mut Place) -> usize {
    for (number, slot) in KEYS.iter().enumerate() {
        let known = slot.load(Relaxed);
        if known == key {
            return number;
        }
        if known.is_null() {
            match slot.compare_exchange(known, key, Relaxed, Relaxed) {
                Ok(_) => return number,
                Err(other) if other == key => return number,
                Err(_) => {}
            }
        }
    }
    panic!("lock discipline: more than {CLASSES} classes of locks");
}

/// Checks a lock that this CPU is about to wait for.
fn check(cpu: &Cpu, class: usize, place: *mut Place, open: bool) {
    for (held, held_at) in cpu.held() {
        if held == class {
            found();
            panic!(
                "lock discipline: {} waits for {}, of the class that was taken at {} and is held",
                name(place),
                class_name(class),
                name(held_at),
            );
        }
        if GRAPH.knows(held, class) {
            continue;
        }
        TAKEN[held][class].store(place, Relaxed);
        if let Err(path) = GRAPH.add(held, class) {
            cycle(&path, place, held_at);
        }
    }
    let bit = 1 << class;
    if open {
        OPEN.fetch_or(bit, SeqCst);
    }
    // Above code that holds none a handler may take what it likes.
    if cpu.interrupted.load(Relaxed) > 1 {
        ABOVE.fetch_or(bit, SeqCst);
    }
    if OPEN.load(SeqCst) & ABOVE.load(SeqCst) & bit != 0 {
        found();
        panic!(
            "lock discipline: {} takes {}, which is taken with interrupts on, and by handlers above locks",
            name(place),
            class_name(class),
        );
    }
}

/// The core lock is about to be taken.
#[track_caller]
pub fn assert_interrupts_off() {
    if cpu::interrupts_enabled() && !FOUND.load(Relaxed) {
        found();
        panic!("lock discipline: the core lock is taken with interrupts on");
    }
}

/// Ends the machine: `path` leads from the class that is about to be taken at `place` to the one that was taken at
/// `held_at`, and is held.
fn cycle(path: &Path, place: *mut Place, held_at: *mut Place) -> ! {
    found();
    crate::log::line_unlocked(format_args!(
        "lock discipline: {} takes {} while {} is held, taken at {}; but",
        name(place),
        class_name(path[0].into()),
        class_name(path[path.len() - 1].into()),
        name(held_at),
    ));
    for pair in path.windows(2) {
        let (first, second) = (usize::from(pair[0]), usize::from(pair[1]));
        crate::log::line_unlocked(format_args!(
            "lock discipline: {} was taken at {} while {} was held",
            class_name(second),
            name(TAKEN[first][second].load(Relaxed)),
            class_name(first),
        ));
    }
    panic!("lock discipline: two CPUs could wait for each other");
}

fn found() {
    FOUND.store(true, Relaxed);
}

/// A place, to print.
fn name(place: *mut Place) -> &'static Place {
    // SAFETY: only references to locations, which are static, are stored; the lowest bit is none of the address.
    unsafe { &*place.map_addr(|address| address & !1) }
}

/// A class, to print.
fn class_name(class: usize) -> ClassName {
    ClassName(KEYS[class].load(Relaxed))
}

struct ClassName(*mut Place);

impl core::fmt::Display for ClassName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let inner = if self.0.addr() & 1 != 0 { "inner " } else { "" };
        write!(f, "the {inner}lock of {}", name(self.0))
    }
}

/// This CPU is about to run another thread, and gives back the core lock, which is no longer counted.
pub fn assert_none_held() {
    with_cpu(|cpu| {
        if let Some((class, place)) = cpu.held().last()
            && !FOUND.load(Relaxed)
        {
            found();
            panic!(
                "lock discipline: a thread gives up its CPU while {} is held, taken at {}",
                class_name(class),
                name(place),
            );
        }
    });
}

/// An interrupt's handler, from its begin to its end.
#[derive(Debug)]
pub struct Interrupt(usize);

impl Interrupt {
    /// Begins.
    pub fn begin() -> Interrupt {
        with_cpu(|cpu| {
            let depth = cpu.depth.load(Relaxed);
            Interrupt(cpu.interrupted.swap(depth + 1, Relaxed))
        })
    }

    /// Ends.
    pub fn end(self) {
        with_cpu(|cpu| cpu.interrupted.store(self.0, Relaxed));
    }
}

/// Allocations with interrupts off.
struct Allocations {
    /// Who had turned them off.
    place: AtomicPtr<Place>,
    objects: AtomicU32,
    blocks: AtomicU32,
}

static ALLOCATIONS: [Allocations; PLACES] = [const {
    Allocations {
        place: AtomicPtr::new(core::ptr::null_mut()),
        objects: AtomicU32::new(0),
        blocks: AtomicU32::new(0),
    }
}; PLACES];

/// So many bytes are about to be allocated.
pub fn allocating(bytes: usize) {
    if cpu::interrupts_enabled() {
        return;
    }
    let first = with_cpu(|cpu| cpu.held().next());
    let Some((_, place)) = first else { return };
    for slot in &ALLOCATIONS {
        let none = core::ptr::null_mut();
        let known = slot.place.compare_exchange(none, place, Relaxed, Relaxed);
        if known.is_ok() || known == Err(place) {
            let count = if bytes > OBJECT_MAX {
                &slot.blocks
            } else {
                &slot.objects
            };
            count.fetch_add(1, Relaxed);
            return;
        }
    }
}

/// Logs what was seen.
pub fn report() {
    let classes = KEYS.iter().filter(|key| !key.load(Relaxed).is_null());
    crate::log!(
        "lock discipline: {} classes, {} orders, {} locks at a time at most, no fault",
        classes.count(),
        GRAPH.pairs(),
        DEEPEST.load(Relaxed),
    );
    for slot in &ALLOCATIONS {
        let (objects, blocks) = (slot.objects.load(Relaxed), slot.blocks.load(Relaxed));
        let place = slot.place.load(Relaxed);
        if !place.is_null() {
            crate::log!(
                "lock discipline: {objects} objects and {blocks} blocks allocated with interrupts off since {}",
                name(place)
            );
        }
    }
}
