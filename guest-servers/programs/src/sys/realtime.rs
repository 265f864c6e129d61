//! What a program with deadlines asks of the scheduler and the clock.

use std::io;
use std::time::Duration;

fn checked(result: libc::c_long) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the calling thread `SCHED_FIFO` with this priority. (By number: musl's function does not ask the system.)
pub fn become_fifo(priority: i32) -> io::Result<()> {
    // SAFETY: the parameter is one word, which the call reads.
    let result = unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0,
            libc::SCHED_FIFO,
            &raw const priority,
        )
    };
    checked(result)
}

/// Keeps the calling thread, and those that it starts, on one processor.
pub fn stay_on(cpu: u32) -> io::Result<()> {
    stay_within(1 << cpu)
}

/// Keeps the calling thread, and those that it starts, on the processors of a mask.
pub fn stay_within(mask: u64) -> io::Result<()> {
    // SAFETY: the mask is eight bytes, which the call reads.
    let result = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, 8, &raw const mask) };
    checked(result)
}

/// Nanoseconds of the monotonic clock.
pub fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call fills the structure; the clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sleeps until a time of that clock.
pub fn sleep_until(nanoseconds: u64) -> io::Result<()> {
    let time = libc::timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as i64,
        tv_nsec: (nanoseconds % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: the call reads the time; with an absolute time nothing is left over.
    let error = unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &time,
            std::ptr::null_mut(),
        )
    };
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Maps so much memory, all of it present, and unmaps it: two long system calls.
pub fn map_and_unmap(bytes: usize, between: impl FnOnce()) -> io::Result<()> {
    // SAFETY: a fresh mapping, which nobody else uses, wherever there is room.
    unsafe {
        let memory = libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
            -1,
            0,
        );
        between();
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        checked(libc::munmap(memory, bytes).into())
    }
}

/// A span, in words.
pub fn microseconds(span: Duration) -> String {
    format!("{}.{:03} us", span.as_micros(), span.subsec_nanos() % 1000)
}
