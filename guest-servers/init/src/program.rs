//! The first Linux program: the personality in a fresh process, told what to execute.

use crate::loader;
use crate::modules::{Modules, command_line};
use crate::servers::{Ports, grant, grant_caller, set_limits};
use crate::startup::{Failure, Page};
use crate::supervise;
use ferrix_abi::cpu::CpuFeatures;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::sched::NORMAL_DEFAULT;
use ferrix_init::command_line::{percent_decode, value};
use ferrix_init::manifest::Program;
use ferrix_proto::path;
use ferrix_proto::startup::name;
use ferrix_rt::client::Request;
use ferrix_rt::sys::system::kernel_info;
use ferrix_rt::sys::{ipc, process, utcb};

/// Linux's `O_RDWR`.
const READ_WRITE: u64 = 2;
/// Linux's `ENODEV`: what vfs answers without a root disk.
const ENODEV: i32 = 19;
/// Where the kernel cannot keep AVX's registers a program may still find that the processor has AVX, by an instruction
/// that nobody intercepts (docs/kvm.md). glibc's string functions would use it; this tells them not to: the last word
/// is for `memcpy`, which does not look at the others.
const WITHOUT_AVX: &str = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-AVX_Fast_Unaligned_Load";
const CONSOLE: &[u8] = b"/dev/console";

/// Starts it. A server that is not there yet is waited for in the first call to it.
pub fn start(program: &Program, ports: &Ports, modules: &Modules) -> Result<(), Failure> {
    let vfs = ports.get(name::VFS)?;
    let console = open_console(vfs)?;
    let loaded = loader::load(modules, &program.personality, &program.path)?;
    supervise::end_with(loaded.pid);
    set_limits(&program.path, loaded.pid, &program.limits)?;
    let mut page = Page::new();
    arguments(&mut page, program)?;
    let process = loaded.process;
    for directory in [name::ROOT, name::CWD] {
        grant_caller(&mut page, process, directory, vfs)?;
    }
    for stream in [name::STDIN, name::STDOUT, name::STDERR] {
        grant(
            &mut page,
            process,
            stream,
            console,
            Rights::SEND | Rights::DUP | Rights::TRANSFER,
        )?;
    }
    for called in &program.calls {
        grant_caller(&mut page, process, called, ports.get(called)?)?;
    }
    let fail = |error| Failure::kernel(&program.path, error);
    let address = page.map_into(process).map_err(fail)?;
    process::start(process, loaded.entry, loaded.stack, address, NORMAL_DEFAULT).map_err(fail)?;
    ipc::close(process)
        .and_then(|()| ipc::close(console))
        .map_err(fail)?;
    Ok(())
}

/// `/bin/sh`, or `/bin/sh -c COMMAND` when the kernel's command line has `command=`.
fn arguments(page: &mut Page, program: &Program) -> Result<(), Failure> {
    page.argument(&program.path)?;
    if let Some(command) = value(command_line(), "command") {
        page.argument("-c")?;
        page.argument(&percent_decode(command))?;
    }
    program
        .environment
        .iter()
        .try_for_each(|variable| page.environment(variable))?;
    let features = CpuFeatures::from_bits_truncate(kernel_info().cpu_features);
    match features.contains(CpuFeatures::XSAVE) {
        true => Ok(()),
        false => page.environment(WITHOUT_AVX),
    }
}

fn open_console(vfs: Handle) -> Result<Handle, Failure> {
    let mut request = Request::new(path::OPEN, [READ_WRITE, 0, 0]);
    request.payload = CONSOLE;
    let why = |errno| match errno {
        ENODEV => Failure::new("vfs", "there is no root file system: nothing can run"),
        _ => Failure::new(
            "/dev/console",
            &alloc::format!("cannot be opened: errno {errno}"),
        ),
    };
    request.send(vfs).map_err(why)?;
    Ok(utcb::received_handle(0))
}
