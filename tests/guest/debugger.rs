//! gdb from the kernel's first instruction to its death: registers, memory, breakpoints, watchpoints, Ferrix's own
//! processes and threads, and what is left of them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use ferrix_tests::guest::BOOT_TIME;
use ferrix_tests::host::{self, Need};
use ferrix_tests::{Disk, Guest, Machine, Options, PROMPT};
use libtest_mimic::Trial;

use crate::gdb::under_monitor;
use crate::trial::{except, needs, on_monitor};

const WHY: &str = "the monitor's own gdb server; QEMU has another";
const STEPPED: &str = "QEMU's emulated SVM has no breakpoints: the monitor looks for them after each \
                       instruction, which takes minutes to the kernel's first Rust function";
const LONG: &str = "three runs of gdb in an emulated computer take minutes";
const NAMELESS: &str =
    "the emulated computer's files are an overlay, which has no files without names for a core";
/// `vmm`'s status after a panic of the guest's kernel.
const PANICKED: u8 = 253;

pub fn trials() -> Vec<Trial> {
    let stepped = |trial| except(trial, Machine::Hardware, STEPPED);
    let trials = [
        stepped(on_monitor("debugger::values_one_cpu", WHY, || values(1))),
        stepped(on_monitor("debugger::values_four_cpus", WHY, || values(4))),
        on_monitor("debugger::booted", WHY, booted),
        except(
            on_monitor("debugger::corpse", WHY, corpse),
            Machine::Hardware,
            LONG,
        ),
        except(
            on_monitor("debugger::core", WHY, core),
            Machine::Hardware,
            NAMELESS,
        ),
    ];
    trials
        .into_iter()
        .map(|trial| needs(trial, &[Need::Gdb]))
        .collect()
}

