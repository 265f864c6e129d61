//! Programs that want more than there is: `eat` takes one kind of thing until it gets no more, `bomb` forks.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::faults::error_name;
use super::simple::seconds;
use crate::cx::{Cx, Fail, Outcome};
use crate::opts::number;
use crate::sys::fd::pipe;
use crate::sys::memory::{self, PAGE};
use crate::sys::process::{self, Fork};

/// Takes one more of something that it keeps.
type Bite = Box<dyn FnMut(usize) -> io::Result<()>>;

/// What can be eaten: its name, what a bite is, and how to begin.
type Kind = (&'static str, &'static str, fn() -> io::Result<Bite>);

const KINDS: &[Kind] = &[
    ("heap", "MiB from malloc", heap),
    ("pages", "pages touched", pages),
    ("tables", "pages far apart", tables),
    ("maps", "mappings", maps),
    ("lock", "pages locked", locked),
    ("file", "times 64 KiB of a file in /dev/shm", file),
    ("memfd", "times 64 KiB of a memory file", memory_file),
    ("segments", "shared segments of 1 MiB", segments),
    ("fds", "open files", descriptors),
    ("pipes", "full pipes", pipes),
    ("threads", "threads", threads),
    ("processes", "processes", processes),
];

/// `eat KIND [MOST]`: takes more and more (at most MOST) of a kind, then says why it got no more and how many it had.
pub fn eat(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    let (kind, most) = match opts.operands.as_slice() {
        [kind] => (kind, usize::MAX),
        [kind, most] => (
            kind,
            number(most).ok_or_else(|| Fail::usage("MOST is a number"))?,
        ),
        _ => return Err(Fail::usage("needs a kind")),
    };
    let known = KINDS.iter().find(|(name, ..)| kind == name);
    let (name, unit, begin) = known.ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|(name, ..)| *name).collect();
        Fail::usage(format!(
            "{}: is none of {}",
            kind.display(),
            names.join(", ")
        ))
    })?;
    let mut bite = begin().map_err(|why| Fail::on(name, &why))?;
    let mut count = 0;
    let why = loop {
        if count == most {
            break "enough".to_string();
        }
        match bite(count) {
            Ok(()) => count += 1,
            Err(why) => break error_name(&why),
        }
    };
    writeln!(cx.out, "eat: {name}: {why} after {count} {unit}")?;
    Ok(0)
}

/// What files grow by.
static PIECE: [u8; 64 << 10] = [1; 64 << 10];

fn heap() -> io::Result<Bite> {
    const PIECE: usize = 1 << 20;
    let mut kept: Vec<Vec<u8>> = Vec::new();
    Ok(Box::new(move |_| {
        let mut piece = Vec::new();
        piece
            .try_reserve_exact(PIECE)
            .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        piece.resize(PIECE, 1);
        kept.push(piece);
        Ok(())
    }))
}

/// Memory that is only promised, more than there is.
fn promise(bytes: usize) -> io::Result<usize> {
    let how = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    memory::map(0, bytes, (access, how), -1, 0)
}

fn pages() -> io::Result<Bite> {
    let start = promise(1 << 40)?;
    Ok(Box::new(move |count| {
        memory::poke(start + count * PAGE, 1);
        Ok(())
    }))
}

fn tables() -> io::Result<Bite> {
    let start = promise(1 << 43)?;
    Ok(Box::new(move |count| {
        memory::poke(start + count * (1 << 28), 1);
        Ok(())
    }))
}

fn maps() -> io::Result<Bite> {
    let start = promise(1 << 40)?;
    Ok(Box::new(move |count| {
        let prot = libc::PROT_READ as usize;
        memory::protect(start + 2 * count * PAGE, PAGE, prot).map(drop)
    }))
}

fn locked() -> io::Result<Bite> {
    let start = promise(1 << 40)?;
    Ok(Box::new(move |count| {
        memory::lock(start + count * PAGE, PAGE).map(drop)
    }))
}

fn file() -> io::Result<Bite> {
    let path = format!("/dev/shm/eat-{}", std::process::id());
    let mut file = File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    // Its end is the file's.
    std::fs::remove_file(path)?;
    Ok(Box::new(move |_| file.write_all(&PIECE)))
}

