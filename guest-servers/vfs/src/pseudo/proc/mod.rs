//! `/proc` (proc(5)): what the kernel and the VFS know, as text.
//!
//! The text is made when a file is opened. Inode = tid << 40 | pid << 16 | file, with pid 0 for the files of the
//! whole system and tid 0 for those of a process; numbers below are indexes into the two tables.

mod limits;
mod maps;
mod process;
mod system;
mod task;

use super::{Local, attributes, directory_type};
use crate::dirent::Records;
use crate::errno::{EINVAL, ENOENT, EPERM, Result};
use crate::filesystem::{Filesystem, Opened};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ferrix_abi::info::{CpuInfo, SlabInfo, SystemStats};
use ferrix_abi::limit::LimitInfo;
use ferrix_abi::process::{Identity, MemoryInfo, ProcessInfo};
use ferrix_abi::thread::ThreadInfo;
use ferrix_abi::vm::Region;
use ferrix_proto::attributes::{Attributes, Change, FilesystemInfo};
use ferrix_proto::shm::Segment;
use linux_raw_sys::general as linux;

/// Where the text comes from.
pub trait Source {
    /// The process that asks.
    fn caller(&self) -> u32;
    /// The live process with the smallest pid above `previous`.
    fn next_process(&self, previous: u32) -> Option<ProcessInfo>;
    /// The thread of a process with the smallest id above `previous`.
    fn next_thread(&self, pid: u32, previous: u32) -> Option<ThreadInfo>;
    /// What a CPU has done.
    fn cpu(&self, number: u32) -> CpuInfo;
    /// The kernel's counters.
    fn statistics(&self) -> SystemStats;
    /// CPUs that run.
    fn cpus(&self) -> u32;
    /// Nanoseconds since boot.
    fn uptime_ns(&self) -> u64;
    /// Seconds since 1970 at boot.
    fn boot_time(&self) -> u64;
    /// The kernel's command line.
    fn command_line(&self) -> String;
    /// The mappings of a process, ascending.
    fn regions(&self, pid: u32) -> Vec<Region>;
    /// What a process's memory is.
    fn memory(&self, pid: u32) -> MemoryInfo;
    /// Limits, use and violations of a process.
    fn limits(&self, pid: u32) -> LimitInfo;
    /// The classes of the kernel's slab allocator.
    fn slabs(&self) -> Vec<SlabInfo>;
    /// User and group ids of a process.
    fn identity(&self, pid: u32) -> Identity;
    /// Pages of files in memory and shared segments.
    fn shared_pages(&self) -> u64;
    /// System V shared memory segments.
    fn segments(&self) -> Vec<Segment>;
    /// The mount table, in the format of `/proc/mounts`.
    fn mounts(&self) -> String;
    /// Linux system calls that were asked for and are not implemented: number and count.
    fn unknown_calls(&self) -> Vec<(u64, u64)>;
}

const DEVICE: u64 = 4;
/// `PROC_SUPER_MAGIC`.
const MAGIC: u64 = 0x9fa0;
const DIRECTORY: u32 = linux::S_IFDIR | 0o555;
const FILE: u32 = linux::S_IFREG | 0o444;
/// A thread's name.
const NAME_FILE: u32 = linux::S_IFREG | 0o644;
const LINK: u32 = linux::S_IFLNK | 0o777;

/// Inode of `/proc` itself.
const ROOT: u64 = 1;
/// Inode of `/proc/ferrix`.
const FERRIX: u64 = 2;
/// Inode of `/proc/self`.
const SELF: u64 = 3;
/// Inode of `/proc/sysvipc`.
const SYSVIPC: u64 = 4;
/// Inodes of the files of the whole system start here.
const SYSTEM_FILES: u64 = 16;
/// Index of the directory itself among the inodes of a process or thread.
const PROCESS_DIRECTORY: u64 = 0;
/// Index of a process's directory of threads.
const TASKS: u64 = 0xffff;

/// The file system.
pub struct Proc {
    source: Box<dyn Source>,
}

