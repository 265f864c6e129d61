//! What the monitor's own threads may ask of the host: a seccomp filter for each kind of thread.
//!
//! A guest that finds a hole in a device gets a thread that cannot open a file, make a connection or start a
//! program: all that the machine needs is open before the guest's first instruction. Two filters lie
//! on top of each other: one for all threads turns opening into an error (libraries look for files
//! that they can do without), and one for each thread ends the process at any call that is not on its list.

use std::collections::BTreeMap;
use std::io;
use std::os::raw::{c_int, c_void};

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use vmm_sys_util::signal::register_signal_handler;

use crate::console::terminal;
use crate::run::OnCrash;
use crate::status::ExitStatus;

/// Whether threads are confined (`--seccomp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sandbox {
    /// They are.
    #[default]
    On,
    /// They may do what the user may do.
    Off,
}

/// A kind of thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The event loop, once the machine runs; it deals with a guest that died.
    Main(OnCrash),
    /// Runs a vCPU.
    Vcpu,
    /// Serves a disk.
    Disk,
}

/// System calls, or requests to devices, by their names.
macro_rules! calls {
    ($($name:ident)*) => { &[$(libc::$name),*] };
}

/// Memory, locks, signals and the end: what every thread needs.
const COMMON: &[c_long] = calls! {
    SYS_read SYS_write SYS_writev SYS_pread64 SYS_close SYS_poll SYS_ppoll SYS_fstat SYS_futex
    SYS_munmap SYS_mremap SYS_madvise SYS_brk SYS_rt_sigreturn SYS_rt_sigprocmask
    SYS_sigaltstack SYS_restart_syscall SYS_sched_yield SYS_sched_getaffinity SYS_clock_gettime
    SYS_timerfd_settime SYS_getrandom SYS_gettid SYS_exit SYS_exit_group
};
/// A panic's abort, and the signal that makes a vCPU leave the guest.
const SIGNALS: &[c_long] = calls! {
    SYS_getpid SYS_tgkill SYS_rt_sigaction
};
/// These are errors already, by the first filter.
const REFUSED: &[c_long] = calls! {
    SYS_open SYS_openat SYS_readlink
};
const EVENTS: &[c_long] = calls! {
    SYS_eventfd2 SYS_epoll_create1 SYS_epoll_wait SYS_epoll_pwait SYS_epoll_ctl SYS_lseek
};
/// The debugger's connection.
const CONNECTION: &[c_long] = calls! {
    SYS_accept4 SYS_recvfrom SYS_sendto SYS_setsockopt SYS_getsockopt SYS_shutdown SYS_fcntl
};
const DISK: &[c_long] = calls! {
    SYS_preadv SYS_pwritev SYS_pwrite64 SYS_fdatasync SYS_fallocate
};

/// Fills a core file, and gives it its name or takes that away.
const CORE_FILE: &[c_long] = calls! {
    SYS_pwrite64 SYS_ftruncate SYS_linkat SYS_unlink
};

/// `KVMIO` in the byte of an ioctl's number that names the driver.
const KVM: (u64, u64) = (0xff00, 0xae00);
/// The terminal's settings and size, and whether reading a connection waits.
const OTHERS: &[u64] = calls! {
    TCGETS TCSETS TCSETSW TCGETS2 TCSETS2 TCSETSW2 TIOCGWINSZ FIONBIO
};

/// `si_syscall` of a SIGSYS, in words from the start of its `siginfo_t` (`sigaction(2)`).
const SIGSYS_CALL: usize = 6;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Compiled<T> = Result<T, seccompiler::Error>;

impl Sandbox {
    /// For the thread that starts all others, when everything is open.
    pub fn prepare(self) -> io::Result<()> {
        if self == Self::Off {
            return Ok(());
        }
        register_signal_handler(libc::SIGSYS, blocked)?;
        let rules = REFUSED.iter().map(|&call| (call, Vec::new())).collect();
        let refuse = SeccompAction::Errno(libc::EACCES as u32);
        compile(rules, SeccompAction::Allow, refuse)
            .and_then(|filter| apply_filter(&filter))
            .map_err(io::Error::other)
    }

