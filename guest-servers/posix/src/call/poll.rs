//! Waiting for several descriptors: `poll`, `ppoll`, `select`, `pselect6`.

use super::{epoll, limits};
use crate::scratch::{self, Filled};
use crate::state::FILES;
use crate::{deliver, local, state, user};
use core::cell::Cell;
use ferrix_abi::ipc::{FOREVER, WaitItem, ready};
use ferrix_posix::pollers::DEPTH;
use ferrix_posix::time::{deadline, from_timespec, from_timeval, to_timespec, to_timeval};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::kind;
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::sys::ipc;
use linux_raw_sys::general::{
    __kernel_old_timeval as timeval, __kernel_timespec as timespec, POLLIN, POLLNVAL, POLLOUT,
    POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRNORM, pollfd,
};

/// What one descriptor is waited for, and what came of it.
#[derive(Clone, Copy, Debug)]
struct Interest {
    fd: u64,
    /// [`ready`] bits.
    want: u32,
}

/// Whether the bits can be told without asking: files and directories are always ready.
enum Source {
    Invalid,
    Always,
    Session(u32),
    /// A list, which is ready when something in it is.
    List(u32),
}

fn source(fd: u64) -> Source {
    match state::descriptor(fd) {
        Err(_) => Source::Invalid,
        Ok(entry) if matches!(u64::from(entry.kind), kind::REGULAR | kind::DIRECTORY) => {
            Source::Always
        }
        Ok(entry) if u64::from(entry.kind) == kind::POLLER => Source::List(entry.handle),
        Ok(entry) => Source::Session(entry.handle),
    }
}

/// Waits for the interests; `report` gets index and bits of each. The number of those with bits.
fn wait(
    interests: impl Iterator<Item = Interest> + Clone,
    until: u64,
    mut report: impl FnMut(usize, u32),
) -> Result<u64> {
    loop {
        let (mut many, mut settled) = (0, 0);
        for interest in interests.clone() {
            match source(interest.fd) {
                Source::Session(_) => many += 1,
                Source::List(list) => many += epoll::count_items(list),
                Source::Invalid => settled += 1,
                Source::Always => settled += u64::from(interest.want != 0),
            }
        }
        let until = if settled > 0 { 0 } else { until };
        let woken = scratch::with(many, |room| {
            wait_once(interests.clone(), until, Filled::new(room), &mut report)
        });
        if let Some(woken) = woken? {
            return Ok(settled + woken);
        }
    }
}

/// Waits once; nothing if there is more to wait for than there was a moment ago.
fn wait_once(
    interests: impl Iterator<Item = Interest> + Clone,
    until: u64,
    mut items: Filled<WaitItem>,
    report: &mut impl FnMut(usize, u32),
) -> Result<Option<u64>> {
    for interest in interests.clone() {
        if let Source::Session(handle) = source(interest.fd) {
            let item = WaitItem {
                handle,
                want: interest.want,
                ..WaitItem::default()
            };
            if !items.push(item) {
                return Ok(None);
            }
        }
    }
    for interest in interests.clone() {
        // What lists wait for comes last: it has no place in the report.
        if let Source::List(list) = source(interest.fd)
            && interest.want & ready::READABLE != 0
            && !epoll::add_items(
                &FILES.lock().pollers,
                list,
                &mut |item| items.push(item),
                DEPTH,
            )
        {
            return Ok(None);
        }
    }
    let items = items.all();
    let woken = if items.is_empty() && until == 0 {
        0
    } else {
        ipc::wait_many(items, until)?
    };
    let mut item = items.iter();
    for (index, interest) in interests.enumerate() {
        report(
            index,
            match source(interest.fd) {
                Source::Invalid => POLLNVAL,
                Source::Always => interest.want & (ready::READABLE | ready::WRITABLE),
                Source::Session(_) => item.next().map_or(0, |item| item.ready),
                Source::List(list) if epoll::is_ready(list) == Ok(true) => {
                    interest.want & ready::READABLE
                }
                Source::List(_) => 0,
            },
        );
    }
    Ok(Some(woken as u64))
}

pub fn poll(frame: &mut Frame) -> Result<u64> {
    let [list, count, timeout, ..] = frame.args();
    let until = match timeout as i32 {
        ms if ms < 0 => FOREVER,
        0 => 0,
        ms => deadline(monotonic_ns(), ms as u64 * 1_000_000),
    };
    poll_list(list, count, until).map_err(Errno::unless_handled)
}

