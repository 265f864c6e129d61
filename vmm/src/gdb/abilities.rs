//! What this host's KVM can do for a debugger. Not every KVM that says so stops at debug registers, or at
//! breakpoint instructions (nested ones whose processor is emulated do not): so it is tried, on a machine of a few instructions.

use std::io;
use std::sync::Arc;

use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};

use super::breakpoints::INT3;
use crate::boot::Entry;
use crate::config::{MemorySize, Model};
use crate::kvm::{KvmError, System, Vm, entry};
use crate::memory;
use crate::vcpu::points::{Access, Point, registers};
use crate::vcpu::{DebugMode, Exit};

/// What works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Debug registers stop the guest before an instruction.
    pub execute: bool,
    /// They stop it after an access.
    pub access: bool,
    /// Breakpoint instructions in its kernel stop it.
    pub breakpoints: bool,
}

const CODE: u64 = 0x1000;
const DATA: u64 = 0x2000;
const NOP: u8 = 0x90;
/// mov [DATA], al.
const STORE: [u8; 6] = [0xa2, 0, 0x20, 0, 0, NOP];
/// out 0x80, al: leaves the guest.
const OUT: [u8; 2] = [0xe6, 0x80];
const TRY: &str = "try what a debugger can do";

impl Abilities {
    /// Tries. The machine for it is not torn down: that would wait for the whole host.
    pub fn probe() -> Result<Self, KvmError> {
        let failed = KvmError::ioctl::<io::Error>;
        let ram = memory::allocate(MemorySize::mib(1)).map_err(failed(TRY))?;
        let ram = Arc::new(ram);
        let vm = Vm::create(System::open()?, ram.clone())?;
        let mut vcpu = vm.create_vcpu(0, 1, Model::default())?;
        std::mem::forget(vm);
        let mut leaves = |code: &[u8], watched: Option<(u64, Access)>| {
            let code = [code, &OUT].concat();
            ram.write_slice(&code, GuestAddress(CODE))
                .map_err(|error| failed(TRY)(io::Error::other(error)))?;
            let points = watched.map(|(address, access)| Point {
                address,
                length: 1,
                access,
            });
            first_exit(&mut vcpu, points.as_slice())
        };
        let execute = leaves(&[NOP, NOP], Some((CODE + 1, Access::Execute)))?;
        let access = leaves(&STORE, Some((DATA, Access::Write)))?;
        // Last: where KVM emulates kernels, it fails to emulate this.
        let breakpoint = leaves(&[INT3], None)?;
        Ok(Self {
            execute: execute == Exit::Debug,
            access: access == Exit::Debug,
            breakpoints: [Exit::Debug, Exit::InternalError].contains(&breakpoint),
        })
    }

    /// What does not work as a user expects, for people; none if all does.
    pub fn lacks(self) -> Option<&'static str> {
        match (self.breakpoints || self.execute, self.access) {
            (true, true) => None,
            (true, false) => Some(
                "this KVM has no watchpoints: after each instruction of the kernel the monitor looks itself, which is slow, and sees no reads",
            ),
            (false, _) => Some(
                "this KVM does not stop at breakpoints: after each instruction the monitor looks itself, which is very slow, and sees no reads",
            ),
        }
    }
}

/// Why a guest that is debugged so leaves its code.
fn first_exit(vcpu: &mut VcpuFd, points: &[Point]) -> Result<Exit, KvmError> {
    let start = Entry::Pvh {
        instruction: CODE,
        start_info: 0,
    };
    entry::set(vcpu, start)?;
    let registers = registers(points).unwrap_or_default().0;
    let mode = DebugMode::Breakpoints(registers);
    if vcpu.set_guest_debug(&mode.settings()).is_err() {
        // There are no debug registers.
        return Ok(Exit::Other);
    }
    loop {
        match Exit::of(&vcpu.run()) {
            Exit::Interrupted | Exit::Retry => {}
            exit => return Ok(exit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_told() {
        let lacks = |execute, access, breakpoints| {
            let abilities = Abilities {
                execute,
                access,
                breakpoints,
            };
            abilities.lacks().unwrap_or_default()
        };
        assert_eq!(lacks(true, true, false), "");
        assert!(lacks(false, false, true).contains("watchpoints"));
        assert!(lacks(false, false, false).contains("very slow"));
    }
}
