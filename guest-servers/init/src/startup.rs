//! The start-up page of a new process, and why something could not be started.

use alloc::string::{String, ToString};
use core::fmt;
use ferrix_abi::Error;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_proto::startup::{ENTRIES_MAX, Entry, MAGIC, NAME_MAX, STRINGS_MAX, Startup};
use ferrix_rt::sys::{ipc, memory};

/// What could not be started, and why.
#[derive(Debug)]
pub struct Failure {
    what: String,
    why: String,
}

impl Failure {
    /// From a reason of init's own.
    pub fn new(what: &str, why: &str) -> Failure {
        Failure {
            what: what.to_string(),
            why: why.to_string(),
        }
    }

    /// From the kernel's error.
    pub fn kernel(what: &str, error: Error) -> Failure {
        Failure {
            what: what.to_string(),
            why: alloc::format!("the kernel says {error:?}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// The page under construction.
pub struct Page {
    content: Startup,
}

impl Page {
    /// An empty one.
    pub fn new() -> Page {
        Page {
            content: Startup {
                magic: MAGIC,
                entry_count: 0,
                argument_count: 0,
                string_count: 0,
                strings_length: 0,
                entries: [Entry::default(); ENTRIES_MAX],
                strings: [0; STRINGS_MAX],
            },
        }
    }

    /// Adds a named handle (its number in the new process).
    pub fn handle(&mut self, name: &str, handle: Handle) -> Result<(), Failure> {
        let index = self.content.entry_count as usize;
        let fits = name.len() <= NAME_MAX && index < ENTRIES_MAX;
        if !fits {
            return Err(Failure::new(
                name,
                "the start-up page has no room for this handle",
            ));
        }
        let entry = &mut self.content.entries[index];
        entry.name[..name.len()].copy_from_slice(name.as_bytes());
        entry.handle = handle.0;
        self.content.entry_count += 1;
        Ok(())
    }

    /// Adds an argument; all arguments come before the environment.
    pub fn argument(&mut self, text: &str) -> Result<(), Failure> {
        self.environment(text)?;
        self.content.argument_count += 1;
        Ok(())
    }

    /// Adds an environment string.
    pub fn environment(&mut self, text: &str) -> Result<(), Failure> {
        let start = self.content.strings_length as usize;
        let end = start + text.len();
        if end >= STRINGS_MAX {
            return Err(Failure::new(
                text,
                "the start-up page has no room for this string",
            ));
        }
        self.content.strings[start..end].copy_from_slice(text.as_bytes());
        self.content.strings_length = end as u32 + 1;
        self.content.string_count += 1;
        Ok(())
    }

    /// Maps the page into a process; its address there.
    pub fn map_into(&self, process: Handle) -> Result<u64, Error> {
        let object = memory::object_create(PAGE_SIZE)?;
        let mut mapping = memory::Mapping::shared(object, PAGE_SIZE, Prot::READ | Prot::WRITE);
        let here = memory::map_anywhere(&mapping)?;
        // SAFETY: the page is fresh, mapped writable here, and large enough (checked in the protocol).
        unsafe {
            core::ptr::copy_nonoverlapping(&raw const self.content, here as *mut Startup, 1);
            memory::unmap(memory::SELF, here, PAGE_SIZE)?;
        }
        mapping.process = process;
        mapping.prot = Prot::READ;
        mapping.flags = MapFlags::SYSTEM | MapFlags::INHERIT_NONE;
        let there = memory::map_anywhere(&mapping)?;
        ipc::close(object)?;
        Ok(there)
    }
}