fn memory_file() -> io::Result<Bite> {
    let fd = memory::memory_file("eat", 0)?;
    Ok(Box::new(move |_| memory::append(fd, &PIECE)))
}

fn segments() -> io::Result<Bite> {
    const SIZE: usize = 1 << 20;
    Ok(Box::new(|_| {
        let id = memory::segment(libc::IPC_PRIVATE as usize, SIZE, 0o600)?;
        let at = memory::attach(id, 0, 0);
        // It goes with its last attachment.
        memory::remove_segment(id)?;
        let at = at?;
        (0..SIZE / PAGE).for_each(|page| memory::poke(at + page * PAGE, 1));
        Ok(())
    }))
}

fn descriptors() -> io::Result<Bite> {
    let mut kept = Vec::new();
    Ok(Box::new(move |_| {
        kept.push(File::open("/dev/null")?);
        Ok(())
    }))
}

fn pipes() -> io::Result<Bite> {
    let mut kept = Vec::new();
    Ok(Box::new(move |_| {
        let (reader, writer) = pipe()?;
        let mut writer = File::from(writer);
        memory::set_non_blocking(&writer)?;
        // Whatever it takes.
        while writer.write(&[1; PAGE]).is_ok() {}
        kept.push((reader, writer));
        Ok(())
    }))
}

/// What the threads of [`threads`] wait for, in vain.
static END: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

fn wait_for_ever() {
    let mut guard = END
        .0
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    loop {
        guard = END
            .1
            .wait(guard)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
    }
}

fn threads() -> io::Result<Bite> {
    const STACK: usize = 16 << 10;
    Ok(Box::new(|_| {
        let builder = thread::Builder::new().stack_size(STACK);
        builder.spawn(wait_for_ever).map(drop)
    }))
}

/// Children that wait until their parent, which kills them in the end, is gone.
struct Children(Vec<process::Pid>);

impl Drop for Children {
    fn drop(&mut self) {
        for pid in &self.0 {
            // It may have been killed.
            let _ = process::kill(*pid, libc::SIGKILL);
        }
        while process::wait(process::Patience::Block).is_ok() {}
    }
}

fn processes() -> io::Result<Bite> {
    let mut children = Children(Vec::new());
    let (reader, writer) = pipe()?;
    Ok(Box::new(move |_| {
        if let Ok(Some(_)) = process::wait(process::Patience::Poll) {
            // One was killed to make room: there is no more.
            return Err(io::Error::from_raw_os_error(libc::ECHILD));
        }
        match process::fork()? {
            Fork::Child => {
                // The parent's end, or its signal, ends the wait.
                memory::close(std::os::fd::AsRawFd::as_raw_fd(&writer))?;
                let mut reader = File::from(reader.try_clone()?);
                let _ = io::Read::read(&mut reader, &mut [0]);
                process::exit(0)
            }
            Fork::Parent(pid) => {
                children.0.push(pid);
                Ok(())
            }
        }
    }))
}

/// `bomb SECONDS`: this process, and all that come of it, fork until the time is over.
pub fn bomb(cx: &mut Cx) -> Outcome {
    const PAUSE: Duration = Duration::from_millis(5);
    let opts = cx.options("")?;
    let [time] = opts.operands.as_slice() else {
        return Err(Fail::usage("needs a number of seconds"));
    };
    let time = seconds(&time.to_string_lossy())
        .ok_or_else(|| Fail::usage(format!("{}: is no number of seconds", time.display())))?;
    let end = Instant::now() + Duration::from_secs_f64(time);
    let (mut forked, mut refused) = (0u64, 0u64);
    let mut first = true;
    while Instant::now() < end {
        match process::fork() {
            Ok(Fork::Child) => first = false,
            Ok(Fork::Parent(_)) => forked += 1,
            Err(_) => {
                refused += 1;
                thread::sleep(PAUSE);
            }
        }
        // Zombies count too.
        while let Ok(Some(_)) = process::wait(process::Patience::Poll) {}
    }
    while process::wait(process::Patience::Block).is_ok() {}
    if !first {
        process::exit(0);
    }
    writeln!(cx.out, "bomb: {forked} children, {refused} refused")?;
    Ok(0)
}