pub fn ppoll(frame: &mut Frame) -> Result<u64> {
    let [list, count, timeout, mask, ..] = frame.args();
    let until = until_timespec(user::read_optional::<timespec>(timeout)?)?;
    let result = with_mask(user::read_optional::<u64>(mask)?, || {
        poll_list(list, count, until)
    });
    tell_rest(timeout, &to_timespec(until.saturating_sub(monotonic_ns())));
    result
}

/// Stores the time that is left; as on Linux, where that cannot be written nobody is told.
fn tell_rest<T: user::Plain>(place: u64, rest: &T) {
    let _ = user::write_optional(place, rest);
}

fn until_timespec(timeout: Option<timespec>) -> Result<u64> {
    match timeout.map(from_timespec).transpose()? {
        None => Ok(FOREVER),
        Some(0) => Ok(0),
        Some(wait) => Ok(deadline(monotonic_ns(), wait)),
    }
}

/// Waits under another mask. The mask stays when a signal came: its handler runs before the old one returns.
pub fn with_mask(mask: Option<u64>, wait: impl FnOnce() -> Result<u64>) -> Result<u64> {
    let Some(mask) = mask else {
        return wait().map_err(Errno::unless_handled);
    };
    let old = local::get().mask;
    deliver::set_mask(mask & !ferrix_posix::actions::UNBLOCKABLE);
    let result = wait();
    if result == Err(Errno::EINTR) {
        local::defer_mask(old);
        return Err(Errno::RESTART_UNLESS_HANDLED);
    }
    deliver::set_mask(old);
    result
}

/// An entry of a program's list, and what came of it.
#[derive(Default)]
struct Slot {
    place: u64,
    fd: u64,
    events: i16,
    bits: Cell<u32>,
}

fn poll_list(list: u64, count: u64, until: u64) -> Result<u64> {
    if count > limits::current().descriptors() {
        return Err(Errno::EINVAL);
    }
    scratch::with(count as usize, |room| poll_slots(list, count, until, room))
}

fn poll_slots(list: u64, count: u64, until: u64, room: &mut [Slot]) -> Result<u64> {
    let mut slots = Filled::new(room);
    for index in 0..count {
        let place = list + index * size_of::<pollfd>() as u64;
        let mut entry: pollfd = user::read(place)?;
        if entry.fd < 0 {
            entry.revents = 0;
            user::write(place, &entry)?;
            continue;
        }
        slots.push(Slot {
            place,
            fd: entry.fd as u64,
            events: entry.events,
            bits: Cell::new(0),
        });
    }
    let slots = &*slots.all();
    let interests = slots.iter().map(|slot| Interest {
        fd: slot.fd,
        want: wanted(u32::from(slot.events as u16)),
    });
    wait(interests, until, |index, bits| slots[index].bits.set(bits))?;
    let mut count = 0;
    for slot in slots {
        let entry = pollfd {
            fd: slot.fd as i32,
            events: slot.events,
            revents: reported(slot.events, slot.bits.get()),
        };
        count += u64::from(entry.revents != 0);
        user::write(slot.place, &entry)?;
    }
    Ok(count)
}

/// The kernel's bits for events: the `NORM` bits are others for the same.
pub fn wanted(events: u32) -> u32 {
    let mut want = events & (POLLIN | POLLPRI | POLLOUT | POLLRDHUP);
    if events & POLLRDNORM != 0 {
        want |= ready::READABLE;
    }
    if events & POLLWRNORM != 0 {
        want |= ready::WRITABLE;
    }
    want
}

fn reported(events: i16, bits: u32) -> i16 {
    let events = u32::from(events as u16);
    let mut result = bits & (events | ready::ERROR | ready::HANG_UP | POLLNVAL);
    if bits & ready::READABLE != 0 {
        result |= events & POLLRDNORM;
    }
    if bits & ready::WRITABLE != 0 {
        result |= events & POLLWRNORM;
    }
    result as i16
}

/// The three sets of `select`, as far as `count` descriptors.
struct Sets {
    places: [u64; 3],
    bits: [[u64; WORDS]; 3],
    words: usize,
}

