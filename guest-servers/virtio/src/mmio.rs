//! Device registers in memory.

use crate::registers::Registers;
use core::ptr::NonNull;

/// Bytes that any device window has at least: registers and 256 bytes of configuration space (QEMU's
/// `microvm` has exactly this, Ferrix's monitor a page).
pub const MIN_WINDOW_BYTES: usize = 0x200;

/// A mapped register window.
#[derive(Debug)]
pub struct MmioWindow {
    base: NonNull<u8>,
    length: usize,
}

impl MmioWindow {
    /// Takes over a mapped window.
    ///
    /// # Safety
    /// 1. `base` is the address of the `length` bytes of registers of one virtio-mmio device, mapped
    ///    uncached for reading and writing for as long as the value lives.
    /// 2. Nothing else accesses them meanwhile.
    ///
    /// # Panics
    /// If the window is smaller than [`MIN_WINDOW_BYTES`] or not aligned to 4 bytes.
    pub unsafe fn new(base: NonNull<u8>, length: usize) -> MmioWindow {
        assert!(length >= MIN_WINDOW_BYTES, "register window too small");
        assert!(base.cast::<u32>().is_aligned(), "register window unaligned");
        MmioWindow { base, length }
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        let fits = offset.checked_add(size_of::<T>()) <= Some(self.length);
        assert!(fits && offset.is_multiple_of(size_of::<T>()), "register");
        // SAFETY: the offset was just found to be inside the window.
        unsafe { self.base.add(offset) }.cast::<T>().as_ptr()
    }
}

// SAFETY: the window belongs to this value alone (condition 2 of `new`) and to no particular thread.
unsafe impl Send for MmioWindow {}

impl Registers for MmioWindow {
    fn read32(&self, offset: usize) -> u32 {
        // SAFETY: `at` gives an aligned address in the mapped window (condition 1 of `new`).
        u32::from_le(unsafe { self.at::<u32>(offset).read_volatile() })
    }

    fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as in `read32`.
        unsafe { self.at::<u32>(offset).write_volatile(value.to_le()) }
    }

    fn read16(&self, offset: usize) -> u16 {
        // SAFETY: as in `read32`.
        u16::from_le(unsafe { self.at::<u16>(offset).read_volatile() })
    }

    fn read8(&self, offset: usize) -> u8 {
        // SAFETY: as in `read32`.
        unsafe { self.at::<u8>(offset).read_volatile() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_window_holds_in_every_width() {
        let mut words = [0u32; MIN_WINDOW_BYTES / 4];
        words[0x40] = 0x8877_6655;
        let base = NonNull::from(&mut words).cast();
        // SAFETY: the array is the window, used through it alone.
        let window = unsafe { MmioWindow::new(base, MIN_WINDOW_BYTES) };
        assert_eq!(window.read32(0x100), 0x8877_6655);
        assert_eq!(window.read16(0x102), 0x8877);
        assert_eq!(window.read8(0x101), 0x66);
        window.write32(0x50, 7);
        assert_eq!(window.read32(0x50), 7);
    }

    #[test]
    #[should_panic(expected = "register")]
    fn refuses_an_offset_outside() {
        let mut words = [0u32; MIN_WINDOW_BYTES / 4];
        // SAFETY: as above.
        let window = unsafe { MmioWindow::new(NonNull::from(&mut words).cast(), MIN_WINDOW_BYTES) };
        window.read32(MIN_WINDOW_BYTES);
    }
}
