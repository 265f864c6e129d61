//! Programs that exist to test the system: its isolation, its scheduler, its accounting.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::Command;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::simple::seconds;
use crate::cx::{Cx, Fail, Outcome, cause};
use crate::opts::number;
use crate::sys::{fault, system};

/// Ends a program that should have been killed.
fn survived() -> Outcome {
    Err(Fail::new("survived: the system did not stop it"))
}

/// `segv`: reads address 0; killed by SIGSEGV.
pub fn segv(_: &mut Cx) -> Outcome {
    fault::read_null();
    survived()
}

/// `kwrite`: writes to the kernel's half of the address space; killed by SIGSEGV.
pub fn kwrite(_: &mut Cx) -> Outcome {
    fault::write_kernel();
    survived()
}

/// `execdata`: jumps into a page of data; killed by SIGSEGV.
pub fn execdata(_: &mut Cx) -> Outcome {
    fault::execute_data();
    survived()
}

/// `divzero`: divides by zero in hardware; killed by SIGFPE.
pub fn divzero(_: &mut Cx) -> Outcome {
    fault::divide_by_zero();
    survived()
}

/// Keeps the processor busy for about a millisecond or less.
fn busy() {
    for step in 0..100_000u32 {
        std::hint::black_box(step);
    }
}

/// `spin [SECONDS]`: busy, then prints the processor it runs on. Without SECONDS for ever.
pub fn spin(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    let limit =
        match opts.operands.first() {
            None => None,
            Some(text) => Some(seconds(&text.to_string_lossy()).ok_or_else(|| {
                Fail::usage(format!("{}: is no number of seconds", text.display()))
            })?),
        };
    let start = Instant::now();
    while limit.is_none_or(|limit| start.elapsed().as_secs_f64() < limit) {
        busy();
    }
    let cpu = system::current_processor().map_err(|why| Fail::on("getcpu", &why))?;
    writeln!(cx.out, "{cpu}")?;
    Ok(0)
}

/// How long `cpus` keeps its threads busy.
const BUSY_TIME: Duration = Duration::from_millis(300);

/// `cpus N`: N busy threads at once; prints the numbers of the processors they ran on.
pub fn cpus(cx: &mut Cx) -> Outcome {
    let count: usize = count(cx)?;
    let seen = Mutex::new(BTreeSet::new());
    let start = Barrier::new(count);
    let run = || -> io::Result<()> {
        start.wait();
        let begin = Instant::now();
        let mut mine = BTreeSet::new();
        while begin.elapsed() < BUSY_TIME {
            busy();
            mine.insert(system::current_processor()?);
        }
        seen.lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .extend(mine);
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(run)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })
    })
    .map_err(|why| Fail::on("getcpu", &why))?;
    let seen = seen
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let numbers: Vec<String> = seen.iter().map(u32::to_string).collect();
    writeln!(cx.out, "{}", numbers.join(" "))?;
    Ok(0)
}

fn count(cx: &Cx) -> Result<usize, Fail> {
    let opts = cx.options("")?;
    let count = opts.operands.first().and_then(|text| number(text));
    count
        .filter(|count| (1..=100_000).contains(count))
        .ok_or_else(|| Fail::usage("needs a count"))
}

/// `forkloop N`: N times fork, exec of `true` and wait; prints `ok`.
pub fn forkloop(cx: &mut Cx) -> Outcome {
    for turn in 1..=count(cx)? {
        match Command::new("true").status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(Fail::new(format!("turn {turn}: true ended with {status}"))),
            Err(why) => return Err(Fail::on(format!("turn {turn}: true"), &why)),
        }
    }
    writeln!(cx.out, "ok")?;
    Ok(0)
}

/// `syscall NUMBER`: makes a system call with zeros; prints its result or the error's name.
pub fn syscall(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    let call = opts.operands.first().and_then(|text| number(text));
    let call = call.ok_or_else(|| Fail::usage("needs a system call's number"))?;
    match system::raw_call(call) {
        Ok(result) => writeln!(cx.out, "{result}")?,
        Err(why) => writeln!(cx.out, "{}", error_name(&why))?,
    }
    Ok(0)
}

/// `ENOSYS` and the like.
pub fn error_name(why: &io::Error) -> String {
    let names = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::ESRCH, "ESRCH"),
        (libc::EINTR, "EINTR"),
        (libc::EBADF, "EBADF"),
        (libc::ECHILD, "ECHILD"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EACCES, "EACCES"),
        (libc::EFAULT, "EFAULT"),
        (libc::EBUSY, "EBUSY"),
        (libc::EEXIST, "EEXIST"),
        (libc::ENODEV, "ENODEV"),
        (libc::ENOTDIR, "ENOTDIR"),
        (libc::EINVAL, "EINVAL"),
        (libc::ENFILE, "ENFILE"),
        (libc::EMFILE, "EMFILE"),
        (libc::EFBIG, "EFBIG"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::ENOTTY, "ENOTTY"),
        (libc::ESPIPE, "ESPIPE"),
        (libc::ERANGE, "ERANGE"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::ENOTSOCK, "ENOTSOCK"),
        (libc::EOPNOTSUPP, "EOPNOTSUPP"),
    ];
    let known = names
        .iter()
        .find(|(number, _)| Some(*number) == why.raw_os_error());
    known.map_or_else(|| cause(why), |(_, name)| name.to_string())
}
