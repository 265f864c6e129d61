//! The milestone port: when the guest reached which point of its boot.

use std::sync::OnceLock;
use std::time::Instant;

use ferrix_machine::milestone;
use serde::Serialize;

use crate::sync::Mutex;
use crate::trace::{self, Kind};

/// More milestones than this are not kept.
const MOST: usize = 64;

/// A point of the boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Milestone {
    /// Its name, or its number if this monitor does not know it.
    pub name: String,
    /// Microseconds since `vmm` started.
    pub us: u64,
    /// Kernel instructions emulated so far, all vCPUs; absent where KVM does not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insn_emulation: Option<u64>,
}

/// Sums a KVM counter over all vCPUs; `None` where there is none.
pub type InstructionCounter = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// Notes milestones with their time.
pub struct Milestones {
    start: Instant,
    counter: OnceLock<InstructionCounter>,
    noted: Mutex<Vec<Milestone>>,
}

impl Milestones {
    /// Times are relative to `start`.
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            counter: OnceLock::new(),
            noted: Mutex::new(Vec::new()),
        }
    }

    /// From now on each milestone also gets this count.
    pub fn count_with(&self, counter: InstructionCounter) {
        // Set once, while the machine is built.
        let _ = self.counter.set(counter);
    }

    /// A write to the port.
    pub fn note(&self, data: &[u8]) {
        if let Some(&number) = data.first() {
            self.note_named(name(number));
        }
    }

    /// Notes a milestone of the monitor's own.
    pub fn note_named(&self, name: String) {
        let us = self.start.elapsed().as_micros() as u64;
        let insn_emulation = self.counter.get().and_then(|count| count());
        log::info!("milestone {name} at {us} us");
        trace::instant(Kind::Milestone, format_args!("{name}"));
        let mut noted = self.noted.lock();
        if noted.len() < MOST {
            noted.push(Milestone {
                name,
                us,
                insn_emulation,
            });
        }
    }

    /// Everything noted so far, in order.
    pub fn all(&self) -> Vec<Milestone> {
        self.noted.lock().clone()
    }
}

fn name(number: u8) -> String {
    match number {
        milestone::KERNEL_ENTRY => "kernel_entry".into(),
        milestone::KERNEL_READY => "kernel_ready".into(),
        milestone::SERVERS_READY => "servers_ready".into(),
        milestone::FIRST_EXEC => "first_exec".into(),
        milestone::PROMPT => "prompt".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_have_names_times_and_counts() {
        let milestones = Milestones::new(Instant::now());
        milestones.note(&[milestone::KERNEL_ENTRY]);
        milestones.count_with(Box::new(|| Some(456)));
        milestones.note(&[milestone::PROMPT]);
        milestones.note(&[200]);
        milestones.note(&[]);
        let all = milestones.all();
        let names: Vec<_> = all.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["kernel_entry", "prompt", "200"]);
        assert_eq!(
            (all[0].insn_emulation, all[1].insn_emulation),
            (None, Some(456))
        );
        assert!(all[0].us <= all[1].us);
    }

    #[test]
    fn a_guest_cannot_fill_the_monitor_with_milestones() {
        let milestones = Milestones::new(Instant::now());
        (0..1000).for_each(|_| milestones.note(&[1]));
        assert_eq!(milestones.all().len(), MOST);
    }
}
