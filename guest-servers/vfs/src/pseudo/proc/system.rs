//! The files of the whole system: directly in `/proc`, and in `/proc/ferrix`.

use super::Source;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use ferrix_abi::info::CpuInfo;
use ferrix_abi::layout::PAGE_SIZE;

const NS_PER_S: u64 = 1_000_000_000;
const TICK_NS: u64 = 10_000_000;
/// A load of one.
const LOAD_ONE: u64 = 2048;

/// A file.
pub struct File {
    /// `""` for `/proc`, `"ferrix"` for `/proc/ferrix`, `"sysvipc"` likewise.
    pub directory: &'static str,
    pub name: &'static str,
    pub text: fn(&dyn Source) -> String,
}

const fn file(name: &'static str, text: fn(&dyn Source) -> String) -> File {
    File {
        directory: "",
        name,
        text,
    }
}

const fn ferrix(name: &'static str, text: fn(&dyn Source) -> String) -> File {
    File {
        directory: "ferrix",
        name,
        text,
    }
}

/// In the order of their inode numbers.
pub const FILES: &[File] = &[
    file("mounts", |source| source.mounts()),
    file("meminfo", meminfo),
    file("uptime", uptime),
    file("slabinfo", slabinfo),
    file("stat", stat),
    file("loadavg", loadavg),
    file("cmdline", |source| format!("{}\n", source.command_line())),
    file("version", |_| {
        format!(
            "Ferrix version {} (microkernel)\n",
            env!("CARGO_PKG_VERSION")
        )
    }),
    file("filesystems", |_| {
        String::from("nodev\tproc\nnodev\tdevtmpfs\nnodev\ttmpfs\n\text2\n")
    }),
    file("cpuinfo", cpuinfo),
    File {
        directory: "sysvipc",
        name: "shm",
        text: segments,
    },
    ferrix("enosys", unknown_calls),
    ferrix("kernel", kernel),
];

/// proc(5), `/proc/meminfo`. There is no swap; what the file servers cache is their memory.
fn meminfo(source: &dyn Source) -> String {
    let stats = source.statistics();
    let shared = source.shared_pages();
    let used = stats.total_pages.saturating_sub(stats.free_pages);
    let programs = used.saturating_sub(stats.kernel_pages + stats.table_pages + shared);
    let slabs: u64 = source
        .slabs()
        .iter()
        .map(|slab| slab.slabs * slab.pages_per_slab)
        .sum();
    let rows = [
        ("MemTotal", stats.total_pages),
        ("MemFree", stats.free_pages),
        ("MemAvailable", stats.free_pages),
        ("Buffers", 0),
        ("Cached", shared),
        ("SwapCached", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("AnonPages", programs),
        ("Shmem", shared),
        ("Slab", slabs),
        ("SReclaimable", 0),
        ("SUnreclaim", slabs),
        ("KernelStack", stats.kernel_pages.saturating_sub(slabs)),
        ("PageTables", stats.table_pages),
    ];
    rows.iter().fold(String::new(), |mut text, (name, pages)| {
        let label = format!("{name}:");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<15} {:8} kB", pages * PAGE_SIZE / 1024);
        text
    })
}

/// slabinfo(5). A CPU's magazine is what the tunables tell; objects in magazines are not in use.
fn slabinfo(source: &dyn Source) -> String {
    let mut text = String::from(
        "slabinfo - version: 2.1\n\
         # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> \
         <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n",
    );
    for slab in source.slabs() {
        let name = format!("kmalloc-{}", slab.size);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<17} {:6} {:6} {:6} {:4} {:4} : tunables {:4} {:4} {:4} : slabdata {:6} {:6} {:6}",
            slab.active,
            slab.slabs * slab.per_slab,
            slab.size,
            slab.per_slab,
            slab.pages_per_slab,
            slab.magazine,
            slab.magazine / 2,
            0,
            slab.active_slabs,
            slab.slabs,
            0,
        );
    }
    text
}

