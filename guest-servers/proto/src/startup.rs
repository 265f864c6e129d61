//! What `init` gives a new process: one page, whose address is the first thread's argument.
//!
//! Servers find their port and the ports they may call by name; the personality of the first Linux
//! program also finds its descriptors and strings.

/// Longest name of an entry.
pub const NAME_MAX: usize = 12;
/// Most entries.
pub const ENTRIES_MAX: usize = 32;
/// Bytes for strings.
pub const STRINGS_MAX: usize = 2048;
/// "FERRIXst", so that a wrong pointer is noticed.
pub const MAGIC: u64 = u64::from_le_bytes(*b"FERRIXst");

/// A named handle.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Entry {
    /// Name, padded with NUL.
    pub name: [u8; NAME_MAX],
    /// Handle in the new process's table.
    pub handle: u32,
}

/// The page.
#[derive(Debug)]
#[repr(C)]
pub struct Startup {
    /// [`MAGIC`].
    pub magic: u64,
    /// Entries in use.
    pub entry_count: u32,
    /// Strings in `strings` that are arguments; the rest are the environment.
    pub argument_count: u32,
    /// All strings.
    pub string_count: u32,
    /// Bytes of `strings` in use.
    pub strings_length: u32,
    /// The handles.
    pub entries: [Entry; ENTRIES_MAX],
    /// NUL-terminated strings, one after the other.
    pub strings: [u8; STRINGS_MAX],
}

const _: () = assert!(size_of::<Startup>() <= 4096);

/// Names of entries.
pub mod name {
    /// The port that the server receives on.
    pub const SELF: &str = "self";
    /// The resource handle (drivers, init).
    pub const RESOURCE: &str = "resource";
    /// `blk`'s port.
    pub const BLK: &str = "blk";
    /// `ext2`'s port.
    pub const EXT2: &str = "ext2";
    /// `console`'s port.
    pub const CONSOLE: &str = "console";
    /// `vfs`'s port: as a directory session it is the root of the mount tree.
    pub const VFS: &str = "vfs";
    /// `queue`'s port.
    pub const QUEUE: &str = "queue";
    /// `init`'s port.
    pub const INIT: &str = "init";
    /// The root directory of a Linux program.
    pub const ROOT: &str = "root";
    /// Its working directory.
    pub const CWD: &str = "cwd";
    /// Descriptors 0, 1 and 2.
    pub const STDIN: &str = "stdin";
    /// Descriptor 1.
    pub const STDOUT: &str = "stdout";
    /// Descriptor 2.
    pub const STDERR: &str = "stderr";
}

impl Startup {
    /// The handle with this name.
    pub fn handle(&self, name: &str) -> Option<u32> {
        let mut padded = [0; NAME_MAX];
        padded
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        let used = &self.entries[..(self.entry_count as usize).min(ENTRIES_MAX)];
        used.iter()
            .find(|entry| entry.name == padded)
            .map(|entry| entry.handle)
    }

    /// The strings: arguments, then environment.
    pub fn strings(&self) -> impl Iterator<Item = &[u8]> {
        let used = &self.strings[..(self.strings_length as usize).min(STRINGS_MAX)];
        used.split(|&byte| byte == 0)
            .take(self.string_count as usize)
    }
}
