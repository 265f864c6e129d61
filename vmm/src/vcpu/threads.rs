//! The vCPUs of a machine and their threads.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::{Context, Vcpu, kick};
use crate::sandbox::{Role, Sandbox};
use crate::sync::Mutex;

/// Enough for the exit handlers; the host reserves, but does not touch it.
const STACK_SIZE: usize = 256 << 10;

/// All vCPUs.
pub struct Vcpus {
    /// By index.
    pub all: Vec<Arc<Vcpu>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Vcpus {
    /// vCPUs without threads.
    pub fn new(all: Vec<Vcpu>) -> Self {
        Self {
            all: all.into_iter().map(Arc::new).collect(),
            threads: Mutex::new(Vec::new()),
        }
    }

    /// Starts the threads; they run as the gate lets them.
    pub fn start(&self, context: &Arc<Context>, sandbox: Sandbox) -> io::Result<()> {
        kick::install_handler()?;
        for vcpu in &self.all {
            let (vcpu, context) = (vcpu.clone(), context.clone());
            let thread = thread::Builder::new()
                .name(format!("vcpu{}", vcpu.index))
                .stack_size(STACK_SIZE)
                .spawn(move || {
                    sandbox.enter(Role::Vcpu);
                    vcpu.run(&context);
                })?;
            self.threads.lock().push(thread);
        }
        Ok(())
    }

    /// Makes every vCPU look at the gate.
    pub fn kick(&self) {
        self.all.iter().for_each(|vcpu| vcpu.kick());
    }

    /// Ends all threads and waits for them.
    pub fn stop(&self, context: &Context) {
        context.gate.stop();
        self.kick();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                log::error!("a vCPU thread panicked");
            }
        }
    }

    /// A KVM counter summed over all vCPUs; `None` if no vCPU has it.
    pub fn counter(&self, name: &str) -> Option<u64> {
        let values = self
            .all
            .iter()
            .filter_map(|vcpu| vcpu.stats.as_ref()?.counter(name));
        values.fold(None, |sum, value| Some(sum.unwrap_or(0) + value))
    }
}
