//! Memory that a client and a device share.

use ferrix_abi::error::Result;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_rt::sys::{ipc, memory};
use ferrix_virtio::{PhysAddr, PhysRange, Segment};

/// A window: this server holds the object, so that the pages stay while a device may use them.
pub struct Window {
    /// The object, for handing out.
    pub object: Handle,
    range: PhysRange,
}

impl Window {
    /// Fresh contiguous memory.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn create(bytes: u64, resource: Handle) -> Result<Window> {
        let length = bytes.next_multiple_of(PAGE_SIZE);
        let object = memory::object_contiguous(length, resource)?;
        let base = memory::physical_address(object, 0, resource)?;
        // SAFETY: (1) the object's pages are ordinary RAM, mapped only by the client, which expects the
        // device to change them; (2) the object lives until this value is dropped, which `service` puts
        // off until no request of the session is in flight.
        let range = unsafe { PhysRange::new(PhysAddr(base), length) };
        Ok(Window { object, range })
    }

    /// Its bytes.
    pub const fn len(&self) -> u64 {
        self.range.len()
    }

    /// A piece of it; `None` if that is not inside.
    pub fn segment(&self, offset: u64, length: u64) -> Option<Segment> {
        self.range.segment(offset, u32::try_from(length).ok()?)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = ipc::close(self.object);
    }
}
