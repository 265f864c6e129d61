//! A look through the kernel's page tables for what must not be there.
//!
//! `check=tables` on the command line asks for it, as the kernel's own tests do: it is made when the machine is
//! switched off, when all that the kernel ever maps has been mapped. Each entry counts with what the tables
//! above it allow.

use core::sync::atomic::Ordering::Relaxed;

use super::phys::{Frame, PhysAddr};
use super::pte::Pte;
use super::table::{ROOT_LEVEL, table};
use crate::arch::start;
use crate::boot::{self, command_line};

/// A page larger than 4 KiB.
const LARGE: u64 = 1 << 7;
/// What an entry grants to all below it.
const GRANTED: u64 = Pte::WRITE | Pte::USER;

/// Entries that map pages, in the half of the addresses that is the kernel's.
#[derive(Default)]
struct Found {
    entries: u64,
    writable: u64,
    executable: u64,
    /// Both.
    writable_executable: u64,
    /// For programs.
    user: u64,
    /// Dropped when CR3 is loaded.
    local: u64,
}

/// Makes the look if the command line asks for it; panics if anything is wrong.
pub fn at_end() {
    if !command_line::checks(boot::command_line(), "tables") {
        return;
    }
    let mut found = Found::default();
    found.walk(start::root(), ROOT_LEVEL, 256, GRANTED);
    let Found {
        entries,
        writable,
        executable,
        writable_executable,
        user,
        local,
    } = found;
    log!("tables: {entries} entries, {writable} writable, {executable} executable");
    assert_eq!(
        (writable_executable, user, local),
        (0, 0, 0),
        "pages of the kernel that are writable and executable, for programs, or not global"
    );
}

impl Found {
    /// Walks the entries of a table from `first` on; `above` is granted there, or forbidden by NX.
    fn walk(&mut self, root: PhysAddr, level: u32, first: usize, above: u64) {
        for entry in &table(Frame::containing(root))[first..] {
            let pte = Pte(entry.load(Relaxed));
            if !pte.has(Pte::PRESENT) {
                continue;
            }
            let flags = above & pte.0 & GRANTED | (above | pte.0) & Pte::NO_EXECUTE;
            if level == 0 || pte.has(LARGE) {
                self.count(pte, Pte(flags));
            } else {
                self.walk(pte.frame().address(), level - 1, 0, flags);
            }
        }
    }

    fn count(&mut self, pte: Pte, flags: Pte) {
        let (writable, executable) = (flags.has(Pte::WRITE), !flags.has(Pte::NO_EXECUTE));
        self.entries += 1;
        self.writable += u64::from(writable);
        self.executable += u64::from(executable);
        self.writable_executable += u64::from(writable && executable);
        self.user += u64::from(flags.has(Pte::USER));
        self.local += u64::from(!pte.has(Pte::GLOBAL));
    }
}