/// What an inode number means.
enum Inode {
    Root,
    /// A directory of system files, by its name.
    Directory(&'static str),
    SelfLink,
    System(&'static system::File),
    Process(ProcessInfo),
    ProcessFile(ProcessInfo, &'static process::File),
    /// A process's `task`.
    Tasks(ProcessInfo),
    Task(ProcessInfo, ThreadInfo),
    TaskFile(ProcessInfo, ThreadInfo, &'static task::File),
}

impl Proc {
    /// With its source of facts.
    pub fn new(source: Box<dyn Source>) -> Proc {
        Proc { source }
    }

    fn process(&self, pid: u32) -> Result<ProcessInfo> {
        let next = pid
            .checked_sub(1)
            .and_then(|previous| self.source.next_process(previous));
        next.filter(|info| info.pid == pid).ok_or(ENOENT)
    }

    fn thread(&self, pid: u32, tid: u32) -> Result<ThreadInfo> {
        let next = tid
            .checked_sub(1)
            .and_then(|previous| self.source.next_thread(pid, previous));
        next.filter(|info| info.tid == tid).ok_or(ENOENT)
    }

    /// The thread whose name is what this file holds, if it is such a file.
    fn named_by(&self, number: u64) -> Option<u32> {
        match self.inode(number) {
            Ok(Inode::ProcessFile(info, file)) if file.name == task::NAME => Some(info.pid),
            Ok(Inode::TaskFile(_, thread, file)) if file.name == task::NAME => Some(thread.tid),
            _ => None,
        }
    }

    /// What a number with a thread's id means.
    fn task(&self, number: u64) -> Result<Inode> {
        let (tid, pid) = ((number >> 40) as u32, (number >> 16) as u32 & 0xff_ffff);
        let (process, thread) = (self.process(pid)?, self.thread(pid, tid)?);
        match number & 0xffff {
            PROCESS_DIRECTORY => Ok(Inode::Task(process, thread)),
            file => {
                let entry = task::FILES.get(file as usize - 1).ok_or(ENOENT)?;
                Ok(Inode::TaskFile(process, thread, entry))
            }
        }
    }

    fn inode(&self, number: u64) -> Result<Inode> {
        if number >> 40 != 0 {
            return self.task(number);
        }
        let (pid, file) = ((number >> 16) as u32, number & 0xffff);
        match (pid, file) {
            (pid, TASKS) if pid != 0 => self.process(pid).map(Inode::Tasks),
            (0, ROOT) => Ok(Inode::Root),
            (0, FERRIX) => Ok(Inode::Directory("ferrix")),
            (0, SYSVIPC) => Ok(Inode::Directory("sysvipc")),
            (0, SELF) => Ok(Inode::SelfLink),
            (0, file) => {
                let index = file.checked_sub(SYSTEM_FILES).ok_or(ENOENT)?;
                Ok(Inode::System(
                    system::FILES.get(index as usize).ok_or(ENOENT)?,
                ))
            }
            (pid, PROCESS_DIRECTORY) => self.process(pid).map(Inode::Process),
            (pid, file) => {
                let entry = process::FILES.get(file as usize - 1).ok_or(ENOENT)?;
                Ok(Inode::ProcessFile(self.process(pid)?, entry))
            }
        }
    }

    /// Entries of a directory: inode, mode, name.
    fn entries(&self, number: u64) -> Result<Vec<(u64, u32, String)>> {
        let named = |inode, mode, name: &str| (inode, mode, String::from(name));
        let in_directory = |wanted: &'static str| {
            let files = system::FILES.iter().zip(SYSTEM_FILES..);
            let files = files.filter(move |(file, _)| file.directory == wanted);
            files.map(move |(file, inode)| named(inode, FILE, file.name))
        };
        match self.inode(number)? {
            Inode::Root => {
                let fixed = [
                    named(FERRIX, DIRECTORY, "ferrix"),
                    named(SELF, LINK, "self"),
                    named(SYSVIPC, DIRECTORY, "sysvipc"),
                ];
                let processes = self
                    .processes()
                    .map(|info| (process_inode(info.pid), DIRECTORY, format!("{}", info.pid)));
                Ok(fixed
                    .into_iter()
                    .chain(in_directory(""))
                    .chain(processes)
                    .collect())
            }
            Inode::Directory(name) => Ok(in_directory(name).collect()),
            Inode::Process(info) => {
                let files = process::FILES.iter().zip(process_inode(info.pid) + 1..);
                let tasks = named(process_inode(info.pid) | TASKS, DIRECTORY, "task");
                Ok(files
                    .map(|(file, inode)| named(inode, FILE, file.name))
                    .chain([tasks])
                    .collect())
            }
            Inode::Tasks(info) => {
                let threads = task::of(&*self.source, info.pid);
                let entry = |tid| (task_inode(info.pid, tid), DIRECTORY, format!("{tid}"));
                Ok(threads.map(|thread| entry(thread.tid)).collect())
            }
            Inode::Task(info, thread) => {
                let files = task::FILES
                    .iter()
                    .zip(task_inode(info.pid, thread.tid) + 1..);
                Ok(files
                    .map(|(file, inode)| named(inode, FILE, file.name))
                    .collect())
            }
            _ => Err(EINVAL),
        }
    }

    fn processes(&self) -> impl Iterator<Item = ProcessInfo> {
        let mut previous = 0;
        core::iter::from_fn(move || {
            let info = self.source.next_process(previous)?;
            previous = info.pid;
            Some(info)
        })
    }
}

fn process_inode(pid: u32) -> u64 {
    u64::from(pid) << 16
}

fn task_inode(pid: u32, tid: u32) -> u64 {
    u64::from(tid) << 40 | process_inode(pid)
}

impl Filesystem for Proc {
    fn root(&self) -> u64 {
        ROOT
    }

    fn type_name(&self) -> &'static str {
        "proc"
    }

    fn is_volatile(&self) -> bool {
        true
    }

    fn lookup(&mut self, directory: u64, name: &[u8]) -> Result<Attributes> {
        if name == b".." {
            let parent = match directory {
                task if task >> 40 != 0 => task & 0xff_ffff_0000 | TASKS,
                tasks if tasks & 0xffff == TASKS => tasks & !0xffff,
                _ => ROOT,
            };
            return self.attributes(parent);
        }
        let name = core::str::from_utf8(name).map_err(|_| ENOENT)?;
        if let (ROOT, Ok(pid)) = (directory, name.parse::<u32>()) {
            return self.attributes(process_inode(pid));
        }
        let entries = self.entries(directory)?;
        let found = entries
            .iter()
            .find(|(_, _, entry)| entry == name)
            .ok_or(ENOENT)?;
        self.attributes(found.0)
    }

    fn attributes(&mut self, number: u64) -> Result<Attributes> {
        let (mode, uid) = match self.inode(number)? {
            Inode::Root | Inode::Directory(_) => (DIRECTORY, 0),
            Inode::Process(info) | Inode::Tasks(info) | Inode::Task(info, _) => {
                (DIRECTORY, info.uid)
            }
            Inode::SelfLink => (LINK, 0),
            Inode::System(_) => (FILE, 0),
            Inode::ProcessFile(info, _) | Inode::TaskFile(info, ..) => {
                let writable = self.named_by(number).is_some();
                (if writable { NAME_FILE } else { FILE }, info.uid)
            }
        };
        Ok(Attributes {
            uid,
            ..attributes(DEVICE, number, mode, 0)
        })
    }

    fn open(&mut self, number: u64, _flags: u32) -> Result<Opened> {
        let text = match self.inode(number)? {
            Inode::System(file) => (file.text)(&*self.source).into_bytes(),
            Inode::ProcessFile(info, file) => (file.text)(&info, &*self.source),
            Inode::TaskFile(info, thread, file) => (file.text)(&info, &thread).into_bytes(),
            _ => return Err(EINVAL),
        };
        Ok(Opened::Local(match self.named_by(number) {
            Some(tid) => Local::Name(text, tid),
            None => Local::Text(text),
        }))
    }

    /// Who opens a name to write a new one may ask for an empty file.
    fn set_attributes(&mut self, number: u64, change: Change, _to: &Attributes) -> Result<()> {
        match self.named_by(number) {
            Some(_) if change == Change::SIZE => Ok(()),
            _ => Err(EPERM),
        }
    }

    fn read_directory(&mut self, number: u64, cookie: u64, room: usize) -> Result<Vec<u8>> {
        let dots = [".", ".."].map(|name| (number, DIRECTORY, String::from(name)));
        let mut records = Records::new(room);
        let entries = dots.into_iter().chain(self.entries(number)?).enumerate();
        for (position, (inode, mode, name)) in entries.skip(cookie as usize) {
            if !records.push(
                inode,
                position as u64 + 1,
                directory_type(mode),
                name.as_bytes(),
            ) {
                break;
            }
        }
        records.into_bytes()
    }

    fn read_link(&mut self, number: u64) -> Result<Vec<u8>> {
        match self.inode(number)? {
            Inode::SelfLink => Ok(format!("{}", self.source.caller()).into_bytes()),
            _ => Err(EINVAL),
        }
    }

    fn info(&mut self) -> Result<FilesystemInfo> {
        Ok(FilesystemInfo {
            magic: MAGIC,
            block_size: 4096,
            name_max: 255,
            ..FilesystemInfo::default()
        })
    }
}

#[cfg(test)]
mod tests;
