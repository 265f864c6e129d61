//! The random walk, and what must hold after each step.

mod calls;
mod check;
mod draw;
mod objects;
mod world;

use draw::Draw;
use world::World;

/// Steps of one run, and its seed: `FERRIX_IPC_STEPS`, `FERRIX_IPC_SEED`.
fn parameter(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text}: give a number")),
        Err(_) => usual,
    }
}

/// In so many steps everything should have happened.
const ENOUGH: u64 = 100_000;
/// After so many steps everybody is killed, and nothing may be left.
const LIFE: u64 = 2_500;

#[test]
#[cfg_attr(miri, ignore = "a million steps take Miri days")]
fn a_million_steps_as_the_reference() {
    let since = std::time::UNIX_EPOCH
        .elapsed()
        .expect("it is later than 1970");
    let seed = parameter("FERRIX_IPC_SEED", since.as_nanos() as u64);
    let steps = parameter("FERRIX_IPC_STEPS", 1_000_000);
    println!("FERRIX_IPC_SEED={seed} FERRIX_IPC_STEPS={steps}");
    crate::machine::start();
    let mut counts = [0; world::KINDS];
    for life in 0..steps.div_ceil(LIFE) {
        let mut world = World::new(Draw::new(seed.wrapping_add(life)));
        for step in 0..LIFE {
            world.step(&format_args!("seed {seed}: step {step} of life {life}"));
        }
        world.end();
        for (sum, count) in counts.iter_mut().zip(world.counts) {
            *sum += count;
        }
    }
    println!("outcomes: {counts:?}");
    assert!(
        steps < ENOUGH || counts.iter().all(|&count| count != 0),
        "{counts:?}: something never happened"
    );
}
