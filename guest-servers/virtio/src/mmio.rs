//! Device registers in memory.

use crate::registers::Registers;
use core::ptr::NonNull;

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
    /// 1. `base` is the address of `length` bytes of registers of one device, mapped uncached for
    ///    reading and writing for as long as the value lives.
    /// 2. Nothing else accesses them meanwhile.
    pub unsafe fn new(base: NonNull<u8>, length: usize) -> MmioWindow {
        MmioWindow { base, length }
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        let fits = offset
            .checked_add(size_of::<T>())
            .is_some_and(|end| end <= self.length);
        assert!(fits, "register outside of its window");
        // SAFETY: the offset was just found to be inside the window.
        let register = unsafe { self.base.add(offset) }.cast::<T>();
        assert!(register.is_aligned(), "register unaligned");
        register.as_ptr()
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

    fn write16(&self, offset: usize, value: u16) {
        // SAFETY: as in `read32`.
        unsafe { self.at::<u16>(offset).write_volatile(value.to_le()) }
    }

    fn read8(&self, offset: usize) -> u8 {
        // SAFETY: as in `read32`.
        unsafe { self.at::<u8>(offset).read_volatile() }
    }

    fn write8(&self, offset: usize, value: u8) {
        // SAFETY: as in `read32`.
        unsafe { self.at::<u8>(offset).write_volatile(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 0x200;

    #[test]
    fn reads_and_writes_in_every_width() {
        let mut words = [0u32; BYTES / 4];
        words[0x40] = 0x8877_6655;
        let base = NonNull::from(&mut words).cast();
        // SAFETY: the array is the window, used through it alone.
        let window = unsafe { MmioWindow::new(base, BYTES) };
        assert_eq!(window.read32(0x100), 0x8877_6655);
        assert_eq!(window.read16(0x102), 0x8877);
        assert_eq!(window.read8(0x101), 0x66);
        window.write32(0x50, 7);
        assert_eq!(window.read32(0x50), 7);
        window.write16(0x52, 0x1234);
        window.write8(0x51, 0x56);
        assert_eq!(window.read32(0x50), 0x1234_5607);
    }

    #[test]
    #[should_panic(expected = "register outside")]
    fn refuses_an_offset_outside() {
        let mut words = [0u32; BYTES / 4];
        // SAFETY: as above.
        let window = unsafe { MmioWindow::new(NonNull::from(&mut words).cast(), BYTES) };
        window.read32(BYTES - 3);
    }

    #[test]
    #[should_panic(expected = "register unaligned")]
    fn refuses_an_unaligned_register() {
        let mut words = [0u32; BYTES / 4];
        // SAFETY: as above.
        let window = unsafe { MmioWindow::new(NonNull::from(&mut words).cast(), BYTES) };
        window.read32(2);
    }
}
