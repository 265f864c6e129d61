//! A test program: signal handlers use the vector registers, and what they interrupt keeps its own.
//!
//! It fills the registers, lets signals come (one that it sends itself, then many by a timer), whose
//! handler fills them with something else, and looks. Status 0: all is well; the width that was
//! tested is printed. Not part of the image: the tests put it on a disk of theirs.

#[cfg(target_arch = "x86_64")]
fn main() {
    std::process::exit(check::run());
}

#[cfg(target_arch = "x86_64")]
mod check {
    use std::arch::asm;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Signals by the timer.
    const SIGNALS: u32 = 50;
    /// Its period.
    const MICROSECONDS: i64 = 2000;

    static HANDLED: AtomicU32 = AtomicU32::new(0);

    type Vectors = [[u8; 32]; 16];

    fn pattern(seed: u8, width: usize) -> Vectors {
        let mut vectors = [[0; 32]; 16];
        for (number, vector) in vectors.iter_mut().enumerate() {
            vector[..width].fill(seed ^ number as u8);
        }
        vectors
    }

    fn width() -> usize {
        if is_x86_feature_detected!("avx") {
            32
        } else {
            16
        }
    }

    macro_rules! for_each_vector {
        ($line:literal, $at:expr) => {
            asm!(".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", $line, ".endr", in("rax") $at,
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
                out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _,
                out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _, out("xmm14") _,
                out("xmm15") _)
        };
    }

    extern "C" fn handler(_: i32) {
        let other = pattern(0xa5, width());
        // SAFETY: the assembly names the registers that it changes.
        unsafe {
            match width() {
                32 => for_each_vector!("vmovdqu ymm\\i, [rax + 32 * \\i]", &raw const other),
                _ => for_each_vector!("movdqu xmm\\i, [rax + 32 * \\i]", &raw const other),
            }
        }
        HANDLED.fetch_add(1, Relaxed);
    }

    /// Loads, waits until a signal has been handled (which assembly alone does: compiled code would use the
    /// registers), and stores.
    fn round(own: &Vectors, found: &mut Vectors) {
        let before = HANDLED.load(Relaxed);
        let pid = std::process::id() as u64;
        let own = own as *const Vectors;
        // SAFETY: the arrays have room, and every register that changes is named. The system call is
        // kill(pid, SIGUSR1), once at the start, where no timer runs yet.
        unsafe {
            macro_rules! go {
                ($load:literal, $store:literal) => {
                    asm!(
                        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", $load, ".endr",
                        "test {before:e}, {before:e}",
                        "jnz 3f",
                        "mov eax, 62",
                        "mov esi, 10",
                        "syscall",
                        "3: cmp [{handled}], {before:e}",
                        "pause",
                        "je 3b",
                        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", $store, ".endr",
                        own = in(reg) own,
                        found = in(reg) found,
                        before = in(reg) before,
                        handled = in(reg) HANDLED.as_ptr(),
                        in("rdi") pid, out("rsi") _, out("rax") _, out("rcx") _, out("r11") _,
                        out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
                        out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _,
                        out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
                        out("xmm14") _, out("xmm15") _,
                    )
                };
            }
            match width() {
                32 => go!(
                    "vmovdqu ymm\\i, [{own} + 32 * \\i]",
                    "vmovdqu [{found} + 32 * \\i], ymm\\i"
                ),
                _ => go!(
                    "movdqu xmm\\i, [{own} + 32 * \\i]",
                    "movdqu [{found} + 32 * \\i], xmm\\i"
                ),
            }
        }
    }

    fn start_signals() {
        let action = handler as extern "C" fn(i32) as usize;
        let interval = libc::timeval {
            tv_sec: 0,
            tv_usec: MICROSECONDS,
        };
        let timer = libc::itimerval {
            it_interval: interval,
            it_value: interval,
        };
        // SAFETY: the handler is async-signal-safe; the timer is a valid record.
        unsafe {
            libc::signal(libc::SIGUSR1, action);
            libc::signal(libc::SIGALRM, action);
            if HANDLED.load(Relaxed) != 0 {
                libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
            }
        }
    }

    pub fn run() -> i32 {
        let width = width();
        start_signals();
        for seed in 0..SIGNALS as u8 {
            let own = pattern(seed, width);
            let mut found = [[0; 32]; 16];
            round(&own, &mut found);
            if let Some(number) = (0..16).find(|&number| found[number] != own[number]) {
                println!("register {number} changed: {:x?}", found[number]);
                return 1;
            }
            if seed == 0 {
                start_signals();
            }
        }
        println!("{width} bytes");
        0
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {}
