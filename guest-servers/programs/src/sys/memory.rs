//! Memory by addresses: mappings, their pages, shared segments. For programs that test the system: addresses are
//! plain numbers here, and only what this module's callers mapped themselves is ever looked at.

use std::io;

use super::process::{self, Change, Fork, Patience};
use super::{c_string, check};

/// Bytes of a page.
pub const PAGE: usize = 4096;

fn result(value: libc::c_long) -> io::Result<usize> {
    if value == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value as usize)
    }
}

/// `mmap`, as the system has it: the C library checks nothing.
pub fn map(
    address: usize,
    length: usize,
    (prot, flags): (i32, i32),
    fd: i32,
    offset: u64,
) -> io::Result<usize> {
    // SAFETY: no test maps over memory that Rust uses: fixed addresses are those of its own mappings.
    result(unsafe { libc::syscall(libc::SYS_mmap, address, length, prot, flags, fd, offset) })
}

/// Private memory, readable and writable.
pub fn fresh(pages: usize) -> io::Result<usize> {
    let how = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    map(
        0,
        pages * PAGE,
        (libc::PROT_READ | libc::PROT_WRITE, how),
        -1,
        0,
    )
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $number:ident($($argument:ident),*);)*) => {$(
        $(#[$doc])*
        pub fn $name($($argument: usize),*) -> io::Result<usize> {
            // SAFETY: the tests pass ranges that they mapped, or that nobody has.
            result(unsafe { libc::syscall(libc::$number, $($argument),*) })
        }
    )*};
}

calls! {
    /// `munmap`.
    unmap = SYS_munmap(address, length);
    /// `mprotect`.
    protect = SYS_mprotect(address, length, prot);
    /// `mremap`.
    remap = SYS_mremap(address, old, new, flags, target);
    /// `madvise`.
    advise = SYS_madvise(address, length, advice);
    /// `msync`.
    sync = SYS_msync(address, length, flags);
    /// `mincore`.
    resident = SYS_mincore(address, length, vector);
    /// `mlock`.
    lock = SYS_mlock(address, length);
    /// `mlock2`.
    lock2 = SYS_mlock2(address, length, flags);
    /// `munlock`.
    unlock = SYS_munlock(address, length);
    /// `mlockall`.
    lock_all = SYS_mlockall(flags);
    /// `munlockall`.
    unlock_all = SYS_munlockall();
    /// `brk`.
    set_break = SYS_brk(address);
    /// `shmget`.
    segment = SYS_shmget(key, size, flags);
    /// `shmat`.
    attach = SYS_shmat(id, address, flags);
    /// `shmdt`.
    detach = SYS_shmdt(address);
    /// `fallocate`.
    allocate = SYS_fallocate(fd, mode, offset, length);
    /// `getdents64`.
    entries = SYS_getdents64(fd, buffer, size);
    /// `fcntl`.
    control = SYS_fcntl(fd, command, argument);
}

/// The byte at an address.
pub fn peek(address: usize) -> u8 {
    // SAFETY: the address is in a readable mapping that the test made.
    unsafe { (address as *const u8).read_volatile() }
}

/// Stores a byte.
pub fn poke(address: usize, byte: u8) {
    // SAFETY: the address is in a writable mapping that the test made, of which Rust knows nothing.
    unsafe { (address as *mut u8).write_volatile(byte) }
}

/// Copies bytes out of a mapping.
pub fn copy_out(address: usize, into: &mut [u8]) {
    // SAFETY: the test mapped the range, readable, and Rust has no reference into it.
    unsafe { std::ptr::copy_nonoverlapping(address as *const u8, into.as_mut_ptr(), into.len()) }
}

/// Copies bytes into a mapping.
pub fn copy_in(address: usize, from: &[u8]) {
    // SAFETY: the test mapped the range, writable, and Rust has no reference into it.
    unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), address as *mut u8, from.len()) }
}

/// What a child does with a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Reads it.
    Read,
    /// Writes it.
    Write,
}

/// Runs `body` in a child; how it ends. The child's status is what `body` returns.
pub fn in_child(body: impl FnOnce() -> i32) -> io::Result<Change> {
    match process::fork()? {
        Fork::Child => process::exit(body()),
        Fork::Parent(pid) => loop {
            match process::wait(Patience::Block)? {
                Some((ended, change)) if ended == pid => return Ok(change),
                _ => {}
            }
        },
    }
}

