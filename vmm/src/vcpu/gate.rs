//! Where vCPUs wait until they may run: for the debugger, and for the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, PoisonError};

use crate::sync::Mutex;

/// Who may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Every vCPU.
    All,
    /// One vCPU (single step); the others stay parked.
    Only(usize),
    /// Nobody.
    Nobody,
}

/// What a vCPU is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Run the guest until attention is wanted.
    Run,
    /// End the thread.
    Stop,
}

#[derive(Debug)]
struct State {
    who: Who,
    /// Somebody looks at the guest: nobody runs meanwhile, whoever may.
    held: bool,
    stopping: bool,
    running: usize,
}

/// The gate. `attention` mirrors the state, so that a running vCPU checks it without a lock.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    attention: AtomicBool,
}

impl Gate {
    /// A gate that lets `who` through.
    pub fn new(who: Who) -> Self {
        let state = State {
            who,
            held: false,
            stopping: false,
            running: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            attention: AtomicBool::new(who == Who::Nobody),
        }
    }

    /// A vCPU comes to the gate and waits until it may run or must stop.
    ///
    /// The vCPU counts as running until it comes here again.
    pub fn wait(&self, vcpu: usize) -> Turn {
        let mut state = self.state.lock();
        state = self
            .changed
            .wait_while(state, |s| {
                let may = !s.held && (s.who == Who::All || s.who == Who::Only(vcpu));
                !s.stopping && !may
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.stopping {
            return Turn::Stop;
        }
        state.running += 1;
        Turn::Run
    }

    /// A vCPU that ran has left the guest and given up its descriptor.
    pub fn leave(&self) {
        self.state.lock().running -= 1;
        self.changed.notify_all();
    }

    /// Whether running vCPUs must come to the gate.
    pub fn wants_attention(&self) -> bool {
        self.attention.load(Ordering::SeqCst)
    }

    /// Nobody may run. Running vCPUs have to be kicked to notice.
    pub fn pause(&self) {
        self.change(|state| state.who = Who::Nobody);
    }

    /// Nobody may run while it is held, whatever else happens. Running vCPUs have to be kicked to notice.
    pub fn hold(&self, hold: bool) {
        self.change(|state| state.held = hold);
    }

    /// Waits until no vCPU runs.
    pub fn wait_parked(&self) {
        let state = self.state.lock();
        let parked = self.changed.wait_while(state, |s| s.running > 0);
        drop(parked.unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets vCPUs run.
    pub fn open(&self, who: Who) {
        self.change(|state| state.who = who);
    }

    /// All threads are to end. Running vCPUs have to be kicked to notice.
    pub fn stop(&self) {
        self.state.lock().stopping = true;
        self.attention.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let attention = state.stopping || state.held || state.who == Who::Nobody;
        self.attention.store(attention, Ordering::SeqCst);
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    use super::*;

    #[test]
    fn only_the_chosen_vcpu_runs_and_all_stop() {
        let gate = Arc::new(Gate::new(Who::Nobody));
        let turns = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let threads: Vec<_> = (0..2)
            .map(|vcpu| {
                let (gate, turns) = (gate.clone(), turns.clone());
                thread::spawn(move || {
                    while gate.wait(vcpu) == Turn::Run {
                        turns[vcpu].fetch_add(1, Ordering::SeqCst);
                        while !gate.wants_attention() {
                            thread::yield_now();
                        }
                        gate.leave();
                    }
                })
            })
            .collect();
        gate.open(Who::Only(1));
        while turns[1].load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        gate.pause();
        gate.wait_parked();
        assert_eq!(turns[0].load(Ordering::SeqCst), 0);
        gate.open(Who::All);
        while turns[0].load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        gate.stop();
        threads.into_iter().for_each(|t| t.join().unwrap());
    }
}
