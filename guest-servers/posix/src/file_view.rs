//! A file's memory object, and its bytes mapped for reading.

use crate::server;
use ferrix_abi::handle::Handle;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_posix::Result;
use ferrix_proto::file;
use ferrix_rt::sys::{ipc, memory, utcb};

/// A memory object with a file's bytes; closed when dropped.
#[derive(Debug)]
pub struct FileObject {
    /// The object.
    pub handle: Handle,
    /// Size of the file.
    pub size: u64,
    /// Whether it is the file itself, or a copy.
    pub is_live: bool,
}

impl FileObject {
    /// Asks for the object of an open file; `purpose` is one of [`file::object`].
    ///
    /// # Errors
    /// `ENODEV` for what has none, `EACCES` for what it was not opened for.
    pub fn of(session: Handle, purpose: u64) -> Result<FileObject> {
        let answer = server::ask(session, file::GET_OBJECT, [purpose, 0, 0])?;
        server::expect_handles(&answer, 1)?;
        Ok(FileObject {
            handle: utcb::received_handle(0),
            size: answer.words[0],
            is_live: answer.words[1] & file::object::LIVE != 0,
        })
    }
}

impl Drop for FileObject {
    fn drop(&mut self) {
        let _ = ipc::close(self.handle);
    }
}

/// The file's bytes; unmapped when dropped.
#[derive(Debug)]
pub struct FileView {
    address: u64,
    size: u64,
}

impl FileView {
    /// Maps the whole file; pages appear when they are looked at.
    pub fn new(object: &FileObject) -> Result<FileView> {
        let mut mapping = memory::Mapping::shared(object.handle, object.size.max(1), Prot::READ);
        mapping.flags = MapFlags::SYSTEM | MapFlags::INHERIT_NONE;
        Ok(FileView {
            address: memory::map_anywhere(&mapping)?,
            size: object.size,
        })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has that many bytes while `self` lives, and the object's pages never change: it was
        // asked for as a snapshot, so what is written to the file later goes to another object.
        unsafe { core::slice::from_raw_parts(self.address as *const u8, self.size as usize) }
    }
}

impl Drop for FileView {
    fn drop(&mut self) {
        // SAFETY: `bytes` borrows `self`, so no reference is left.
        let _ = unsafe {
            memory::unmap(
                memory::SELF,
                self.address,
                self.size.max(1).next_multiple_of(4096),
            )
        };
    }
}