/// The signal that kills a child which touches a byte; `None`: it lives.
pub fn touch(address: usize, how: Touch) -> io::Result<Option<i32>> {
    let ended = in_child(|| {
        match how {
            Touch::Read => {
                peek(address);
            }
            Touch::Write => poke(address, 0xee),
        }
        0
    })?;
    Ok(match ended {
        Change::Killed(signal) => Some(signal),
        _ => None,
    })
}

/// Which pages of a range are present.
pub fn present(address: usize, pages: usize) -> io::Result<Vec<u8>> {
    let mut vector = vec![0xff; pages];
    resident(address, pages * PAGE, vector.as_mut_ptr() as usize)?;
    Ok(vector)
}

/// A file in memory.
pub fn memory_file(name: &str, flags: u32) -> io::Result<i32> {
    let name = c_string(name)?;
    // SAFETY: a string that outlives the call.
    check(unsafe { libc::memfd_create(name.as_ptr(), flags) })
}

/// Sets the length of a file.
pub fn truncate(fd: i32, length: usize) -> io::Result<()> {
    // SAFETY: ftruncate takes any numbers.
    check(unsafe { libc::ftruncate(fd, length as i64) }).map(drop)
}

/// Writes at the end of what was written to a descriptor of a test's own.
pub fn append(fd: i32, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: a live slice.
    result(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) as libc::c_long }).map(drop)
}

/// Reads from a descriptor of a test's own; how many bytes.
pub fn read(fd: i32, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: a live slice.
    result(unsafe { libc::read(fd, into.as_mut_ptr().cast(), into.len()) as libc::c_long })
}

/// Makes reads and writes of a file not wait.
pub fn set_non_blocking(file: &impl std::os::fd::AsRawFd) -> io::Result<()> {
    // SAFETY: the file is open.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }).map(drop)
}

/// Closes a descriptor of a test's own.
pub fn close(fd: i32) -> io::Result<()> {
    // SAFETY: no Rust object owns the descriptor.
    check(unsafe { libc::close(fd) }).map(drop)
}

/// Both ends of a pipe.
pub fn pipe() -> io::Result<[i32; 2]> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    Ok(ends)
}

/// What `shmctl(IPC_STAT)` says: size, attachments, mode, last process.
pub fn segment_status(id: usize) -> io::Result<(usize, usize, i64, i32)> {
    // SAFETY: all-zero is a valid value.
    let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: a live structure to write to.
    check(unsafe { libc::shmctl(id as i32, libc::IPC_STAT, &mut status) })?;
    // The C libraries do not agree on how wide a mode is.
    let mode = i64::from(status.shm_perm.mode);
    Ok((
        status.shm_segsz,
        status.shm_nattch as usize,
        mode,
        status.shm_lpid,
    ))
}

/// `shmctl(IPC_RMID)`.
pub fn remove_segment(id: usize) -> io::Result<()> {
    // SAFETY: the command uses no pointer.
    check(unsafe { libc::shmctl(id as i32, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// What is limited.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// The heap, in bytes.
    Data,
    /// All mappings, in bytes.
    Space,
    /// Locked memory, in bytes.
    Locked,
}

/// Lowers (or raises) a soft limit.
pub fn set_limit(which: Limit, soft: u64) -> io::Result<()> {
    let resource = match which {
        Limit::Data => libc::RLIMIT_DATA,
        Limit::Space => libc::RLIMIT_AS,
        Limit::Locked => libc::RLIMIT_MEMLOCK,
    };
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a live structure; the number is a resource's.
    check(unsafe { libc::getrlimit(resource, &mut limit) })?;
    limit.rlim_cur = soft;
    // SAFETY: as above.
    check(unsafe { libc::setrlimit(resource, &limit) }).map(drop)
}

/// Whether this is the superuser, who may become another.
pub fn is_root() -> bool {
    // SAFETY: geteuid has no precondition.
    unsafe { libc::geteuid() == 0 }
}

/// Becomes an ordinary user.
pub fn become_user(uid: u32) -> io::Result<()> {
    // SAFETY: setgid and setuid take any number.
    check(unsafe { libc::setgid(uid) })?;
    // SAFETY: as above.
    check(unsafe { libc::setuid(uid) }).map(drop)
}
