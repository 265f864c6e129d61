//! What a child of `fork` sees stays as it was, though threads of its parent write meanwhile: pages, and the page
//! tables that both use until one side changes something.
//!
//! `rounds=N` on the command line makes so many times as many children.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use alloc::boxed::Box;
use alloc::vec::Vec;
use ferrix_rt::sys::system;

use crate::options;
use crate::support::*;

pub const TESTS: &[Test] = &[(
    "children_and_writers_keep_apart",
    children_and_writers_keep_apart,
)];

/// More than one table shows, all touched.
const PAGES: u64 = 700;
/// From one page that somebody writes to the next.
const STEP: usize = 97;
/// Children.
const CHILDREN: u64 = 4;

/// Writers that run.
static STARTED: AtomicU64 = AtomicU64::new(0);

fn written_by(writer: u64) -> impl Iterator<Item = u64> {
    (writer..PAGES).step_by(STEP)
}

fn children_and_writers_keep_apart() -> Outcome {
    let pages = Pages::new(PAGES)?;
    (0..PAGES).for_each(|page| pages.write(page, 0));
    let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let writers = u64::from(system::kernel_info().cpus).clamp(2, 3) - 1;
    let threads = (0..writers).map(|writer| start_thread(move || write(pages, writer, stop)));
    let threads = threads.collect::<Result<Vec<_>, _>>()?;
    // From here on they only write pages: no child may be a copy of a heap that a starting thread has locked.
    while STARTED.load(SeqCst) < writers {
        sleep_ms(1);
    }
    for _ in 0..CHILDREN * options::rounds() {
        let children = [
            spawn(|| look_twice(pages, writers))?,
            spawn(|| look_twice(pages, writers))?,
        ];
        children.into_iter().try_for_each(succeeded)?;
    }
    stop.store(true, SeqCst);
    threads.into_iter().try_for_each(Thread::join)?;
    // No child's writes have come here.
    (0..PAGES).try_for_each(|page| holds(pages.read(page) < 1 << 32, "a child's write"))?;
    pages.unmap()
}

/// Writes pages of its own, and finds what it wrote.
fn write(pages: Pages, writer: u64, stop: &AtomicBool) -> Outcome {
    STARTED.fetch_add(1, SeqCst);
    let mut value = 0;
    while !stop.load(SeqCst) {
        value += 1;
        written_by(writer).for_each(|page| pages.write(page, value));
        sleep_ms(1);
        written_by(writer).try_for_each(|page| equal(pages.read(page), value))?;
    }
    Ok(())
}

/// A child: nothing changes but what it writes itself.
fn look_twice(pages: Pages, writers: u64) -> Outcome {
    let before: Vec<u64> = (0..PAGES).map(|page| pages.read(page)).collect();
    let mine = || written_by(writers).chain(written_by(0));
    mine().for_each(|page| pages.write(page, 1 << 32));
    sleep_ms(1);
    for (page, &value) in (0..).zip(&before) {
        let expected = if mine().any(|own| own == page) {
            1 << 32
        } else {
            value
        };
        equal((page, pages.read(page)), (page, expected))?;
    }
    Ok(())
}
