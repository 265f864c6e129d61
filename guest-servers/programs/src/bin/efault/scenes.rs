//! Addresses that a call only keeps, and what comes of them: at a thread's end, in a signal's frame, in lengths.

use crate::child::{self, End};
use crate::places::{ALL, FERRIX, FEW, GOOD, Kind, RIGHT};
use crate::raw::{call, words};
use crate::run::on_ferrix;
use std::arch::asm;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// What is tried with each wrong address, in a process of its own.
struct Scene {
    /// The call that it is about.
    call: &'static str,
    what: &'static str,
    play: fn(usize) -> i32,
    /// How the process must end.
    end: End,
    /// Kinds that are left out.
    left_out: u32,
}

const SEGV: End = End::Signal(libc::SIGSEGV);
/// Where a signal's frame can be written to after all.
const WRITABLE: u32 = RIGHT | Kind::Edge.bit() | Kind::Short.bit() | Kind::Fence.bit();
/// There the first instruction fetched is another matter than the address.
const NO_CODE: u32 = WRITABLE | Kind::Text.bit() | Kind::Beyond.bit() | FERRIX;

const SCENES: &[Scene] = &[
    Scene {
        call: "set_robust_list",
        what: "the list's head",
        play: bad_head,
        end: End::Exit(0),
        left_out: 0,
    },
    Scene {
        call: "set_robust_list",
        what: "an entry",
        play: bad_entry,
        end: End::Exit(0),
        left_out: 0,
    },
    Scene {
        call: "set_robust_list",
        what: "a pending entry",
        play: bad_pending,
        end: End::Exit(0),
        left_out: 0,
    },
    Scene {
        call: "set_robust_list",
        what: "a word",
        play: bad_word,
        end: End::Exit(0),
        left_out: 0,
    },
    Scene {
        call: "set_tid_address",
        what: "the word to clear",
        play: bad_tid,
        end: End::Exit(0),
        left_out: 0,
    },
    Scene {
        call: "rt_sigaction",
        what: "the handler",
        play: bad_handler,
        end: SEGV,
        left_out: NO_CODE | Kind::Null.bit(),
    },
    Scene {
        call: "rt_sigaction",
        what: "the stack",
        play: bad_stack,
        end: SEGV,
        left_out: WRITABLE | FERRIX | !FEW,
    },
    Scene {
        call: "sigaltstack",
        what: "the stack",
        play: bad_alternate,
        end: SEGV,
        left_out: WRITABLE | !FEW,
    },
    Scene {
        call: "rt_sigreturn",
        what: "the frame",
        play: bad_frame,
        end: SEGV,
        left_out: RIGHT | !FEW,
    },
    Scene {
        call: "writev",
        what: "lengths",
        play: bad_lengths,
        end: End::Exit(0),
        left_out: !Kind::Null.bit(),
    },
];

