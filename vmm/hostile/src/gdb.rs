//! What a debugger sends: over a socket, to the server that a machine has, in a machine that does not run.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
use vmm::boot::{KernelImage, Protocol, kernel::Decoded};
use vmm::bus::Bus;
use vmm::config::{MemorySize, Model};
use vmm::control::Control;
use vmm::devices::{Milestones, Registers};
use vmm::gdb::{self, GdbServer, GdbTarget};
use vmm::inspect::Guest;
use vmm::kvm::{KvmError, System, Vm};
use vmm::memory;
use vmm::vcpu::{Context, DebugHook, DebugReason, DebugStop, Gate, Vcpu, Vcpus, Who};

const CPUS: u32 = 2;
/// No input keeps the server busy for so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Asks why the guest stands.
const QUESTION: &[u8] = b"+$?#3f";

/// The first byte chooses whether a vCPU stops meanwhile; the rest is sent. Without `/dev/kvm` nothing is done.
pub fn run(data: &[u8]) {
    thread_local!(static SESSION: RefCell<Option<Option<Session>>> = const { RefCell::new(None) });
    SESSION.with_borrow_mut(|session| {
        let session = session.get_or_insert_with(|| match Session::new() {
            Ok(session) => Some(session),
            Err(error) => {
                eprintln!("no packets are tried: {error}");
                None
            }
        });
        if let Some(session) = session {
            session.converse(data);
        }
    });
}

type Subscriber = Arc<Mutex<dyn MutEventSubscriber>>;

/// A server and the machine behind it.
struct Session {
    events: EventManager<Subscriber>,
    address: SocketAddr,
    shared: Arc<gdb::Shared>,
    _vm: Vm,
}

/// A port where nobody listens.
struct Nothing;

impl Registers for Nothing {
    fn write(&self, _: u16, _: &[u8]) {}

    fn read(&self, _: u16, data: &mut [u8]) {
        data.fill(0);
    }
}

impl Session {
    fn new() -> Result<Self, KvmError> {
        let ram = memory::allocate(MemorySize::mib(1)).map_err(KvmError::ioctl("map RAM"))?;
        let ram = Arc::new(ram);
        let vm = Vm::create(System::open()?, ram.clone())?;
        let vcpu = |index: u32| {
            let fd = vm.create_vcpu(index, CPUS, Model::Ferrix)?;
            Ok(Vcpu::new(index as usize, fd, None))
        };
        let vcpus = (0..CPUS).map(vcpu).collect::<Result<_, KvmError>>()?;
        let kernel = Arc::new(no_kernel().map_err(KvmError::ioctl("open /dev/null"))?);
        let shared = Arc::new(gdb::Shared {
            ram: ram.clone(),
            kernel: kernel.clone(),
            breakpoints: gdb::Breakpoints::default(),
            points: gdb::Points::new(gdb::Abilities {
                execute: true,
                access: false,
                breakpoints: true,
            }),
            stops: gdb::Stops::new()?,
        });
        let control = Arc::new(Control::new()?);
        let context = Context {
            bus: bus(&control),
            control: control.clone(),
            gate: Gate::new(Who::Nobody),
            debug: Some(shared.clone() as Arc<dyn DebugHook>),
        };
        let guest = Guest {
            ram,
            kernel,
            vcpus: Arc::new(Vcpus::new(vcpus)),
            context: Arc::new(context),
        };
        let target = GdbTarget::new(shared.clone(), guest);
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (listener, address) = gdb::listen(any).map_err(KvmError::ioctl("listen"))?;
        let server: Subscriber = Arc::new(Mutex::new(GdbServer::new(listener, target, control)));
        let mut events = EventManager::new().expect("epoll");
        events.add_subscriber(server);
        Ok(Self {
            events,
            address,
            shared,
            _vm: vm,
        })
    }

    /// Sends the bytes; afterwards another debugger is answered.
    fn converse(&mut self, data: &[u8]) {
        let (first, rest) = data.split_first().unwrap_or((&0, &[]));
        let reason = match first & 2 {
            0 => DebugReason::Breakpoint,
            _ => DebugReason::Step,
        };
        let stop = DebugStop {
            vcpu: usize::from(first >> 2) % CPUS as usize,
            reason,
        };
        self.exchange(rest, (first & 1 != 0).then_some(stop));
        let answer = self.exchange(QUESTION, None);
        assert!(
            answer.starts_with(b"+$T") || answer.starts_with(b"+$S"),
            "the next debugger is told {:?}",
            String::from_utf8_lossy(&answer)
        );
    }

    /// What the server says to these bytes until it hangs up.
    fn exchange(&mut self, bytes: &[u8], stop: Option<DebugStop>) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let mut ears = stream.try_clone().expect("descriptors");
        let listener = thread::spawn(move || {
            let mut heard = Vec::new();
            // A server that hangs up on bytes it has not read resets the connection.
            let _ = ears.read_to_end(&mut heard);
            heard
        });
        let sent = bytes.to_vec();
        let speaker = thread::spawn(move || {
            let _ = stream.write_all(&sent);
            let _ = stream.shutdown(Shutdown::Write);
        });
        self.events.run_with_timeout(1).expect("epoll");
        if let Some(stop) = stop {
            self.shared.stops.push(stop);
        }
        let began = Instant::now();
        while !listener.is_finished() {
            self.events.run_with_timeout(1).expect("epoll");
            assert!(
                began.elapsed() < PATIENCE,
                "the server does not come to an end"
            );
        }
        speaker.join().expect("it cannot panic");
        listener.join().expect("it cannot panic")
    }
}

/// A kernel without names and segments.
fn no_kernel() -> io::Result<KernelImage> {
    Ok(KernelImage {
        path: "none".into(),
        decoded: Decoded {
            segments: Vec::new(),
            entry: 0,
            protocol: Protocol::Pvh,
            kind: "none",
        },
        file: File::open("/dev/null")?,
    })
}

fn bus(control: &Arc<Control>) -> Bus {
    Bus {
        model: Model::Ferrix,
        uart: Box::new(Nothing),
        milestones: Milestones::new(Instant::now()),
        trace: None,
        cmos: Default::default(),
        virtio: Vec::new(),
        control: control.clone(),
    }
}