    /// Confines the calling thread from now on.
    ///
    /// # Panics
    /// If the host refuses, which it did not in [`Self::prepare`].
    pub fn enter(self, role: Role) {
        if self == Self::On {
            let filter = filter(role).and_then(|filter| apply_filter(&filter));
            filter.unwrap_or_else(|error| panic!("cannot confine a thread: {error}"));
        }
    }
}

fn filter(role: Role) -> Compiled<BpfProgram> {
    let own: &[&[c_long]] = match role {
        Role::Main(OnCrash::Dump) => &[EVENTS, CONNECTION, CORE_FILE],
        Role::Main(OnCrash::Exit | OnCrash::WaitGdb) => &[EVENTS, CONNECTION],
        Role::Vcpu => &[],
        Role::Disk => &[DISK],
    };
    let lists = [COMMON, SIGNALS, REFUSED];
    let calls = lists.iter().chain(own).flat_map(|list| list.iter());
    let mut rules: Rules = calls.map(|&call| (call, Vec::new())).collect();
    // New memory is never code.
    let data = condition(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0)?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![data.clone()])?]);
    }
    rules.insert(libc::SYS_ioctl, ioctls(role)?);
    compile(rules, SeccompAction::Trap, SeccompAction::Allow)
}

/// The terminal is for whoever has to restore it.
fn ioctls(role: Role) -> Compiled<Vec<SeccompRule>> {
    let mut conditions = Vec::new();
    for &command in OTHERS {
        conditions.push(condition(1, SeccompCmpOp::Eq, command)?);
    }
    if role != Role::Disk {
        conditions.push(condition(1, SeccompCmpOp::MaskedEq(KVM.0), KVM.1)?);
    }
    let rule = |one| Ok(SeccompRule::new(vec![one])?);
    conditions.into_iter().map(rule).collect()
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Compiled<SeccompCondition> {
    let length = SeccompCmpArgLen::Dword;
    Ok(SeccompCondition::new(argument, length, operator, value)?)
}

fn compile(rules: Rules, otherwise: SeccompAction, listed: SeccompAction) -> Compiled<BpfProgram> {
    let filter = SeccompFilter::new(rules, otherwise, listed, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}

/// A call that is on no list: the terminal is restored, and the monitor is gone.
extern "C" fn blocked(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    terminal::restore_now();
    // SAFETY: the kernel hands a whole `siginfo_t` to the handler; of SIGSYS it has the call there.
    let call = unsafe { *info.cast::<c_int>().add(SIGSYS_CALL) };
    let mut text = *b"vmm: system call 000 is blocked; if the guest did nothing odd, report it and use --seccomp off\n";
    for (place, power) in [(17, 100), (18, 10), (19, 1)] {
        text[place] = b'0' + (call / power % 10) as u8;
    }
    // SAFETY: the buffer is valid for its length.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(ExitStatus::Host.code().into()) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn each_filter_compiles_and_is_of_a_size_that_linux_takes() {
        for role in [Role::Main(OnCrash::Dump), Role::Vcpu, Role::Disk] {
            assert!(filter(role).unwrap().len() < 4096);
        }
    }

    /// Runs one of the tests below, which are only to be run in a process of their own.
    fn alone(name: &str) -> std::process::Output {
        Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                &format!("sandbox::tests::{name}"),
                "--ignored",
                "--nocapture",
            ])
            .args(["--test-threads", "1"])
            .output()
            .unwrap()
    }

    #[test]
    fn a_confined_thread_opens_nothing_and_dies_of_anything_else() {
        let output = alone("confined");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(70), "{text}");
        assert!(text.contains("opened nothing"), "{text}");
        assert!(
            text.contains("system call 041 is blocked"),
            "socket: {text}"
        );
    }

    #[test]
    #[ignore = "confines the process that runs it"]
    fn confined() {
        Sandbox::On.prepare().unwrap();
        std::thread::spawn(|| {
            Sandbox::On.enter(Role::Disk);
            let error = std::fs::File::open("/etc/passwd").unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            eprintln!("opened nothing");
            let _ = std::net::UdpSocket::bind("127.0.0.1:0");
            eprintln!("made a socket");
        })
        .join()
        .unwrap();
    }
}
