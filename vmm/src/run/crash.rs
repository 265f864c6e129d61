//! What happens when the guest dies: the report, and what `--on-crash` asks for besides.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_manager::{EventManager, SubscriberOps};
use rustix::fs::{AtFlags, CWD, linkat};

use super::{Machine, Subscriber};
use crate::error::VmmError;
use crate::inspect::core_dump::{self, Cpu};
use crate::inspect::{self, View};
use crate::nameless;
use crate::sync::lock;

/// What to do with a guest that has died (`--on-crash`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnCrash {
    /// Report and end.
    #[default]
    Exit,
    /// Report, and wait until a gdb has looked at it.
    WaitGdb,
    /// Report, and write a core file.
    Dump,
}

/// A core file: it is made before the guest runs, since nothing is opened afterwards, and is gone if the
/// guest does not die.
pub struct CoreFile {
    file: File,
    name: String,
    /// The name that it has already, and loses with this. Else it has none yet, and gets it.
    borrowed: Cell<Option<PathBuf>>,
}

impl CoreFile {
    /// Makes the file, in the current folder.
    pub fn prepare() -> io::Result<Self> {
        let name = format!("vmm-{}.core", std::process::id());
        let (file, borrowed) = nameless::create(Path::new("."), &name)?;
        Ok(Self {
            file,
            name,
            borrowed: Cell::new(borrowed),
        })
    }

    /// Gives the file its name for good.
    fn publish(&self) -> io::Result<String> {
        let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        if self.borrowed.take().is_none() {
            linkat(CWD, file, CWD, &self.name, AtFlags::SYMLINK_FOLLOW)?;
        }
        Ok(self.name.clone())
    }
}

impl Drop for CoreFile {
    fn drop(&mut self) {
        // Nobody misses it.
        let _ = self.borrowed.take().map(std::fs::remove_file);
    }
}

impl Machine {
    /// Says what happened to the guest: the CPU that died with its registers, every CPU with its last exits.
    pub fn print_crash(&self, vcpu: usize, what: &str) {
        let fd = self.guest.vcpus.all[vcpu].fd();
        let view = View::of(&fd, &self.guest.ram, &self.guest.kernel.segments);
        let report = inspect::crash_report(&fd, &view, &self.guest.kernel.file);
        eprint!("vmm: {what} (CPU {vcpu})\n{report}");
        for vcpu in &self.guest.vcpus.all {
            eprintln!("  last exits of CPU {}:", vcpu.index);
            for line in vcpu.history.lines() {
                eprintln!("    {line}");
            }
        }
        drop(fd);
        if let Some(core) = &self.core {
            match self.dump(core, vcpu) {
                Ok(name) => eprintln!(
                    "vmm: its memory and registers are in {name}: gdb {} {name}",
                    self.guest.kernel.path.display()
                ),
                Err(error) => {
                    eprintln!("vmm: cannot write a core file to the current folder: {error}")
                }
            }
        }
    }

    fn dump(&self, core: &CoreFile, vcpu: usize) -> io::Result<String> {
        // Who died comes first.
        let others = self
            .guest
            .vcpus
            .all
            .iter()
            .filter(|other| other.index != vcpu);
        let all = self.guest.vcpus.all[vcpu..=vcpu].iter().chain(others);
        let cpus = all.map(|vcpu| {
            let fd = vcpu.fd();
            Ok(Cpu {
                index: vcpu.index,
                regs: fd.get_regs()?,
                sregs: fd.get_sregs()?,
            })
        });
        let cpus = cpus.collect::<Result<Vec<_>, kvm_ioctls::Error>>()?;
        core_dump::write(&core.file, &cpus, &self.guest.ram)?;
        core.publish()
    }

    /// Whether a gdb is connected.
    pub fn is_debugged(&self) -> bool {
        let server = self.gdb.as_ref();
        server.is_some_and(|server| lock(server).is_connected())
    }

    /// Serves gdb until it has seen enough of the dead guest.
    pub fn mourn(&self, vcpu: usize) -> Result<(), VmmError> {
        let Some(server) = &self.gdb else {
            return Ok(());
        };
        eprintln!(
            "vmm: waiting for gdb on {}; detach or kill to end",
            lock(server).address()
        );
        lock(server).mourn(vcpu);
        let failed = |error| VmmError::host("wait for gdb")(io::Error::other(error));
        let mut events = EventManager::<Subscriber>::new().map_err(failed)?;
        let subscriber: Subscriber = Arc::clone(server) as Subscriber;
        events.add_subscriber(subscriber);
        while !lock(server).has_parted() {
            events.run().map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_has_its_name_already_keeps_it_only_if_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("core");
        let make = || CoreFile {
            file: File::create_new(&name).unwrap(),
            name: name.to_str().unwrap().into(),
            borrowed: Cell::new(Some(name.clone())),
        };
        drop(make());
        assert!(!name.exists());
        let core = make();
        assert_eq!(core.publish().unwrap(), name.to_str().unwrap());
        drop(core);
        assert!(name.exists());
    }
}