/// proc(5), `/proc/sysvipc/shm`.
fn segments(source: &dyn Source) -> String {
    let mut text = String::from(
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      \
         atime      dtime      ctime                   rss                  swap\n",
    );
    for segment in source.segments() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:10} {:10}  {:4o} {:21} {:5} {:5}  {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10} {:21} {:21}",
            segment.key as i32,
            segment.id,
            segment.mode,
            segment.size,
            segment.creator,
            segment.last,
            segment.attachments,
            segment.uid,
            segment.gid,
            segment.creator_uid,
            segment.creator_gid,
            segment.attached,
            segment.detached,
            segment.changed,
            segment.resident * PAGE_SIZE,
            0,
        );
    }
    text
}

fn uptime(source: &dyn Source) -> String {
    let centi = |ns: u64| format!("{}.{:02}", ns / NS_PER_S, ns % NS_PER_S / TICK_NS);
    format!(
        "{} {}\n",
        centi(source.uptime_ns()),
        centi(source.statistics().idle_ns)
    )
}

/// proc(5), `/proc/stat`. Short system calls count as the user's time.
fn stat(source: &dyn Source) -> String {
    let stats = source.statistics();
    let cpus: Vec<CpuInfo> = (0..source.cpus()).map(|cpu| source.cpu(cpu)).collect();
    let mut text = String::new();
    let mut row = |name: &str, cpus: &[CpuInfo]| {
        let ticks = |part: fn(&CpuInfo) -> u64| cpus.iter().map(part).sum::<u64>() / TICK_NS;
        let (user, nice) = (ticks(|cpu| cpu.user_ns), ticks(|cpu| cpu.nice_ns));
        let (system, idle) = (ticks(|cpu| cpu.system_ns), ticks(|cpu| cpu.idle_ns));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} {user} {nice} {system} {idle} 0 0 0 0 0 0");
    };
    row("cpu ", &cpus);
    for (number, cpu) in cpus.iter().enumerate() {
        row(&format!("cpu{number}"), core::slice::from_ref(cpu));
    }
    let running: u64 = cpus.iter().map(|cpu| cpu.runnable).sum();
    let _ = write!(
        text,
        "intr {}\nctxt {}\nbtime {}\nprocesses {}\nprocs_running {running}\nprocs_blocked 0\n",
        stats.interrupts,
        stats.switches,
        source.boot_time(),
        stats.forks,
    );
    text
}

/// proc(5), `/proc/loadavg`.
fn loadavg(source: &dyn Source) -> String {
    let stats = source.statistics();
    let running: u64 = (0..source.cpus()).map(|cpu| source.cpu(cpu).runnable).sum();
    let averages = stats.load.map(|load| {
        let hundredths = (load * 100 + LOAD_ONE / 2) / LOAD_ONE;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    });
    let last = core::iter::successors(Some(0), |&pid| Some(source.next_process(pid)?.pid)).last();
    format!(
        "{} {running}/{} {}\n",
        averages.join(" "),
        stats.threads,
        last.unwrap_or_default()
    )
}

fn cpuinfo(source: &dyn Source) -> String {
    (0..source.cpus()).fold(String::new(), |mut text, cpu| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "processor\t: {cpu}\n");
        text
    })
}

fn unknown_calls(source: &dyn Source) -> String {
    source
        .unknown_calls()
        .iter()
        .fold(String::new(), |mut text, (number, count)| {
            let _ = writeln!(text, "{number} {count}");
            text
        })
}

/// The kernel's counters, a name and a number a line.
fn kernel(source: &dyn Source) -> String {
    let stats = source.statistics();
    let rows = [
        ("total_pages", stats.total_pages),
        ("free_pages", stats.free_pages),
        ("kernel_pages", stats.kernel_pages),
        ("table_pages", stats.table_pages),
        ("processes", stats.processes),
        ("threads", stats.threads),
        ("handles", stats.handles),
        ("objects", stats.objects),
        ("ports", stats.ports),
        ("sessions", stats.sessions),
        ("switches", stats.switches),
        ("interrupts", stats.interrupts),
        ("faults", stats.faults),
        ("calls", stats.calls),
        ("forks", stats.forks),
        ("idle_ns", stats.idle_ns),
    ];
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name} {value}");
        text
    })
}