/// Words of an `fd_set`.
const WORDS: usize = 16;
/// What each set waits for; a hang-up counts as readable, an error as writable.
const WANTS: [u32; 3] = [ready::READABLE, ready::WRITABLE, ready::PRIORITY];
const COUNTS: [u32; 3] = [
    ready::READABLE | ready::HANG_UP | ready::ERROR,
    ready::WRITABLE | ready::ERROR,
    ready::PRIORITY,
];

impl Sets {
    fn read(count: u64, places: [u64; 3]) -> Result<Sets> {
        let count = usize::try_from(count as i32)
            .map_err(|_| Errno::EINVAL)?
            .min(WORDS * 64);
        let mut sets = Sets {
            places,
            bits: [[0; WORDS]; 3],
            words: count.div_ceil(64),
        };
        for (place, bits) in places.into_iter().zip(&mut sets.bits) {
            for (index, word) in bits.iter_mut().enumerate().take(sets.words) {
                let left = count - index * 64;
                let valid = if left >= 64 {
                    u64::MAX
                } else {
                    (1 << left) - 1
                };
                *word = user::read_optional::<u64>(if place == 0 {
                    0
                } else {
                    place + index as u64 * 8
                })?
                .unwrap_or(0)
                    & valid;
            }
        }
        Ok(sets)
    }

    fn interests(&self) -> impl Iterator<Item = Interest> + Clone + '_ {
        (0..self.words * 64).filter_map(|fd| {
            let want = (0..3)
                .filter(|&set| self.bits[set][fd / 64] >> (fd % 64) & 1 != 0)
                .map(|set| WANTS[set]);
            let want = want.fold(0, |all, bit| all | bit);
            (want != 0).then_some(Interest {
                fd: fd as u64,
                want,
            })
        })
    }

    /// Leaves the bits of what is ready; how many.
    fn store(&self, results: &[(u64, u32)]) -> Result<u64> {
        let mut count = 0;
        for (set, place) in self.places.into_iter().enumerate() {
            let mut kept = [0u64; WORDS];
            for &(fd, ready) in results.iter().filter(|(_, ready)| ready & COUNTS[set] != 0) {
                let (word, bit) = (fd as usize / 64, 1 << (fd % 64));
                if self.bits[set][word] & bit != 0 && ready != 0 {
                    kept[word] |= bit;
                    count += 1;
                }
            }
            for (index, word) in kept.iter().enumerate().take(self.words) {
                user::write_optional(
                    if place == 0 {
                        0
                    } else {
                        place + index as u64 * 8
                    },
                    word,
                )?;
            }
        }
        Ok(count)
    }
}

fn select_sets(count: u64, places: [u64; 3], until: u64) -> Result<u64> {
    let sets = Sets::read(count, places)?;
    for interest in sets.interests() {
        state::descriptor(interest.fd)?;
    }
    scratch::with(sets.interests().count(), |room: &mut [(u64, u32)]| {
        for (slot, interest) in room.iter_mut().zip(sets.interests()) {
            slot.0 = interest.fd;
        }
        wait(sets.interests(), until, |index, bits| room[index].1 = bits)?;
        sets.store(room)
    })
}

pub fn select(frame: &mut Frame) -> Result<u64> {
    let [count, read, write, except, timeout, _] = frame.args();
    let wait = user::read_optional::<timeval>(timeout)?
        .map(from_timeval)
        .transpose()?;
    let until = match wait {
        None => FOREVER,
        Some(0) => 0,
        Some(wait) => deadline(monotonic_ns(), wait),
    };
    let result = select_sets(count, [read, write, except], until).map_err(Errno::unless_handled);
    tell_rest(timeout, &to_timeval(until.saturating_sub(monotonic_ns())));
    result
}

pub fn pselect6(frame: &mut Frame) -> Result<u64> {
    let [count, read, write, except, timeout, mask] = frame.args();
    let until = until_timespec(user::read_optional::<timespec>(timeout)?)?;
    // The last argument points to the mask's address and size.
    let mask = match user::read_optional::<[u64; 2]>(mask)? {
        Some([place, _]) => user::read_optional::<u64>(place)?,
        None => None,
    };
    let result = with_mask(mask, || select_sets(count, [read, write, except], until));
    tell_rest(timeout, &to_timespec(until.saturating_sub(monotonic_ns())));
    result
}
