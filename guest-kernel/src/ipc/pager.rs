//! Pagers: where the requests for the pages of a paged object go, and who waits for them.
//!
//! A thread that touches an absent page waits in the list of the object's [`Pager`], in the middle of
//! the kernel's work, and tries again when the pager has answered. The first that waits for a
//! page lends the request its event, so that posting one needs no memory; if it is killed before the
//! pager has received the event, the next one's event takes its place.
//!
//! Uses of an object begin and end under locks inside of which the core lock must not be taken: their
//! end is noted in a list of its own, which the core looks at as soon as no lock is held ([`settle`]).

use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ferrix_abi::error::Result;
use ferrix_abi::vm::{PAGER_TIMEOUT_NS, PageAccess};

use super::{Event, Port, Source, post};
use crate::arch::cpu;
use crate::mm::AbsentPage;
use crate::object::core_lock::lock;
use crate::object::list::{Linked, Links, List};
use crate::object::pool::{Pool, Pooled};
use crate::object::{Core, CoreCell};
use crate::process::Process;
use crate::sched::queue::InQueue;
use crate::sched::{self, Work};
use crate::sync::SpinLock;
use crate::thread::{self, State, Thread, current, work};
use crate::time;

static PAGERS: Pool<Pager> = Pool::new();

/// The kind of the list of a process's pagers.
#[derive(Debug)]
pub struct MadeBy;
/// The kind of the list of a port's pagers.
#[derive(Debug)]
pub struct AtPort;

/// Whether the pager can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// Yes.
    Yes,
    /// Not before this time, because somebody waited in vain.
    NotBefore(u64),
    /// It has died.
    NoMore,
}

/// The page that a thread waits for.
#[derive(Clone, Copy, Debug)]
pub struct PageWait {
    pager: &'static Pager,
    index: u64,
    count: u64,
    access: PageAccess,
}

/// How a wait for a page has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PageAnswer {
    /// The touch is tried again.
    #[default]
    Retry,
    /// It fails.
    Failed,
}

/// A paged object, as its pager sees it.
#[derive(Debug)]
pub struct Pager {
    port: CoreCell<Option<&'static Port>>,
    badge: CoreCell<u32>,
    maker: CoreCell<Option<&'static Process>>,
    timeout_ns: CoreCell<u64>,
    answers: CoreCell<Answers>,
    waiters: List<Thread, InQueue>,
    unused: Event,
    /// Handles and mappings of others.
    uses: AtomicU32,
    /// What [`settle`] has to look at.
    notes: AtomicU32,
    next_noted: SpinLock<Option<&'static Pager>>,
    made: Links<Pager>,
    at_port: Links<Pager>,
    free: CoreCell<Option<&'static Pager>>,
}

/// In [`Pager::notes`]: the last use has ended.
const UNUSED: u32 = 1;
/// The object is gone.
const GONE: u32 = 2;

/// Pagers with notes.
static NOTED: SpinLock<Option<&'static Pager>> = SpinLock::new(None);

impl Pooled for Pager {
    fn free_link(&self) -> &CoreCell<Option<&'static Pager>> {
        &self.free
    }

    fn fresh() -> Pager {
        Pager {
            port: CoreCell::new(None),
            badge: CoreCell::new(0),
            maker: CoreCell::new(None),
            timeout_ns: CoreCell::new(0),
            answers: CoreCell::new(Answers::Yes),
            waiters: List::new(),
            unused: Event::new(),
            uses: AtomicU32::new(0),
            notes: AtomicU32::new(0),
            next_noted: SpinLock::new(None),
            made: Links::new(),
            at_port: Links::new(),
            free: CoreCell::new(None),
        }
    }
}

impl Linked<MadeBy> for Pager {
    fn links(&self) -> &Links<Pager> {
        &self.made
    }
}

impl Linked<AtPort> for Pager {
    fn links(&self) -> &Links<Pager> {
        &self.at_port
    }
}

