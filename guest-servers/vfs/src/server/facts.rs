//! What `/proc` tells, from the kernel and the VFS itself; random bytes.

use super::Shared;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use ferrix_abi::info::SystemStats;
use ferrix_abi::process::ProcessInfo;
use ferrix_rt::clock;
use ferrix_rt::sys::{process, system};
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
