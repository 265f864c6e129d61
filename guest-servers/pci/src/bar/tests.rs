use super::*;
use crate::testing::{FakeFunction, FakeSegment, at};
use proptest::prelude::*;

const REACH: u64 = 1 << 44;

fn assigner<'a>(
    config: &'a FakeSegment,
    functions: &'a [Location],
    window: Window,
) -> Assigner<'a, FakeSegment> {
    Assigner {
        config,
        functions,
        window,
        reach: REACH,
        root: 0,
    }
}

#[test]
fn registers_tell_size_and_place_and_keep_what_they_held() {
    let mut function = FakeFunction::new(0x1af4, 0x1042);
    function.words[4] = 0xc001;
    function.writable[4] = 0xffff_ffe0;
    function.bar(1, 0xfebd_1000, 0x1000);
    function.wide_bar(2, 0x80_0000_0000, 1 << 33);
    function.wide_bar(4, 0xfe00_0000, 0x4000);
    function.words[1] = 0x0010_0007;
    let segment = FakeSegment::new([(at(0, 1, 0), function.clone())]);
    let bars = memory_bars(&Function {
        config: &segment,
        at: at(0, 1, 0),
    });
    let seen: Vec<_> = bars
        .iter()
        .map(|bar| (bar.index, bar.base, bar.bytes))
        .collect();
    let expected = [
        (1, 0xfebd_1000, 0x1000),
        (2, 0x80_0000_0000, 1 << 33),
        (4, 0xfe00_0000, 0x4000),
    ];
    assert_eq!(seen, expected);
    assert_eq!(segment.function(at(0, 1, 0)).words, function.words);
}

#[test]
fn unassigned_registers_get_room_beside_what_others_have() {
    let window = Window {
        base: 0xc000_0000,
        bytes: 0x1000_0000,
    };
    let mut bridge = FakeFunction::bridge(1);
    bridge.words[8] = 0xc010_c000;
    bridge.words[9] = 0x0000_fff0;
    let fixed = FakeFunction::virtio(0x1042, 0xc020_0000);
    let segment = FakeSegment::new([
        (at(0, 1, 0), bridge),
        (at(0, 2, 0), fixed),
        (at(0, 3, 0), FakeFunction::virtio(0x1042, 0)),
        (at(0, 4, 0), FakeFunction::virtio(0x1042, 1 << 44)),
        (at(1, 0, 0), FakeFunction::virtio(0x1042, 0)),
    ]);
    let functions = segment.locations();
    let assigner = assigner(&segment, &functions, window);
    let bars = |at| {
        let config = &segment;
        assigner.bars(&Function { config, at })
    };
    let places = |at| {
        let bars: Result<Vec<_>, _> =
            bars(at).map(|bars| bars.iter().map(|bar| bar.base).collect());
        bars.unwrap()
    };
    assert_eq!(
        places(at(0, 2, 0)),
        [0xc030_0000, 0xc020_0000],
        "as they were"
    );
    assert_eq!(places(at(0, 3, 0)), [0xc020_4000, 0xc020_8000]);
    assert_eq!(places(at(0, 3, 0)), [0xc020_4000, 0xc020_8000], "and stay");
    let unreachable = places(at(0, 4, 0));
    assert!(
        unreachable.iter().all(|&base| base < 0xd000_0000),
        "{unreachable:x?}"
    );
    let behind = bars(at(1, 0, 0)).unwrap_err();
    assert_eq!(behind, Problem::Unassigned { bytes: 0x1000 });
}

#[test]
fn a_full_or_absent_window_is_told() {
    for (base, bytes) in [(0, 0), (0xc000_0000, 0x1000), (u64::MAX - 0xfff, 0x1000)] {
        let segment = FakeSegment::new([(at(0, 3, 0), FakeFunction::virtio(0x1042, 0))]);
        let functions = segment.locations();
        let config = &segment;
        let result = assigner(&segment, &functions, Window { base, bytes }).bars(&Function {
            config,
            at: at(0, 3, 0),
        });
        assert!(
            matches!(result, Err(Problem::Unassigned { .. })),
            "{base:#x}"
        );
    }
}

proptest! {
    /// Any register contents: nothing panics, what is reported is a power of two, values are kept.
    #[test]
    fn any_registers_are_understood_or_left_out(
        words in any::<[u32; 6]>(),
        writable in any::<[u32; 6]>(),
        base in any::<u64>(),
        bytes in any::<u64>(),
    ) {
        let mut function = FakeFunction::new(0x1af4, 0x1042);
        function.words[4..10].copy_from_slice(&words);
        function.writable[4..10].copy_from_slice(&writable);
        let segment = FakeSegment::new([(at(0, 0, 0), function.clone())]);
        let functions = segment.locations();
        let config = &segment;
        let here = Function { config, at: at(0, 0, 0) };
        for bar in memory_bars(&here) {
            prop_assert!(bar.bytes.is_power_of_two() && bar.index < 6);
        }
        prop_assert_eq!(segment.function(at(0, 0, 0)).words, function.words);
        let window = Window { base, bytes };
        for bar in assigner(&segment, &functions, window).bars(&here).unwrap_or_default() {
            prop_assert!(bar.base != 0 && bar.base.checked_add(bar.bytes).unwrap() <= REACH);
        }
    }
}
