use proptest::collection::vec;
use proptest::prelude::*;

use crate::op::{Op, Source, encode};
use crate::{TARGETS, Target, blk, seeds};

/// Changes of a seed: a place, and what is done there.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Flip(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<usize>();
    prop_oneof![
        (at(), prop_oneof![Just(0u8), Just(0xffu8), any::<u8>()])
            .prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 1usize..9).prop_map(|(at, count)| Change::Remove(at, count)),
        (at(), 1usize..65).prop_map(|(at, count)| Change::Repeat(at, count)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: usize| at % (bytes.len() + 1);
        let range = |at: usize, count: usize| place(at)..(place(at) + count).min(bytes.len());
        match self {
            Self::Set(at, byte) => {
                let at = place(*at);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Self::Flip(at, bit) => {
                let at = place(*at);
                if let Some(old) = bytes.get_mut(at) {
                    *old ^= 1 << bit;
                }
            }
            Self::Insert(at, more) => {
                let at = place(*at);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(at, count) => {
                let range = range(*at, *count);
                bytes.drain(range);
            }
            Self::Repeat(at, count) => {
                let piece = bytes[range(*at, *count)].to_vec();
                let at = place(*at);
                bytes.splice(at..at, piece);
            }
        }
    }
}

fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.expect("it is in the list")
}

/// Every seed, then seeds with a few changes, then any bytes.
fn hammer(name: &str, cases: u32) {
    let target = target(name);
    let seeds = (target.seeds)();
    seeds.iter().for_each(|seed| (target.run)(seed));
    let changed = (0..seeds.len(), vec(change(), 1..12)).prop_map(move |(seed, changes)| {
        let mut bytes = seeds[seed].clone();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    });
    let input = prop_oneof![4 => changed, 1 => vec(any::<u8>(), 0..400)];
    let mut config = ProptestConfig::with_cases(cases);
    config.failure_persistence = None;
    proptest!(config, |(bytes in input)| (target.run)(&bytes));
}

#[test]
fn block_requests_do_no_harm() {
    hammer("blk", 600);
}

#[test]
fn register_accesses_do_no_harm() {
    hammer("mmio", 600);
}

#[test]
fn console_rings_do_no_harm() {
    hammer("console", 600);
}

#[test]
fn manifests_do_no_harm() {
    hammer("manifest", 600);
}

#[test]
fn kernels_do_no_harm() {
    hammer("kernel", 600);
}

#[test]
fn packets_do_no_harm() {
    hammer("gdb", 100);
}

#[test]
fn seeds_of_disks_are_served() {
    for (number, seed) in seeds::devices::blk().iter().enumerate() {
        let mut bench = blk::bench(&blk::disk_file(), vmm::config::DiskMode::ReadWrite);
        bench.start_honestly();
        bench.run(Source(&seed[1..]));
        let counters = bench.back.counters();
        assert!(counters.interrupts > 0, "seed {number}: {counters:?}");
    }
}

#[test]
fn targets_have_fuzzers() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    for target in &TARGETS {
        let program = format!("path = \"targets/{}.rs\"", target.name);
        assert!(manifest.contains(&program), "no fuzzer for {}", target.name);
    }
}

proptest! {
    #[test]
    fn operations_are_read_as_written(bytes in vec(any::<u8>(), 0..400)) {
        let mut source = Source(&bytes);
        let ops: Vec<_> = std::iter::from_fn(|| Op::read(&mut source)).collect();
        let again = encode(&ops);
        let mut source = Source(&again);
        let read: Vec<_> = std::iter::from_fn(|| Op::read(&mut source)).collect();
        prop_assert_eq!(ops, read);
    }
}
