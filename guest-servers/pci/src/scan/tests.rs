use super::*;
use crate::testing::{FakeFunction, FakeSegment, at};
use proptest::prelude::*;

fn plain() -> FakeFunction {
    FakeFunction::host()
}

#[test]
fn buses_behind_bridges_come_in_their_order() {
    let segment = FakeSegment::new([
        (at(0, 0, 0), plain()),
        (at(0, 3, 0), FakeFunction::bridge(9)),
        (at(0, 2, 0), FakeFunction::bridge(5)),
        (at(0, 31, 0), plain()),
        (at(5, 0, 0), FakeFunction::bridge(2)),
        (at(2, 1, 0), plain()),
        (at(9, 7, 0), plain()),
        (at(8, 0, 0), plain()),
    ]);
    let mut reachable = segment.locations();
    reachable.retain(|location| location.bus != 8);
    assert_eq!(functions(&segment, 0..=255), reachable);
    reachable.retain(|location| location.bus != 9);
    assert_eq!(
        functions(&segment, 0..=7),
        reachable,
        "9 is not in the window"
    );
}

#[test]
fn further_functions_count_only_if_the_first_says_so() {
    let mut first = plain();
    first.set_header(register::MULTI_FUNCTION);
    let segment = FakeSegment::new([
        (at(0, 0, 0), plain()),
        (at(0, 1, 0), plain()),
        (at(0, 1, 1), plain()),
        (at(0, 2, 0), first),
        (at(0, 2, 7), plain()),
        (at(0, 3, 1), plain()),
    ]);
    let expected = [at(0, 0, 0), at(0, 1, 0), at(0, 2, 0), at(0, 2, 7)];
    assert_eq!(functions(&segment, 0..=0), expected);
}

#[test]
fn without_a_host_bridge_nothing_more_is_read() {
    let segment = FakeSegment::new([(at(0, 1, 0), plain())]);
    assert_eq!(functions(&segment, 0..=255), []);
    assert_eq!(*segment.reads.borrow(), 1);
}

proptest! {
    /// Whatever buses the bridges claim, every function is found at most once, and the work is bounded.
    #[test]
    fn no_topology_goes_on_for_ever(
        bridges in proptest::collection::btree_map((any::<u8>(), 0u8..32, 0u8..2), any::<u8>(), 0..40),
    ) {
        let bridges = bridges.iter().map(|(&(bus, device, function), &secondary)| {
            (at(bus, device, function), FakeFunction::bridge(secondary))
        });
        let segment = FakeSegment::new(bridges.chain([(at(0, 0, 0), FakeFunction::bridge(1))]));
        let mut found = functions(&segment, 0..=255);
        let count = found.len();
        found.dedup();
        prop_assert_eq!(found.len(), count);
        prop_assert!(*segment.reads.borrow() <= 256 * 32 * 12);
    }
}
