//! One machine from its options to its exit status.
//!
//! Reads as a table of contents: check the input, build the machine, run the event loop until
//! somebody ends it, put everything out, report.

mod build;
mod crash;
mod plug;
mod tty;
mod watch;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};

use crate::cli::RunOptions;
use crate::config::VmConfig;
use crate::console::log_sink::LogFlusher;
use crate::console::out::Patience;
use crate::console::signals::{self, Signals};
use crate::console::target::Target;
use crate::console::terminal::RawMode;
use crate::control::Outcome;
use crate::error::VmmError;
use crate::sandbox::Role;
use crate::stats;
use crate::status::ExitStatus;
use crate::sync::lock;
use crate::trace;
pub(crate) use build::Machine;
pub use crash::OnCrash;

/// How long a reader is waited for when the machine was ended from outside.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the event loop holds.
pub(crate) type Subscriber = Arc<Mutex<dyn MutEventSubscriber>>;

/// Runs a machine. `start` is when the process began, for times in the statistics.
pub fn run(options: &RunOptions, start: Instant) -> Result<ExitStatus, VmmError> {
    let config = VmConfig::load(options)?;
    if let Some(path) = &options.trace {
        let failed = |source| VmmError::Trace {
            path: path.clone(),
            source,
        };
        trace::start(path, start).map_err(failed)?;
    }
    let signals = Signals::take_over().map_err(VmmError::host("take over signals"))?;
    let mut machine = Machine::build(&config, options, start)?;
    let raw = match config.console {
        Target::Stdio => RawMode::enter().map_err(VmmError::host("make the terminal raw"))?,
        Target::Pty | Target::Unix(_) => None,
    };
    let ran = machine.run(options, signals);
    machine.stop();
    drop(raw);
    let outcome = ran?;
    machine.put_out(patience(&outcome));
    if let Some(told) = &machine.guest.context.bus.trace {
        told.finish();
    }
    trace::finish();
    let died = outcome.dead_vcpu();
    let status = machine.report(outcome);
    if options.stats {
        print_stats(&machine, start, status);
    }
    match died {
        Some(vcpu) if options.on_crash == OnCrash::WaitGdb || machine.is_debugged() => {
            machine.mourn(vcpu)?;
        }
        _ => machine.tell_gdb(status),
    }
    Ok(status)
}

impl Machine {
    /// Starts the vCPUs and serves events until the machine ends.
    fn run(&mut self, options: &RunOptions, signals: Signals) -> Result<Outcome, VmmError> {
        let mut events = EventManager::<Subscriber>::new()
            .map_err(|e| VmmError::host("create the event loop")(std::io::Error::other(e)))?;
        let control = self.guest.context.control.clone();
        let timeout = options.timeout.map(|it| Duration::from_secs(it.get()));
        let watch = watch::Watch::new(signals, timeout, self.backs.tty.clone(), self.guest.clone())
            .map_err(VmmError::host("set the timeout"))?;
        events.add_subscriber(Arc::new(Mutex::new(watch)));
        events.add_subscriber(Arc::new(Mutex::new(LogFlusher::new(self.log.clone()))));
        events.add_subscriber(self.backs.tty.subscriber());
        events.add_subscriber(self.backs.rng.clone());
        if let Some(server) = &self.gdb {
            events.add_subscriber(server.clone());
        }
        let sandbox = options.seccomp.unwrap_or_default();
        sandbox.prepare().map_err(VmmError::Sandbox)?;
        self.backs
            .start(sandbox)
            .map_err(VmmError::host("start the disks' threads"))?;
        self.guest
            .context
            .bus
            .milestones
            .note_named("vmm_ready".into());
        self.guest
            .vcpus
            .start(&self.guest.context, sandbox)
            .map_err(VmmError::host("start the vCPU threads"))?;
        sandbox.enter(Role::Main(options.on_crash));
        loop {
            if let Some(outcome) = control.outcome() {
                return Ok(outcome.clone());
            }
            events
                .run()
                .map_err(|e| VmmError::host("wait for events")(std::io::Error::other(e)))?;
        }
    }

    /// Stops the guest and puts out what goes without waiting.
    fn stop(&self) {
        self.guest.vcpus.stop(&self.guest.context);
        self.backs.tty.transmit();
    }

    /// Puts out the rest of what the guest wrote, and ends the devices.
    fn put_out(&self, patience: Patience) {
        if let Err(error) = signals::give_back() {
            log::warn!("cannot unblock signals: {error}");
        }
        self.backs.tty.flush(patience);
        self.guest
            .context
            .bus
            .virtio
            .iter()
            .for_each(|device| device.reset());
        self.log.flush_all(patience);
    }
}

/// A guest that ended by itself has all its output written; one that was ended waits for nobody.
fn patience(outcome: &Outcome) -> Patience {
    match outcome {
        Outcome::Timeout | Outcome::Quit | Outcome::Signal(_) => {
            Patience::Until(Instant::now() + LAST_WORDS)
        }
        _ => Patience::Endless,
    }
}

impl Machine {
    /// Says why the machine ended, unless the guest ended it itself, and chooses the status.
    fn report(&self, outcome: Outcome) -> ExitStatus {
        match outcome {
            Outcome::GuestExit(status) => ExitStatus::Guest(status),
            Outcome::Reset | Outcome::Quit => ExitStatus::Guest(0),
            Outcome::KernelPanic { vcpu } => {
                self.print_crash(vcpu, "the guest's kernel panicked");
                ExitStatus::KernelPanic
            }
            Outcome::Crash { vcpu, cause } => {
                self.print_crash(vcpu, &format!("the guest crashed: {cause}"));
                ExitStatus::GuestCrash
            }
            Outcome::Timeout => {
                eprintln!("vmm: the guest did not end within --timeout");
                ExitStatus::Timeout
            }
            Outcome::Signal(number) => ExitStatus::Signal(number),
        }
    }

    /// Tells gdb, if one is there, that the machine has ended.
    fn tell_gdb(&self, status: ExitStatus) {
        if let Some(server) = &self.gdb {
            lock(server).goodbye(status.code());
        }
    }
}

fn print_stats(machine: &Machine, start: Instant, status: ExitStatus) {
    let stats = stats::collect(start, status, machine);
    match serde_json::to_string(&stats) {
        Ok(json) => eprintln!("{json}"),
        Err(error) => log::error!("cannot print statistics: {error}"),
    }
}
