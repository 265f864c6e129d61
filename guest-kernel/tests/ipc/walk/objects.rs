//! System calls about ports, sessions, interrupts and handles, with random arguments. All end at once.

use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::FOREVER;

use super::world::{HANDLES, World};
use crate::arch::TrapFrame;
use crate::arch::cpu;
use crate::irq::Irq;
use crate::machine::{running, system_call};
use crate::object::core_lock::lock;
use crate::reference::{Object, Pid, Tid};
use crate::sched::Next;
use crate::syscall;

/// Badges are few, so that they meet.
const BADGES: usize = 5;

impl World {
    /// Something about an object that always ends at once; what it brought.
    fn simply(&mut self, registers: [u64; 4], call: fn(&mut TrapFrame) -> Next) -> Result<u64, ()> {
        let [a, b, c, d] = registers;
        system_call([0, a, b, c, d, 0, 0], call);
        let mut core = lock();
        let rax = running().frame(&mut core).rax;
        ferrix_abi::error::decode(rax).map_err(|_| ())
    }

    fn has_room(&self, pid: Pid) -> bool {
        self.model.tables[&pid].len() < HANDLES
    }

    /// The kernel has made a handle for the caller.
    fn added(&mut self, pid: Pid, handle: u32, object: Object) {
        let core = lock();
        let table = self.processes[&pid].handles.get(&core);
        let (_, rights) = table.get(Handle(handle)).expect("it was made");
        let table = self.model.tables.get_mut(&pid).expect("it lives");
        assert_eq!(table.insert(handle, (object, rights)), None);
    }

    pub fn create_port(&mut self, tid: Tid) {
        let pid = self.model.threads[&tid].pid;
        if !self.has_room(pid) {
            return;
        }
        let handle = self
            .simply([0; 4], syscall::port::create)
            .expect("there is memory") as u32;
        let id = {
            let core = lock();
            let name = Handle(handle);
            let port = self.processes[&pid]
                .port(&core, name, Rights::RECEIVE)
                .expect("it was made");
            self.ports.insert(port.id.get(&core), port);
            port.id.get(&core)
        };
        self.model.ports.insert(id, Default::default());
        self.added(pid, handle, Object::Port(id));
    }

    /// A port on which the caller may receive.
    fn port(&mut self, tid: Tid) -> Option<(u32, u64)> {
        let ports = self.handles_of(tid, |_, rights| rights.contains(Rights::RECEIVE));
        let handle = self.draw.of(&ports)?;
        match self.model.tables[&self.model.threads[&tid].pid][&handle].0 {
            Object::Port(id) => Some((handle, id)),
            _ => None,
        }
    }

    pub fn create_session(&mut self, tid: Tid) {
        let pid = self.model.threads[&tid].pid;
        let Some((port, id)) = self.port(tid) else {
            return self.create_port(tid);
        };
        if !self.has_room(pid) {
            return;
        }
        let (badge, bits) = (self.draw.below(BADGES) as u32, self.draw.below(2) as u32);
        let made = self.simply(
            [port.into(), badge.into(), bits.into(), 0],
            syscall::port::session_create,
        );
        let taken = self.model.session_of(id, badge).is_some();
        assert_eq!(made.is_err(), taken, "badge {badge} of port {id}");
        if let Ok(handle) = made {
            let session = {
                let core = lock();
                let name = Handle(handle as u32);
                self.processes[&pid]
                    .session_of(&core, name)
                    .expect("it was made")
            };
            let number = self.model.add_session(pid, id, badge, bits);
            self.sessions.insert(number, session);
            self.added(pid, handle as u32, Object::Session(number));
        }
    }

    pub fn session_signal(&mut self, tid: Tid) {
        let Some((port, id)) = self.port(tid) else {
            return;
        };
        let badge = self.draw.below(BADGES) as u32;
        let (set, clear) = (self.draw.below(16) as u32, self.draw.below(16) as u32);
        let session = self.model.session_of(id, badge);
        let done = self.simply(
            [port.into(), badge.into(), set.into(), clear.into()],
            syscall::port::session_signal,
        );
        assert_eq!(done.is_ok(), session.is_some());
        if let Some(session) = session {
            self.model.session_signal(session, set, clear);
        }
    }

    pub fn set_timer(&mut self, tid: Tid) {
        let Some((port, id)) = self.port(tid) else {
            return;
        };
        let badge = self.draw.below(BADGES) as u32;
        let deadline = self.deadline();
        let time = deadline.unwrap_or(FOREVER);
        self.simply([port.into(), badge.into(), time, 0], syscall::port::timer)
            .expect("the port lives");
        self.model.set_timer(
            id,
            badge,
            deadline.map(|deadline| (cpu::cpu_id(), deadline)),
        );
    }

    pub fn create_irq(&mut self, tid: Tid) {
        let pid = self.model.threads[&tid].pid;
        let Some((_, id)) = self.port(tid).filter(|_| self.has_room(pid)) else {
            return;
        };
        let badge = self.draw.below(BADGES) as u32;
        let irq = Irq::connect(&lock(), self.ports[&id], badge);
        let number = self.model.add_irq(id, badge);
        self.irqs.insert(number, irq);
        self.give(pid, Object::Irq(number), Rights::DUP | Rights::TRANSFER);
    }

    pub fn close(&mut self, tid: Tid) {
        let pid = self.model.threads[&tid].pid;
        let handle = self.handle(tid, |_, _| true);
        let outcome = self.model.close(pid, handle);
        self.outcome(tid, Some(outcome));
        let _ = self.simply([handle.into(), 0, 0, 0], syscall::handle::close);
    }

    pub fn duplicate(&mut self, tid: Tid) {
        let pid = self.model.threads[&tid].pid;
        let handle = self.handle(tid, |_, rights| rights.contains(Rights::DUP));
        if !self.has_room(pid) {
            return;
        }
        let rights = self.draw.next() as u32 | Rights::DUP.bits();
        let entry = self.model.tables[&pid].get(&handle).copied();
        let made = self.simply(
            [handle.into(), rights.into(), 0, 0],
            syscall::handle::duplicate,
        );
        assert_eq!(
            made.is_ok(),
            entry.is_some_and(|(_, held)| held.contains(Rights::DUP))
        );
        if let (Ok(new), Some((object, _))) = (made, entry) {
            self.added(pid, new as u32, object);
        }
    }
}