/// An object's hold on its pager.
#[derive(Debug)]
pub struct PagerLink(&'static Pager);

impl PagerLink {
    /// For an object whose requests go to `port`. A time-out of 0 stands for the usual one.
    pub fn create(
        core: &Core,
        maker: &'static Process,
        port: &'static Port,
        badge: u32,
        timeout_ns: u64,
    ) -> Result<PagerLink> {
        let pager = PAGERS.take(core)?;
        let timeout_ns = match timeout_ns {
            0 => PAGER_TIMEOUT_NS,
            given => given,
        };
        pager.port.set(core, Some(port));
        pager.badge.set(core, badge);
        pager.maker.set(core, Some(maker));
        pager.timeout_ns.set(core, timeout_ns);
        pager.answers.set(core, Answers::Yes);
        pager.uses.store(0, Relaxed);
        port.link(core);
        port.pagers.push_back(core, pager);
        maker.pagers.push_back(core, pager);
        Ok(PagerLink(pager))
    }

    /// A handle or mapping of somebody else.
    pub fn begin_use(&self) {
        self.0.uses.fetch_add(1, Relaxed);
    }

    /// It is gone.
    pub fn end_use(&self) {
        if self.0.uses.fetch_sub(1, Relaxed) == 1 {
            note(self.0, UNUSED);
        }
    }

    /// The pager has answered for pages.
    pub fn answered(&self, core: &mut Core, pages: Range<u64>, answer: PageAnswer) {
        if self.0.answers.get(core) != Answers::NoMore {
            self.0.answers.set(core, Answers::Yes);
        }
        self.0.end_waits(core, &pages, answer);
    }
}

impl Drop for PagerLink {
    fn drop(&mut self) {
        note(self.0, GONE);
    }
}

/// Leaves a note, and makes this CPU look at it soon.
fn note(pager: &'static Pager, what: u32) {
    let mut first = NOTED.lock();
    if pager.notes.fetch_or(what, Relaxed) == 0 {
        *pager.next_noted.lock() = first.replace(pager);
    }
    sched::defer_always(Work::Pagers);
}

/// Acts on the notes.
pub fn settle(core: &mut Core) {
    loop {
        let mut first = NOTED.lock();
        let Some(pager) = *first else { return };
        *first = pager.next_noted.lock().take();
        let notes = pager.notes.swap(0, Relaxed);
        drop(first);
        if notes & GONE != 0 {
            pager.unlist(core);
            PAGERS.give(core, pager);
        } else if let Some(port) = pager.port.get(core).filter(|_| pager.is_unused()) {
            post(core, &port.endpoint, &pager.unused, Source::Unused(pager));
        }
    }
}

impl Pager {
    /// The badge of its events.
    pub(super) fn badge(&self, core: &Core) -> u32 {
        self.badge.get(core)
    }

    /// Whether nobody else uses the object.
    pub(super) fn is_unused(&self) -> bool {
        self.uses.load(Relaxed) == 0
    }

    /// Whether it is worth waiting for.
    fn may_be_asked(&self, core: &Core) -> bool {
        match self.answers.get(core) {
            Answers::Yes => true,
            Answers::NotBefore(time) => time::now_ns() >= time,
            Answers::NoMore => false,
        }
    }

    /// When a wait that begins now ends at the latest.
    fn deadline(&self, core: &Core) -> u64 {
        time::now_ns().saturating_add(self.timeout_ns.get(core))
    }

    /// Nobody will answer any more.
    pub fn die(&'static self, core: &mut Core) {
        self.answers.set(core, Answers::NoMore);
        self.unlist(core);
        self.end_waits(core, &(0..u64::MAX), PageAnswer::Failed);
    }

    fn unlist(&'static self, core: &Core) {
        self.unused.withdraw(core);
        let (Some(maker), Some(port)) = (self.maker.take(core), self.port.take(core)) else {
            return;
        };
        maker.pagers.remove(core, self);
        port.pagers.remove(core, self);
        port.unlink(core);
    }

    fn end_waits(&'static self, core: &mut Core, pages: &Range<u64>, answer: PageAnswer) {
        let mut next = self.waiters.first(core);
        while let Some(thread) = next {
            next = self.waiters.after(core, Some(thread));
            let waits = |wait: PageWait| pages.contains(&wait.index);
            if thread.page.get(core).is_some_and(waits) {
                self.waiters.remove(core, thread);
                thread.page.set(core, None);
                thread.page_answer.set(core, answer);
                thread.cancel.withdraw(core);
                thread.disarm(core);
                sched::wake(core, thread);
            }
        }
    }

    /// A thread that waits for this page.
    fn waiter(&self, core: &Core, index: u64) -> Option<&'static Thread> {
        let waits = |wait: PageWait| wait.index == index;
        self.waiters
            .iter(core)
            .find(|thread| thread.page.get(core).is_some_and(waits))
    }
}