/// An expression of C, and what it must be.
type Value = (&'static str, u64);

/// In the first instruction: 32-bit protected mode, as PVH has it.
const FIRST: [Value; 19] = [
    ("$pc == (unsigned long)&_start", 1),
    ("$cs", 8),
    ("$ss", 0x10),
    ("$cr0 & 0x80000001", 1),
    ("$cr2", 0),
    ("$cr3", 0),
    ("$cr4", 0),
    ("$cr8", 0),
    ("$efer", 0),
    ("$eflags & 0x200", 0),
    ("$fs_base | $gs_base", 0),
    ("$fctrl", 0x37f),
    ("*(int*)$rbx", 0x336e_c578),
    ("$r15", 0x1122_3344_5566_7788),
    ("$xmm3.v2_int64[1]", 0x1234_5678_9abc),
    ("$mxcsr & 0xffff", 0x1f80),
    ("$st0 == 1.5", 1),
    ("$second > $first && $second < $first + 16", 1),
    ("*(unsigned char*)$second != 0xcc", 1),
];
const FIRST_COMMANDS: &str = "
set var $r15 = 0x1122334455667788
set var $xmm3.v2_int64[1] = 0x123456789abc
set var $mxcsr = 0x1f80
set var $st0 = 1.5
set $first = (unsigned long)$pc
stepi
set $second = (unsigned long)$pc
set var $pc = $first
break *$second
";

/// In the kernel's first Rust function: long mode, its own addresses.
const RUST: [Value; 10] = [
    ("$pc > 0xffffffff80000000", 1),
    ("$cr0 & 0x80000001", 0x8000_0001),
    ("$cr4 & 0x20", 0x20),
    ("$efer & 0x500", 0x500),
    ("$cs & 3", 0),
    ("$rdi", 0x6000),
    // Memory on both sides of the border of two pages, by its physical address.
    ("*(unsigned int*)0x3dffffc", 0x5566_7788),
    ("*(unsigned int*)0x3e00000", 0x1122_3344),
    ("*(unsigned short*)0x3dfffff", 0x4455),
    ("*(unsigned int*)$rbx", 0x336e_c578),
];
const RUST_COMMANDS: &str = "
set $stack = (unsigned long)$rsp
set $rbx = 0x6000
monitor memory physical
set var *(unsigned long*)0x3dffffc = 0x1122334455667788
";

/// At the watchpoint and at a hardware breakpoint behind it.
const WATCHED: [Value; 2] = [
    ("$rsp <= $stack - 8", 1),
    ("*(long*)($stack - 8) == $seen && $seen != $unseen", 1),
];
const BEHIND: [Value; 1] = [(
    "(unsigned long)$pc == (unsigned long)$behind && ($cs & 3) == 0",
    1,
)];

/// In a kernel that has booted.
const BOOTED: [Value; 4] = [
    ("*(unsigned long*)&FERRIX_DEBUG != 0", 1),
    ("$cr0 & 0x80010001", 0x8001_0001),
    ("$cr3 != 0", 1),
    ("$_inferior", 1),
];

/// What was written by physical addresses, where the kernel has all memory.
const WRITTEN: [Value; 2] = [
    ("*(unsigned int*)0xffff800003dffffc", 0x5566_7788),
    ("*(unsigned int*)0xffff800003e00000", 0x1122_3344),
];

fn values(cpus: u32) -> Result<()> {
    let disk = Disk::copy()?;
    let options = Options::new().cpus(cpus);
    let (mut guest, address) = under_monitor(&disk, options, &[])?;
    first(&address, cpus)?;
    guest.expect(PROMPT, BOOT_TIME)?;
    second(&address, cpus, &WRITTEN)?;
    guest.check("echo hello | wc -c", "6\n")?;
    guest.power_off(0).map(drop)
}

/// gdb leaves the guest in its first instruction, and comes back when it has booted.
fn booted() -> Result<()> {
    let disk = Disk::copy()?;
    let (mut guest, address) = under_monitor(&disk, Options::new().cpus(2), &[])?;
    gdb(Some(&address), "", |_| Ok(()))?;
    guest.expect(PROMPT, BOOT_TIME)?;
    second(&address, 2, &[])?;
    guest.check("echo hello | wc -c", "6\n")?;
    guest.power_off(0).map(drop)
}

/// Before paging, and just after.
fn first(address: &str, cpus: u32) -> Result<()> {
    let script = [
        FIRST_COMMANDS,
        &printed(&FIRST),
        "compare-sections .text\ncontinue\nprintf \"second %d\\n\", $pc == $second\ndelete",
        "break kernel_main\ncontinue\ndelete\ninfo threads",
        RUST_COMMANDS,
        &printed(&RUST),
        "monitor memory virtual\nmonitor physical 3dffffc 8",
        "set $unseen = *(long*)($stack - 8)\nwatch -l *(long*)($stack - 8)\ncontinue\ndelete",
        "set $seen = *(long*)($stack - 8)",
        &printed(&WATCHED),
        "x/2i $pc\nset $behind = $_\nhbreak *$behind\ncontinue\ndelete",
        &printed(&BEHIND),
        "set $pc = $pc\nbacktrace\nmonitor info",
    ];
    let text = gdb(Some(address), &script.join("\n"), |_| Ok(()))?;
    let check = || {
        [&FIRST[..], &RUST, &WATCHED, &BEHIND]
            .iter()
            .try_for_each(|table| must_be(&text, table))?;
        contains(&text, "second 1")?;
        contains(&text, "matched.")?;
        contains(&text, "88 77 66 55 44 33 22 11")?;
        contains(&text, "Hardware watchpoint")?;
        contains(&text, "New value = ")?;
        contains(&text, "kernel_main")?;
        let threads = text.matches("(CPU ").count();
        ensure!(threads == cpus as usize, "{threads} threads");
        let told = text.matches(": rip 0x").count();
        ensure!(told == cpus as usize, "{told} lines of monitor info");
        contains(&text, "detached")
    };
    check().with_context(|| format!("gdb printed:\n{text}"))
}

/// Attached again: what the kernel does.
fn second(address: &str, cpus: u32, more: &[Value]) -> Result<()> {
    let script = [
        &printed(&BOOTED),
        &printed(more),
        "monitor threads\nsource scripts/gdb/ferrix.py",
        "ferrix ps\nferrix runq\nferrix handles 1\nferrix bt 1\nferrix bt 30000",
    ];
    let text = gdb(Some(address), &script.join("\n"), |_| Ok(()))?;
    let check = || {
        must_be(&text, &BOOTED)?;
        must_be(&text, more)?;
        inventory(&text, cpus)?;
        for name in [" init\n", " vfs\n", " ext2\n"] {
            let lines = text.matches(name).count();
            ensure!(
                lines >= 2,
                "{name:?} is in {lines} lists, of the monitor's and gdb's"
            );
        }
        contains(&text, "in user mode, which a system call left")?;
        contains(&text, "no thread 30000")
    };
    check().with_context(|| format!("gdb printed:\n{text}"))
}

/// What `ferrix ps`, `runq` and `handles 1` tell of any kernel.
fn inventory(text: &str, cpus: u32) -> Result<()> {
    contains(
        text,
        "  PID  PPID   TID STATE    CPU PRI COMMAND\n    1     0     1 ",
    )?;
    let queues = (0..cpus).all(|cpu| text.contains(&format!("CPU {cpu}: runs ")));
    ensure!(queues, "a run queue is missing");
    contains(text, " resource ")?;
    contains(text, " port     0xffff")
}

/// The kernel's end under gdb: by an instruction pointer that leads nowhere.
fn corpse() -> Result<()> {
    let disk = Disk::copy()?;
    let (guest, text) = kill(&disk, &[])?;
    let check = || {
        contains(&text, "SIGABRT")?;
        contains(&text, "ferrix_kernel::")?;
        must_be(&text, &[("$cs & 3", 0), ("$cr2", 0x10)])?;
        contains(&text, "it has ended; detach")?;
        inventory(&text, 2)
    };
    check().with_context(|| format!("gdb printed:\n{text}"))?;
    let ending = guest.wait(BOOT_TIME)?;
    ending.must_be(PANICKED)?;
    ensure!(
        ending.log.contains("page fault in the kernel"),
        "{}",
        ending.log
    );
    Ok(())
}

/// A core file instead of a live machine.
fn core() -> Result<()> {
    let disk = Disk::copy()?;
    let (guest, _) = kill(&disk, &["--on-crash", "dump"])?;
    let ending = guest.wait(BOOT_TIME)?;
    ending.must_be(PANICKED)?;
    let name = ending.log.split("registers are in ").nth(1);
    let name = name
        .and_then(|rest| rest.split(':').next())
        .context("no core file is named")?;
    let file = host::root().join(name);
    let script = format!(
        "core-file {}\n{}\nbacktrace 3\ninfo threads\nsource scripts/gdb/ferrix.py\n\
         ferrix ps\nferrix runq\nferrix handles 1\nferrix bt 1",
        file.display(),
        printed(&[("$cs & 3", 0), ("*(long*)&FERRIX_DEBUG != 0", 1)]),
    );
    let text = gdb(None, &script, |_| Ok(()));
    std::fs::remove_file(&file)?;
    let text = text?;
    let check = || {
        must_be(&text, &[("$cs & 3", 0), ("*(long*)&FERRIX_DEBUG != 0", 1)])?;
        let threads = text.matches("LWP ").count();
        ensure!(threads >= 2, "{threads} threads");
        contains(&text, " init\n")?;
        inventory(&text, 2)
    };
    check().with_context(|| format!("gdb printed:\n{text}"))
}

/// A guest at its prompt whose CPUs, all idle, are sent to address 16, and what gdb printed of it; a key wakes one of them.
fn kill(disk: &Disk, monitor: &[&str]) -> Result<(Guest, String)> {
    let options = Options::new().cpus(2);
    let (mut guest, address) = under_monitor(disk, options, monitor)?;
    gdb(Some(&address), "", |_| Ok(()))?;
    guest.expect(PROMPT, BOOT_TIME)?;
    let script = [
        "thread apply all set var $pc = 16\nprintf \"READY\\n\"\ncontinue\nbacktrace",
        &printed(&[("$cs & 3", 0), ("$cr2", 0x10)]),
        "monitor reset\nsource scripts/gdb/ferrix.py\nferrix ps\nferrix runq\nferrix handles 1",
    ];
    let text = gdb(Some(&address), &script.join("\n"), |line| match line {
        "READY" => guest.send("\r"),
        _ => Ok(()),
    })?;
    Ok((guest, text))
}

/// Commands that print values for [`must_be`].
fn printed(values: &[Value]) -> String {
    let line = |(expression, _): &Value| {
        let shown = expression.replace('%', "%%");
        format!("printf \"{shown} is %#lx\\n\", (unsigned long)({expression})\n")
    };
    values.iter().map(line).collect()
}

fn must_be(text: &str, values: &[Value]) -> Result<()> {
    values.iter().try_for_each(|(expression, value)| {
        let zero = if *value == 0 {
            "0".into()
        } else {
            format!("{value:#x}")
        };
        contains(text, &format!("{expression} is {zero}\n"))
    })
}

fn contains(text: &str, part: &str) -> Result<()> {
    ensure!(text.contains(part), "gdb did not print {part:?}");
    Ok(())
}

/// Runs gdb in the project's root, and detaches; returns what it printed, of which `see` is given each line at once.
fn gdb(
    address: Option<&str>,
    script: &str,
    mut see: impl FnMut(&str) -> Result<()>,
) -> Result<String> {
    let attach = address.map(|address| format!("target remote {address}\n"));
    let detach = address.map_or("", |_| "detach\n");
    let commands = format!(
        "set confirm off\nset pagination off\nset language c\n{}{script}\n{detach}",
        attach.unwrap_or_default()
    );
    // A script would end with the first command that fails.
    let mut gdb = Command::new("gdb");
    gdb.args(["-batch", "-nx"]).current_dir(host::root());
    for command in commands.lines().filter(|line| !line.is_empty()) {
        gdb.args(["-ex", command]);
    }
    let mut gdb = gdb
        .arg(host::built("image/kernel")?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("gdb")?;
    let mut errors = gdb.stderr.take().context("standard error")?;
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    let mut text = String::new();
    for line in BufReader::new(gdb.stdout.take().context("standard output")?).lines() {
        let line = line?;
        see(&line)?;
        text.push_str(&line);
        text.push('\n');
    }
    gdb.wait()?;
    let errors = errors
        .join()
        .map_err(|_| anyhow::anyhow!("a reader panicked"))?;
    Ok(text + &errors?)
}
