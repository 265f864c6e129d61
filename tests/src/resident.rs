//! What a monitor has in memory: of the guest's RAM, and of its own.

use std::fs;

use anyhow::{Context, Result};

/// Resident memory of a process that runs a machine, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resident {
    /// The monitor's own: code, tables, buffers, stacks.
    pub own: u64,
    /// Guest RAM that was touched.
    pub guest: u64,
}

impl Resident {
    /// That of a process now.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/smaps");
        let maps = fs::read_to_string(&path).with_context(|| path.clone())?;
        Self::parse(&maps).with_context(|| format!("{path} has no mappings"))
    }

    /// Guest RAM is the mapping of which most is neither a file's nor untouched (proc_pid_smaps(5)).
    fn parse(maps: &str) -> Option<Self> {
        let field = |line: &str, name| -> Option<u64> {
            let value = line.strip_prefix(name)?.trim();
            value.strip_suffix(" kB")?.parse().ok()
        };
        let resident = maps.lines().filter_map(|line| field(line, "Rss:"));
        let anonymous = maps.lines().filter_map(|line| field(line, "Anonymous:"));
        let all = resident.sum::<u64>();
        let guest = anonymous.max()?;
        Some(Self {
            own: all - guest,
            guest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_ram_is_told_apart() {
        let maps = "1000-2000 r-xp 0 08:01 7 /vmm\nRss: 900 kB\nAnonymous: 0 kB\nVmFlags: rd ex\n\
                    7000-8000 rw-p 0 00:00 0 \nSize: 262144 kB\nRss: 500 kB\nAnonymous: 500 kB\n\
                    9000-a000 rw-p 0 00:00 0 [stack]\nRss: 12 kB\nAnonymous: 12 kB\n";
        let expected = Resident {
            own: 912,
            guest: 500,
        };
        assert_eq!(Resident::parse(maps), Some(expected));
        assert_eq!(Resident::parse(""), None);
    }
}
