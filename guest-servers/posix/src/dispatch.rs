//! The table: Linux's number to handler.

use crate::call::{
    attributes, control, descriptors, exec, futex, identity, io, limits, locks, memory,
    memory_advice, paths, poll, process, scheduling, shm, signals, system, threads, time, wait,
};
use crate::{deliver, server};
use ferrix_posix::{Errno, Frame, Result};
use linux_raw_sys::general as nr;

/// Does one system call: the program's registers in, RAX out.
pub type Handler = fn(&mut Frame) -> Result<u64>;

/// A system call of the program.
pub extern "C" fn system_call(frame: &mut Frame) {
    let handler = usize::try_from(frame.call)
        .ok()
        .and_then(|number| TABLE.get(number));
    match handler.unwrap_or(&(unknown as Handler))(frame) {
        Ok(value) => frame.rax = value,
        Err(errno) if errno.is_restart() => deliver::interrupted(frame, errno),
        Err(errno) => frame.rax = errno.to_rax(),
    }
}

fn unknown(frame: &mut Frame) -> Result<u64> {
    server::count_unknown(frame.call);
    Err(Errno::ENOSYS)
}

const CALLS: usize = 512;

/// Ferrix's own call (pid or 0, *mut `LimitInfo`); Linux has no such number.
const CHECK_MEMORY_VIOLATION: u32 = 500;

static TABLE: [Handler; CALLS] = table();

const fn table() -> [Handler; CALLS] {
    let mut table = [unknown as Handler; CALLS];
    let mut index = 0;
    while index < HANDLERS.len() {
        table[HANDLERS[index].0 as usize] = HANDLERS[index].1;
        index += 1;
    }
    table
}

