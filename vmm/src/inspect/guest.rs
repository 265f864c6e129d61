//! A machine whose guest is looked at, by gdb or from the console's prompt.

use std::sync::Arc;

use super::View;
use crate::boot::KernelImage;
use crate::memory::Ram;
use crate::vcpu::{Context, Vcpu, Vcpus};

/// The machine. Who looks at vCPUs has parked them.
#[derive(Clone)]
pub struct Guest {
    /// Guest RAM.
    pub ram: Arc<Ram>,
    /// The kernel, for names, and for addresses that are not mapped yet.
    pub kernel: Arc<KernelImage>,
    /// Its vCPUs.
    pub vcpus: Arc<Vcpus>,
    /// What they work with.
    pub context: Arc<Context>,
}

impl Guest {
    /// Parks all vCPUs while `look` looks; debugging goes on as it was.
    pub fn hold<T>(&self, look: impl FnOnce() -> T) -> T {
        self.context.gate.hold(true);
        self.vcpus.kick();
        self.context.gate.wait_parked();
        let seen = look();
        self.context.gate.hold(false);
        seen
    }

    /// Memory as this vCPU sees it.
    pub fn view(&self, vcpu: &Vcpu) -> View<'_> {
        View::of(&vcpu.fd(), &self.ram, &self.kernel.segments)
    }

    /// The physical address behind a virtual one, for the first vCPU that has one.
    pub fn physical(&self, address: u64) -> Option<u64> {
        let mut vcpus = self.vcpus.all.iter();
        vcpus.find_map(|vcpu| self.view(vcpu).translate(address))
    }

    /// A line for each vCPU.
    pub fn each_vcpu(&self, tell: impl Fn(&Vcpu) -> String) -> String {
        let vcpus = self.vcpus.all.iter();
        let lines: Vec<_> = vcpus
            .map(|vcpu| format!("CPU {}: {}", vcpu.index, tell(vcpu)))
            .collect();
        lines.join("\n")
    }
}
