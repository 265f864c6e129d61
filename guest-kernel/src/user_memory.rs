//! A test of the sources: programs' memory is touched in one place, [`uaccess`](crate::mm::uaccess), and nowhere else.
//!
//! An address of a program is a number, and to touch what a number names takes `unsafe`. So the files
//! that have any are listed here, with what they touch: a new one does not pass unseen. (Where the
//! processor has SMAP, any other access to a program's page is also a fault that stops the kernel.)

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What the unsafe code of a file reaches.
const REACHES: &[(&str, &[&str])] = &[
    (
        "programs' memory, checked, with a fix-up for faults",
        &["arch/x86_64/uaccess.rs"],
    ),
    (
        "programs' UTCBs, through the direct map: pinned pages that only the kernel unmaps",
        &["mm/utcb.rs", "thread/utcb.rs"],
    ),
    (
        "page frames and page tables, through the direct map",
        &[
            "arch/x86_64/table.rs",
            "mm/phys.rs",
            "mm/page.rs",
            "mm/info.rs",
            "mm/tlb.rs",
            "arch/x86_64/paging.rs",
        ],
    ),
    (
        "the kernel's own objects",
        &[
            "mm/heap.rs",
            "mm/slab.rs",
            "object/core_lock.rs",
            "process/space.rs",
            "sync/irq.rs",
            "sync/lockdep/on.rs",
            "sync/section.rs",
            "sync/spin.rs",
            "thread/context.rs",
            "debug.rs",
            "panic.rs",
            "trace.rs",
        ],
    ),
    (
        "the processor: instructions, its tables, kernel stacks, the frames on them",
        &[
            "arch/x86_64/apic.rs",
            "arch/x86_64/cpu.rs",
            "arch/x86_64/entry/fetch.rs",
            "arch/x86_64/entry/idt.rs",
            "arch/x86_64/entry/mod.rs",
            "arch/x86_64/entry/paranoid.rs",
            "arch/x86_64/entry/probe.rs",
            "arch/x86_64/entry/syscall.rs",
            "arch/x86_64/entry/trap.rs",
            "arch/x86_64/fpu.rs",
            "arch/x86_64/instructions.rs",
            "arch/x86_64/machine_check.rs",
            "arch/x86_64/mod.rs",
            "arch/x86_64/requirements.rs",
            "arch/x86_64/segment.rs",
            "arch/x86_64/start.rs",
            "arch/x86_64/switch.rs",
            "arch/x86_64/thread.rs",
            "arch/x86_64/trace_point.rs",
        ],
    ),
    (
        "devices, and what firmware and monitor left in memory",
        &[
            "arch/x86_64/ioapic.rs",
            "arch/x86_64/pci.rs",
            "arch/x86_64/power.rs",
            "arch/x86_64/smp.rs",
            "boot/acpi.rs",
            "boot/info.rs",
            "boot/pvh.rs",
            "log.rs",
            "time/kvm.rs",
            "time/legacy.rs",
            "time/mod.rs",
        ],
    ),
];

/// Instructions that open programs' pages under SMAP: one pair, around the copy routines.
const OPENS: &str = "\"stac\"";

fn sources(directory: &Path, list: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, list);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            list.push(path);
        }
    }
}

/// Names and lines of the kernel's files, without comments, tests and this one.
fn kernel() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut list = Vec::new();
    sources(&root, &mut list);
    let name = |path: &PathBuf| {
        path.strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    let counts = |name: &str| !name.contains("tests") && name != "user_memory.rs";
    list.iter()
        .map(|path| (name(path), path))
        .filter(|(name, _)| counts(name))
        .map(|(name, path)| {
            let text = fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().lines();
            let code = code
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(str::to_owned);
            (name, code.collect())
        })
        .collect()
}

fn has(lines: &[String], what: &[&str]) -> bool {
    lines
        .iter()
        .any(|line| what.iter().any(|what| line.contains(what)))
}

#[test]
fn every_file_with_unsafe_code_is_listed() {
    let listed: BTreeSet<&str> = REACHES
        .iter()
        .flat_map(|(_, files)| files.iter().copied())
        .collect();
    let kernel = kernel();
    let with: BTreeSet<&str> = kernel
        .iter()
        .filter(|(_, lines)| {
            has(
                lines,
                &[
                    "unsafe {",
                    "unsafe fn",
                    "unsafe extern",
                    "unsafe impl",
                    "asm!(",
                ],
            )
        })
        .map(|(name, _)| name.as_str())
        .collect();
    let new: Vec<_> = with.difference(&listed).collect();
    assert!(
        new.is_empty(),
        "{new:?}: say in REACHES what their unsafe code reaches; a program's memory it is not"
    );
    let gone: Vec<_> = listed.difference(&with).collect();
    assert!(
        gone.is_empty(),
        "{gone:?} have no unsafe code: take them off the list"
    );
}

#[test]
fn programs_pages_are_opened_in_one_place() {
    let opening: Vec<_> = kernel()
        .into_iter()
        .map(|(name, lines)| {
            (
                lines.iter().filter(|line| line.contains(OPENS)).count(),
                name,
            )
        })
        .filter(|(count, _)| *count > 0)
        .collect();
    assert_eq!(opening, [(1, "arch/x86_64/uaccess.rs".to_owned())]);
}

/// Each routine that touches programs' memory has a fix-up, and is called in its own file only.
#[test]
fn routines_that_fault_have_fixups() {
    for (name, lines) in kernel() {
        let calls = has(
            &lines,
            &["copy_user(", "peek_user(", "swap_user(", "touch_user("],
        );
        assert!(
            !calls || name == "arch/x86_64/uaccess.rs",
            "{name} calls a copy routine by itself"
        );
    }
    let kernel = kernel();
    let (_, uaccess) = kernel
        .iter()
        .find(|(name, _)| name.ends_with("uaccess.rs"))
        .unwrap();
    let labels = uaccess
        .iter()
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix(":\","));
    let labels: BTreeSet<&str> = labels.collect();
    let routines: Vec<&&str> = labels
        .iter()
        .filter(|label| label.ends_with("_user"))
        .collect();
    assert!(!routines.is_empty());
    for routine in routines {
        for end in ["_end", "_fixup"] {
            assert!(
                labels.contains(format!("{routine}{end}").as_str()),
                "{routine} has no {end}"
            );
        }
    }
}