const HANDLERS: &[(u32, Handler)] = &[
    (nr::__NR_read, io::read),
    (nr::__NR_write, io::write),
    (nr::__NR_open, paths::open),
    (nr::__NR_close, descriptors::close),
    (nr::__NR_stat, attributes::stat),
    (nr::__NR_fstat, attributes::fstat),
    (nr::__NR_lstat, attributes::lstat),
    (nr::__NR_poll, poll::poll),
    (nr::__NR_lseek, io::lseek),
    (nr::__NR_mmap, memory::mmap),
    (nr::__NR_mprotect, memory::mprotect),
    (nr::__NR_munmap, memory::munmap),
    (nr::__NR_brk, memory::brk),
    (nr::__NR_rt_sigaction, signals::rt_sigaction),
    (nr::__NR_rt_sigprocmask, signals::rt_sigprocmask),
    (nr::__NR_rt_sigreturn, signals::rt_sigreturn),
    (nr::__NR_ioctl, control::ioctl),
    (nr::__NR_pread64, io::pread),
    (nr::__NR_pwrite64, io::pwrite),
    (nr::__NR_readv, io::readv),
    (nr::__NR_writev, io::writev),
    (nr::__NR_access, attributes::access),
    (nr::__NR_pipe, paths::pipe),
    (nr::__NR_select, poll::select),
    (nr::__NR_sched_yield, scheduling::sched_yield),
    (nr::__NR_mremap, memory::mremap),
    (nr::__NR_msync, memory_advice::msync),
    (nr::__NR_madvise, memory_advice::madvise),
    (nr::__NR_mincore, memory_advice::mincore),
    (nr::__NR_shmget, shm::shmget),
    (nr::__NR_shmat, shm::shmat),
    (nr::__NR_shmctl, shm::shmctl),
    (nr::__NR_shmdt, shm::shmdt),
    (nr::__NR_mlock, memory_advice::mlock),
    (nr::__NR_munlock, memory_advice::munlock),
    (nr::__NR_mlockall, memory_advice::mlockall),
    (nr::__NR_munlockall, memory_advice::munlockall),
    (nr::__NR_mlock2, memory_advice::mlock2),
    (nr::__NR_memfd_create, paths::memfd_create),
    (nr::__NR_dup, descriptors::dup),
    (nr::__NR_dup2, descriptors::dup2),
    (nr::__NR_pause, signals::pause),
    (nr::__NR_nanosleep, time::nanosleep),
    (nr::__NR_getitimer, time::getitimer),
    (nr::__NR_alarm, time::alarm),
    (nr::__NR_setitimer, time::setitimer),
    (nr::__NR_getpid, identity::getpid),
    (nr::__NR_sendfile, io::sendfile),
    (nr::__NR_clone, process::clone),
    (nr::__NR_fork, process::fork),
    (nr::__NR_vfork, process::fork),
    (nr::__NR_execve, exec::execve),
    (nr::__NR_exit, process::exit),
    (nr::__NR_wait4, wait::wait4),
    (nr::__NR_kill, signals::kill),
    (nr::__NR_uname, system::uname),
    (nr::__NR_fcntl, descriptors::fcntl),
    (nr::__NR_flock, locks::flock),
    (nr::__NR_fsync, descriptors::fsync),
    (nr::__NR_fdatasync, descriptors::fdatasync),
    (nr::__NR_truncate, attributes::truncate),
    (nr::__NR_ftruncate, attributes::ftruncate),
    (nr::__NR_getcwd, paths::getcwd),
    (nr::__NR_chdir, paths::chdir),
    (nr::__NR_fchdir, paths::fchdir),
    (nr::__NR_rename, paths::rename),
    (nr::__NR_mkdir, paths::mkdir),
    (nr::__NR_rmdir, paths::rmdir),
    (nr::__NR_creat, paths::creat),
    (nr::__NR_link, paths::link),
    (nr::__NR_unlink, paths::unlink),
    (nr::__NR_symlink, paths::symlink),
    (nr::__NR_readlink, paths::readlink),
    (nr::__NR_chmod, attributes::chmod),
    (nr::__NR_fchmod, attributes::fchmod),
    (nr::__NR_chown, attributes::chown),
    (nr::__NR_fchown, attributes::fchown),
    (nr::__NR_lchown, attributes::lchown),
    (nr::__NR_umask, paths::umask),
    (nr::__NR_gettimeofday, time::gettimeofday),
    (nr::__NR_getrlimit, limits::getrlimit),
    (nr::__NR_getrusage, time::getrusage),
    (nr::__NR_sysinfo, system::sysinfo),
    (nr::__NR_times, time::times),
    (nr::__NR_getuid, identity::getuid),
    (nr::__NR_getgid, identity::getgid),
    (nr::__NR_setuid, identity::setuid),
    (nr::__NR_setgid, identity::setgid),
    (nr::__NR_geteuid, identity::geteuid),
    (nr::__NR_getegid, identity::getegid),
    (nr::__NR_setpgid, identity::setpgid),
    (nr::__NR_getppid, identity::getppid),
    (nr::__NR_getpgrp, identity::getpgrp),
    (nr::__NR_setsid, identity::setsid),
    (nr::__NR_setreuid, identity::setreuid),
    (nr::__NR_setregid, identity::setregid),
    (nr::__NR_getgroups, identity::getgroups),
    (nr::__NR_setgroups, identity::setgroups),
    (nr::__NR_setresuid, identity::setresuid),
    (nr::__NR_getresuid, identity::getresuid),
    (nr::__NR_setresgid, identity::setresgid),
    (nr::__NR_getresgid, identity::getresgid),
    (nr::__NR_getpgid, identity::getpgid),
    (nr::__NR_getsid, identity::getsid),
    (nr::__NR_rt_sigpending, signals::rt_sigpending),
    (nr::__NR_rt_sigtimedwait, signals::rt_sigtimedwait),
    (nr::__NR_rt_sigqueueinfo, signals::rt_sigqueueinfo),
    (nr::__NR_rt_sigsuspend, signals::rt_sigsuspend),
    (nr::__NR_sigaltstack, signals::sigaltstack),
    (nr::__NR_utime, attributes::utime),
    (nr::__NR_mknod, paths::mknod),
    (nr::__NR_statfs, attributes::statfs),
    (nr::__NR_fstatfs, attributes::fstatfs),
    (nr::__NR_getpriority, scheduling::getpriority),
    (nr::__NR_setpriority, scheduling::setpriority),
    (nr::__NR_sched_setparam, scheduling::sched_setparam),
    (nr::__NR_sched_getparam, scheduling::sched_getparam),
    (nr::__NR_sched_setscheduler, scheduling::sched_setscheduler),
    (nr::__NR_sched_getscheduler, scheduling::sched_getscheduler),
    (
        nr::__NR_sched_get_priority_max,
        scheduling::sched_get_priority_max,
    ),
    (
        nr::__NR_sched_get_priority_min,
        scheduling::sched_get_priority_min,
    ),
    (
        nr::__NR_sched_rr_get_interval,
        scheduling::sched_rr_get_interval,
    ),
    (nr::__NR_prctl, system::prctl),
    (nr::__NR_arch_prctl, threads::arch_prctl),
    (nr::__NR_setrlimit, limits::setrlimit),
    (nr::__NR_chroot, paths::chroot),
    (nr::__NR_sync, paths::sync),
    (nr::__NR_mount, paths::mount),
    (nr::__NR_umount2, paths::umount2),
    (nr::__NR_reboot, system::reboot),
    (nr::__NR_gettid, identity::gettid),
    (nr::__NR_tkill, signals::tkill),
    (nr::__NR_time, time::time),
    (nr::__NR_futex, futex::futex),
    (nr::__NR_sched_setaffinity, scheduling::sched_setaffinity),
    (nr::__NR_sched_getaffinity, scheduling::sched_getaffinity),
    (nr::__NR_getdents64, descriptors::getdents64),
    (nr::__NR_set_tid_address, threads::set_tid_address),
    (nr::__NR_clock_gettime, time::clock_gettime),
    (nr::__NR_clock_getres, time::clock_getres),
    (nr::__NR_clock_nanosleep, time::clock_nanosleep),
    (nr::__NR_exit_group, process::exit_group),
    (nr::__NR_tgkill, signals::tgkill),
    (nr::__NR_utimes, attributes::utimes),
    (nr::__NR_waitid, wait::waitid),
    (nr::__NR_openat, paths::openat),
    (nr::__NR_mkdirat, paths::mkdirat),
    (nr::__NR_mknodat, paths::mknodat),
    (nr::__NR_fchownat, attributes::fchownat),
    (nr::__NR_futimesat, attributes::futimesat),
    (nr::__NR_newfstatat, attributes::newfstatat),
    (nr::__NR_unlinkat, paths::unlinkat),
    (nr::__NR_renameat, paths::renameat),
    (nr::__NR_linkat, paths::linkat),
    (nr::__NR_symlinkat, paths::symlinkat),
    (nr::__NR_readlinkat, paths::readlinkat),
    (nr::__NR_fchmodat, attributes::fchmodat),
    (nr::__NR_faccessat, attributes::faccessat),
    (nr::__NR_pselect6, poll::pselect6),
    (nr::__NR_ppoll, poll::ppoll),
    (nr::__NR_set_robust_list, threads::set_robust_list),
    (nr::__NR_get_robust_list, threads::get_robust_list),
    (nr::__NR_utimensat, attributes::utimensat),
    (nr::__NR_dup3, descriptors::dup3),
    (nr::__NR_pipe2, paths::pipe2),
    (nr::__NR_preadv, io::preadv),
    (nr::__NR_pwritev, io::pwritev),
    (nr::__NR_rt_tgsigqueueinfo, signals::rt_tgsigqueueinfo),
    (nr::__NR_prlimit64, limits::prlimit64),
    (nr::__NR_getcpu, scheduling::getcpu),
    (nr::__NR_renameat2, paths::renameat2),
    (nr::__NR_getrandom, system::getrandom),
    (nr::__NR_execveat, exec::execveat),
    (nr::__NR_copy_file_range, io::copy_file_range),
    (nr::__NR_preadv2, io::preadv2),
    (nr::__NR_pwritev2, io::pwritev2),
    (nr::__NR_statx, attributes::statx),
    (nr::__NR_close_range, descriptors::close_range),
    (nr::__NR_faccessat2, attributes::faccessat2),
    (CHECK_MEMORY_VIOLATION, limits::check_memory_violation),
    (nr::__NR_fchmodat2, attributes::fchmodat2),
];
