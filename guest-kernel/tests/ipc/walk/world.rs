//! The kernel and the reference side by side, and the steps that both make.

use std::collections::BTreeMap;
use std::fmt::Arguments;

use ferrix_abi::handle::Rights;

use super::calls::MOMENT;
use super::draw::Draw;
use crate::arch::cpu::{self, CPUS};
use crate::ipc::{PORTS, Port, SESSIONS, Session};
use crate::irq::Irq;
use crate::machine::{self, Note};
use crate::object::core_lock::lock;
use crate::object::{self, Core};
use crate::process::{self, PIDS, Process};
use crate::reference::{Object, Pid, Reference, Tid};
use crate::thread::{self, THREADS, TIDS, Thread};
use crate::{signal, time};

/// Most of each.
const PROCESSES: usize = 6;
const THREADS_MAX: usize = 14;
/// Handles of one process, about.
pub const HANDLES: usize = 14;
/// Kinds of outcomes that are counted: see `check`.
pub const KINDS: usize = 18;

pub struct World {
    pub draw: Draw,
    pub model: Reference,
    pub sessions: BTreeMap<u32, &'static Session>,
    pub irqs: BTreeMap<u32, &'static Irq>,
    pub ports: BTreeMap<u64, &'static Port>,
    pub processes: BTreeMap<Pid, &'static Process>,
    /// Deadlines so far.
    pub deadlines: u64,
    pub messages: u64,
    pub counts: [u64; KINDS],
}

impl World {
    pub fn new(draw: Draw) -> World {
        let mut world = World {
            draw,
            model: Reference::default(),
            sessions: BTreeMap::new(),
            irqs: BTreeMap::new(),
            ports: BTreeMap::new(),
            processes: BTreeMap::new(),
            deadlines: 0,
            messages: 0,
            counts: [0; KINDS],
        };
        while world.model.threads.len() < 8 {
            world.begin();
        }
        world
    }

    /// One step of a thread that runs somewhere, or of the world.
    pub fn step(&mut self, name: &Arguments<'_>) {
        cpu::go_to(self.draw.below(CPUS));
        // An interprocessor interrupt may be on its way still.
        if machine::is_idle() || !self.draw.one_in(4) {
            self.settle();
            self.check(name);
        }
        if machine::is_idle() || self.draw.one_in(5) {
            self.happen();
        } else {
            let tid = machine::running().tid.get(&lock());
            self.call(tid);
        }
        self.check(name);
    }

    /// Returns to user mode here.
    fn settle(&mut self) {
        machine::settle();
        self.take_notes();
    }

    fn take_notes(&mut self) {
        for note in machine::notes() {
            match note {
                Note::Ended(tid) => self.model.ended(tid),
                Note::Signalled(tid) => self.model.thread(tid).signal = false,
            }
        }
    }

    /// Something that no thread does.
    fn happen(&mut self) {
        let tids: Vec<Tid> = self.model.threads.keys().copied().collect();
        match self.draw.below(100) {
            0..20 => self.let_time_pass(),
            20..40 => self.signal(&tids),
            40..50 => self.interrupt(),
            50..72 => self.grant(),
            72..80 => {
                machine::end_slice_unless_idle();
                self.take_notes();
            }
            80..92 => self.begin(),
            92..98 => self.kill_thread(&tids),
            _ => self.kill_process(),
        }
    }

    fn let_time_pass(&mut self) {
        time::advance(self.draw.next() % 48 * MOMENT);
        for id in 0..CPUS {
            cpu::go_to(id);
            machine::expire();
            self.model.expire(id, time::now_ns());
        }
    }

    fn signal(&mut self, tids: &[Tid]) {
        if let Some(tid) = self.draw.of(tids) {
            let mut core = lock();
            let thread = real(&core, tid);
            signal::send(&mut core, thread);
            self.model.signal(tid);
        }
    }

    fn interrupt(&mut self) {
        let all: Vec<u32> = self.model.irqs.keys().copied().collect();
        if let Some(id) = self.draw.of(&all) {
            self.irqs[&id].happen(&mut lock());
            self.model.interrupt(id);
        }
    }

