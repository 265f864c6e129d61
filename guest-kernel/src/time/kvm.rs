//! KVM's paravirtual clocks (Linux `Documentation/virt/kvm/x86/msr.rst`), read once while booting.

use core::cell::UnsafeCell;

use crate::arch::instructions::{rdtsc, wrmsr};
use crate::arch::{KVM_SYSTEM_TIME_NEW, KVM_WALL_CLOCK_NEW, start};

/// `pvclock_vcpu_time_info`.
#[derive(Clone, Copy)]
#[repr(C)]
struct SystemTime {
    version: u32,
    _padding: u32,
    tsc_timestamp: u64,
    system_time: u64,
    tsc_to_system_mul: u32,
    tsc_shift: i8,
    _flags: u8,
    _padding2: [u8; 2],
}

/// `pvclock_wall_clock`: the wall clock at system time 0.
#[derive(Clone, Copy)]
#[repr(C)]
struct WallClock {
    _version: u32,
    seconds: u32,
    nanoseconds: u32,
}

/// Both records; within one page by its alignment.
#[repr(C, align(64))]
struct Records(UnsafeCell<(SystemTime, WallClock)>);

// SAFETY: used by the boot CPU alone.
unsafe impl Sync for Records {}

static RECORDS: Records = Records(UnsafeCell::new((
    SystemTime {
        version: 0,
        _padding: 0,
        tsc_timestamp: 0,
        system_time: 0,
        tsc_to_system_mul: 0,
        tsc_shift: 0,
        _flags: 0,
        _padding2: [0; 2],
    },
    WallClock {
        _version: 0,
        seconds: 0,
        nanoseconds: 0,
    },
)));

/// Lets KVM write both records, and takes them; KVM then writes no more.
fn read() -> (SystemTime, WallClock) {
    let records = RECORDS.0.get();
    let physical = start::image_address(records);
    // SAFETY: KVM's clock is offered; the records are this function's, physically contiguous, and
    // written by KVM during the two WRMSR and at latest at the next entry of the guest.
    unsafe {
        wrmsr(
            KVM_WALL_CLOCK_NEW,
            start::image_address(&raw const (*records).1),
        );
        wrmsr(KVM_SYSTEM_TIME_NEW, physical | 1);
        while (&raw const (*records).0.version).read_volatile() == 0 {}
        let copy = records.read_volatile();
        wrmsr(KVM_SYSTEM_TIME_NEW, 0);
        copy
    }
}

/// Frequency of the TSC in kHz.
pub fn tsc_khz() -> u32 {
    let (time, _) = read();
    let khz = (1_000_000u64 << 32) / time.tsc_to_system_mul.max(1) as u64;
    let shifted = if time.tsc_shift < 0 {
        khz << -time.tsc_shift
    } else {
        khz >> time.tsc_shift
    };
    shifted as u32
}

/// Nanoseconds since 1970.
pub fn realtime_ns() -> u64 {
    let (time, wall) = read();
    let cycles = rdtsc().wrapping_sub(time.tsc_timestamp);
    let shift = time.tsc_shift;
    let cycles = if shift < 0 {
        cycles >> -shift
    } else {
        cycles << shift
    };
    let since = ((cycles as u128 * time.tsc_to_system_mul as u128) >> 32) as u64;
    wall.seconds as u64 * 1_000_000_000 + wall.nanoseconds as u64 + time.system_time + since
}