/// What the request of a waiting thread says: badge and words.
pub(super) fn request(core: &Core, thread: &Thread) -> Option<(u32, [u64; 3])> {
    let wait = thread.page.get(core)?;
    let words = [wait.index, wait.count, wait.access as u64];
    Some((wait.pager.badge.get(core), words))
}

/// The running thread waits until the pager of an absent page has answered. It may be in the middle of the
/// kernel's work, but holds no lock.
pub fn wait_for_page(page: &AbsentPage, access: PageAccess) -> PageAnswer {
    let state = cpu::interrupts_save_and_disable();
    let answer = wait(page, access);
    cpu::interrupts_restore(state);
    answer
}

fn wait(page: &AbsentPage, access: PageAccess) -> PageAnswer {
    let mut core = lock();
    let caller = current();
    let Some(&PagerLink(pager)) = page.object.pager() else {
        return PageAnswer::Failed;
    };
    if page.object.has(page.index) {
        return PageAnswer::Retry;
    }
    let port = pager.port.get(&core);
    let killed = caller.work.get(&core) & work::KILL != 0;
    let Some(port) = port.filter(|_| !killed && pager.may_be_asked(&core)) else {
        return PageAnswer::Failed;
    };
    let is_first = pager.waiter(&core, page.index).is_none();
    let wait = PageWait {
        pager,
        index: page.index,
        count: page.count,
        access,
    };
    caller.page.set(&core, Some(wait));
    caller.page_answer.set(&core, PageAnswer::Failed);
    pager.waiters.push_back(&core, caller);
    thread::bound(&core, caller, pager.deadline(&core));
    if is_first {
        post(
            &mut core,
            &port.endpoint,
            &caller.cancel,
            Source::Page(caller),
        );
    }
    sched::block_inside(core, caller, State::Page);
    caller.page_answer.get(&lock())
}

/// A thread that waits for a page is killed: somebody else's request takes the place of its own.
pub fn end_page_wait(core: &mut Core, thread: &'static Thread) {
    let Some(wait) = thread.page.take(core) else {
        return;
    };
    wait.pager.waiters.remove(core, thread);
    if !thread.cancel.is_queued(core) {
        return;
    }
    thread.cancel.withdraw(core);
    let other = wait.pager.waiter(core, wait.index);
    if let (Some(other), Some(port)) = (other, wait.pager.port.get(core)) {
        post(core, &port.endpoint, &other.cancel, Source::Page(other));
    }
}

/// A thread has waited too long: the pager does not answer.
pub fn page_timed_out(core: &mut Core, thread: &'static Thread) {
    if let Some(wait) = thread.page.get(core) {
        let until = wait.pager.deadline(core);
        wait.pager.answers.set(core, Answers::NotBefore(until));
        wait.pager
            .end_waits(core, &(0..u64::MAX), PageAnswer::Failed);
    }
}
