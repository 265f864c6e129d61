//! Pages that are known to be zero, and operations that run out of pages half-way.

use super::*;
use crate::mm::phys::Frame;

/// What nobody writes to a page that is to hold zeroes: it tells whether the page is zeroed again.
const MARK: &[u8] = b"mark";

fn is_marked(frame: Frame) -> bool {
    let mut bytes = [0; 4];
    frame.read(100, &mut bytes);
    bytes == MARK
}

/// (What the buddy allocator calls zero was never used or given back as such: `mm::buddy::tests`.)
#[test]
fn a_page_known_to_be_zero_is_not_zeroed_again() {
    let _memory = host::memory();
    let given_back = frame::alloc_zeroed().unwrap();
    given_back.write(100, MARK);
    frame::free_zeroed(given_back);
    assert_eq!(frame::alloc_zeroed(), Some(given_back));
    assert!(is_marked(given_back), "a page given back as zero");
    given_back.zero();
    frame::free_zeroed(given_back);
}

/// Takes all pages that a call may take, but for `left`.
fn take_pages(left: u64) -> Vec<Frame> {
    let mut taken: Vec<Frame> = core::iter::from_fn(|| frame::alloc(0)).collect();
    let rest = taken.len().saturating_sub(left as usize);
    taken.drain(rest..).for_each(|page| frame::free(page, 0));
    taken
}

/// The sender's pages read as before, and can be written; the receiver has nothing.
fn check_refused(sender: &AddressSpace, receiver: &AddressSpace, ranges: &[u64; 3]) {
    assert_eq!(receiver.usage(), Usage::default());
    for (&address, value) in ranges.iter().zip(1..) {
        for page in 0..8 {
            assert_eq!(byte(sender, address + page * PAGE_SIZE), value);
        }
        sender.write(address, &[value]).unwrap();
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes every frame")]
fn a_message_that_runs_out_of_memory_half_way_changes_nothing() {
    let _memory = host::memory();
    for modes in [
        [MapMode::MOVE, MapMode::SHARE_WRITE, MapMode::COPY],
        [MapMode::SHARE_READ, MapMode::COPY, MapMode::MOVE],
    ] {
        let before = free();
        let mut refused = 0;
        for left in 0.. {
            let sender = AddressSpace::new().unwrap();
            // Pages that a child shares must be copied to be lent.
            let ranges = [1, 2, 3].map(|value| {
                let address = private(&sender, 8);
                (0..8).for_each(|page| sender.write(address + page * PAGE_SIZE, &[value]).unwrap());
                address
            });
            let child = sender.fork().unwrap();
            let receiver = AddressSpace::new().unwrap();
            let items: Vec<_> = ranges
                .iter()
                .zip(modes)
                .map(|(&address, mode)| MapItem {
                    address,
                    length: 8 * PAGE_SIZE,
                    mode: mode.0,
                    reserved: 0,
                })
                .collect();
            let taken = take_pages(left);
            let result = sender.share_ranges(&receiver, &items);
            taken.into_iter().for_each(|page| frame::free(page, 0));
            match result {
                Ok(there) => {
                    let values = [1, 2, 3];
                    assert_eq!([0, 1, 2].map(|index| byte(&receiver, there[index])), values);
                    break;
                }
                Err(error) => assert_eq!(error, Error::NoMemory),
            }
            refused += 1;
            check_refused(&sender, &receiver, &ranges);
            assert_eq!(byte(&child, ranges[0]), 1);
        }
        // The copies alone are eight pages.
        assert!(refused >= 8, "{refused}");
        assert_eq!(free(), before);
    }
}