/// Plays the scenes about chosen calls; how many addresses were tried.
pub fn run(
    chosen: &dyn Fn(&'static str) -> bool,
    kinds: u32,
    failed: &mut u32,
) -> io::Result<usize> {
    let mut tried = 0;
    for scene in SCENES.iter().filter(|scene| chosen(scene.call)) {
        let left_out = scene.left_out | !kinds | if on_ferrix() { 0 } else { FERRIX };
        let kinds: Vec<Kind> = ALL
            .iter()
            .copied()
            .filter(|kind| left_out & kind.bit() == 0)
            .collect();
        tried += kinds.len();
        // What comes back plays it again with the next address.
        let at_once = if scene.end == SEGV { 1 } else { kinds.len() };
        for some in kinds.chunks(at_once) {
            let play = || some.iter().map(|kind| (scene.play)(kind.address(16))).sum();
            let end = child::run(play)?;
            if end != scene.end {
                *failed += 1;
                println!("{}, {}: {end:?} with {some:?}", scene.call, scene.what);
            }
        }
    }
    Ok(tried)
}

/// The thread that ends, once it has begun.
static TID: AtomicUsize = AtomicUsize::new(0);

/// A thread ends; then the process.
fn end_of_thread(head: [u64; 3], clear: usize) -> i32 {
    TID.store(0, SeqCst);
    std::thread::spawn(move || {
        let head: &'static [u64; 3] = Box::leak(Box::new(head));
        let at = if head[0] == 0 {
            head[2] as usize
        } else {
            head.as_ptr() as usize
        };
        // SAFETY: the kernel looks at the list when the thread ends, and believes nothing. Nothing is expected of
        // the thread afterwards: it is never joined.
        unsafe {
            call(libc::SYS_set_robust_list, [at, 24, 0, 0, 0, 0]);
            let tid = call(libc::SYS_set_tid_address, [clear, 0, 0, 0, 0, 0]);
            TID.store(tid as usize, SeqCst);
            call(libc::SYS_exit, [0; 6]);
        }
    });
    let gone = -(libc::ESRCH as isize);
    loop {
        let tid = TID.load(SeqCst);
        // SAFETY: no signal is sent.
        if tid != 0 && unsafe { call(libc::SYS_tkill, [tid, 0, 0, 0, 0, 0]) } == gone {
            return 0;
        }
        std::thread::yield_now();
    }
}

fn bad_head(address: usize) -> i32 {
    end_of_thread([0, 0, address as u64], 0)
}

fn bad_entry(address: usize) -> i32 {
    end_of_thread([address as u64 | 1, 0, 0], 0)
}

fn bad_pending(address: usize) -> i32 {
    let entry = words([GOOD as u64 + 64]);
    // SAFETY: the page is for tests.
    unsafe { crate::raw::poke(GOOD + 64, &entry) };
    end_of_thread([GOOD as u64 + 64, 0, address as u64], 0)
}

/// The entry is there; the word beside it is wrong.
fn bad_word(address: usize) -> i32 {
    let entry = words([GOOD as u64 + 64]);
    // SAFETY: the page is for tests.
    unsafe { crate::raw::poke(GOOD + 64, &entry) };
    end_of_thread(
        [
            GOOD as u64 + 64,
            (address as u64).wrapping_sub(GOOD as u64 + 64),
            0,
        ],
        0,
    )
}

fn bad_tid(address: usize) -> i32 {
    end_of_thread([GOOD as u64, 0, 0], address)
}

/// An action of the kernel's form.
fn act(handler: usize, flags: i32) {
    let restorer = 0x0400_0000;
    let action = words([handler as u64, flags as u64 | restorer, 0, 0]);
    // SAFETY: the structure is a local.
    unsafe {
        call(
            libc::SYS_rt_sigaction,
            [libc::SIGUSR1 as usize, action.as_ptr() as usize, 0, 8, 0, 0],
        )
    };
}

fn raise() {
    // SAFETY: numbers only.
    unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
}

fn bad_handler(address: usize) -> i32 {
    act(address, 0);
    raise();
    1
}

extern "C" fn handler() {}

fn bad_stack(address: usize) -> i32 {
    act(handler as *const () as usize, 0);
    // SAFETY: the signal cannot be delivered on this stack, and ends the process.
    unsafe {
        let pid = libc::getpid();
        asm!(
            "mov rsp, {stack}",
            "syscall",
            "mov eax, 60",
            "mov edi, 1",
            "syscall",
            stack = in(reg) address,
            in("rax") libc::SYS_kill,
            in("rdi") i64::from(pid),
            in("rsi") i64::from(libc::SIGUSR1),
            options(noreturn),
        );
    }
}

fn bad_alternate(address: usize) -> i32 {
    let stack = words([address as u64, 0, 4096]);
    act(handler as *const () as usize, libc::SA_ONSTACK);
    // SAFETY: the structure is a local.
    unsafe {
        call(
            libc::SYS_sigaltstack,
            [stack.as_ptr() as usize, 0, 0, 0, 0, 0],
        )
    };
    raise();
    1
}

fn bad_frame(address: usize) -> i32 {
    // SAFETY: there is no frame, which ends the process.
    unsafe {
        asm!("mov rsp, {stack}", "syscall", "ud2", stack = in(reg) address, in("rax") libc::SYS_rt_sigreturn,
            options(noreturn));
    }
}

/// Lengths that no buffer has: an error, or as much as there is.
fn bad_lengths(_: usize) -> i32 {
    // The environment's own.
    let Ok(file) = OpenOptions::new().read(true).write(true).open("other") else {
        return 2;
    };
    let fd = file.as_raw_fd() as usize;
    let huge = [usize::MAX, 1 << 63, (1 << 63) - 1];
    let invalid = -(libc::EINVAL as isize);
    let mut wrong = 0;
    for length in huge {
        for number in [libc::SYS_writev, libc::SYS_readv] {
            let two = words([GOOD as u64, 8, GOOD as u64, length as u64]);
            // SAFETY: what is read and written is memory for tests.
            let result = unsafe { call(number, [fd, two.as_ptr() as usize, 2, 0, 0, 0]) };
            // The largest length is one, but leads out of the address space.
            let right = match (length as isize) < 0 {
                true => result == invalid,
                false => result >= 0 || result == -(libc::EFAULT as isize),
            };
            if !right {
                println!("{number} with the length {length:#x}: {result}");
                wrong += 1;
            }
        }
    }
    for (count, at) in [(1025, GOOD), (usize::MAX, GOOD), (1 << 20, GOOD)] {
        // SAFETY: as above.
        let result = unsafe { call(libc::SYS_writev, [fd, at, count, 0, 0, 0]) };
        if result != invalid {
            println!("writev with {count} buffers: {result}");
            wrong += 1;
        }
    }
    wrong
}