    fn begin(&mut self) {
        if self.model.threads.len() >= THREADS_MAX {
            return;
        }
        let pids: Vec<Pid> = self.model.tables.keys().copied().collect();
        let fresh = pids.len() < PROCESSES && (pids.len() < 3 || self.draw.one_in(2));
        let process = match fresh {
            true => Process::create(&lock()),
            false => self.processes[&self.draw.of(&pids).expect("there are some")],
        };
        let priority = self.draw.of(&[20, 20, 20, 30, 60]).expect("there are some");
        let tid = machine::spawn(process, priority);
        let core = lock();
        let pid = process.pid.get(&core);
        self.processes.insert(pid, process);
        let token = real(&core, tid).token.get(&core);
        self.model.add_thread(tid, pid, token);
    }

    fn kill_thread(&mut self, tids: &[Tid]) {
        if let Some(tid) = self.draw.of(tids) {
            let mut core = lock();
            let thread = real(&core, tid);
            thread::kill(&mut core, thread);
            self.model.kill(tid);
        }
    }

    fn kill_process(&mut self) {
        let pids: Vec<Pid> = self.model.tables.keys().copied().collect();
        if let Some(pid) = self.draw.of(&pids) {
            self.kill_all_of(pid);
        }
    }

    fn kill_all_of(&mut self, pid: Pid) {
        process::kill(&mut lock(), self.processes[&pid]);
        let threads = self.model.threads.iter();
        let own: Vec<Tid> = threads
            .filter(|(_, thread)| thread.pid == pid)
            .map(|(&tid, _)| tid)
            .collect();
        for tid in own {
            self.model.kill(tid);
        }
    }

    /// A process gets a handle of another one.
    fn grant(&mut self) {
        let pids: Vec<Pid> = self.model.tables.keys().copied().collect();
        let (Some(from), Some(to)) = (self.draw.of(&pids), self.draw.of(&pids)) else {
            return;
        };
        let handles: Vec<(Object, Rights)> = self.model.tables[&from].values().copied().collect();
        let Some((object, held)) = self.draw.of(&handles) else {
            return;
        };
        if self.model.tables[&to].len() >= HANDLES {
            return;
        }
        let rights = match self.draw.one_in(3) {
            true => held,
            false => held - Rights::RECEIVE,
        };
        self.give(to, object, rights);
    }

    pub fn give(&mut self, pid: Pid, object: Object, rights: Rights) {
        let mut core = lock();
        let real = self.real_object(object);
        let handle = self.processes[&pid].share_handle(&mut core, real, rights);
        let handle = handle.expect("there is memory").0;
        let table = self.model.tables.get_mut(&pid).expect("it lives");
        let old = table.insert(handle, (object, rights));
        assert_eq!(old, None, "handle {handle} of process {pid} is given twice");
    }

    pub fn real_object(&self, object: Object) -> object::Object {
        match object {
            Object::Port(id) => object::Object::Port(self.ports[&id]),
            Object::Session(id) => object::Object::Session(self.sessions[&id]),
            Object::Irq(id) => object::Object::Irq(self.irqs[&id]),
        }
    }

    /// Everybody is killed: nothing is left.
    pub fn end(&mut self) {
        for pid in self.model.tables.keys().copied().collect::<Vec<_>>() {
            self.kill_all_of(pid);
        }
        while !self.model.threads.is_empty() {
            for id in 0..CPUS {
                cpu::go_to(id);
                self.settle();
            }
            let stuck = !self.model.threads.is_empty() && self.is_idle();
            assert!(!stuck, "threads that were killed do not end");
        }
        for id in 0..CPUS {
            cpu::go_to(id);
            self.settle();
        }
        let mut core = lock();
        while !thread::reap(&mut core) {}
        let left = [PORTS.used(&core), SESSIONS.used(&core), THREADS.used(&core)];
        assert_eq!(
            left,
            [0, 0, CPUS as u32],
            "ports, sessions, threads are left"
        );
        assert!(PIDS.next_used(&core, 0).is_none() && TIDS.next_used(&core, 0).is_none());
    }

    /// Whether no CPU has anything to run.
    fn is_idle(&self) -> bool {
        let core = lock();
        (0..CPUS).all(|id| {
            let sched = &cpu::cpu(id).sched;
            let running = crate::sched::running_on(&core, id);
            sched.queue.length(&core) == 0 && running.is_none_or(Thread::is_idle)
        })
    }
}

/// The kernel's thread.
pub fn real(core: &Core, tid: Tid) -> &'static Thread {
    thread::by_tid(core, tid).expect("a thread of the reference lives")
}
