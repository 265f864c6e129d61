//! Paged objects: pages from a server, dirty pages, changes of size, pagers that fail.

mod changes;
mod failures;
mod object;
mod supply;

use core::sync::atomic::AtomicU64;

use ferrix_abi::Call;
use ferrix_abi::Error;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_rt::sys::raw::call6;

use crate::support::*;
pub use object::{Paged, content, map};

pub const TESTS: &[Test] = &[
    ("pages_come_when_touched", supply::pages_come_when_touched),
    (
        "a_request_says_what_is_wanted",
        supply::a_request_says_what_is_wanted,
    ),
    ("the_pager_must_supply_before_it_touches", supply::own_touch),
    (
        "supplying_moves_the_pages",
        supply::supplying_moves_the_pages,
    ),
    (
        "the_kernel_touches_pages_too",
        supply::the_kernel_touches_pages_too,
    ),
    ("written_pages_are_dirty", changes::written_pages_are_dirty),
    ("no_write_is_lost", changes::no_write_is_lost),
    (
        "truncation_is_a_bus_error",
        changes::truncation_is_a_bus_error,
    ),
    ("truncation_ends_waits", changes::truncation_ends_waits),
    ("a_failed_page_is_asked_for_again", failures::a_failed_page),
    ("a_dead_pager_is_a_bus_error", failures::a_dead_pager),
    ("a_closed_port_is_a_bus_error", failures::a_closed_port),
    ("a_stuck_pager_is_a_bus_error", failures::a_stuck_pager),
    (
        "a_killed_waiter_leaves_its_request",
        failures::a_killed_waiter,
    ),
    ("fork_shares_and_copies", supply::fork_shares_and_copies),
    (
        "clean_pages_are_taken_back",
        changes::clean_pages_are_taken_back,
    ),
    ("touched_pages_are_told", changes::touched_pages_are_told),
    ("the_end_of_use_is_told", failures::the_end_of_use_is_told),
    ("only_the_pager_manages", failures::only_the_pager_manages),
    ("anonymous_objects_change_size", changes::anonymous_objects),
];

/// Touches every page.
fn read_all(pages: Pages) {
    for page in 0..pages.length / PAGE_SIZE {
        pages.read(page);
    }
}

/// Touches a page of a mapping of its own.
fn touch(paged: Paged, page: u64) -> Outcome {
    paged.share()?.read(page);
    Ok(())
}

/// Lets the kernel write what it knows of process 1.
fn write_info(address: u64) -> Result<u64, Error> {
    // SAFETY: the memory is a test's, used by raw accesses only.
    unsafe { call6(Call::ProcessNext, [0, address, 0, 0, 0, 0]) }
}

/// A word of a page, for processes that write at the same time.
fn word(pages: Pages, page: u64, index: usize) -> &'static AtomicU64 {
    assert!(page * PAGE_SIZE < pages.length && index < 512);
    let address = pages.address + page * PAGE_SIZE + index as u64 * 8;
    // SAFETY: aligned, mapped as long as the test uses it, and used atomically only.
    unsafe { &*(address as *const AtomicU64) }
}
