//! The block device behind the library: requests to `blk` through the window that it gave.

use ferrix_abi::handle::Handle;
use ferrix_abi::vm::MapFlags;
use ferrix_ext2::{BlockDevice, DeviceError};
use ferrix_proto::block;
use ferrix_rt::client::{Errno, Request};
use ferrix_rt::pager;
use ferrix_rt::sys::{ipc, utcb};
use ferrix_rt::window::Window;

/// Bytes of the window: the most that one request moves.
const WINDOW: u64 = 1 << 20;
const SECTOR: u64 = 512;

/// A device session and its window.
pub struct Disk {
    session: Handle,
    window: Window,
    sectors: u64,
    read_only: bool,
}

impl Disk {
    /// Asks what the device is and maps a window; the session's handle is taken over.
    ///
    /// # Errors
    /// `blk`'s errno.
    pub fn open(session: Handle) -> Result<Disk, Errno> {
        let info = Request::new(block::INFO, [0; 3]).send(session)?;
        let (sectors, flags) = (info.words[0], info.words[1]);
        Request::new(block::MAKE_WINDOW, [WINDOW, 0, 0]).send(session)?;
        let object = utcb::received_handle(0);
        let window = Window::map(object, MapFlags::INHERIT_NONE)?;
        ipc::close(object)?;
        Ok(Disk {
            session,
            window,
            sectors,
            read_only: flags & block::flags::READ_ONLY != 0,
        })
    }

    fn ask(&self, operation: u16, words: [u64; 3]) -> Result<(), DeviceError> {
        Request::new(operation, words)
            .send(self.session)
            .map(drop)
            .map_err(|_| DeviceError)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = ipc::close(self.session);
    }
}

impl BlockDevice for Disk {
    fn sector_count(&self) -> u64 {
        self.sectors
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, mut sector: u64, buffer: &mut [u8]) -> Result<(), DeviceError> {
        for piece in buffer.chunks_mut(WINDOW as usize) {
            self.ask(block::READ, [sector, piece.len() as u64, 0])?;
            self.window.read(0, piece).map_err(|_| DeviceError)?;
            sector += piece.len() as u64 / SECTOR;
        }
        Ok(())
    }

    fn write(&mut self, mut sector: u64, buffer: &[u8]) -> Result<(), DeviceError> {
        for piece in buffer.chunks(WINDOW as usize) {
            self.window.write(0, piece).map_err(|_| DeviceError)?;
            self.ask(block::WRITE, [sector, piece.len() as u64, 0])?;
            sector += piece.len() as u64 / SECTOR;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.ask(block::FLUSH, [0; 3])
    }

    fn release(&mut self, memory: &mut [u8]) {
        // Pages that the kernel keeps are no error.
        let _ = pager::discard_pages(memory);
    }
}
