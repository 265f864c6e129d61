//! Random operations on related address spaces and on the objects that they map, against a model
//! that knows only pages and bytes.
//!
//! `FERRIX_MODEL_STEPS` says how many operations (a million take seconds), `FERRIX_MODEL_SEED` which;
//! a failure names the seed and the shortest sequence of operations that shows it.

mod draw;
mod mapping;
mod message;
mod object;
mod step;
mod world;

use ferrix_abi::layout::{MMAP_BASE, PAGE_SIZE};
use ferrix_abi::vm::{MapFlags, Prot};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use self::step::{Action, Step};
use self::world::{OBJECT_PAGES, World};
use super::super::*;
use super::{RW, free, request};
use crate::mm::entry::Inherit;
use crate::mm::host::{self, PagerLink};
use crate::mm::object::VmObject;
use crate::mm::phys::Frame;

/// Operations that are made unless the environment says otherwise; Miri takes a millisecond for what
/// takes a microsecond.
const STEPS: u64 = if cfg!(miri) { 300 } else { 1_000_000 };
/// Operations in a case, at most.
const LONGEST: usize = if cfg!(miri) { 80 } else { 400 };

impl World {
    fn apply(&mut self, (space, first, count, step): Action) {
        let space = space % self.spaces.len();
        let start = MMAP_BASE + first * PAGE_SIZE;
        let range = start..start + count * PAGE_SIZE;
        let index = first % OBJECT_PAGES;
        let pages = index..index + count;
        match step {
            Step::Map(map) => self.map(space, range, map),
            Step::More(prot) => self.map_more(space, count, prot),
            Step::Unmap => self.unmap(space, range),
            Step::Protect(prot) => self.protect(space, range, prot),
            Step::Inherit(inherit) => self.inherit(space, range, inherit),
            Step::Lock(lock) => self.lock(space, range, lock),
            Step::Write(value) => self.write(space, start, value),
            Step::Discard => self.discard(space, range),
            Step::Remap(pages, place) => self.remap(space, range, pages, place),
            Step::Fork => self.fork(space),
            Step::End => self.end(space),
            Step::Send { to, mode, more } => {
                let more = more.into_iter().map(|(first, count, mode)| {
                    let start = MMAP_BASE + first * PAGE_SIZE;
                    (start..start + count * PAGE_SIZE, mode)
                });
                let items: Vec<_> = core::iter::once((range, mode)).chain(more).collect();
                self.send(space, to % self.spaces.len(), &items);
            }
            Step::Supply => self.supply(pages),
            Step::Clean => self.clean(pages),
            Step::PagerWrite(value) => self.pager_write(index, value),
            Step::Resize(object) => self.resize(object, first % (OBJECT_PAGES + 1)),
            Step::Punch(object) => self.punch(object, pages),
        }
    }
}

/// Makes the operations of a case. The looks in between bring every page in, so they are few.
fn run(actions: Vec<Action>) {
    let before = free();
    let mut world = World::new();
    let every = actions.len().div_ceil(6);
    for (number, action) in actions.into_iter().enumerate() {
        world.apply(action);
        if number % every == 0 {
            world.check();
        }
    }
    world.check();
    let link = world.link.clone();
    drop(world);
    assert_eq!((free(), link.uses()), (before, 0));
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// One case, which its seed decides; says how many operations it had.
fn case(seed: u64) -> u64 {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let done = core::cell::Cell::new(0);
    let result = TestRunner::new_with_rng(config, rng).run(&step::actions(LONGEST), |actions| {
        done.set(actions.len() as u64);
        run(actions);
        Ok(())
    });
    if let Err(TestError::Fail(reason, actions)) = result {
        let lines: String = actions.iter().map(|one| format!("\n{one:?}")).collect();
        panic!("FERRIX_MODEL_SEED={seed}: {reason}{lines}");
    }
    done.get()
}

#[test]
fn memory_behaves_like_the_model() {
    let _memory = host::memory();
    let steps = number("FERRIX_MODEL_STEPS").unwrap_or(STEPS);
    let first = number("FERRIX_MODEL_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_nanos() as u64
    });
    let mut seeds = first..;
    let mut done = 0;
    while done < steps {
        done += seeds.next().map_or(0, case);
    }
}
