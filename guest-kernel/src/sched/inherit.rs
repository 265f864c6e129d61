//! Priority inheritance: a thread runs at least at the priority of everybody who waits for it.
//!
//! Who waits for a thread is in its list of *donors*, and each donor knows its *donee*; these two make a forest.
//! A thread's loan is the highest priority of its donors ([`Entity::lent`]). When a priority changes, [`settle`] carries that
//! from donee to donee up to the root, and follows, from a thread that has become more urgent, what that itself waits for
//! without lending anything so far ([`Inheritor::waits_for`]).

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ferrix_abi::error::{Error, Result};

use super::Entity;
use crate::object::list::{Linked, Links, List};
use crate::object::{Core, CoreCell};

/// The kind of the list of a thread's donors.
#[derive(Debug)]
pub struct InDonors;

/// Longest chain of threads of which each waits for the next.
pub const CHAIN_MAX: usize = 256;

/// Whether anybody inherits.
static ENABLED: AtomicBool = AtomicBool::new(true);

/// Switches inheritance off, for showing what it is for.
pub fn disable() {
    ENABLED.store(false, Relaxed);
}

/// Whether priorities are inherited.
pub fn is_enabled() -> bool {
    ENABLED.load(Relaxed)
}

/// A thread's part of it.
#[derive(Debug)]
pub struct Inheritance<T: 'static> {
    donors: List<T, InDonors>,
    /// Its neighbours among the donors of its donee.
    pub links: Links<T>,
    donee: CoreCell<Option<&'static T>>,
}

impl<T: Linked<InDonors>> Inheritance<T> {
    /// Of a thread that neither lends nor borrows.
    pub const fn new() -> Inheritance<T> {
        Inheritance {
            donors: List::new(),
            links: Links::new(),
            donee: CoreCell::new(None),
        }
    }

    /// Whether anybody lends to it.
    #[inline(always)]
    pub fn has_donors(&self, core: &Core) -> bool {
        !self.donors.is_empty(core)
    }

    /// Who lends to it.
    pub fn donors<'a>(&self, core: &'a Core) -> impl Iterator<Item = &'static T> + use<'a, T> {
        self.donors.iter(core)
    }

    /// To whom it lends.
    pub fn donee(&self, core: &Core) -> Option<&'static T> {
        self.donee.get(core)
    }
}

impl<T: Linked<InDonors>> Default for Inheritance<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A thread that lends and borrows priority.
pub trait Inheritor: Linked<InDonors> {
    /// Who lends to it, and to whom it lends.
    fn inheritance(&self) -> &Inheritance<Self>;
    /// Its priority.
    fn entity(&self) -> &Entity;
    /// Notes that it lends, or no longer.
    fn note_lending(&self, core: &Core, lends: Lending);
    /// Changes its priority by `change`, keeping the run queues right.
    fn requeue(&'static self, core: &Core, change: impl FnOnce());
    /// For whom it waits without lending, because it was not the more urgent one.
    fn waits_for(&self, core: &Core) -> Option<&'static Self>;

    /// The priority that counts.
    fn priority(&self, core: &Core) -> u8 {
        self.entity().priority.get(core)
    }
}

/// Whether a thread lends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lending {
    /// It has a donee.
    Lends,
    /// It has none.
    Keeps,
}

/// `donor`, which is about to wait for `donee` and lends to nobody else, lends it its priority.
///
/// # Errors
/// `Deadlock` if the donee waits for the donor, or for too many others. Nothing has changed then.
pub fn donate<T: Inheritor>(core: &Core, donor: &'static T, donee: &'static T) -> Result<()> {
    // Where threads wait in a circle, the end of the donor's last loan may have made this one.
    if donor.inheritance().donee(core).is_none() {
        check(core, donor, donee)?;
        link(core, donor, donee);
    }
    settle(core, donee);
    Ok(())
}

/// Whether `donor` could wait for `donee`.
fn check<T: Inheritor>(core: &Core, donor: &'static T, donee: &'static T) -> Result<()> {
    let mut next = Some(donee);
    for _ in 0..CHAIN_MAX {
        match next {
            None => return Ok(()),
            Some(thread) if core::ptr::eq(thread, donor) => break,
            Some(thread) => next = thread.inheritance().donee(core),
        }
    }
    Err(Error::Deadlock)
}

fn link<T: Inheritor>(core: &Core, donor: &'static T, donee: &'static T) {
    donor.inheritance().donee.set(core, Some(donee));
    donee.inheritance().donors.push_back(core, donor);
    donor.note_lending(core, Lending::Lends);
}

fn unlink<T: Inheritor>(core: &Core, donor: &'static T) -> Option<&'static T> {
    let donee = donor.inheritance().donee.take(core)?;
    donee.inheritance().donors.remove(core, donor);
    donor.note_lending(core, Lending::Keeps);
    Some(donee)
}

/// `donor` waits no longer, if it did.
///
/// A chain that led back to it may be closed no more, so that it comes to lend again, to whom it waits for by then: that
/// ends, too.
pub fn withdraw<T: Inheritor>(core: &Core, donor: &'static T) {
    while let Some(donee) = unlink(core, donor) {
        settle(core, donee);
    }
}

/// The donors of `from` that `which` picks lend to `to` from now on, or to nobody.
pub fn move_donors<T: Inheritor>(
    core: &Core,
    from: &'static T,
    to: Option<&'static T>,
    which: impl Fn(&'static T) -> bool,
) {
    let donors = &from.inheritance().donors;
    let mut next = donors.first(core);
    while let Some(donor) = next {
        next = donors.after(core, Some(donor));
        if which(donor) && to.is_none_or(|to| !core::ptr::eq(to, donor)) {
            unlink(core, donor);
            if let Some(to) = to {
                link(core, donor, to);
            }
        }
    }
    settle(core, from);
    if let Some(to) = to {
        settle(core, to);
    }
}

/// A thread has ended: nobody waits for it any more.
pub fn ended<T: Inheritor>(core: &Core, thread: &'static T) {
    while let Some(donor) = thread.inheritance().donors.first(core) {
        unlink(core, donor);
    }
    settle(core, thread);
    withdraw(core, thread);
}

/// The priority of `thread` has been changed, by other means than a loan.
pub fn changed<T: Inheritor>(core: &Core, thread: &'static T) {
    if let Some(donee) = next_in_chain(core, thread) {
        settle(core, donee);
    }
}

/// Whom a change of a thread's priority concerns.
fn next_in_chain<T: Inheritor>(core: &Core, thread: &'static T) -> Option<&'static T> {
    let donee = thread.inheritance().donee(core);
    donee.or_else(|| {
        let other = thread.waits_for(core)?;
        let concerns = is_enabled()
            && thread.priority(core) > other.entity().own(core)
            && check(core, thread, other).is_ok();
        concerns.then(|| link(core, thread, other)).map(|()| other)
    })
}

/// Makes the loan of a thread what its donors have now, and so on along the chain, as far as anything changes.
pub fn settle<T: Inheritor>(core: &Core, first: &'static T) {
    let mut thread = first;
    for _ in 0..CHAIN_MAX {
        let donors = thread.inheritance().donors.iter(core);
        let highest = donors.map(|donor| donor.priority(core)).max();
        let lent = highest.filter(|_| is_enabled()).unwrap_or(0);
        let entity = thread.entity();
        let before = entity.priority.get(core);
        if lent != entity.lent(core) {
            thread.requeue(core, || entity.set_lent(core, lent));
        }
        match next_in_chain(core, thread) {
            Some(next) if entity.priority.get(core) != before => thread = next,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests;
