//! What `/proc` tells, from the kernel and the VFS itself; random bytes.

use super::Shared;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use ferrix_abi::info::{CpuInfo, SlabInfo, SystemStats};
use ferrix_abi::limit::LimitInfo;
use ferrix_abi::process::{Identity, MemoryInfo, ProcessInfo};
use ferrix_abi::thread::ThreadInfo;
use ferrix_abi::vm::Region;
use ferrix_proto::shm::Segment;
use ferrix_rt::clock;
use ferrix_rt::sys::{limit, memory, process, system, thread};
use ferrix_vfs::pseudo::proc::Source;

/// The source behind `/proc`.
pub struct Facts {
    shared: Rc<Shared>,
}

impl Facts {
    /// With what the VFS counts.
    pub const fn new(shared: Rc<Shared>) -> Facts {
        Facts { shared }
    }
}

impl Source for Facts {
    fn caller(&self) -> u32 {
        self.shared.caller.get()
    }

    fn next_process(&self, previous: u32) -> Option<ProcessInfo> {
        process::next(previous).ok()
    }

    fn next_thread(&self, pid: u32, previous: u32) -> Option<ThreadInfo> {
        thread::next(pid, previous).ok()
    }

    fn cpu(&self, number: u32) -> CpuInfo {
        system::cpu_info(number).unwrap_or_default()
    }

    fn regions(&self, pid: u32) -> Vec<Region> {
        let mut from = 0;
        let next = || {
            let region = memory::query_pid(pid, from).ok()?;
            from = region.end;
            Some(region)
        };
        core::iter::from_fn(next).collect()
    }

    fn memory(&self, pid: u32) -> MemoryInfo {
        memory::info(pid).unwrap_or_default()
    }

    fn limits(&self, pid: u32) -> LimitInfo {
        limit::info(pid).unwrap_or_default()
    }

    fn slabs(&self) -> Vec<SlabInfo> {
        (0..)
            .map_while(|index| system::slab_info(index).ok())
            .collect()
    }

    fn identity(&self, pid: u32) -> Identity {
        process::identity(pid).unwrap_or_default()
    }

    fn shared_pages(&self) -> u64 {
        self.shared.memory_pages.get()
    }

    fn segments(&self) -> Vec<Segment> {
        let segments = self.shared.segments.borrow();
        segments.iter().map(|(segment, _)| segment).collect()
    }

    fn statistics(&self) -> SystemStats {
        system::statistics().unwrap_or_default()
    }

    fn cpus(&self) -> u32 {
        system::kernel_info().cpus
    }

    fn uptime_ns(&self) -> u64 {
        clock::monotonic_ns()
    }

    fn boot_time(&self) -> u64 {
        system::realtime_offset() / 1_000_000_000
    }

    fn command_line(&self) -> String {
        let info = system::kernel_info();
        let used = (info.command_line_length as usize).min(info.command_line.len());
        String::from_utf8_lossy(&info.command_line[..used]).into_owned()
    }

    fn mounts(&self) -> String {
        self.shared.mounts.borrow().clone()
    }

    fn unknown_calls(&self) -> Vec<(u64, u64)> {
        self.shared
            .unknown_calls
            .borrow()
            .iter()
            .map(|(&number, &count)| (number, count))
            .collect()
    }
}

/// Random bytes (see [`ferrix_rt::random`]).
pub fn random_bytes(length: usize) -> Vec<u8> {
    let mut bytes = alloc::vec![0; length];
    ferrix_rt::random::fill(&mut bytes);
    bytes
}
