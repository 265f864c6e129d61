//! Hardware breakpoints and watchpoints, and what stands in for them.
//!
//! Where the processor's debug registers stop the guest, they do. Elsewhere every vCPU stops after each instruction, and
//! the monitor looks itself: at the instruction pointer, and at what is in the memory that is watched. That costs an
//! exit an instruction; it cannot see reads; and where KVM emulates kernels, programs run without stops, so what
//! they write is seen at the kernel's next instruction.

use gdbstub::target::ext::breakpoints::WatchKind;
use vm_memory::{Bytes, GuestAddress};

use super::abilities::Abilities;
use crate::memory::Ram;
use crate::sync::Mutex;
use crate::vcpu::DebugMode;
use crate::vcpu::points::{Access, Point, registers};

/// As long a piece of memory is watched without debug registers, at most.
const MOST_BYTES: u64 = 4096;

/// A point, and what was last seen of its memory.
struct Watched {
    point: Point,
    physical: u64,
    seen: Vec<u8>,
}

/// All points.
pub struct Points {
    abilities: Abilities,
    all: Mutex<Vec<Watched>>,
}

impl Points {
    /// None yet.
    pub fn new(abilities: Abilities) -> Self {
        Self {
            abilities,
            all: Mutex::default(),
        }
    }

    /// What the host's KVM can do.
    pub fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// Adds one whose memory is at `physical`. False if that cannot be watched.
    pub fn insert(&self, ram: &Ram, point: Point, physical: u64) -> bool {
        let mut all = self.all.lock();
        let watched = Watched {
            point,
            physical,
            seen: vec![0; point.length.min(MOST_BYTES) as usize],
        };
        all.push(watched);
        let can = match self.needs_looks(&all) {
            true => point.access != Access::ReadWrite && point.length <= MOST_BYTES,
            false => registers(&points(&all)).is_some(),
        };
        let can = can
            && all
                .last_mut()
                .is_some_and(|last| last.refresh(ram).is_some());
        if !can {
            all.pop();
        }
        can
    }

    /// Takes one away. False if it is not there.
    pub fn remove(&self, point: Point) -> bool {
        let mut all = self.all.lock();
        let place = all.iter().position(|watched| watched.point == point);
        place.map(|place| all.remove(place)).is_some()
    }

    /// Takes all away.
    pub fn clear(&self) {
        self.all.lock().clear();
    }

    /// How a vCPU is to run so that all are noticed.
    pub fn mode(&self) -> DebugMode {
        let all = self.all.lock();
        match self.needs_looks(&all) {
            true => DebugMode::Look,
            false => DebugMode::Breakpoints(registers(&points(&all)).unwrap_or_default().0),
        }
    }

    /// Whether the debug registers are not enough.
    fn needs_looks(&self, all: &[Watched]) -> bool {
        all.iter().any(|watched| match watched.point.access {
            Access::Execute => !self.abilities.execute,
            Access::Write | Access::ReadWrite => !self.abilities.access,
        })
    }

    /// Forgets what memory was like: the debugger has looked, or written.
    pub fn refresh(&self, ram: &Ram) {
        for watched in self.all.lock().iter_mut() {
            watched.refresh(ram);
        }
    }

    /// The point of the debug register whose bit is set in DR6.
    pub fn hit(&self, dr6: u64) -> Option<Point> {
        let all = points(&self.all.lock());
        let (_, owners) = registers(&all)?;
        let register = (dr6 & 0xf).trailing_zeros() as usize;
        all.get(*owners.get(register)?).copied()
    }

    /// The point whose instruction is at `pc`, or whose memory has changed since the last look.
    pub fn look(&self, ram: &Ram, pc: u64) -> Option<Point> {
        let mut all = self.all.lock();
        let changed = |watched: &mut Watched| match watched.point.access {
            Access::Execute => watched.point.address == pc,
            Access::Write | Access::ReadWrite => watched.refresh(ram) == Some(true),
        };
        all.iter_mut()
            .find_map(|watched| changed(watched).then_some(watched.point))
    }
}

impl Watched {
    /// Looks again; whether its memory has changed. `None` if it is not RAM.
    fn refresh(&mut self, ram: &Ram) -> Option<bool> {
        let mut now = vec![0; self.seen.len()];
        ram.read_slice(&mut now, GuestAddress(self.physical)).ok()?;
        let before = std::mem::replace(&mut self.seen, now);
        Some(before != self.seen)
    }
}

fn points(all: &[Watched]) -> Vec<Point> {
    all.iter().map(|watched| watched.point).collect()
}

/// What gdb asks to be watched.
pub fn watch(address: u64, length: u64, kind: WatchKind) -> Point {
    // The processor has no register for reads alone.
    let access = match kind {
        WatchKind::Write => Access::Write,
        WatchKind::Read | WatchKind::ReadWrite => Access::ReadWrite,
    };
    Point {
        address,
        length,
        access,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemorySize;
    use crate::memory;

    fn points(access: bool) -> Points {
        Points::new(Abilities {
            execute: true,
            access,
            breakpoints: true,
        })
    }

    #[test]
    fn without_debug_registers_changes_are_looked_for() {
        let ram = memory::allocate(MemorySize::mib(1)).unwrap();
        let points = points(false);
        assert_eq!(points.mode(), DebugMode::Breakpoints(Default::default()));
        let instruction = Point {
            address: 0x123,
            length: 1,
            access: Access::Execute,
        };
        assert!(points.insert(&ram, instruction, 0x123));
        assert!(matches!(points.mode(), DebugMode::Breakpoints([0x123, ..])));
        let watched = watch(0xffff_0100, 4, WatchKind::Write);
        assert!(points.insert(&ram, watched, 0x100));
        assert_eq!(
            (points.mode(), points.look(&ram, 0)),
            (DebugMode::Look, None)
        );
        ram.write_obj(7u8, GuestAddress(0x104)).unwrap();
        assert_eq!(points.look(&ram, 0), None, "behind it");
        assert_eq!(points.look(&ram, 0x123), Some(instruction));
        ram.write_obj(7u8, GuestAddress(0x103)).unwrap();
        assert_eq!(points.look(&ram, 0), Some(watched));
        assert_eq!(points.look(&ram, 0), None, "once");
        let read = watch(0xffff_0200, 4, WatchKind::Read);
        assert!(!points.insert(&ram, read, 0x200), "reads leave no trace");
        assert!(!points.insert(&ram, watched, 8 << 20), "not RAM");
        assert!(points.remove(watched) && !points.remove(watched));
    }

    #[test]
    fn debug_registers_are_named_by_dr6() {
        let ram = memory::allocate(MemorySize::mib(1)).unwrap();
        let points = points(true);
        let odd = watch(0x101, 3, WatchKind::Write);
        let read = watch(0x200, 8, WatchKind::Read);
        assert!(points.insert(&ram, odd, 0x101) && points.insert(&ram, read, 0x200));
        assert!(!points.insert(&ram, odd, 0x101), "five registers");
        let DebugMode::Breakpoints(registers) = points.mode() else {
            panic!("no debug registers")
        };
        assert_eq!(registers[..4], [0x101, 0x102, 0x200, 0]);
        assert_eq!(points.hit(0xffff_0ff2), Some(odd));
        assert_eq!(points.hit(0xffff_0ff4), Some(read));
        assert_eq!((points.hit(8), points.hit(0x4000)), (None, None));
    }
}
